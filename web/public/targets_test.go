package public

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

func TestTargetsAskOnceAndForget(t *testing.T) {
	var asked atomic.Int64
	tg := newTargets(func(_ context.Context, run int64) ([]string, error) {
		asked.Add(1)
		return make([]string, 300), nil
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if l, err := tg.of(t.Context(), 1); err != nil || len(l) != 300 {
				t.Errorf("%d links, %v", len(l), err)
			}
		})
	}
	all.Wait()
	if _, err := tg.of(t.Context(), 1); err != nil || asked.Load() != 1 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
	for run := range int64(3 * maxRuns) {
		if _, err := tg.of(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		if len(tg.byRun) != tg.order.Len() || tg.links > maxLinks || len(tg.byRun) > maxRuns {
			t.Fatalf("%d runs, %d in order, %d links", len(tg.byRun), tg.order.Len(), tg.links)
		}
	}
}
