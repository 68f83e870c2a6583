package worker

import (
	"context"
	"testing"
	"time"

	"rapport"
	"rapport/internal/testkit"
)

func TestSecondSenderOnOneFolderIsRefused(t *testing.T) {
	t.Parallel()
	o := testkit.SQLite(t)
	first, second := newRig(t, testkit.Open(t, o), birds(newLoft()), nil), newRig(t, testkit.Open(t, o), birds(newLoft()), nil)
	first.start()
	second.o.Meters = nil
	w, err := New(t.Context(), second.o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); rapport.KindOf(err) != rapport.Conflict {
		t.Errorf("got %v", err)
	}
	first.stop()
	second.start()
}

func TestPlanningAndChoresAreDone(t *testing.T) {
	t.Parallel()
	planned, did := make(chan int, 64), make(chan struct{}, 64)
	pages := 0
	r := newRig(t, newModel(), birds(newLoft()), func(o *Options) {
		o.Plan = func(context.Context) (bool, error) {
			pages++
			planned <- pages
			return pages < 5, nil
		}
		o.Chores = []Chore{{Name: "sweep", Every: time.Hour, Do: func(context.Context) error {
			did <- struct{}{}
			return nil
		}}}
	})
	r.start()
	for range 5 {
		within(t, "planning", planned)
	}
	r.w.Poke()
	within(t, "planning after a poke", planned)
	within(t, "the chore", did)
	r.stop()
	if len(did) != 0 {
		t.Error("a chore of each hour was done twice")
	}
}
