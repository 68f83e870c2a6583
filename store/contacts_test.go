package store_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rapport/consent"
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

// TestErasedMeansGone erases people whose rows were changed and moved many
// times, and looks for them in every file of the data folder.
func TestErasedMeansGone(t *testing.T) {
	o := testkit.SQLite(t)
	h := storetest.NewHouse(t, testkit.Open(t, o))
	const people, rounds = 600, 3
	for round := range rounds {
		var file strings.Builder
		file.WriteString("external_id,email,story\n")
		for i := range people {
			if (i+round)%rounds == 0 || round == 0 {
				fmt.Fprintf(&file, "=%d,needle%dn@example.com,%s\n", i, i*10+round, strings.Repeat(fmt.Sprintf("needle%ds ", i), i*7%40))
			}
		}
		h.Import(t, file.String(), contacts.ImportOptions{Grants: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Source: "form"})
	}
	var needles []string
	for i := 0; i < people; i += 37 {
		c, err := h.Contacts.Get(t.Context(), fmt.Sprintf("=%d", i))
		if err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprintf("needle%dn@example.com", i*10)
		if _, err := h.Consent.Suppress(t.Context(), "email", before, consent.HardBounce, "550 "+before+" unknown"); err != nil {
			t.Fatal(err)
		}
		if err := h.Contacts.Erase(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if _, found, err := h.Consent.Suppressed(t.Context(), "email", before); err != nil || !found {
			t.Fatalf("the suppression of an earlier address is lost: %v", err)
		}
		needles = append(needles, fmt.Sprintf("needle%ds", i))
		for round := range rounds {
			needles = append(needles, fmt.Sprintf("needle%dn", i*10+round))
		}
	}
	err := filepath.WalkDir(o.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, needle := range needles {
			if n := bytes.Count(raw, []byte(needle)); n > 0 {
				t.Errorf("%s holds %s %d times", d.Name(), needle, n)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEvents(t *testing.T) {
	onEach(t, storetest.Events)
}
