package channels

import "sync"

// Span is a stretch of a rendered part that is the same in every message of
// its letter: Content[part][From:To] == Text.String().
type Span struct {
	From, To int
	Text     *Fixed
}

// Fixed is a text that comes again and again, with room for one encoded form
// of it, so that a driver encodes it once and not in every message. It is safe
// for concurrent use.
type Fixed struct {
	text    string
	once    sync.Once
	encoded []byte
}

// NewFixed keeps text.
func NewFixed(text string) *Fixed { return &Fixed{text: text} }

// String returns the text as it is.
func (f *Fixed) String() string { return f.text }

// Encoded returns what encode made of the text the first time it was asked.
// All callers of one text must encode alike: a driver has one wire form. The
// result must not be changed.
func (f *Fixed) Encoded(encode func(text string) []byte) []byte {
	f.once.Do(func() { f.encoded = encode(f.text) })
	return f.encoded
}
