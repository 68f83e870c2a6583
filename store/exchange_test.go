package store

import (
	"strconv"
	"testing"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/outbox"
)

// claimAll sits and claims everything that is due.
func claimAll(t *testing.T, s *Store, n int) (outbox.Seat, []outbox.Delivery) {
	t.Helper()
	seat, err := s.Sit(t.Context(), "test", start)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Claim(t.Context(), 1, seat.ID(), 1000, start)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != n {
		t.Fatalf("claimed %d, want %d", len(list), n)
	}
	return seat, list
}

func tickets(list []outbox.Delivery) []outbox.Ticket {
	var out []outbox.Ticket
	for _, d := range list {
		out = append(out, outbox.Ticket{Delivery: d.ID, Turn: d.Turn})
	}
	return out
}

func exchangeAll(t *testing.T, s *Store, seat outbox.Seat, settled []outbox.Settlement, wanted []outbox.Ticket) []outbox.Admission {
	t.Helper()
	got, err := s.exchanged(t.Context(), seat.ID(), settled, wanted, start.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(wanted) {
		t.Fatalf("%d admissions for %d tickets", len(got), len(wanted))
	}
	return got
}

func TestClaimBringsThePersonAndRaisesTheTurn(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 3)
		_, list := claimAll(t, s, 3)
		d := list[1]
		if d.ID != 2 || d.Turn != 1 || d.Address != "loft-2" || d.Person == nil || d.Person.Zone != "Europe/Berlin" || d.Person.Addresses["loft"] != "Loft-2" {
			t.Errorf("claimed %+v, person %+v", d, d.Person)
		}
		a := s.accountOf(t, 1)
		if a.States[outbox.Claimed] != 3 {
			t.Errorf("account %+v", a.States)
		}
	})
}

func TestGateAtTheIntent(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 7)
		seat, list := claimAll(t, s, 7)
		s.do(t,
			`UPDATE consents SET state = 'withdrawn' WHERE contact_id = 2`,
			`INSERT INTO suppressions (kind, hash, reason, at) VALUES ('loft', 'h3', 'complaint', 1)`,
			`DELETE FROM contacts WHERE id = 4`,
			`DELETE FROM addresses WHERE contact_id = 5`,
			`UPDATE consents SET address = 'elsewhere' WHERE contact_id = 6`,
			`UPDATE deliveries SET expires_at = 5 WHERE id = 7`,
		)
		got := exchangeAll(t, s, seat, nil, tickets(list))
		want := []struct {
			state  outbox.State
			reason outbox.Reason
		}{
			{outbox.Sending, ""},
			{outbox.Suppressed, outbox.Withdrawn},
			{outbox.Suppressed, outbox.Complaint},
			{outbox.Suppressed, outbox.Erased},
			{outbox.Suppressed, outbox.AddressChanged},
			{outbox.Suppressed, outbox.OtherAddress},
			{outbox.Expired, outbox.TimeOver},
		}
		for i, a := range got {
			if a.State != want[i].state || a.Reason != want[i].reason || a.Go != (a.State == outbox.Sending) {
				t.Errorf("delivery %d: %+v, want %+v", a.Delivery, a, want[i])
			}
		}
		a := s.accountOf(t, 1)
		if a.States[outbox.Suppressed] != 5 || a.Reasons[outbox.Suppressed][outbox.Withdrawn] != 1 {
			t.Errorf("account %+v %+v", a.States, a.Reasons)
		}
	})
}

