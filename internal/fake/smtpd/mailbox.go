package smtpd

import (
	"bytes"
	"mime"
	"slices"
	"strings"
	"sync"
	"time"

	"rapport/internal/fake/journal"
)

// Message is one mail the server took. Its slices must not be changed.
type Message struct {
	// ID counts messages from 1 in the order they were taken.
	ID uint64
	// Received is when it was taken.
	Received time.Time
	// Session is the connection it came in.
	Session uint64
	// EnvelopeFrom is the return path; empty is the null return path.
	EnvelopeFrom string
	// EnvelopeTo are the recipients.
	EnvelopeTo []string
	// From, To and Subject are the header fields, decoded (RFC 2047).
	From, To, Subject string
	// MessageID is the header field with its brackets.
	MessageID string
	// Size is the length in octets, Digest its SHA-256 in hexadecimal.
	Size   int64
	Digest string
	// Header is the header block with CR LF.
	Header []byte
	// Source is the whole message with CR LF; nil when bodies are not kept.
	Source []byte
}

func newMessage(e journal.Entry, rcpts []To, header []byte, l *letter) *Message {
	m := &Message{
		Received: e.Time, Session: e.Session, EnvelopeFrom: e.From, MessageID: e.Key,
		Size: e.Size, Digest: e.Digest,
	}
	for _, to := range rcpts {
		m.EnvelopeTo = append(m.EnvelopeTo, to.Addr)
	}
	for name, value := range fields(header) {
		switch strings.ToLower(name) {
		case "from":
			m.From = decodeWords(value)
		case "to":
			m.To = decodeWords(value)
		case "subject":
			m.Subject = decodeWords(value)
		}
	}
	if l.keep == KeepBodies {
		m.Source = bytes.Clone(l.text)
		m.Header = m.Source[:len(header)]
	} else {
		m.Header = bytes.Clone(header)
	}
	return m
}

// weight is what a message costs in the mailbox.
func (m *Message) weight() int64 {
	if m.Source != nil {
		return int64(len(m.Source)) + 1024
	}
	return int64(len(m.Header)) + 1024
}

// decodeWords decodes the encoded words of a header field; what cannot be decoded
// stays as it is.
func decodeWords(value string) string {
	var d mime.WordDecoder
	if out, err := d.DecodeHeader(value); err == nil {
		value = out
	}
	return strings.ToValidUTF8(value, "\uFFFD")
}

// mailbox keeps the latest messages inside two limits.
type mailbox struct {
	maxCount int
	maxBytes int64

	mu    sync.RWMutex
	mails []*Message // by ID, ascending
	bytes int64
	last  uint64
}

func newMailbox(maxCount int, maxBytes int64) *mailbox {
	return &mailbox{maxCount: maxCount, maxBytes: maxBytes}
}

func (b *mailbox) add(m *Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	m.ID = b.last
	b.mails = append(b.mails, m)
	b.bytes += m.weight()
	drop := 0
	for len(b.mails)-drop > b.maxCount || b.bytes > b.maxBytes {
		b.bytes -= b.mails[drop].weight()
		b.mails[drop] = nil
		drop++
	}
	b.mails = b.mails[drop:]
}

// Messages is a copy of the kept messages, oldest first.
func (s *Server) Messages() []Message {
	s.box.mu.RLock()
	defer s.box.mu.RUnlock()
	out := make([]Message, len(s.box.mails))
	for i, m := range s.box.mails {
		out[i] = *m
	}
	return out
}

// Message returns a kept message by its ID.
func (s *Server) Message(id uint64) (Message, bool) {
	s.box.mu.RLock()
	defer s.box.mu.RUnlock()
	i, ok := slices.BinarySearchFunc(s.box.mails, id, func(m *Message, id uint64) int {
		switch {
		case m.ID < id:
			return -1
		case m.ID > id:
			return 1
		}
		return 0
	})
	if !ok {
		return Message{}, false
	}
	return *s.box.mails[i], true
}

// Latest returns the newest kept message for an envelope recipient, upper and
// lower case being the same.
func (s *Server) Latest(to string) (Message, bool) {
	s.box.mu.RLock()
	defer s.box.mu.RUnlock()
	for _, m := range slices.Backward(s.box.mails) {
		if slices.ContainsFunc(m.EnvelopeTo, func(a string) bool { return strings.EqualFold(a, to) }) {
			return *m, true
		}
	}
	return Message{}, false
}

// page is up to limit messages older than before (0 means from the newest),
// newest first, that have the text in a recipient, the To field or the subject.
func (b *mailbox) page(query string, before uint64, limit int) (found []*Message, more bool) {
	query = strings.ToLower(strings.TrimSpace(query))
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, m := range slices.Backward(b.mails) {
		if before > 0 && m.ID >= before || !m.matches(query) {
			continue
		}
		if len(found) == limit {
			return found, true
		}
		found = append(found, m)
	}
	return found, false
}

func (m *Message) matches(query string) bool {
	has := func(text string) bool { return strings.Contains(strings.ToLower(text), query) }
	return query == "" || has(m.Subject) || has(m.To) || slices.ContainsFunc(m.EnvelopeTo, has)
}

func (b *mailbox) len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.mails)
}
