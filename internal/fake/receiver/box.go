package receiver

import (
	"slices"
	"sync"
	"time"
)

// Kept is what every kept message has.
type Kept struct {
	Number int       `json:"number"`
	Time   time.Time `json:"time"`
	Key    string    `json:"key"`
	To     string    `json:"to"`
}

// Head is the part of a message that the box looks at.
func (k *Kept) Head() *Kept { return k }

// Message is a message of a receiver: a pointer to what embeds Kept. It does
// not change once it is in the box.
type Message interface {
	comparable
	Head() *Kept
	Title() string // what the list shows first
	Side() string  // what the list shows beside it
	Octets() int   // how much memory it takes
}

// maxKept bounds the octets of kept messages.
const maxKept = 32 << 20

// Box keeps the latest messages.
type Box[M Message] struct {
	mu    sync.Mutex
	keep  int
	next  int
	size  int
	items []M
}

// Add keeps a message and numbers it; the oldest goes when there are too many.
func (b *Box[M]) Add(m M) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	m.Head().Number = b.next
	b.items = append(b.items, m)
	b.size += m.Octets()
	drop := 0
	for len(b.items)-drop > b.keep || b.size > maxKept && len(b.items)-drop > 1 {
		b.size -= b.items[drop].Octets()
		drop++
	}
	b.items = slices.Delete(b.items, 0, drop)
}

// Messages returns the kept messages, newest first; to filters, empty is all.
func (b *Box[M]) Messages(to string) []M {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []M{}
	for _, m := range slices.Backward(b.items) {
		if to == "" || m.Head().To == to {
			out = append(out, m)
		}
	}
	return out
}

// Message returns the kept message with this number.
func (b *Box[M]) Message(number int) (m M, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.items, func(m M) bool { return m.Head().Number == number })
	if i < 0 {
		return m, false
	}
	return b.items[i], true
}
