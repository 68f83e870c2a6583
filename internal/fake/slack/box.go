package slack

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Message is one posted message.
type Message struct {
	Number  int             `json:"number"`
	Time    time.Time       `json:"time"`
	Key     string          `json:"key"`
	To      string          `json:"to"` // e-mail address if it was looked up here, else the ID
	Channel string          `json:"channel"`
	TS      string          `json:"ts"`
	Sender  string          `json:"sender,omitempty"`
	Icon    string          `json:"icon,omitempty"`
	Text    string          `json:"text"`
	Blocks  json.RawMessage `json:"blocks,omitempty"`
	Raw     string          `json:"-"` // request headers and body, without the token
}

// maxKept bounds the octets of kept messages.
const maxKept = 32 << 20

// box keeps the latest messages.
type box struct {
	mu    sync.Mutex
	keep  int
	next  int
	size  int
	items []Message
}

func (b *box) add(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	m.Number = b.next
	b.items = append(b.items, m)
	b.size += m.size()
	drop := 0
	for len(b.items)-drop > b.keep || b.size > maxKept && len(b.items)-drop > 1 {
		b.size -= b.items[drop].size()
		drop++
	}
	b.items = slices.Delete(b.items, 0, drop)
}

func (m Message) size() int { return len(m.Text) + len(m.Blocks) + len(m.Raw) }

// list returns the kept messages, newest first, for one recipient or for all.
func (b *box) list(to string) []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []Message{}
	for _, m := range slices.Backward(b.items) {
		if to == "" || m.To == to {
			out = append(out, m)
		}
	}
	return out
}

func (b *box) get(number int) (Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.items, func(m Message) bool { return m.Number == number })
	if i < 0 {
		return Message{}, false
	}
	return b.items[i], true
}
