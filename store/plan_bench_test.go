package store

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/conditions"
)

// scaled is n times RAPPORT_BENCH_SCALE; a hundredth when that is not set.
func scaled(b *testing.B, n int) int {
	scale := 0.01
	if text := os.Getenv("RAPPORT_BENCH_SCALE"); text != "" {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			b.Fatal(err)
		}
		scale = f
	}
	return max(1, int(float64(n)*scale))
}

// crowd makes n contacts with an address and an agreement each, and a topic,
// a template and a campaign; all in one statement a table.
func (s *Store) crowd(t testing.TB, n int) {
	t.Helper()
	numbers := fmt.Sprintf("WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < %d) ", n)
	must := func(statements ...string) {
		err := s.update(t.Context(), bulk, func(x tx) error {
			for _, text := range statements {
				if _, err := x.tx.ExecContext(t.Context(), s.d.spell(text)); err != nil {
					return fmt.Errorf("%s: %w", text, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	insert := func(table, columns, values string) string {
		if s.d == &sqliteDialect {
			return numbers + "INSERT INTO " + table + " (" + columns + ") SELECT " + values + " FROM x"
		}
		return "INSERT INTO " + table + " (" + columns + ") SELECT " + values + fmt.Sprintf(" FROM generate_series(1, %d) AS x (n)", n)
	}
	json := `'{"city":"Berlin","points":' || (n % 1000) || ',"tier":"gold","born":"1980-02-29"}'`
	if s.d == &sqliteDialect {
		json = "jsonb(" + json + ")"
	} else {
		json = "CAST(" + json + " AS jsonb)"
	}
	must(
		`INSERT INTO topics (id, name, kind, created_at) VALUES (1, 'news', 'marketing', 1)`,
		`INSERT INTO templates (id, uid, name, driver, locale, created_at, updated_at) VALUES (1, 't', 't', 'pigeon', 'en', 1, 1)`,
		`INSERT INTO revisions (id, template_id, number, content, digest, created_at) VALUES (1, 1, 1, '{}', 'x', 1)`,
		`INSERT INTO campaigns (id, uid, name, state, definition, created_at, updated_at) VALUES (1, 'c', 'spring', 'running', '{}', 1, 1)`,
		insert("contacts", "id, uid, external_id, locale, zone, attributes, created_at, updated_at",
			`n, 'u' || n, 'x' || n, CASE n % 3 WHEN 0 THEN 'de' ELSE 'en' END, CASE n % 4 WHEN 0 THEN 'Europe/Berlin' ELSE '' END, `+json+`, 1, 1`),
		insert("addresses", "contact_id, kind, value, display, hash", `n, 'loft', 'person-' || n || '@mail-' || (n % 7) || '.example', 'person-' || n || '@mail-' || (n % 7) || '.example', 'hash-of-twenty-two-' || n`),
		insert("consent_entries", "id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment", `n, n, 'pigeon', 1, 'granted', 'consent', 1, 1, 'c' || n`),
		insert("consents", "contact_id, driver, topic_id, state, address, entry_id, at", `n, 'pigeon', 1, 'granted', 'person-' || n || '@mail-' || (n % 7) || '.example', n, 1`),
	)
}

// planned makes a run that is to be planned and returns its number.
func (s *Store) planned(t testing.TB, scheduled int64) int64 {
	t.Helper()
	_, begun, err := s.beginRun(t, campaigns.Run{
		UID: fmt.Sprint("run-", scheduled), Campaign: 1, Name: "spring", Channel: "birds", Driver: "pigeon", Kind: "loft", Topic: "news", Revision: 1,
		State: "planning", ScheduledFor: when(scheduled), Expires: 24 * time.Hour, StartedAt: start,
	})
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

// planAll plans a run to its end.
func (s *Store) planAll(t testing.TB, run int64, aim campaigns.Aim) {
	t.Helper()
	for {
		page, err := s.PlanPage(t.Context(), run, aim)
		if err != nil {
			t.Fatal(err)
		}
		if page.Done {
			return
		}
	}
}

func (s *Store) beginRun(t testing.TB, r campaigns.Run) (bool, int64, error) {
	t.Helper()
	var id int64
	var ok bool
	err := s.update(t.Context(), durable, func(x tx) (err error) {
		id, ok, err = x.addRun(t.Context(), r)
		return err
	})
	return ok, id, err
}

// BenchmarkPlan plans a campaign for a million contacts (times
// RAPPORT_BENCH_SCALE), everybody matching a condition. The target is 4 s.
func BenchmarkPlan(b *testing.B) {
	n := scaled(b, 1_000_000)
	s, err := Open(b.Context(), Options{Data: b.TempDir(), Now: func() time.Time { return start }})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	s.crowd(b, n)
	where, err := conditions.Check(`contact.points >= 0.0 && contact.city == "Berlin"`, conditions.Schema{Attributes: map[string]conditions.Type{"points": conditions.TypeNumber, "city": conditions.TypeText}})
	if err != nil {
		b.Fatal(err)
	}
	aim := campaigns.Aim{Where: where, Driver: "pigeon", Kind: "loft", Topic: "news", Now: start}
	var most uint64
	for i := 0; b.Loop(); i++ {
		run := s.planned(b, int64(i+1))
		aim.Apart = campaigns.NewApart("@")
		var sum int64
		for {
			page, err := s.PlanPage(b.Context(), run, aim)
			if err != nil {
				b.Fatal(err)
			}
			sum += page.Planned
			if page.Done {
				break
			}
		}
		if sum != int64(n) {
			b.Fatalf("planned %d of %d", sum, n)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/person")
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
}
