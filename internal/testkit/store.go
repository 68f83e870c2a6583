package testkit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that makes and drops schemas

	"rapport/store"
)

// PostgresVariable names the environment variable that holds the address of a
// PostgreSQL server for tests. Each test works in a schema of its own.
const PostgresVariable = "RAPPORT_TEST_POSTGRES"

// Store opens a fresh SQLite store that ends with the test.
func Store(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, SQLite(t))
}

// EachStore runs a test on a fresh store of each engine at hand, as subtests
// "sqlite" and "postgres".
func EachStore(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachEngine(t, func(t *testing.T, o store.Options) { test(t, Open(t, o)) })
}

// EachEngine is EachStore for tests that open a database themselves, or twice.
// The database is empty and up to date.
func EachEngine(t *testing.T, test func(t *testing.T, o store.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// Open opens a store that is closed when the test ends.
func Open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// SQLite returns the options of an SQLite store in a folder of the test.
func SQLite(t testing.TB) store.Options {
	return store.Options{Data: t.TempDir(), Now: time.Now}
}

// Postgres returns the options of a PostgreSQL store in a fresh schema that is
// dropped after the test. Without a server the test is skipped.
func Postgres(t testing.TB) store.Options {
	t.Helper()
	address := os.Getenv(PostgresVariable)
	if address == "" {
		t.Skipf("%s is not set: not run on PostgreSQL", PostgresVariable)
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + random(t)
	must(t, db, "CREATE SCHEMA "+name)
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP SCHEMA "+name+" CASCADE"); err != nil {
			t.Errorf("drop schema %s: %v", name, err)
		}
		_ = db.Close()
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	o := store.Options{Database: u.String(), Data: t.TempDir(), Now: time.Now}
	migrate(t, db, o)
	return o
}

// migrate brings the schema up to date. The migration lock is one for the
// whole server and polls slowly; a lock of our own before it makes parallel
// tests wait for one another and not for the poll.
func migrate(t testing.TB, db *sql.DB, o store.Options) {
	t.Helper()
	ctx := t.Context()
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(727070)"); err != nil {
		t.Fatal(err)
	}
	_, failure := store.Migrate(ctx, o)
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock(727070)"); err != nil {
		t.Fatal(err)
	}
	if failure != nil {
		t.Fatalf("migrate: %v", failure)
	}
}

func must(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func random(t testing.TB) string {
	t.Helper()
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}
