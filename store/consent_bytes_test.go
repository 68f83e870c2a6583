package store_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/consent"
	"rapport/internal/testkit"
	"rapport/store"
)

// ledgerTables are the tables of the ledger, each with the column that finds a
// row.
func ledgerTables() map[string]string {
	return map[string]string{
		"consent_entries": "id", "consent_evidence": "entry_id", "ledger_seals": "up_to",
		"consents": "contact_id", "wordings": "id", "topics": "id", "meta": "key",
	}
}

// outside says of what the ledger does not speak: how a topic is called and
// ranked, the number of a wording's row (its place is what counts), and what
// else stands in meta.
func outside(table, col string) bool {
	switch table {
	case "topics":
		return col != "name" && col != "id"
	case "meta":
		return col != "value"
	case "wordings":
		return col == "id"
	}
	return false
}

// cell is one place in the database.
type cell struct {
	table, col, kind, key string
}

// cells lists every place of the ledger, of whatever columns the tables have.
func cells(t *testing.T, db *sql.DB, o store.Options) (out []cell) {
	t.Helper()
	for table, key := range ledgerTables() {
		list := "SELECT name || ' ' || lower(type) FROM pragma_table_info('" + table + "')"
		if o.Database != "" {
			list = "SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = '" + table + "'"
		}
		keys := column(t, db, fmt.Sprintf("SELECT CAST(%s AS TEXT) FROM %s ORDER BY 1", key, table))
		switch table {
		case "meta":
			keys = []string{"ledger", "wordings"}
		case "topics":
			keys = keys[:1] // "news": of the other one there is an old line only, which does not vouch for its name
		}
		for _, c := range column(t, db, list) {
			col, kind, _ := strings.Cut(c, " ")
			if outside(table, col) {
				continue
			}
			for _, k := range keys {
				out = append(out, cell{table, col, kind, k})
			}
		}
	}
	return out
}

func (c cell) where() string {
	return fmt.Sprintf(" WHERE CAST(%s AS TEXT) = '%s'", ledgerTables()[c.table], c.key)
}

// set changes the cell, and set back leaves all as it was.
func (c cell) set(t *testing.T, db *sql.DB, was, now string) {
	t.Helper()
	var v any = now
	if c.kind != "text" {
		n, err := strconv.ParseInt(now, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		v = n
	}
	where := c.where()
	if ledgerTables()[c.table] == c.col {
		c.key = was
		where = c.where()
	}
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("UPDATE %s SET %s = $1%s", c.table, c.col, where), v); err != nil {
		t.Fatalf("%+v from %q to %q: %v", c, was, now, err)
	}
}