func TestSettlingIsFencedByTheTurn(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 3)
		seat, list := claimAll(t, s, 3)
		exchangeAll(t, s, seat, nil, tickets(list))
		at := start.Add(2 * time.Second)
		exchangeAll(t, s, seat, []outbox.Settlement{
			{Delivery: 1, Turn: 1, State: outbox.Sent, Charge: true, ProviderID: "p1", Server: "srv", At: at},
			{Delivery: 2, Turn: 0, State: outbox.Sent, At: at}, // an older turn
			{Delivery: 3, Turn: 1, State: outbox.Queued, Reason: outbox.WaitRetry, NotBefore: at.Add(time.Minute), Charge: true, Verdict: "temporary", At: at},
		}, nil)
		a := s.accountOf(t, 1)
		if a.States[outbox.Sent] != 1 || a.States[outbox.Sending] != 1 || a.Waiting[outbox.WaitRetry] != 1 {
			t.Errorf("account %+v waiting %+v", a.States, a.Waiting)
		}
		// The same outcome once more changes nothing.
		exchangeAll(t, s, seat, []outbox.Settlement{{Delivery: 1, Turn: 1, State: outbox.Sent, At: at}}, nil)
		s.accountOf(t, 1)
		if err := s.Rest(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if due, _ := s.Due(t.Context(), outbox.Bulk, at, 10); len(due) != 0 {
			t.Errorf("due before its time: %+v", due)
		}
		if due, _ := s.Due(t.Context(), outbox.Bulk, at.Add(time.Minute), 10); len(due) != 1 {
			t.Errorf("not due at its time: %+v", due)
		}
	})
}

func TestRejectionSuppressesAndTwoStrikesDo(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		seat, list := claimAll(t, s, 2)
		exchangeAll(t, s, seat, nil, tickets(list))
		at := start.Add(2 * time.Second)
		exchangeAll(t, s, seat, []outbox.Settlement{
			{Delivery: 1, Turn: 1, State: outbox.Failed, Reason: outbox.UnknownUser, Suppress: true, Verdict: "rejected", Code: "550 5.1.1", At: at},
			{Delivery: 2, Turn: 1, State: outbox.Failed, Reason: outbox.Refused, Strike: true, Verdict: "malformed", Code: "550", At: at},
		}, nil)
		count := func(q query) int64 {
			n, _, err := one(t.Context(), s.reader(), q, scalar[int64])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := count(`SELECT COUNT(*) FROM suppressions WHERE hash = 'h1' AND reason = 'hard_bounce'`); n != 1 {
			t.Errorf("%d suppressions after a rejection", n)
		}
		if n := count(`SELECT COUNT(*) FROM suppressions WHERE hash = 'h2'`); n != 0 {
			t.Errorf("one strike suppressed")
		}
		s.do(t, `UPDATE deliveries SET state = 'sending', turn = 2 WHERE id = 2`, `UPDATE batches SET failed = failed - 1, sending = sending + 1`)
		exchangeAll(t, s, seat, []outbox.Settlement{{Delivery: 2, Turn: 2, State: outbox.Failed, Reason: outbox.Refused, Strike: true, Verdict: "malformed", At: at.Add(time.Hour)}}, nil)
		if n := count(`SELECT COUNT(*) FROM suppressions WHERE hash = 'h2'`); n != 1 {
			t.Errorf("two strikes within a week did not suppress")
		}
		s.accountOf(t, 1)
	})
}

