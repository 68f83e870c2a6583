package channels

import (
	"context"
	"errors"
	"net/http"
)

// ErrForeign is the answer of Hear to a call that is not the provider's.
var ErrForeign = errors.New("the call is not the provider's")

// Listener is a Channel whose provider calls us when somebody presses a button
// of a message.
type Listener interface {
	Channel
	// Listens says whether the settings have what it takes to know the
	// provider's calls.
	Listens() bool
	// Hear proves that a call is the provider's and reads what somebody pressed.
	// A call that is not, is too old, or has been heard before is ErrForeign;
	// one that is genuine and means nothing to us is the zero Pressed.
	Hear(header http.Header, body []byte) (Pressed, error)
	// Confirm tells the person who pressed that it has worked. It is an answer
	// to an act of that person and no message.
	Confirm(ctx context.Context, p Pressed) error
}

// Pressed is what somebody pressed.
type Pressed struct {
	Token  string // signed by us, from the button
	By     string // who pressed, as the provider names them
	Answer string // where Confirm answers to
}

// Zero says whether nothing of ours was pressed.
func (p Pressed) Zero() bool { return p.Token == "" }