// unbind takes the rules between tables away, which an intruder would not keep
// either.
func unbind(t *testing.T, o store.Options) *sql.DB {
	t.Helper()
	db := shell(t, o)
	unlock(t, db, o)
	if o.Database == "" {
		db.SetMaxOpenConns(1)
		for _, s := range []string{"PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON"} {
			if _, err := db.ExecContext(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		return db
	}
	for _, s := range column(t, db, `
SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || conname FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace AND contype IN ('f', 'c') ORDER BY contype DESC`) {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return db
}

// oldLine adds a line as it was written before lines had a schema.
func oldLine(t *testing.T, db *sql.DB, contact int64) {
	t.Helper()
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	r := consent.Record{
		Line: consent.Line{ID: 1000, Contact: contact, Driver: "mailer", TopicID: 1, State: consent.Withdrawn, Basis: consent.ByConsent, At: at, RecordedAt: at, Schema: 1},
		Salt: "c2FsdA==", Evidence: `{"address":"old@example.com","source":"form"}`,
	}
	var topic int64
	if _, err := fmt.Sscan(column(t, db, "SELECT id FROM topics WHERE name = 'service'")[0], &topic); err != nil {
		t.Fatal(err)
	}
	r.TopicID = topic
	for _, s := range []struct {
		text string
		args []any
	}{
		{
			"INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			[]any{r.ID, r.Contact, r.Driver, r.TopicID, string(r.State), string(r.Basis), at.UnixMicro(), at.UnixMicro(), consent.Commit(r)},
		},
		{"INSERT INTO consent_evidence (entry_id, salt, evidence) VALUES ($1, $2, $3)", []any{r.ID, r.Salt, r.Evidence}},
		{
			"INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) VALUES ($1, $2, $3, 'withdrawn', 'old@example.com', $4, $5)",
			[]any{r.Contact, r.Driver, r.TopicID, r.ID, at.UnixMicro()},
		},
	} {
		if _, err := db.ExecContext(t.Context(), s.text, s.args...); err != nil {
			t.Fatalf("%s: %v", s.text, err)
		}
	}
}

// TestOneChangedByteIsFound changes one byte, or one digit, of any cell of any
// table of the ledger, and expects Verify to see it and to name the line, where
// it is one that was changed.
func TestOneChangedByteIsFound(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		h := ledger(t, testkit.Open(t, o))
		db := unbind(t, o)
		h.Import(t, "email\nold@example.com\n", noOptions())
		c, err := h.Contacts.Get(t.Context(), "old@example.com")
		if err != nil {
			t.Fatal(err)
		}
		oldLine(t, db, c.ID)
		if _, err := h.Consent.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil || rep.Entries != 13 || rep.Seals != 3 || rep.Wordings != 4 || rep.Unsealed != 0 {
			t.Fatalf("%+v %+v, %v", rep, rep.Bad, err)
		}
		all := cells(t, db, o)
		seen := map[string]bool{}
		for _, x := range all {
			seen[x.table+" "+x.col] = true
		}
		if len(seen) < 30 || !seen["consent_entries expires_at"] || !seen["wordings locale"] || !seen["topics name"] {
			t.Fatalf("columns: %v", seen)
		}
		rapid.Check(t, func(rt *rapid.T) {
			x := rapid.SampledFrom(all).Draw(rt, "cell")
			was := column(t, db, fmt.Sprintf("SELECT COALESCE(CAST(%s AS TEXT), '') FROM %s%s", x.col, x.table, x.where()))[0]
			now := otherByte(rt, x, was)
			if slices.ContainsFunc(all, func(y cell) bool { return y.table == x.table && y.key == now && x.col == ledgerTables()[x.table] }) || x.col == "version" || x.table == "topics" && x.col == "id" {
				now = was + "99" // another row has that number
			}
			x.set(t, db, was, now)
			rep, err := h.Consent.Verify(t.Context(), nil)
			x.set(t, db, now, was)
			if err != nil || rep.Bad == nil {
				rt.Fatalf("%+v changed from %q to %q was not found: %+v, %v", x, was, now, rep, err)
			}
			lines := []string{"consent_entries", "consent_evidence"}
			if slices.Contains(lines, x.table) && x.col != "id" && x.col != "entry_id" && strconv.FormatInt(rep.Bad.Entry, 10) != x.key {
				rt.Fatalf("line %s was changed (%s %s) and %+v is named", x.key, x.table, x.col, rep.Bad)
			}
			if x.table == "wordings" && rep.Bad.Table != "wordings" {
				rt.Fatalf("a wording was changed (%s) and %+v is named", x.col, rep.Bad)
			}
		})
		if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil {
			t.Fatalf("the ledger was not put back: %+v, %v", rep.Bad, err)
		}
	})
}

// otherByte draws a value that differs in one byte; of a number it stays one.
func otherByte(rt *rapid.T, x cell, was string) string {
	if x.kind != "text" {
		i := rapid.IntRange(0, len(was)-1).Draw(rt, "digit")
		b := was[i]
		if b == '-' {
			return was[1:]
		}
		other := '0' + (b-'0'+byte(rapid.IntRange(1, 9).Draw(rt, "more")))%10
		if i == 0 && len(was) > 1 && other == '0' {
			other = '0' + (b-'0')%9 + 1
		}
		return was[:i] + string(other) + was[i+1:]
	}
	if was == "" {
		return "x"
	}
	i := rapid.IntRange(0, len(was)-1).Draw(rt, "byte")
	return was[:i] + string(was[i]^1) + was[i+1:]
}