func TestHoldStopsTheChannelAndLiftsIt(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		seat, list := claimAll(t, s, 2)
		exchangeAll(t, s, seat, nil, tickets(list[:1]))
		h := outbox.Hold{Channel: "birds", Reason: outbox.Authentication, Detail: "535", Since: start}
		exchangeAll(t, s, seat, []outbox.Settlement{{Delivery: 1, Turn: 1, State: outbox.Queued, Reason: outbox.WaitHeld, NotBefore: start, Verdict: "broken", Hold: &h, At: start}}, nil)
		if got := exchangeAll(t, s, seat, nil, tickets(list[1:])); got[0].Go || got[0].State != outbox.Queued {
			t.Errorf("a held channel let %+v leave", got)
		}
		if err := s.Rest(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		due := func() int {
			list, err := s.Due(t.Context(), outbox.Bulk, start.Add(time.Minute), 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if due() != 0 {
			t.Error("a held channel has due batches")
		}
		// A shorter, timed hold does not replace the one for a person.
		if err := s.Hold(t.Context(), outbox.Hold{Channel: "birds", Until: start.Add(time.Second), Since: start}); err != nil {
			t.Fatal(err)
		}
		if a := s.accountOf(t, 1); a.Waiting[outbox.WaitHeld] != 2 {
			t.Errorf("waiting %+v", a.Waiting)
		}
		if ok, err := s.Lift(t.Context(), "birds"); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if due() != 1 {
			t.Error("after the hold nothing is due")
		}
	})
}

func TestDeadWorkersRowsAreJudged(t *testing.T) {
	for _, class := range []string{"marketing", "transactional"} {
		t.Run(class, func(t *testing.T) {
			each(t, func(t *testing.T, s *Store) {
				s.people(t, class, 4)
				seat, list := claimAll(t, s, 4)
				exchangeAll(t, s, seat, nil, tickets(list[:2]))
				jitter := func() float64 { return 0 }
				policy := func(c channels.Class, _ string) outbox.Policy { return outbox.PolicyFor(c, false, jitter) }
				if r, err := s.Reclaim(t.Context(), policy, start); err != nil || r.Workers != 0 {
					t.Fatalf("a live worker was reclaimed: %+v %v", r, err)
				}
				if err := seat.(*chair).free(); err != nil { // dies without a word
					t.Fatal(err)
				}
				next, err := s.Sit(t.Context(), "next", start)
				if err != nil {
					t.Fatal(err)
				}
				r, err := s.Reclaim(t.Context(), policy, start.Add(deadAfter))
				if err != nil {
					t.Fatal(err)
				}
				want := outbox.Reclaimed{Workers: 1, Freed: 2, Uncertain: 2}
				if class == "transactional" {
					want = outbox.Reclaimed{Workers: 1, Freed: 2, Repeated: 2}
				}
				if r != want {
					t.Errorf("reclaimed %+v, want %+v", r, want)
				}
				s.accountOf(t, 1)
				// The outcome of the same turn, found late, still counts.
				exchangeAll(t, s, next, []outbox.Settlement{{Delivery: 1, Turn: 1, State: outbox.Sent, At: start}}, nil)
				if a := s.accountOf(t, 1); a.States[outbox.Sent] != 1 {
					t.Errorf("late evidence was lost: %+v", a.States)
				}
				if err := next.Leave(t.Context(), start); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestOneSenderOnAnEmbeddedDatabase(t *testing.T) {
	s := opened(t, Options{Data: t.TempDir()})
	if _, err := s.Sit(t.Context(), "a", start); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sit(t.Context(), "b", start); rapport.KindOf(err) != rapport.Conflict {
		t.Errorf("a second sender: %v", err)
	}
}

func TestFoldAndFinish(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 10)
		s.do(t, `UPDATE runs SET state = 'cancelling' WHERE id = 1`, `UPDATE campaigns SET state = 'cancelled' WHERE id = 1`)
		if a := s.accountOf(t, 1); a.States[outbox.Cancelled] != 10 || a.States[outbox.Queued] != 0 {
			t.Errorf("before folding: %+v", a.States)
		}
		n, err := s.Fold(t.Context(), start)
		if err != nil || n != 10 {
			t.Fatal(n, err)
		}
		done, err := s.Finish(t.Context(), start)
		if err != nil || len(done) != 1 || done[0].State != outbox.RunCancelled || done[0].States[outbox.Cancelled] != 10 {
			t.Errorf("finished %+v, %v", done, err)
		}
	})
}

func TestExpiredRowsAreFolded(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 4)
		early, late := strconv.FormatInt(micros(start.Add(-time.Hour)), 10), strconv.FormatInt(micros(start.Add(time.Hour)), 10)
		s.do(t, `UPDATE deliveries SET expires_at = `+early+` WHERE id <= 3`, `UPDATE deliveries SET expires_at = `+late+` WHERE id = 4`, `UPDATE batches SET expires_at = `+early)
		if n, err := s.Fold(t.Context(), start); err != nil || n != 3 {
			t.Fatal(n, err)
		}
		if n, err := s.Fold(t.Context(), start); err != nil || n != 0 {
			t.Fatal(n, err)
		}
		if a := s.accountOf(t, 1); a.States[outbox.Expired] != 3 || a.States[outbox.Queued] != 1 {
			t.Errorf("%+v", a.States)
		}
	})
}

func TestCheckAccountsFindsACounterThatLies(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 3)
		if off, err := s.CheckAccounts(t.Context()); err != nil || len(off) != 0 {
			t.Fatal(off, err)
		}
		s.do(t, `UPDATE batches SET sent = sent + 1`)
		if off, err := s.CheckAccounts(t.Context()); err != nil || len(off) != 1 || off[0].Run != "r" {
			t.Errorf("%+v, %v", off, err)
		}
	})
}
