package responses

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rapport"
)

// Withdrawal is a person's "no" that came back to a message.
type Withdrawal struct {
	Subject
	Source    string // which door: "one-click", "unsubscribe page", "mail", "reply", "button" …
	Method    string // "link", "mail" or "chat"; empty: link
	IP        string // evidence for the ledger
	Agent     string
	Wording   string // reference to the text the person saw
	Reference string // what finds the act outside, like the Message-ID of a mail
	// All ends everything of the driver that is advertising, not only the topic.
	All bool
}

// Withdraw ends the permission of a contact for a driver and topic, or for all
// advertising of the driver. It is durable when it returns nil; saying it twice is no error. A contact that is
// gone is a NotFound error.
type Withdraw func(ctx context.Context, w Withdrawal) error

// Sink takes events, like the Recorder.
type Sink interface {
	Record(ctx context.Context, e Event) error
}

// Unsubscriber ends permissions. It is safe for concurrent use.
type Unsubscriber struct {
	withdraw Withdraw
	sink     Sink
	now      func() time.Time
	log      *slog.Logger
}

// NewUnsubscriber makes the service.
func NewUnsubscriber(withdraw Withdraw, sink Sink, now func() time.Time, log *slog.Logger) *Unsubscriber {
	return &Unsubscriber{withdraw: withdraw, sink: sink, now: now, log: log}
}

// Leave ends the permission for the driver and topic of a token's subject and
// counts an unsubscription for its run. When it returns nil the "no" is on the
// disk, or there is nobody left to whom it matters. It may be repeated.
func (u *Unsubscriber) Leave(ctx context.Context, w Withdrawal) error {
	if err := u.withdraw(ctx, w); err != nil {
		if rapport.KindOf(err) == rapport.NotFound {
			return nil // erased: nobody writes to them any more
		}
		return fmt.Errorf("unsubscribe: %w", err)
	}
	e := Event{Kind: Unsubscribed, Run: w.Run, Contact: w.Contact, Detail: w.Source, At: u.now()}
	if err := u.sink.Record(ctx, e); err != nil && !errors.Is(err, context.Canceled) {
		// The withdrawal stands; only its number in the report is missing.
		u.log.WarnContext(ctx, "an unsubscription was not counted", slog.Any("error", err))
	}
	return nil
}
