package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/outbox"
)

// start is the moment the tests' clock begins.
var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// each runs a test on SQLite and, when there is one at hand, on PostgreSQL.
func each(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("sqlite", func(t *testing.T) { test(t, opened(t, Options{Data: t.TempDir()})) })
	t.Run("postgres", func(t *testing.T) {
		url := os.Getenv("RAPPORT_TEST_POSTGRES")
		if url == "" {
			t.Skip("RAPPORT_TEST_POSTGRES is not set")
		}
		test(t, opened(t, Options{Data: t.TempDir(), Database: ownSchema(t, url)}))
	})
}

func opened(t *testing.T, o Options) *Store {
	t.Helper()
	o.Now = func() time.Time { return start }
	migrated(t, o)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// migrated brings the database up to date. On PostgreSQL a migration waits for
// another one of the whole server by looking again after seconds; a lock of
// the tests before it, the one of internal/testkit, makes them wait for one
// another and not for the clock.
func migrated(t testing.TB, o Options) {
	t.Helper()
	if o.Database != "" {
		db, err := sql.Open("pgx", o.Database)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }() // and with its connection goes the lock
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.ExecContext(t.Context(), "SELECT pg_advisory_lock(727070)"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Migrate(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// ownSchema makes a schema of the test's own and returns the address with it.
func ownSchema(t testing.TB, url string) string {
	t.Helper()
	s, err := connect(t.Context(), Options{Database: url})
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("t%d_%d", os.Getpid(), time.Now().UnixNano())
	run := func(ctx context.Context, sql string) {
		if _, err := s.pools.durable.ExecContext(ctx, sql); err != nil {
			t.Error(err)
		}
	}
	run(t.Context(), "CREATE SCHEMA "+name)
	t.Cleanup(func() {
		run(context.Background(), "DROP SCHEMA "+name+" CASCADE")
		_ = s.Close()
	})
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	return url + sep + "search_path=" + name
}

// do runs plain SQL in a transaction of the durable lane.
func (s *Store) do(t testing.TB, statements ...string) {
	t.Helper()
	err := s.update(t.Context(), durable, func(x tx) error {
		for _, sql := range statements {
			if _, err := x.tx.ExecContext(t.Context(), s.d.spell(sql)); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// people makes a topic, a template, a run of the class with one batch, and n
// contacts with an address, a granted consent and a queued delivery each;
// their numbers are 1 to n.
func (s *Store) people(t testing.TB, class string, n int) {
	t.Helper()
	s.do(t,
		`INSERT INTO topics (id, name, kind, created_at) VALUES (1, 'news', '`+class+`', 1)`,
		`INSERT INTO templates (id, uid, name, driver, locale, created_at, updated_at) VALUES (1, 't', 't', 'pigeon', 'en', 1, 1)`,
		`INSERT INTO revisions (id, template_id, number, content, digest, created_at) VALUES (1, 1, 1, '{}', 'x', 1)`,
		`INSERT INTO campaigns (id, uid, name, state, definition, created_at, updated_at) VALUES (1, 'c', 'spring', 'running', '{}', 1, 1)`,
		`INSERT INTO runs (id, uid, campaign_id, name, channel, driver, kind, topic_id, class, revision_id, state, scheduled_for, planned_at, started_at)
		 VALUES (1, 'r', 1, 'spring', 'birds', 'pigeon', 'loft', 1, '`+class+`', 1, 'running', 1, 1, `+strconv.FormatInt(micros(start), 10)+`)`,
		fmt.Sprintf(`INSERT INTO batches (id, run_id, channel, lane, next_at, planned, queued) VALUES (1, 1, 'birds', 'bulk', 1, %d, %d)`, n, n),
	)
	for i := 1; i <= n; i++ {
		s.do(t,
			fmt.Sprintf(`INSERT INTO contacts (id, uid, locale, zone, attributes, created_at, updated_at) VALUES (%d, 'u%d', 'de', 'Europe/Berlin', {{json '"x"'}}, 1, 1)`, i, i),
			fmt.Sprintf(`INSERT INTO addresses (contact_id, kind, value, display, hash) VALUES (%d, 'loft', 'loft-%d', 'Loft-%d', 'h%d')`, i, i, i, i),
			fmt.Sprintf(`INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) VALUES (%d, %d, 'pigeon', 1, 'granted', 'consent', 1, 1, '')`, 100+i, i),
			fmt.Sprintf(`INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) VALUES (%d, 'pigeon', 1, 'granted', 'loft-%d', %d, 1)`, i, i, 100+i),
			fmt.Sprintf(`INSERT INTO deliveries (id, run_id, batch_id, contact_id, address, state, updated_at) VALUES (%d, 1, 1, %d, 'loft-%d', 'queued', 1)`, i, i, i),
		)
	}
}

// accountOf returns the account after checking it: it adds up, and its
// counters say what the rows say.
func (s *Store) accountOf(t *testing.T, run int64) outbox.Account {
	t.Helper()
	a, err := s.account(t.Context(), run, start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if !a.Balanced() {
		t.Errorf("the account does not add up: %+v", a)
	}
	rows, err := collect(t.Context(), s.reader(), `SELECT state, COUNT(*) FROM deliveries WHERE run_id = $1 GROUP BY state`,
		func(scan func(...any) error) (kv struct {
			s outbox.State
			n int64
		}, err error,
		) {
			err = scan(&kv.s, &kv.n)
			return kv, err
		}, run)
	if err != nil {
		t.Fatal(err)
	}
	left := map[outbox.State]int64{}
	maps.Copy(left, a.States)
	for _, kv := range rows {
		left[kv.s] -= kv.n
	}
	for st, n := range left {
		if n != 0 && a.State != outbox.Cancelling && a.State != outbox.RunCancelled {
			t.Errorf("counter of %s is off by %d", st, n)
		}
	}
	return a
}
