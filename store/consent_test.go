package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"rapport/consent"
	"rapport/contacts"
	"rapport/internal/testkit"
	"rapport/store"
	"rapport/store/storetest"
)

func TestConsent(t *testing.T) {
	onEach(t, storetest.Consent)
}

// shell opens the database as somebody with its own tools would.
func shell(t *testing.T, o store.Options) *sql.DB {
	t.Helper()
	driver, address := "sqlite", "file:"+(&url.URL{Path: filepath.Join(o.Data, "rapport.db")}).EscapedPath()+"?_pragma=busy_timeout(5000)"
	if o.Database != "" {
		driver, address = "pgx", o.Database
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// unlock takes the triggers away, which stop our own code and nobody else.
func unlock(t *testing.T, db *sql.DB, o store.Options) {
	t.Helper()
	var list []string
	for _, table := range []string{"consent_entries", "ledger_seals", "wordings", "consent_evidence"} {
		if o.Database != "" {
			list = append(list, "ALTER TABLE "+table+" DISABLE TRIGGER USER")
			continue
		}
		if table != "consent_evidence" { // which may be deleted
			list = append(list, "DROP TRIGGER "+table+"_kept")
		}
		list = append(list, "DROP TRIGGER "+table+"_fixed")
	}
	for _, s := range list {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// ledger fills a store with a sealed history of three people.
func ledger(t *testing.T, s *store.Store) *storetest.House {
	t.Helper()
	h := storetest.NewHouse(t, s)
	for _, text := range []string{"May we write to you?", "May we write to you once a month?"} {
		if _, _, err := h.Consent.PutWording(t.Context(), consent.Wording{Name: "sign-up", Texts: map[string]string{"en": text, "de": text + " (auf Deutsch)"}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, ref := range []string{"a@example.com", "b@example.com", "c@example.com"} {
			c, err := h.Contacts.Get(t.Context(), ref)
			if err != nil {
				h.Import(t, "email\n"+ref+"\n", noOptions())
				if c, err = h.Contacts.Get(t.Context(), ref); err != nil {
					t.Fatal(err)
				}
			}
			e := consent.Entry{Contact: c.ID, Driver: "mailer", Topic: "news", Source: "form", Resubscribe: true, State: consent.Granted}
			if ref[0] == 'b' {
				e.Notice, e.Expires = consent.NoticeRef{Name: "sign-up", Version: 1, Locale: "de"}, time.Now().AddDate(2, 0, 0)
			}
			no := e
			no.State = consent.Withdrawn
			if _, err := h.Consent.Record(t.Context(), e, no); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.Consent.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// TestLedgerIsAppendOnly tries to change and to delete through SQL.
func TestLedgerIsAppendOnly(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		ledger(t, testkit.Open(t, o))
		db := shell(t, o)
		for _, s := range []string{"UPDATE consent_entries SET at = 0", "DELETE FROM consent_entries", "UPDATE ledger_seals SET hash = ''", "DELETE FROM ledger_seals", "UPDATE wordings SET text = ''", "DELETE FROM wordings", "UPDATE consent_evidence SET salt = ''", "UPDATE consent_evidence SET entry_id = entry_id + 1000"} {
			if _, err := db.ExecContext(t.Context(), s); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v", s, err)
			}
		}
		// Evidence goes with an erasure.
		if _, err := db.ExecContext(t.Context(), "DELETE FROM consent_evidence WHERE entry_id = 1"); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatIsMissingIsFound deletes lines, evidence and seals.
func TestWhatIsMissingIsFound(t *testing.T) {
	for _, deed := range []string{
		"DELETE FROM consent_evidence WHERE entry_id = 4",
		"DELETE FROM consents WHERE contact_id = 2",
		"DELETE FROM ledger_seals WHERE up_to = (SELECT MAX(up_to) FROM ledger_seals)",
		"DELETE FROM ledger_seals WHERE up_to = (SELECT MIN(up_to) FROM ledger_seals)",
		"DELETE FROM consent_evidence WHERE entry_id = 1; DELETE FROM consent_entries WHERE id = 1",
		"DELETE FROM wordings WHERE version = 1 AND locale = 'de'",
		"DELETE FROM wordings WHERE version = 2 AND locale = 'en'",
	} {
		testkit.EachEngine(t, func(t *testing.T, o store.Options) {
			h := ledger(t, testkit.Open(t, o))
			db := shell(t, o)
			unlock(t, db, o)
			if _, err := db.ExecContext(t.Context(), deed); err != nil {
				t.Fatalf("%s: %v", deed, err)
			}
			if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad == nil {
				t.Fatalf("%s was not found: %+v, %v", deed, rep, err)
			}
		})
	}
}

// TestRebuild loses an answer and derives it again.
func TestRebuild(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		h := ledger(t, testkit.Open(t, o))
		if _, err := shell(t, o).ExecContext(t.Context(), "DELETE FROM consents WHERE contact_id = 2"); err != nil {
			t.Fatal(err)
		}
		if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad == nil {
			t.Fatalf("a lost answer was not found: %+v, %v", rep, err)
		}
		if n, err := h.Consent.Rebuild(t.Context()); err != nil || n != 1 {
			t.Fatalf("rebuilt %d, %v", n, err)
		}
		if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil || rep.Answers != 3 {
			t.Fatalf("%+v %+v, %v", rep, rep.Bad, err)
		}
	})
}

// TestRebuildBesideANo verifies and rebuilds while people say no: there is
// nothing to find, and nobody is granted again.
func TestRebuildBesideANo(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		h := storetest.NewHouse(t, testkit.Open(t, o))
		const people = 60
		var file strings.Builder
		file.WriteString("email\n")
		for i := range people {
			fmt.Fprintf(&file, "p%d@example.com\n", i)
		}
		h.Import(t, file.String(), contacts.ImportOptions{Grants: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Source: "form"})
		over := make(chan struct{})
		var beside sync.WaitGroup
		beside.Go(func() {
			for done := false; !done; {
				select {
				case <-over:
					done = true
				default:
				}
				if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil {
					t.Errorf("verify beside writers: %+v, %v", rep.Bad, err)
				}
				if n, err := h.Consent.Rebuild(t.Context()); err != nil || n != 0 {
					t.Errorf("rebuilt %d beside writers, %v", n, err)
				}
			}
		})
		for i := range people {
			c, err := h.Contacts.Get(t.Context(), fmt.Sprintf("p%d@example.com", i))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Consent.Withdraw(t.Context(), consent.Entry{Contact: c.ID, Driver: "mailer", Topic: "news"}); err != nil {
				t.Error(err)
			}
		}
		close(over)
		beside.Wait()
	})
}

func column(t *testing.T, db *sql.DB, statement string) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(context.WithoutCancel(t.Context()), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
