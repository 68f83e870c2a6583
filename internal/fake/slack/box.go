package slack

import (
	"encoding/json"

	"rapport/internal/fake/receiver"
)

// Message is one posted message. Its recipient is the e-mail address if it was
// looked up here, else the ID.
type Message struct {
	receiver.Kept

	Channel string          `json:"channel"`
	TS      string          `json:"ts"`
	Sender  string          `json:"sender,omitempty"`
	Icon    string          `json:"icon,omitempty"`
	Text    string          `json:"text"`
	Blocks  json.RawMessage `json:"blocks,omitempty"`
	Raw     string          `json:"-"` // request headers and body, without the token
}

// Title is the text.
func (m *Message) Title() string { return m.Text }

// Side is the sender.
func (m *Message) Side() string {
	if m.Sender == "" {
		return "App"
	}
	return m.Sender
}

// Octets is how much memory the texts take.
func (m *Message) Octets() int { return len(m.Text) + len(m.Blocks) + len(m.Raw) }
