package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

func TestCacheLoadsOnceAndForgetsTheOldest(t *testing.T) {
	t.Parallel()
	var loads atomic.Int64
	gate := make(chan struct{})
	c := NewCache(2, func(_ context.Context, key int) (int, error) {
		loads.Add(1)
		<-gate
		return key * key, nil
	})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if v, err := c.Get(t.Context(), 3); v != 9 || err != nil {
				t.Errorf("got %d, %v", v, err)
			}
		})
	}
	close(gate)
	all.Wait()
	if n := loads.Load(); n != 1 {
		t.Errorf("loaded %d times", n)
	}
	for _, key := range []int{4, 3, 5, 3} { // 5 takes the place of 4
		if _, err := c.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if n := loads.Load(); n != 3 {
		t.Errorf("loaded %d times, 3 would do", n)
	}
	if len(c.known) != 2 {
		t.Errorf("keeps %d", len(c.known))
	}
}

func TestCacheForgetsFailures(t *testing.T) {
	t.Parallel()
	fail := errors.New("away")
	c := NewCache(2, func(_ context.Context, _ string) (string, error) {
		err := fail
		fail = nil
		return "there", err
	})
	if _, err := c.Get(t.Context(), "a"); err == nil {
		t.Error("no failure")
	}
	if v, err := c.Get(t.Context(), "a"); v != "there" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	slow := NewCache(1, func(ctx context.Context, _ string) (string, error) { return "", ctx.Err() })
	if _, err := slow.Get(gone, "b"); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
