package webhook

import (
	"encoding/json"

	"rapport/internal/fake/receiver"
)

// Message is one message the receiver took.
type Message struct {
	receiver.Kept

	Topic   string          `json:"topic,omitempty"`
	Payload json.RawMessage `json:"payload"`
	Body    string          `json:"-"`
	Headers string          `json:"-"` // as they came, one a line
}

// Title is the payload.
func (m *Message) Title() string { return readable(m.Payload) }

// Side is the topic.
func (m *Message) Side() string { return m.Topic }

// Octets is how much memory the texts take.
func (m *Message) Octets() int { return len(m.Body) + len(m.Payload) + len(m.Headers) }
