package worker

import (
	"context"
	"testing"
	"testing/synctest"

	"rapport/outbox"
)

func unlimited(string) int { return 0 }

func TestSlotsForOnePersonAndForOthers(t *testing.T) {
	t.Parallel()
	s := newSlots(16, unlimited)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 14 {
		if _, err := s.enter(t.Context(), outbox.Bulk, "a.example"); (err == nil) != (i < 14) {
			t.Fatalf("slot %d: %v", i, err)
		}
	}
	if _, err := s.enter(gone, outbox.Bulk, "a.example"); err == nil {
		t.Error("campaigns took what one person waits for")
	}
	for range 2 {
		if _, err := s.enter(t.Context(), outbox.Now, "a.example"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.enter(gone, outbox.Now, ""); err == nil {
		t.Error("more than all")
	}
}

// TestASlowDomainLeavesSlotsToOthers: it gets what nobody else wants, never
// the last ones, and a free slot goes to who holds fewer.
func TestASlowDomainLeavesSlotsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(16, unlimited)
		enter := func(domain string) chan func() {
			got := make(chan func(), 1)
			go func() {
				if leave, err := s.enter(t.Context(), outbox.Bulk, domain); err == nil {
					got <- leave
				}
			}()
			synctest.Wait()
			return got
		}
		other := <-enter("other.example")
		var slow []func()
		for range 13 {
			select {
			case leave := <-enter("slow.example"):
				slow = append(slow, leave)
			default:
			}
		}
		if len(slow) != 13 {
			t.Fatalf("the slow one has %d of 14", len(slow))
		}
		if got := enter("slow.example"); len(got) != 0 {
			t.Error("it took the last one")
		}
		wants := enter("other.example")
		slow[0]()
		synctest.Wait()
		if len(wants) != 1 {
			t.Error("a free slot went to the domain that holds the most")
		}
		other()
		synctest.Wait()
	})
}

func TestALimitedDomainHasFewSlots(t *testing.T) {
	t.Parallel()
	s := newSlots(8, func(domain string) int {
		if domain == "slow.example" {
			return 2
		}
		return 0
	})
	for range 2 {
		if _, err := s.enter(t.Context(), outbox.Now, "slow.example"); err != nil {
			t.Fatal(err)
		}
	}
	if !s.crowded("slow.example") || s.crowded("other.example") || s.crowded("") {
		t.Error("who is crowded")
	}
	rows := []outbox.Delivery{{ID: 1, Address: "slow.example"}, {ID: 2, Address: "slow.example"}, {ID: 3, Address: "other.example"}}
	s.forward(rows, outbox.Bulk, func(address string) string { return address })
	if rows[0].ID != 3 {
		t.Errorf("%d is sent first", rows[0].ID)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.enter(gone, outbox.Bulk, "slow.example"); err == nil {
		t.Error("a third slot")
	}
	if len(s.waiting) != 0 || s.used != 2 {
		t.Errorf("%d wait, %d used", len(s.waiting), s.used)
	}
	s.resize(1)
	leave, err := s.enter(gone, outbox.Now, "other.example")
	if err == nil {
		leave()
		t.Error("more than there are")
	}
}
