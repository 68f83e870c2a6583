package channels

import (
	"context"
	"time"
)

// Channel carries one message to one recipient.
type Channel interface {
	// Send hands m to the provider. A nil error means that the provider has
	// taken responsibility; any other error should carry a *Failure (one that
	// does not is read as Temporary before m.Depart has agreed, and as Uncertain
	// afterwards: it proves nothing). Send calls m.Depart exactly once, just
	// before the first octet of this message leaves and after dialling and
	// handshakes; when Depart refuses, Send returns that error unchanged and
	// nothing has left. Send is safe for concurrent use and returns promptly
	// once ctx is done.
	Send(ctx context.Context, m Message) (Receipt, error)
	// Check asks the provider whether it would talk to us, without sending.
	Check(ctx context.Context) error
	// Close lets connections go. It may be called twice.
	Close() error
}

// Class tells apart what a person asked for from what we would like to say.
type Class uint8

// Marketing is written to people by permission and at most once after a
// doubt; Transactional belongs to a case of theirs and is repeated after one.
const (
	Marketing Class = iota
	Transactional
)

// String returns the class as configuration writes it.
func (c Class) String() string {
	if c == Transactional {
		return "transactional"
	}
	return "marketing"
}

// Message is what a channel carries. It holds what the recipient will see and
// what the protocol needs, and nothing else of the person.
type Message struct {
	Key         string            // delivery ID: the same on every attempt
	To          string            // canonical spelling of the driver's Address kind
	Content     map[string]string // rendered parts by name
	Fixed       map[string][]Span // what of Content is the same in all messages of the letter, in order; may be nil
	Class       Class             // decides which headers a letter carries
	List        string            // stable name of the topic, for List-Id and its like
	Unsubscribe string            // one-click link (RFC 8058); empty: none
	// UnsubscribeMail is a mailto address (RFC 6068) that ends what Unsubscribe
	// ends, for those who ask by mail; empty: none.
	UnsubscribeMail string
	Return          string // signed token that finds this delivery when it bounces
	ReplyTo         string // where answers go; empty: the channel's own setting
	Files           []File // attachments and inline images
	Depart          Depart // permission at the wire; see Leave
}

// File is an attachment, or an inline image when ID is set.
type File struct {
	Name string // file name as shown
	Type string // media type, for example "image/png"
	ID   string // Content-ID that the HTML refers to as cid:ID; empty: attachment
	Data []byte
}

// Depart asks for permission to let a message leave, at the last moment: the
// intent is written and consent, suppression and state are read again. A
// message that may not leave gets an error that the channel returns unchanged.
type Depart func(ctx context.Context) error

// Leave calls Depart if there is one. Test messages have none.
func (m Message) Leave(ctx context.Context) error {
	if m.Depart == nil {
		return nil
	}
	return m.Depart(ctx)
}

// Receipt is the provider's word that it has taken responsibility.
type Receipt struct {
	ProviderID string    // the provider's name for the message, as far as it told
	Server     string    // which server of the channel took it, when there are several
	At         time.Time // when it said so
}
