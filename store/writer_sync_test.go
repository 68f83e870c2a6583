package store

import (
	"context"
	"errors"
	"testing"
)

// TestDurableAfterInterrupt: a durable commit waits for the disk, also when
// the transaction before it was given up, or could not begin.
func TestDurableAfterInterrupt(t *testing.T) {
	s := opened(t, Options{Data: t.TempDir()})
	synchronous := func(l lane) (n int64) {
		t.Helper()
		err := s.update(t.Context(), l, func(x tx) (err error) {
			n, _, err = one(t.Context(), x, "PRAGMA synchronous", scalar[int64])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	failure := errors.New("no")
	ends := map[string]func(){
		"nothing":          func() {},
		"an ended context": func() { _ = s.update(over, quick, func(tx) error { return nil }) },
		"a failure":        func() { _ = s.update(t.Context(), quick, func(tx) error { return failure }) },
		"a new connection": func() { s.pools.writer.drop() },
	}
	for name, before := range ends {
		before()
		if n := synchronous(durable); n != 2 {
			t.Errorf("after %s synchronous is %d in a durable transaction, want 2 (FULL)", name, n)
		}
		before()
		if n := synchronous(quick); n != 1 {
			t.Errorf("after %s synchronous is %d in a quick transaction, want 1 (NORMAL)", name, n)
		}
	}
}
