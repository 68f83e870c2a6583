package store

import (
	"strconv"
	"testing"
	"time"

	"rapport/outbox"
)

// The end of the work on a batch meets somebody who queues a row of it again:
// a try that failed for now, a retry, or the planner that adds people.
func TestRestSeesWhatItWaitedFor(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if s.d != &postgresDialect {
			t.Skip("does not apply: SQLite has one writer: nobody waits inside a statement")
		}
		s.people(t, "marketing", 1)
		seat, list := claimAll(t, s, 1)
		exchangeAll(t, s, seat, nil, tickets(list))
		again := []outbox.Settlement{{Delivery: 1, Turn: 1, State: outbox.Queued, Reason: outbox.WaitRetry, NotBefore: start.Add(time.Minute), At: start}}
		resting := make(chan error, 1)
		err := s.update(t.Context(), durable, func(x tx) error {
			found, err := x.facts(t.Context(), again, nil)
			if err != nil {
				return err
			}
			var e exchange
			e.settle(found, again[0])
			if err := e.write(t.Context(), x); err != nil {
				return err
			}
			me, _, err := one(t.Context(), x, `SELECT pg_backend_pid()`, scalar[int64])
			if err != nil {
				return err
			}
			go func() { resting <- s.Rest(t.Context(), 1) }()
			for { // until it waits for us
				n, _, err := one(t.Context(), s.reader(), `SELECT COUNT(*) FROM pg_stat_activity WHERE CAST($1 AS INTEGER) = ANY (pg_blocking_pids(pid))`, scalar[int64], me)
				if err != nil || n > 0 {
					return err
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-resting; err != nil {
			t.Fatal(err)
		}
		due, err := s.Due(t.Context(), outbox.Bulk, start.Add(time.Hour), 10)
		if err != nil || len(due) != 1 {
			t.Errorf("a row is queued and its batch is never due: %+v, %v", due, err)
		}
	})
}

// The spool of a dead process says that somebody is to be tried again, after
// others have called them uncertain and the run has ended.
func TestALateOutcomeLetsARunGoOn(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		seat, list := claimAll(t, s, 2)
		exchangeAll(t, s, seat, nil, tickets(list))
		if err := seat.(*chair).free(); err != nil {
			t.Fatal(err)
		}
		next, err := s.Sit(t.Context(), "next", start)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Reclaim(t.Context(), steady, start); err != nil || r.Uncertain != 2 {
			t.Fatal(r, err)
		}
		if done, err := s.Finish(t.Context(), start); err != nil || len(done) != 1 {
			t.Fatal(done, err)
		}
		exchangeAll(t, s, next, []outbox.Settlement{
			{Delivery: 1, Turn: 1, State: outbox.Queued, Reason: outbox.WaitRetry, Charge: true, Verdict: "temporary", NotBefore: start.Add(time.Minute), At: start},
			{Delivery: 2, Turn: 1, State: outbox.Sent, Charge: true, At: start},
		}, nil)
		if a := s.accountOf(t, 1); a.State != outbox.Running || a.FinishedAt != nil || a.States[outbox.Queued] != 1 || a.States[outbox.Sent] != 1 {
			t.Errorf("the run is %s with %v", a.State, a.States)
		}
		if due, err := s.Due(t.Context(), outbox.Bulk, start.Add(time.Hour), 10); err != nil || len(due) != 1 {
			t.Errorf("due %+v, %v", due, err)
		}
	})
}

// Somebody was uncertain when the others of their batch expired, and is to be
// tried again by an outcome that was found late: they expire as well, also on a
// channel that is never released, and before those that have more time.
func TestALateOutcomeExpires(t *testing.T) {
	for name, third := range map[string]string{"nobody waits": "0", "others have more time": strconv.FormatInt(micros(start.Add(time.Hour)), 10)} {
		t.Run(name, func(t *testing.T) { aLateOutcomeExpires(t, third) })
	}
}

func aLateOutcomeExpires(t *testing.T, third string) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 3)
		ends := strconv.FormatInt(micros(start.Add(time.Minute)), 10)
		s.do(t, `UPDATE deliveries SET expires_at = `+ends, `UPDATE deliveries SET not_before = `+ends+` WHERE id IN (1, 3)`,
			`UPDATE deliveries SET expires_at = `+third+` WHERE id = 3`, `UPDATE batches SET expires_at = `+ends)
		seat, list := claimAll(t, s, 1)
		exchangeAll(t, s, seat, nil, tickets(list))
		exchangeAll(t, s, seat, []outbox.Settlement{{Delivery: 2, Turn: 1, State: outbox.Uncertain, Reason: outbox.NoAnswer, Charge: true, Verdict: "uncertain", At: start}}, nil)
		if n, err := s.Fold(t.Context(), start.Add(2*time.Minute)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		exchangeAll(t, s, seat, []outbox.Settlement{{Delivery: 2, Turn: 1, State: outbox.Queued, Reason: outbox.WaitRetry, Verdict: "temporary", NotBefore: start.Add(6 * time.Hour), At: start}}, nil)
		if n, err := s.Fold(t.Context(), start.Add(3*time.Minute)); n != 1 || err != nil {
			t.Errorf("folded %d, %v", n, err)
		}
		if a := s.accountOf(t, 1); a.States[outbox.Expired] != 2 {
			t.Errorf("account %v", a.States)
		}
	})
}

// A person is erased while their message is on the wire: what the provider
// says afterwards may name them.
func TestNothingIsKeptOfSomebodyErasedOnTheWay(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 1)
		seat, list := claimAll(t, s, 1)
		exchangeAll(t, s, seat, nil, tickets(list))
		if err := s.Erase(t.Context(), 1, "anna", func() ([]byte, error) { return []byte("salt"), nil }); err != nil {
			t.Fatal(err)
		}
		exchangeAll(t, s, seat, []outbox.Settlement{{Delivery: 1, Turn: 1, State: outbox.Failed, Reason: outbox.Refused, Charge: true, Verdict: "malformed", Detail: "550 no loft-1 here", At: start}}, nil)
		detail, ok, err := one(t.Context(), s.reader(), `SELECT detail FROM attempts`, scalar[string])
		if err != nil || !ok || detail != "" {
			t.Errorf("kept %q (%v), %v", detail, ok, err)
		}
	})
}
