package testkit

import (
	"testing"

	"rapport/store"
)

func TestEachStoreOpensAFreshDatabase(t *testing.T) {
	EachStore(t, func(t *testing.T, s *store.Store) {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTwoStoresOnOneDatabase(t *testing.T) {
	EachEngine(t, func(t *testing.T, o store.Options) {
		Open(t, o)
		if err := Open(t, o).Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
