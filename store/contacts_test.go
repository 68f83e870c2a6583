package store_test

import (
	"testing"

	"rapport/contacts"
	"rapport/internal/testkit"
	"rapport/store"
	"rapport/store/storetest"
)

func TestContacts(t *testing.T) {
	onEach(t, storetest.Contacts)
}

// onEach runs an examination on both engines.
func onEach(t *testing.T, examine func(*testing.T, func(*testing.T) *store.Store)) {
	t.Run("sqlite", func(t *testing.T) {
		examine(t, func(t *testing.T) *store.Store { return testkit.Open(t, testkit.SQLite(t)) })
	})
	t.Run("postgres", func(t *testing.T) {
		examine(t, func(t *testing.T) *store.Store { return testkit.Open(t, testkit.Postgres(t)) })
	})
}

func noOptions() contacts.ImportOptions { return contacts.ImportOptions{} }
