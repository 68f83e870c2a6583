package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// TestValuesThroughTheHandle: what goes in as an argument comes out as a
// column, however long it is and whatever was bound before.
func TestValuesThroughTheHandle(t *testing.T) {
	s := opened(t, Options{Data: t.TempDir()})
	type word string
	long := strings.Repeat("ä\x00z", keepText)
	err := s.update(t.Context(), quick, func(x tx) error {
		for _, c := range []struct {
			text  string
			blob  []byte
			n     int64
			real  float64
			yes   bool
			state word
		}{
			{"text", []byte("blob"), 7, 1.5, true, "sent"},
			{"", []byte{}, 0, 0, false, ""},
			{long, []byte(long), -1 << 63, -0.25, true, word(long)},
			{"ü", []byte{0, 255}, 1<<63 - 1, 1e300, false, "x"},
		} {
			const q query = `SELECT $2, $1, $3, $4, $5, $6, NULL, $1`
			type row struct {
				text, again string
				blob        []byte
				n           int64
				real        float64
				yes         bool
				state       word
				nothing     sql.NullString
			}
			got, ok, err := one(t.Context(), x, q, func(scan func(...any) error) (r row, err error) {
				err = scan(&r.blob, &r.text, &r.n, &r.real, &r.yes, &r.state, &r.nothing, &r.again)
				return r, err
			}, c.text, c.blob, c.n, c.real, c.yes, c.state)
			if err != nil || !ok {
				t.Fatal(err)
			}
			if got.text != c.text || got.again != c.text || !bytes.Equal(got.blob, c.blob) || got.n != c.n || got.real != c.real || got.yes != c.yes || got.state != c.state || got.nothing.Valid {
				t.Errorf("%.20q came out otherwise: %.300v", c.text, got)
			}
		}
		if _, err := x.exec(t.Context(), `SELECT $1, $2`, "one"); err == nil {
			t.Error("an argument was missing, and nobody said so")
		}
		if _, err := x.exec(t.Context(), `SELECT $1`, make(chan int)); err == nil {
			t.Error("a channel went in as an argument")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestErrorsOfTheHandle: they have the codes by which the store decides.
func TestErrorsOfTheHandle(t *testing.T) {
	s := opened(t, Options{Data: t.TempDir()})
	err := s.update(t.Context(), quick, func(x tx) error {
		if _, err := x.tx.ExecContext(t.Context(), "CREATE TEMP TABLE one (a INTEGER UNIQUE CHECK (a < 9)); INSERT INTO one VALUES ($1) -- done", 1); err != nil {
			t.Fatal(err)
		}
		for q, want := range map[query]int{
			`INSERT INTO one VALUES (1)`: sqlite3.SQLITE_CONSTRAINT_UNIQUE,
			`INSERT INTO one VALUES (9)`: sqlite3.SQLITE_CONSTRAINT_CHECK,
			`INSERT INTO two VALUES (9)`: sqlite3.SQLITE_ERROR,
		} {
			if _, err := x.exec(t.Context(), q); sqliteCode(err) != want || s.d.unique(err) != (want == sqlite3.SQLITE_CONSTRAINT_UNIQUE) {
				t.Errorf("%s: %v, want code %d", q, err, want)
			}
		}
		n, err := x.exec(t.Context(), `UPDATE one SET a = 2`)
		if err != nil || n != 1 {
			t.Errorf("after the errors %d rows changed: %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := openHandle("file:" + filepath.Join(t.TempDir(), "no", "such.db")); err == nil || sqliteCode(err)&0xff != sqlite3.SQLITE_CANTOPEN || !s.d.away(err) {
		t.Errorf("a file in a folder that is not there: %v, %v", h, err)
	}
}

// TestWaitForTheFile: a transaction waits for another process's, and not
// longer than its context.
func TestWaitForTheFile(t *testing.T) {
	data := t.TempDir()
	s := opened(t, Options{Data: data})
	other, err := openHandle("file:" + filepath.Join(data, fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if _, err := other.script("BEGIN IMMEDIATE", nil); err != nil {
		t.Fatal(err)
	}
	nothing := func(tx) error { return nil }
	short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if err := s.update(short, durable, nothing); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a file that another one writes to: %v", err)
	}
	var ended error
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended = s.update(t.Context(), durable, nothing)
	}()
	if _, err := other.script("COMMIT", nil); err != nil {
		t.Fatal(err)
	}
	if <-done; ended != nil {
		t.Error(ended)
	}
}
