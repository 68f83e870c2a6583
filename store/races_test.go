package store

import (
	"strconv"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/channels"
	"rapport/outbox"
)

func steady(c channels.Class, _ string) outbox.Policy {
	return outbox.PolicyFor(c, false, func() float64 { return 0.5 })
}

// failing lets everybody of the run 1 fail once.
func failing(t *testing.T, s *Store, n int) (outbox.Seat, []outbox.Settlement) {
	t.Helper()
	s.people(t, "marketing", n)
	seat, list := claimAll(t, s, n)
	exchangeAll(t, s, seat, nil, tickets(list))
	var out []outbox.Settlement
	for _, d := range list {
		out = append(out, outbox.Settlement{Delivery: d.ID, Turn: d.Turn, State: outbox.Failed, Reason: outbox.Refused, Charge: true, Verdict: "malformed", At: start})
	}
	exchangeAll(t, s, seat, out, nil)
	return seat, out
}

func retry(at time.Time) campaigns.Revision {
	return campaigns.Revision{Run: 1, From: outbox.Failed, To: outbox.Queued, Now: at, Actor: "anna"}
}

// Somebody retries between the look of Finish at what has ended and its word.
func TestFinishLooksAgain(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		failing(t, s, 1)
		ids, err := collect(t.Context(), s.reader(), qEnded, scalar[int64])
		if err != nil || len(ids) != 1 {
			t.Fatal(ids, err)
		}
		if n, err := s.Revise(t.Context(), retry(start)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if ended, err := s.finish(t.Context(), ids[0], start); ended || err != nil {
			t.Errorf("ended %v, %v", ended, err)
		}
		if a := s.accountOf(t, 1); a.State != outbox.Running || a.States[outbox.Queued] != 1 {
			t.Errorf("the run is %s with %v", a.State, a.States)
		}
	})
}

// A process died before its spool was emptied; what is in it was settled long
// ago, and a person has asked for another try since.
func TestASpoolDoesNotUndoARetry(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		seat, old := failing(t, s, 1)
		if n, err := s.Revise(t.Context(), retry(start)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		exchangeAll(t, s, seat, old, nil)
		if a := s.accountOf(t, 1); a.States[outbox.Queued] != 1 {
			t.Errorf("the retry was undone: %v", a.States)
		}
	})
}

// What fails again while a retry of many goes on is not tried again by it.
func TestARetryTakesEachOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		seat, _ := failing(t, s, 3)
		page := func() (n int64) {
			err := s.update(t.Context(), durable, func(x tx) (err error) {
				n, err = x.revise(t.Context(), retry(start))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := page(); n != 3 {
			t.Fatalf("%d of 3 retried", n)
		}
		list, err := s.Claim(t.Context(), 1, seat.ID(), 10, start)
		if err != nil || len(list) != 3 {
			t.Fatal(list, err)
		}
		exchangeAll(t, s, seat, nil, tickets(list))
		var again []outbox.Settlement
		for _, d := range list {
			again = append(again, outbox.Settlement{Delivery: d.ID, Turn: d.Turn, State: outbox.Failed, Reason: outbox.RenderFailed, Charge: true, Verdict: "malformed", At: start.Add(time.Second)})
		}
		exchangeAll(t, s, seat, again, nil)
		if n := page(); n != 0 {
			t.Errorf("%d retried once more by the same word", n)
		}
	})
}

// A connection can be cut while the process goes on.
func TestAWorkerWhoseLockIsCutIsNotDead(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if s.d != &postgresDialect {
			t.Skip("does not apply: SQLite's lock is a file's: it ends with the process and not before")
		}
		s.people(t, "transactional", 2)
		seat, list := claimAll(t, s, 2)
		exchangeAll(t, s, seat, nil, tickets(list[:1]))
		s.do(t, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
			AND CAST(classid AS BIGINT) = CAST(hashtext(current_schema()) AS BIGINT) & 4294967295`)
		r, err := s.Reclaim(t.Context(), steady, start)
		if err != nil || r.Freed != 1 || r.Repeated != 0 {
			t.Errorf("at once: %+v, %v; what may be on the wire is not sent again", r, err)
		}
		if err := seat.Beat(t.Context(), start.Add(time.Second)); err != nil {
			t.Fatalf("the seat was not kept: %v", err)
		}
		if r, err = s.Reclaim(t.Context(), steady, start.Add(time.Hour)); err != nil || r != (outbox.Reclaimed{}) {
			t.Errorf("with its lock again: %+v, %v", r, err)
		}
		exchangeAll(t, s, seat, []outbox.Settlement{{Delivery: 1, Turn: 1, State: outbox.Sent, Charge: true, At: start}}, nil)
		if a := s.accountOf(t, 1); a.States[outbox.Sent] != 1 || a.States[outbox.Queued] != 1 {
			t.Errorf("account %v", a.States)
		}
	})
}

// Somebody who looks for dead workers meets one that is just sitting down.
func TestSittingDownIsNotDying(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if s.d != &postgresDialect {
			t.Skip("does not apply: SQLite has one sender")
		}
		done := make(chan struct{})
		stop := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.Reclaim(t.Context(), steady, start); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		for range 100 {
			seat, err := s.Sit(t.Context(), "again", start)
			if err != nil {
				t.Errorf("sit down: %v", err)
				break
			}
			if err := seat.Beat(t.Context(), start); err != nil {
				t.Errorf("beat: %v", err)
			}
			if err := seat.Leave(t.Context(), start); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		<-done
	})
}

// A message that kills its sender each time ends with its tries.
func TestWhatKillsItsSenderEnds(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "transactional", 1)
		tries := steady(channels.Transactional, "birds").Tries
		at := start
		for range tries {
			seat, err := s.Sit(t.Context(), "doomed", at)
			if err != nil {
				t.Fatal(err)
			}
			list, err := s.Claim(t.Context(), 1, seat.ID(), 1, at)
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			exchangeAll(t, s, seat, nil, tickets(list))
			if err := seat.(*chair).free(); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Hour)
			next, err := s.Sit(t.Context(), "judge", at)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Reclaim(t.Context(), steady, at); err != nil {
				t.Fatal(err)
			}
			if err := next.Leave(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		if a := s.accountOf(t, 1); a.Reasons[outbox.Uncertain][outbox.Crashed] != 1 {
			t.Errorf("after %d crashes: %v", tries, a.States)
		}
	})
}

// What was in somebody's hand when the others of its batch expired, and waits
// again since, expires as well: also on a channel that is never released.
func TestWhatWasInHandExpires(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		at := func(d time.Duration) string { return strconv.FormatInt(micros(start.Add(d)), 10) }
		s.do(t,
			`UPDATE deliveries SET expires_at = `+at(time.Minute)+`, not_before = `+at(time.Second)+` WHERE id = 1`,
			`UPDATE deliveries SET expires_at = `+at(2*time.Minute)+` WHERE id = 2`,
			`UPDATE batches SET expires_at = `+at(time.Minute))
		seat, list := claimAll(t, s, 1)
		if n, err := s.Fold(t.Context(), start.Add(90*time.Second)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if err := s.Hold(t.Context(), outbox.Hold{Channel: "birds", Reason: outbox.Authentication, Since: start}); err != nil {
			t.Fatal(err)
		}
		exchangeAll(t, s, seat, nil, tickets(list)) // held: it waits again
		if n, err := s.Fold(t.Context(), start.Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("folded %d, %v", n, err)
		}
		if a := s.accountOf(t, 1); a.States[outbox.Expired] != 2 {
			t.Errorf("account %v", a.States)
		}
	})
}
