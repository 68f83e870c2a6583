package store

import (
	"testing"
	"time"

	"rapport/channels"
	"rapport/outbox"
)

func patient(class channels.Class, _ string) outbox.Policy {
	return outbox.PolicyFor(class, false, nil)
}

func (s *Store) crashesOf(t *testing.T) []int64 {
	t.Helper()
	list, err := collect(t.Context(), s.reader(), "SELECT crashes FROM deliveries ORDER BY id", scalar[int64])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestSuspicion: only what a dead worker had claimed is under suspicion, a
// number is kept from claim to claim, and a person's word gives another chance.
func TestSuspicion(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 4)
		seat, list := claimAll(t, s, 4)
		exchangeAll(t, s, seat, nil, tickets(list[:1])) // it was offered: that is another story
		s.abandon(t, seat)
		next, err := s.Sit(t.Context(), "next", start.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reclaim(t.Context(), patient, start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		again, err := s.Claim(t.Context(), 1, next.ID(), 10, start.Add(time.Minute))
		if err != nil || len(again) != 3 || again[0].Crashes != 1 {
			t.Fatalf("claimed %+v, %v", again, err)
		}
		if err := s.Suspect(t.Context(), 2, again[0].Turn, 2); err != nil {
			t.Fatal(err)
		}
		if err := s.Suspect(t.Context(), 3, again[1].Turn, 0); err != nil {
			t.Fatal(err)
		}
		if err := s.Suspect(t.Context(), 4, again[2].Turn-1, 3); err != nil { // of an older turn: nobody's word
			t.Fatal(err)
		}
		if got := s.crashesOf(t); got[0] != 0 || got[1] != 2 || got[2] != 0 || got[3] != 1 {
			t.Errorf("crashes %v", got)
		}
		s.abandon(t, next)
		last, err := s.Sit(t.Context(), "last", start.Add(2*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reclaim(t.Context(), patient, start.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := s.crashesOf(t); got[0] != 0 || got[1] != 2 || got[2] != 1 || got[3] != 1 {
			t.Errorf("crashes after another death %v: a number grows by a note only", got)
		}
		if err := last.Leave(t.Context(), start); err != nil {
			t.Fatal(err)
		}
	})
}

// TestWhoLeavesHasNotDied: rows of a worker that gave its seat up are free
// without a suspicion.
func TestWhoLeavesHasNotDied(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		seat, _ := claimAll(t, s, 2)
		if err := seat.Leave(t.Context(), start); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sit(t.Context(), "next", start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reclaim(t.Context(), patient, start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := s.crashesOf(t); got[0]+got[1] != 0 {
			t.Errorf("crashes %v", got)
		}
	})
}

// abandon lets a seat's lock go without a word, as a death does.
func (s *Store) abandon(t *testing.T, seat outbox.Seat) {
	t.Helper()
	if err := seat.(*chair).free(); err != nil {
		t.Fatal(err)
	}
}
