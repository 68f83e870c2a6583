package store

import (
	"testing"
	"time"

	"rapport/outbox"
)

// TestDoubtAfterARestore: what was due by the remembered time or in somebody's
// hand becomes uncertain, what could not have left by then stays, and every
// account adds up.
func TestDoubtAfterARestore(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 6)
		seat, list := claimAll(t, s, 6)
		exchangeAll(t, s, seat, []outbox.Settlement{
			{Delivery: 4, Turn: 1, State: outbox.Queued, Reason: outbox.WaitRetry, At: start, NotBefore: start.Add(time.Hour)},
			{Delivery: 5, Turn: 1, State: outbox.Queued, At: start, NotBefore: start},
		}, tickets(list[:2]))
		exchangeAll(t, s, seat, []outbox.Settlement{{Delivery: 1, Turn: 1, State: outbox.Sent, Charge: true, At: start}}, nil)
		if _, _, err := s.Milestone(t.Context(), "here"); err != nil {
			t.Fatal(err)
		}
		held := start.Add(2 * time.Hour)
		still := outbox.Standstill{Since: held, Ahead: outbox.Milestone{Departed: 9, At: start.Add(10 * time.Minute), Run: 40, Contact: 70}, Why: "older"}
		if err := s.Halt(t.Context(), still, []string{"birds"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Halt(t.Context(), outbox.Standstill{Since: held.Add(time.Hour), Why: "another"}, nil); err != nil {
			t.Fatal(err)
		}
		_, got, err := s.Milestone(t.Context(), "")
		if err != nil || got.Why != "older" || !got.Since.Equal(held) || got.Ahead.Run != 40 {
			t.Fatalf("%+v, %v", got, err)
		}
		runs, err := s.DoubtfulRuns(t.Context(), held, false)
		if err != nil || len(runs) != 1 || runs[0].Transactional {
			t.Fatalf("%+v, %v", runs, err)
		}
		if n, err := s.Doubts(t.Context(), 1, got); err != nil || n != 4 {
			t.Errorf("%d in doubt, %v", n, err)
		}
		if n, err := s.Doubt(t.Context(), 1, got, "anna", held); err != nil || n != 4 {
			t.Errorf("%d called in doubt, %v", n, err)
		}
		a := s.accountOf(t, 1)
		if a.States[outbox.Sent] != 1 || a.States[outbox.Uncertain] != 4 || a.States[outbox.Queued] != 1 || a.Reasons[outbox.Uncertain][outbox.Restored] != 4 {
			t.Errorf("account %+v %+v", a.States, a.Reasons)
		}
		if err := s.GoAgain(t.Context(), 40, 70); err != nil {
			t.Fatal(err)
		}
		m, got, err := s.Milestone(t.Context(), "")
		if err != nil || got.Stands() || m.Departed != 9 {
			t.Errorf("%+v %+v, %v", m, got, err)
		}
		if run := s.planned(t, 2); run <= 40 {
			t.Errorf("a run after the restore has number %d", run)
		}
		s.contactAfter(t, 70)
	})
}

// contactAfter checks that a new contact has a number above.
func (s *Store) contactAfter(t *testing.T, above int64) {
	t.Helper()
	s.do(t, `INSERT INTO contacts (uid, attributes, created_at, updated_at) VALUES ('new', {{json '"x"'}}, 1, 1)`)
	id, _, err := one(t.Context(), s.reader(), "SELECT id FROM contacts WHERE uid = 'new'", scalar[int64])
	if err != nil || id <= above {
		t.Errorf("a contact after the restore has number %d, %v", id, err)
	}
}

// TestUnknownOutcomes: only what the database cannot know counts.
func TestUnknownOutcomes(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		claimAll(t, s, 2)
		n, err := s.Unknown(t.Context(), []outbox.Settlement{{Delivery: 1, Turn: 1}, {Delivery: 2, Turn: 2}, {Delivery: 77, Turn: 1}, {Delivery: 2, Turn: 0}})
		if err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
	})
}
