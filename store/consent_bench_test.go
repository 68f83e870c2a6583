package store

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"testing"
	"time"

	"rapport/channels"
	"rapport/consent"
)

// entries makes n contacts with an entry each, as a form would have written
// it, and seals them.
func (s *Store) entries(b *testing.B, svc *consent.Service, n int) {
	b.Helper()
	const page = 2000
	s.do(b, `INSERT INTO topics (id, name, kind, created_at) VALUES (1, 'news', 'marketing', 1)`)
	notice := consent.NoticeRef{Name: "sign-up", Version: 1, Locale: "en", Hash: consent.TextHash("May we?")}
	if _, _, err := s.PutWording(b.Context(), consent.Wording{Name: "sign-up", Texts: map[string]string{"en": "May we?"}, At: start}); err != nil {
		b.Fatal(err)
	}
	for from := 1; from <= n; from += page {
		to := min(from+page-1, n)
		err := s.update(b.Context(), bulk, func(t tx) error {
			people := fmt.Sprintf("INSERT INTO contacts (id, uid, locale, zone, attributes, created_at, updated_at) SELECT n, 'u' || n, '', '', {{json '\"x\"'}}, 1, 1 FROM generate_series(%d, %d) AS x (n)", from, to)
			if s.d == &sqliteDialect {
				people = fmt.Sprintf("INSERT INTO contacts (id, uid, locale, zone, attributes, created_at, updated_at) WITH RECURSIVE x(n) AS (SELECT %d UNION ALL SELECT n + 1 FROM x WHERE n < %d) SELECT n, 'u' || n, '', '', {{json '\"x\"'}}, 1, 1 FROM x", from, to)
			}
			if _, err := t.tx.ExecContext(b.Context(), s.d.spell(people)); err != nil {
				return err
			}
			var lines []consent.Record
			for i := from; i <= to; i++ {
				e := consent.Entry{
					Contact: int64(i), Driver: "pigeon", Topic: "news", State: consent.Granted, Basis: consent.ByConsent, At: start,
					Address: fmt.Sprintf("person-%d@example.com", i), Source: "sign-up at the shop", Notice: notice, Method: consent.ByForm,
					Form: "footer", URL: "https://shop.example/join", IP: "192.0.2.0", Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)", Actor: "form",
					Controller: "Example Ltd, 1 High Street", Jurisdiction: "DE", Categories: []string{"address", "name"}, Salt: fmt.Appendf(nil, "salt-%011d", i),
				}
				line, err := consent.Draft(e, 1, start)
				if err != nil {
					return err
				}
				lines = append(lines, line)
			}
			numbers, err := t.addLines(b.Context(), lines)
			if err != nil {
				return err
			}
			changes := map[slot]change{}
			var order []slot
			for i, l := range lines {
				at := slot{l.Contact, l.Driver, l.Topic}
				changes[at] = change{topic: 1, now: consent.Current{Answer: consent.Yes, Address: fmt.Sprintf("person-%d@example.com", from+i), Entry: numbers[l.Commitment], At: l.At}}
				order = append(order, at)
			}
			return t.stand(b.Context(), order, changes)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if sealed, err := svc.Seal(b.Context()); err != nil || sealed != n {
		b.Fatal(sealed, err)
	}
}

// BenchmarkVerify recomputes a ledger of a million entries (times
// RAPPORT_BENCH_SCALE): seals, evidence, wordings, answers. Its memory is that
// of a page, whatever the number of entries.
func BenchmarkVerify(b *testing.B) {
	eachEngine(b, func(b *testing.B, fresh func() Options) {
		n := scaled(b, 1_000_000)
		s, err := Open(b.Context(), fresh())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = s.Close() })
		svc := consent.New(consent.Options{Store: s, Drivers: new(channels.Registry), Now: time.Now, Random: rand.Reader})
		s.entries(b, svc, n)
		s.analyze(b)
		runtime.GC()
		var most uint64
		cpu := cpuTime()
		b.ResetTimer()
		for b.Loop() {
			rep, err := svc.Verify(b.Context(), func(int) {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			})
			if err != nil || rep.Bad != nil || rep.Entries != n || rep.Answers != n {
				b.Fatalf("%+v %+v, %v", rep, rep.Bad, err)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		b.ReportMetric((cpuTime()-cpu).Seconds()/float64(b.N), "cpu-s/op")
		b.ReportMetric(float64(most)/1e6, "heap-MB")
	})
}
