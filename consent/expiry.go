package consent

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// ExpiryStore finds what has come to its end.
type ExpiryStore interface {
	// Ended returns at most limit answers whose end lies at or before now, the
	// oldest end first.
	Ended(ctx context.Context, now time.Time, limit int) ([]Current, error)
}

// expiryPage is how many answers are ended in one transaction.
const expiryPage = 500

// Expire notes in the ledger what has come to its end, dated to that end, and
// returns how many answers that were. An answer that is renewed meanwhile
// stands. The gate asks for the end itself: nobody is written to because this
// comes late.
func (s *Service) Expire(ctx context.Context) (int, error) {
	n := 0
	now := s.now()
	for {
		page, err := s.expiry.Ended(ctx, now, expiryPage)
		if err != nil {
			return n, fmt.Errorf("find consent that has ended: %w", err)
		}
		entries := make([]Entry, len(page))
		for i, c := range page {
			entries[i] = Entry{
				Contact: c.Contact, Driver: c.Driver, Topic: c.Topic, State: Expired, Basis: c.Basis, At: c.Expires,
				Source: "its end had come", Clock: OurClock,
			}
		}
		if len(entries) == 0 {
			return n, nil
		}
		out, err := s.Record(ctx, entries...)
		if err != nil {
			return n, fmt.Errorf("end consent: %w", err)
		}
		written := 0
		for _, o := range out {
			if o.Written {
				written++
			}
		}
		if n += written; written == 0 {
			return n, nil // all of it was renewed meanwhile
		}
	}
}

// StateAt derives the answers that stood for a contact at a moment, from the
// acts that lie at or before it as they are known today: a "no" that was heard
// late counts from when it was said.
func (s *Service) StateAt(ctx context.Context, contact int64, at time.Time) ([]Current, error) {
	return s.stateAt(ctx, contact, at, func(r Record) bool { return !r.At.After(at) })
}

// StateKnownAt derives the answers as they stood in this database at a moment,
// from the entries that were recorded by then: what a delivery of that moment
// relied on.
func (s *Service) StateKnownAt(ctx context.Context, contact int64, at time.Time) ([]Current, error) {
	return s.stateAt(ctx, contact, at, func(r Record) bool { return !r.RecordedAt.After(at) })
}

func (s *Service) stateAt(ctx context.Context, contact int64, at time.Time, counts func(Record) bool) ([]Current, error) {
	records, err := s.store.History(ctx, contact)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	records = slices.DeleteFunc(records, func(r Record) bool { return !counts(r) })
	return live(Fold(records), at), nil
}

// live takes the answers out that have ended by a moment.
func live(list []Current, at time.Time) []Current {
	for i := range list {
		if list[i].Answer != None && list[i].Ended(at) {
			c := &list[i]
			*c = Current{Contact: c.Contact, Driver: c.Driver, Topic: c.Topic, State: Expired, Basis: c.Basis, Entry: c.Entry}
		}
	}
	return list
}
