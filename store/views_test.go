package store

import (
	"sync"
	"testing"
)

// TestManyViewsPrepareAtOnce would stand still if transactions could take all
// connections and then wait for one more to prepare their statements on.
func TestManyViewsPrepareAtOnce(t *testing.T) {
	s := opened(t, Options{Data: t.TempDir()})
	s.people(t, "marketing", 1)
	s.stmts.Clear()
	var wg sync.WaitGroup
	for range 4 * readers {
		wg.Go(func() {
			if _, err := s.account(t.Context(), 1, start); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
