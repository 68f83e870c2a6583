package store

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"rapport/outbox"
)

// scale shrinks the benchmarks in CI (RAPPORT_BENCH_SCALE=0.01).
func scale(n int) int {
	f, err := strconv.ParseFloat(os.Getenv("RAPPORT_BENCH_SCALE"), 64)
	if err != nil || f <= 0 {
		f = 1
	}
	return max(int(float64(n)*f), 100)
}

// cpuTime is what this process has used of the machine's processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// many makes n people with a queued delivery each, in few statements.
func (s *Store) many(b *testing.B, n int) {
	b.Helper()
	series := fmt.Sprintf(`WITH RECURSIVE seq (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM seq WHERE i < %d) `, n)
	s.people(b, "marketing", 0)
	text := func(sql string) string { return series + sql }
	err := s.update(b.Context(), bulk, func(x tx) error {
		for _, sql := range []string{
			`INSERT INTO contacts (id, uid, locale, zone, attributes, created_at, updated_at) ` + text(`SELECT i, 'u' || i, 'de', 'Europe/Berlin', {{json '"x"'}}, 1, 1 FROM seq`),
			`INSERT INTO addresses (contact_id, kind, value, display, hash) ` + text(`SELECT i, 'loft', 'loft-' || i, 'loft-' || i, 'h' || i FROM seq`),
			`INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) ` + text(`SELECT i, i, 'pigeon', 1, 'granted', 'consent', 1, 1, '' FROM seq`),
			`INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) ` + text(`SELECT i, 'pigeon', 1, 'granted', 'loft-' || i, i, 1 FROM seq`),
			`INSERT INTO deliveries (id, run_id, batch_id, contact_id, address, state, updated_at) ` + text(`SELECT i, 1, 1, i, 'loft-' || i, 'queued', 1 FROM seq`),
			fmt.Sprintf(`UPDATE batches SET planned = %d, queued = %d`, n, n),
		} {
			if _, err := x.tx.ExecContext(b.Context(), s.d.spell(sql)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkExchange is the store's whole price of a message: claimed in chunks
// of 256, admitted in groups, settled with the next group. On PostgreSQL the
// server's own work is not in cpu-µs/message.
func BenchmarkExchange(b *testing.B) {
	eachEngine(b, func(b *testing.B, fresh func() Options) {
		for _, group := range []int{10, 20, 40} {
			b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
				n := scale(20000)
				for b.Loop() {
					b.StopTimer()
					s, err := Open(b.Context(), fresh())
					if err != nil {
						b.Fatal(err)
					}
					s.many(b, n)
					seat, err := s.Sit(b.Context(), "bench", start)
					if err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					began, cpu := time.Now(), cpuTime()
					s.sendAll(b, seat.ID(), group)
					b.ReportMetric(float64(n)/time.Since(began).Seconds(), "messages/s")
					b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1000/float64(n), "cpu-µs/message")
					b.StopTimer()
					if err := errors.Join(seat.Leave(b.Context(), start), s.Close()); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	})
}

// sendAll claims everything of batch 1 and sends it in groups.
func (s *Store) sendAll(b *testing.B, seat int64, group int) {
	b.Helper()
	var settled []outbox.Settlement
	for {
		rows, err := s.Claim(b.Context(), 1, seat, 256, start)
		if err != nil {
			b.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for len(rows) > 0 {
			part := rows[:min(group, len(rows))]
			rows = rows[len(part):]
			got, err := s.exchanged(b.Context(), seat, settled, tickets(part), start)
			if err != nil {
				b.Fatal(err)
			}
			settled = settled[:0]
			for _, a := range got {
				if a.Go {
					settled = append(settled, outbox.Settlement{Delivery: a.Delivery, Turn: a.Turn, Batch: 1, State: outbox.Sent, Charge: true, At: start})
				}
			}
		}
	}
	if _, err := s.exchanged(b.Context(), seat, settled, nil, start); err != nil {
		b.Fatal(err)
	}
}
