package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"rapport/contacts"
	"rapport/events"
)

// examineEventsForgotten: who is erased leaves no event, and its ID is free.
func examineEventsForgotten(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{})
	lines := append(happened("a1", 1, 2), happened("b2", 3)...)
	h.load(t, events.LoadOptions{}, lines...)
	if err := h.Contacts.Erase(t.Context(), h.get(t, "a1").ID); err != nil {
		t.Fatal(err)
	}
	list, err := h.Events.List(t.Context(), events.Filter{Limit: 10})
	if err != nil || len(list) != 1 || list[0].ID != "b2-0" {
		t.Errorf("%+v, %v", list, err)
	}
	rep := h.load(t, events.LoadOptions{}, lines...)
	if rep.Errors != 2 || rep.Known != 1 {
		t.Errorf("%+v", rep)
	}
}

// examineEventsBesideErasure: events that come while their people are erased are
// refused or go with them; nothing fails and nothing is left.
func examineEventsBesideErasure(t *testing.T, h *House) {
	const n = 24
	var list strings.Builder
	list.WriteString("external_id\n")
	var who []int64
	for i := range n {
		fmt.Fprintf(&list, "p%d\n", i)
	}
	h.Import(t, list.String(), contacts.ImportOptions{})
	for i := range n {
		who = append(who, h.get(t, fmt.Sprintf("p%d", i)).ID)
	}
	var all sync.WaitGroup
	for adder := range 3 {
		all.Go(func() {
			for round := range 15 {
				batch := make([]events.Entry, n)
				for i := range batch {
					batch[i] = events.Entry{ID: fmt.Sprintf("%d-%d-%d", adder, round, i), Name: "order.placed", Contact: events.Ref{ExternalID: fmt.Sprintf("p%d", i)}}
				}
				out, err := h.Events.Add(t.Context(), batch)
				if err != nil {
					t.Error(err)
					return
				}
				for _, o := range out {
					if o.Status == events.Known || o.Status == events.Refused && !strings.Contains(o.Reason, "there is no contact") {
						t.Errorf("%+v", o)
					}
				}
			}
		})
	}
	all.Go(func() {
		for _, id := range who {
			if err := h.Contacts.Erase(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if left, err := h.Events.List(t.Context(), events.Filter{Limit: 10}); err != nil || len(left) != 0 {
		t.Errorf("%+v are left, %v", left, err)
	}
}
