package events_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rapport/contacts"
	"rapport/events"
	"rapport/internal/testkit"
	"rapport/store"
	"rapport/store/storetest"
)

// BenchmarkLoad stores 100,000 events of 10,000 people (times
// RAPPORT_BENCH_SCALE) from a stream, then reads the same stream again.
func BenchmarkLoad(b *testing.B) {
	scale := 1.0
	if text := os.Getenv("RAPPORT_BENCH_SCALE"); text != "" {
		var err error
		if scale, err = strconv.ParseFloat(text, 64); err != nil {
			b.Fatal(err)
		}
	}
	n := max(int(100_000*scale), 100)
	for name, options := range map[string]func(testing.TB) store.Options{"sqlite": testkit.SQLite, "postgres": testkit.Postgres} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				benchLoad(b, testkit.Open(b, options(b)), n)
			}
		})
	}
}

func benchLoad(b *testing.B, s *store.Store, n int) {
	h := storetest.NewHouse(b, s)
	people := n / 10
	var list strings.Builder
	list.WriteString("external_id\n")
	for i := range people {
		fmt.Fprintf(&list, "c%d\n", i)
	}
	h.Import(b, list.String(), contacts.ImportOptions{})
	for _, pass := range []string{"new", "again"} {
		began, cpu := time.Now(), spent(b)
		rep, err := h.Events.Load(b.Context(), stream(n, people), events.LoadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if pass == "new" && rep.Added != int64(n) || pass == "again" && rep.Known != int64(n) {
			b.Fatalf("%s: %+v", pass, rep)
		}
		b.ReportMetric(float64(n)/time.Since(began).Seconds(), pass+"_events/s")
		b.ReportMetric(float64((spent(b)-cpu).Microseconds())/float64(n), pass+"_cpu_µs/event")
	}
	countBench(b, h)
}

// countBench counts whom an event happened to twice in a time.
func countBench(b *testing.B, h *storetest.House) {
	b.Helper()
	where, err := h.Contacts.Check(b.Context(), `event("order.placed", duration("87600h")) >= 2`)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if n, err := h.Contacts.CountWhere(b.Context(), where); err != nil || n == 0 {
		b.Fatal(n, err)
	}
	b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "count_ms")
}

// spent is the processor time of this process.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// stream makes events while it is read.
func stream(n, people int) io.Reader {
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(w, 64<<10)
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range n {
			if _, err := fmt.Fprintf(out, `{"id": "o-%d", "name": "order.%s", "contact": {"external_id": "c%d"}, "at": "%s", "data": {"total": %d, "order_id": "o-%d", "lines": [{"sku": "A%d", "n": 2}]}}`+"\n",
				i, []string{"placed", "paid", "sent"}[i%3], i*7919%people, at.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i%9000, i, i%100); err != nil {
				_ = w.CloseWithError(err)
				return
			}
		}
		_ = w.CloseWithError(out.Flush()) // nil ends the stream
	}()
	return r
}
