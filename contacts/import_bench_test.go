package contacts_test

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"rapport/contacts"
	"rapport/internal/testkit"
	"rapport/store"
	"rapport/store/storetest"
)

// BenchmarkImport imports a million people with ten attributes and an address
// (times RAPPORT_BENCH_SCALE), then the same file again.
func BenchmarkImport(b *testing.B) {
	scale := 1.0
	if text := os.Getenv("RAPPORT_BENCH_SCALE"); text != "" {
		var err error
		if scale, err = strconv.ParseFloat(text, 64); err != nil {
			b.Fatal(err)
		}
	}
	rows := int(1_000_000 * scale)
	for name, options := range map[string]func(testing.TB) store.Options{"sqlite": testkit.SQLite, "postgres": testkit.Postgres} {
		b.Run(name, func(b *testing.B) {
			for _, grant := range []bool{false, true} {
				b.Run(fmt.Sprintf("grant=%v", grant), func(b *testing.B) {
					for b.Loop() {
						benchImport(b, testkit.Open(b, options(b)), rows, grant)
					}
				})
			}
		})
	}
}

func benchImport(b *testing.B, s *store.Store, rows int, grant bool) {
	h := storetest.NewHouse(b, s)
	o := contacts.ImportOptions{}
	if grant {
		o.Grants, o.Source = []contacts.Grant{{Driver: "mailer", Topic: "news"}}, "form"
	}
	src := contacts.Source{Name: "crowd.csv", Open: func() (io.ReadCloser, error) { return io.NopCloser(&crowd{rows: rows}), nil }}
	for _, pass := range []string{"new", "again"} {
		began := now()
		rep, err := h.Contacts.Import(b.Context(), src, o)
		if err != nil {
			b.Fatal(err)
		}
		if pass == "new" && rep.Created != int64(rows) || pass == "again" && rep.Unchanged != int64(rows) {
			b.Fatalf("%s: %+v", pass, rep)
		}
		b.ReportMetric(float64(rows)/now().Sub(began).Seconds(), pass+"_rows/s")
	}
}

// crowd is a file of invented people, made while it is read.
type crowd struct {
	rows, next int
	rest       []byte
}

func (c *crowd) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.next > c.rows {
			return 0, io.EOF
		}
		if c.next == 0 {
			c.rest = []byte("external_id,email,locale,time_zone,first_name,last_name,city,country,points,tier,vip,birthday,last_order,score\n")
		} else {
			i := c.next
			c.rest = fmt.Appendf(nil, "C%07d,person%d.%d@example.com,de,Europe/Berlin,Änne,Müller%d,Berlin,DE,%d,gold,%t,19%02d-%02d-%02d,2026-0%d-01T10:00:00Z,%d.5\n",
				i, i*7919%1000003, i, i%5000, i%1000, i%2 == 0, i%90+10, i%12+1, i%28+1, i%9+1, i%77)
		}
		c.next++
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
