package requests

import (
	"context"
	"encoding/json"
	"time"
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

// Request is one row: what was asked, where from, and what became of it.
type Request struct {
	ID      int64
	Kind    Kind
	Contact int64  // who it is about; of a new address a contact made for it
	Driver  string // the driver whose kind of address it is
	Address string // canonical: where the link goes
	Given   string // the address as it was typed
	Topics  []string
	Form    string // name of the form; empty: the preference centre
	Notice  string // the wording that was shown, name/version/language
	Locale  string
	URL     string // page the form stood on
	IP      string
	Agent   string
	Payload json.RawMessage // of the kind: the person of Move, the attributes of Subscribe

	AskedAt     time.Time
	ExpiresAt   time.Time
	MailedAt    time.Time // zero: no letter was sent
	MessageID   string    // of the letter
	ConfirmedAt time.Time // zero: not yet
}

// Confirmation is the press of the button.
type Confirmation struct {
	At    time.Time
	IP    string
	Agent string
}

// Handler does what a confirmed request asks for. It is called once for each
// request, or again after a crash before its success was noted: doing it twice
// must be like doing it once.
type Handler interface {
	Confirmed(ctx context.Context, r Request, c Confirmation) error
}
