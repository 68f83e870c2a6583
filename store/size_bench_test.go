package store

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/conditions"
	"rapport/outbox"
)

// eachEngine runs a benchmark on SQLite and, when there is one at hand, on
// PostgreSQL; fresh makes an empty database.
func eachEngine(b *testing.B, bench func(b *testing.B, fresh func() Options)) {
	b.Run("sqlite", func(b *testing.B) {
		bench(b, func() Options { return Options{Data: b.TempDir(), Now: func() time.Time { return start }} })
	})
	b.Run("postgres", func(b *testing.B) {
		url := os.Getenv("RAPPORT_TEST_POSTGRES")
		if url == "" {
			b.Skip("RAPPORT_TEST_POSTGRES is not set")
		}
		bench(b, func() Options {
			o := Options{Data: b.TempDir(), Now: func() time.Time { return start }, Database: ownSchema(b, url)}
			migrated(b, o)
			return o
		})
	})
}

func (s *Store) analyze(b *testing.B) {
	b.Helper()
	s.do(b, "ANALYZE")
}

// BenchmarkStart is a start of the process with a million open rows (times
// RAPPORT_BENCH_SCALE): connect, take a seat, judge what the dead have left,
// find what is due, claim the first rows. The target is 3 s, the aim 1 s.
func BenchmarkStart(b *testing.B) {
	eachEngine(b, func(b *testing.B, fresh func() Options) {
		n, o := scaled(b, 1_000_000), fresh()
		s, err := Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		s.crowd(b, n)
		run := s.planned(b, 1)
		for done := false; !done; {
			page, err := s.PlanPage(b.Context(), run, campaigns.Aim{Driver: "pigeon", Kind: "loft", Topic: "news", Now: start})
			if err != nil {
				b.Fatal(err)
			}
			done = page.Done
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		var most time.Duration
		b.ResetTimer()
		cpu := cpuTime()
		for b.Loop() {
			began := time.Now()
			s, err := Open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			seat, err := s.Sit(b.Context(), "bench", start)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Reclaim(b.Context(), steady, start.Add(time.Hour)); err != nil {
				b.Fatal(err)
			}
			due, err := s.Due(b.Context(), "bulk", start, 10)
			if err != nil || len(due) == 0 {
				b.Fatal(due, err)
			}
			rows, err := s.Claim(b.Context(), due[0].ID, seat.ID(), 256, start)
			if err != nil || len(rows) == 0 {
				b.Fatal(len(rows), err)
			}
			most = max(most, time.Since(began))
			if err := seat.Leave(b.Context(), start); err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/1000/float64(b.N), "cpu-ms/start")
		b.ReportMetric(float64(most.Milliseconds()), "ms/slowest")
	})
}

// BenchmarkCount is the live count of a segment with three conditions over a
// million people (times RAPPORT_BENCH_SCALE). The target is 2 s, the aim 0.3 s.
func BenchmarkCount(b *testing.B) {
	eachEngine(b, func(b *testing.B, fresh func() Options) {
		s, err := Open(b.Context(), fresh())
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		n := scaled(b, 1_000_000)
		s.crowd(b, n)
		s.analyze(b)
		where, err := conditions.Check(`contact.points >= 900.0 && contact.city == "Berlin" && contact.locale == "de"`,
			conditions.Schema{Attributes: map[string]conditions.Type{"points": conditions.TypeNumber, "city": conditions.TypeText}})
		if err != nil {
			b.Fatal(err)
		}
		cpu := cpuTime()
		for b.Loop() {
			found, err := s.CountMembers(b.Context(), where, start)
			if err != nil || found > n/9 {
				b.Fatal(found, err)
			}
		}
		b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(b.N)/float64(n), "cpu-ns/person")
	})
}

// BenchmarkFlat sends to many and to few: what the store itself holds in
// memory may not grow with the number of recipients.
func BenchmarkFlat(b *testing.B) {
	for _, n := range []int{scaled(b, 100_000), scaled(b, 1_000_000)} {
		b.Run(fmt.Sprintf("recipients=%d", n), func(b *testing.B) {
			for b.Loop() {
				s, err := Open(b.Context(), Options{Data: b.TempDir(), Now: time.Now})
				if err != nil {
					b.Fatal(err)
				}
				s.many(b, n)
				seat, err := s.Sit(b.Context(), "bench", start)
				if err != nil {
					b.Fatal(err)
				}
				var most uint64
				var settled []outbox.Settlement
				for {
					rows, err := s.Claim(b.Context(), 1, seat.ID(), 256, start)
					if err != nil {
						b.Fatal(err)
					}
					admitted, err := s.exchanged(b.Context(), seat.ID(), settled, tickets(rows), start)
					if err != nil {
						b.Fatal(err)
					}
					if len(rows) == 0 {
						break
					}
					settled = settled[:0]
					for _, a := range admitted {
						settled = append(settled, outbox.Settlement{Delivery: a.Delivery, Turn: a.Turn, State: outbox.Sent, Charge: true, At: start})
					}
					if rows[0].ID/256%64 == 0 {
						var m runtime.MemStats
						runtime.ReadMemStats(&m)
						most = max(most, m.HeapInuse)
					}
				}
				b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
