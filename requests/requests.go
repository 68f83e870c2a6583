package requests

import (
	"context"
	"encoding/json"
	"time"

	"rapport/consent"
)

// Kind is what a request asks for.
type Kind string

// The kinds.
const (
	Subscribe Kind = "subscribe" // double opt-in to the topics of a form
	Renew     Kind = "renew"     // say again what was said before it expires
	Move      Kind = "move"      // be written to at another address
	SeeData   Kind = "see_data"  // a copy of everything that is kept (GDPR article 15 and 20)
	Erase     Kind = "erase"     // to be forgotten (GDPR article 17)
)

// Valid says whether the kind is one of the known ones.
func (k Kind) Valid() bool {
	switch k {
	case Subscribe, Renew, Move, SeeData, Erase:
		return true
	}
	return false
}

// open says whether anybody may ask: then the letter goes to an address whose
// owner may have nothing to do with it.
func (k Kind) open() bool { return k == Subscribe || k == Move }

// Ask is what somebody asks for at a door.
type Ask struct {
	Kind Kind
	// Contact is the number of the person who asks, known by a signed link of
	// theirs; 0: whoever owns the address (Subscribe only).
	Contact int64
	Driver  string // whose kind of address it is
	Channel string // configured channel that carries the letter; empty: the first of the driver
	Address string // as typed; empty: the person's primary one (not for Subscribe and Move)
	Topics  []string
	Form    string // name of the form; empty: the preference centre
	Method  consent.Method
	Notice  consent.NoticeRef // the exact wording that was shown
	Locale  string            // of the page; the letter to somebody new is in it
	URL     string            // page the form stood on
	IP      string
	Agent   string
	// Payload is for the handler of the kind, nothing of it is in the letter.
	// Of Subscribe it is a Wish.
	Payload json.RawMessage
	// Repeated also writes to somebody who has all topics already, that there
	// is nothing to do. Without it they hear nothing.
	Repeated bool
}

// Wish is the payload of Subscribe.
type Wish struct {
	Attributes map[string]any `json:"attributes,omitempty"` // those of the form, set when confirmed and not known yet
}

// Request is one row: what was asked, where from, and what became of it.
type Request struct {
	ID      int64
	Kind    Kind
	Contact int64  // who it is about; of Subscribe and Move the owner of Address, maybe made for it
	Person  int64  // of Move: who moves; else as Contact
	Made    bool   // the contact was made for this request and goes with it
	Driver  string // the driver whose kind of address it is
	Channel string
	Address string // canonical: where the link goes
	Given   string // the address as it was typed
	Topics  []string
	Form    string // name of the form; empty: the preference centre
	Method  consent.Method
	Notice  consent.NoticeRef
	Locale  string
	URL     string // page the form stood on
	IP      string
	Agent   string
	Payload json.RawMessage // of the kind

	AskedAt     time.Time
	ExpiresAt   time.Time
	Delivery    string    // ID of the letter's delivery; empty: not handed over yet
	MailedAt    time.Time // zero: no letter was sent
	MessageID   string    // of the letter
	ConfirmedAt time.Time // zero: not yet
	ConfirmIP   string
	ConfirmUser string    // agent of who confirmed
	HandledAt   time.Time // zero: what was confirmed may not be done yet
}

// Invitation says that nobody asked: what waits for a word came from a file,
// and the letter asks its owner on its own. It passes nothing that holds back.
func (r Request) Invitation() bool { return r.Method == consent.ByImport }

// Confirmation is the press of the button.
type Confirmation struct {
	At    time.Time // zero: now
	IP    string
	Agent string
}

// Confirmation is the press of the button that confirmed the request; its At is
// zero before.
func (r Request) Confirmation() Confirmation {
	return Confirmation{At: r.ConfirmedAt, IP: r.ConfirmIP, Agent: r.ConfirmUser}
}

// Handler does what a confirmed request asks for. It is called once for each
// request, or again after a crash before its success was noted: doing it twice
// must be like doing it once.
type Handler interface {
	Confirmed(ctx context.Context, r Request, c Confirmation) error
}

// HandlerFunc is a Handler that is a function.
type HandlerFunc func(ctx context.Context, r Request, c Confirmation) error

// Confirmed implements Handler.
func (f HandlerFunc) Confirmed(ctx context.Context, r Request, c Confirmation) error {
	return f(ctx, r, c)
}
