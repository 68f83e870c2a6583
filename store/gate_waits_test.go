package store

import (
	"context"
	"os"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/requests"
	"rapport/rights"
)

// What a door answers with success cannot be overtaken: on PostgreSQL whoever
// takes something back waits for a gate that has been asked and has not written
// its intent, and whoever asks after that is told.
func TestWhoTakesBackWaitsForTheGate(t *testing.T) {
	salt := func() ([]byte, error) { return []byte("0123456789abcdef"), nil }
	for name, c := range map[string]struct {
		do   func(context.Context, *Store) error
		want outbox.Reason
	}{
		"withdrawal": {func(ctx context.Context, s *Store) error {
			_, err := s.Record(ctx, []consent.Entry{{Contact: 1, Driver: "pigeon", Kind: "loft", Topic: "news", State: consent.Withdrawn, Basis: consent.ByConsent, At: start, Salt: []byte("x")}})
			return err
		}, outbox.Withdrawn},
		"suppression": {func(ctx context.Context, s *Store) error {
			_, err := s.Suppress(ctx, []consent.Suppression{{Kind: "loft", Hash: "h1", Value: "loft-1", Reason: consent.Complaint, At: start}})
			return err
		}, outbox.Complaint},
		"restriction": {func(ctx context.Context, s *Store) error {
			return s.Restrict(ctx, 1, rights.Marks{RestrictedAt: start, Reason: "x", Actor: "x"}, noteOf("rights.restrict", 1))
		}, outbox.Restricted},
		"erasure": {func(ctx context.Context, s *Store) error { return s.Erase(ctx, 1, "x", salt) }, outbox.Erased},
		"pause of the person": {func(ctx context.Context, s *Store) error {
			return s.SetPreference(ctx, 1, consent.Preference{PausedUntil: start.Add(24 * time.Hour)}, start)
		}, outbox.AskedPause},
		"pause of the run": {func(ctx context.Context, s *Store) error {
			_, err := s.MoveRun(ctx, 1, []outbox.RunState{outbox.Running}, outbox.Paused, "x")
			return err
		}, outbox.WaitPaused},
		"cancelling of a message": {func(ctx context.Context, s *Store) error {
			_, err := s.MoveRun(ctx, 1, []outbox.RunState{outbox.Running}, outbox.Cancelling, "x")
			return err
		}, outbox.ByPerson},
		"cancelling of the campaign": {func(ctx context.Context, s *Store) error {
			_, err := s.MoveCampaign(ctx, 1, false, "x", func(now campaigns.Standing, _ bool) (campaigns.Standing, error) {
				now.Run = outbox.Cancelling
				return now, nil
			})
			return err
		}, outbox.ByPerson},
		"change of the address": {func(ctx context.Context, s *Store) error {
			_, err := s.Apply(ctx, contacts.Chunk{Durable: true, Seen: contacts.NewSeen(), Rows: []contacts.Row{{
				UID: "new", Contact: 1, Addresses: []contacts.Address{{Kind: "loft", Value: "loft-new", Display: "loft-new", Hash: "hnew"}},
			}}})
			return err
		}, outbox.AddressChanged},
		"move of the address": {func(ctx context.Context, s *Store) error {
			_, err := s.MoveAddress(ctx, requests.Request{Person: 1, Contact: 3, Address: "loft-3", Driver: "pigeon"}, "loft", nil,
				consent.Entry{Contact: 3, Driver: "pigeon", Kind: "loft", Topic: "news", State: consent.Withdrawn, Basis: consent.ByConsent, At: start, Salt: []byte("x")})
			return err
		}, outbox.AddressChanged},
	} {
		t.Run(name, func(t *testing.T) {
			s := waiting(t)
			s.people(t, "marketing", 3)
			s.do(t, `UPDATE deliveries SET not_before = 9000000000000000 WHERE id > 1`)
			seat, list := claimAll(t, s, 1)
			var asked outbox.Admission
			s.whileAsked(t, func(x tx) error {
				found, err := x.facts(t.Context(), nil, tickets(list))
				if err != nil {
					return err
				}
				var e exchange
				asked = e.admit(found, tickets(list)[0], seat.ID(), start)
				return nil
			}, c.do)
			if !asked.Go {
				t.Errorf("who asked before: %+v", asked)
			}
			// Nothing was written by the one who asked before, so that the same
			// one asks again.
			if a, err := s.exchanged(t.Context(), seat.ID(), nil, tickets(list), start); err != nil || a[0].Go || a[0].Reason != c.want {
				t.Errorf("who asks after: %+v, %v; want %s", a, err, c.want)
			}
		})
	}
}

// waiting opens a store on an engine where somebody can wait for somebody.
func waiting(t *testing.T) *Store {
	t.Helper()
	url := os.Getenv("RAPPORT_TEST_POSTGRES")
	if url == "" {
		t.Skip("RAPPORT_TEST_POSTGRES is not set")
	}
	return opened(t, Options{Data: t.TempDir(), Database: ownSchema(t, url)})
}

// whileAsked runs do while a transaction is open that has asked, and fails
// unless do waits for its end.
func (s *Store) whileAsked(t *testing.T, ask func(tx) error, do func(context.Context, *Store) error) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	asked, goOn, gate, done := make(chan int64, 1), make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		gate <- s.update(ctx, durable, func(x tx) error {
			me, _, err := one(ctx, x, `SELECT pg_backend_pid()`, scalar[int64])
			if err != nil {
				return err
			}
			if err := ask(x); err != nil {
				return err
			}
			asked <- me
			<-goOn
			return nil
		})
	}()
	var me int64
	select {
	case me = <-asked:
	case err := <-gate:
		t.Fatal(err)
	}
	go func() { done <- do(ctx, s) }()
	for overtaken := false; ; {
		n, _, err := one(ctx, s.reader(), `SELECT COUNT(*) FROM pg_stat_activity WHERE CAST($1 AS INTEGER) = ANY (pg_blocking_pids(pid))`, scalar[int64], me)
		if err != nil || n > 0 {
			close(goOn)
			if err != nil {
				t.Error(err)
			}
			break
		}
		select {
		case err := <-done:
			done <- err
			t.Errorf("it was done beside an open gate: %v", err)
			overtaken = true
			close(goOn)
		default:
		}
		if overtaken {
			break
		}
	}
	if err := <-gate; err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
