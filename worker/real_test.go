package worker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rapport/channels"
	"rapport/internal/testkit"
	"rapport/outbox"
	"rapport/store"
)

// plain is a connection beside the store, for what the tests put in and count.
func plain(t testing.TB, o store.Options) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", o.Database
	if dsn == "" {
		driver, dsn = "sqlite", "file:"+filepath.Join(o.Data, "rapport.db")+"?_pragma=busy_timeout(20000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func do(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func number(t testing.TB, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// seed makes n people who agreed, and one run to them in batches of size.
func seed(t testing.TB, o store.Options, n, size int) *sql.DB {
	t.Helper()
	if s, err := store.Open(t.Context(), o); err != nil { // an embedded database is made by it
		t.Fatal(err)
	} else if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := plain(t, o)
	attributes := "jsonb('{}')"
	if o.Database != "" {
		attributes = "'{}'::jsonb"
	}
	count := fmt.Sprintf("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n)
	do(t, db,
		fmt.Sprintf(`INSERT INTO topics (id, name, kind, created_at) VALUES (1, 'news', '%s', 1)`, channels.Marketing),
		`INSERT INTO templates (id, uid, name, driver, locale, created_at, updated_at) VALUES (1, 't', 't', 'pigeon', 'en', 1, 1)`,
		`INSERT INTO revisions (id, template_id, number, content, digest, created_at) VALUES (1, 1, 1, '{}', 'x', 1)`,
		`INSERT INTO campaigns (id, uid, name, state, definition, created_at, updated_at) VALUES (1, 'c', 'spring', 'running', '{}', 1, 1)`,
		fmt.Sprintf(`INSERT INTO runs (id, uid, campaign_id, name, channel, driver, kind, topic_id, class, revision_id, state, scheduled_for, planned_at, started_at)
			VALUES (1, 'r', 1, 'spring', 'birds', 'pigeon', 'loft', 1, '%s', 1, 'running', 1, 1, %d)`, channels.Marketing, time.Now().UnixMicro()),
		count+`INSERT INTO contacts (id, uid, attributes, created_at, updated_at) SELECT i, 'u' || i, `+attributes+`, 1, 1 FROM n`,
		count+`INSERT INTO addresses (contact_id, kind, value, display, hash) SELECT i, 'loft', 'loft-' || i, 'loft-' || i, 'h' || i FROM n`,
		count+`INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) SELECT i, i, 'pigeon', 1, 'granted', 'consent', 1, 1, '' FROM n`,
		count+`INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) SELECT i, 'pigeon', 1, 'granted', 'loft-' || i, i, 1 FROM n`,
		count+fmt.Sprintf(`INSERT INTO batches (id, run_id, channel, lane, next_at, planned, queued)
			SELECT (i - 1) / %[1]d + 1, 1, 'birds', 'bulk', 1, COUNT(*), COUNT(*) FROM n GROUP BY (i - 1) / %[1]d`, size),
		count+fmt.Sprintf(`INSERT INTO deliveries (id, run_id, batch_id, contact_id, address, state, updated_at)
			SELECT i, 1, (i - 1) / %d + 1, i, 'loft-' || i, 'queued', 1 FROM n`, size),
	)
	return db
}

// honest compares the run's account with its rows.
func honest(t testing.TB, db *sql.DB, a outbox.Account) {
	t.Helper()
	if !a.Balanced() {
		t.Errorf("the account does not add up: %v of %d", a.States, a.Planned)
	}
	for _, s := range outbox.States() {
		rows := number(t, db, "SELECT COUNT(*) FROM deliveries WHERE state = '"+string(s)+"'")
		if int64(rows) != a.States[s] {
			t.Errorf("%s: %d in the account, %d rows", s, a.States[s], rows)
		}
	}
}

// realRedis makes a worker use the tests' Redis, if there is one.
func realRedis(o *Options) {
	if address := os.Getenv("RAPPORT_TEST_REDIS"); address != "" {
		o.Redis, o.Space = address, space()
	}
}

func TestWalkThroughTheStore(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		t.Parallel()
		db := seed(t, o, 2000, 250)
		s, l := testkit.Open(t, o), newLoft()
		var tried atomic.Int64
		l.behave(func(m channels.Message) error {
			switch n := tried.Add(1); {
			case strings.HasSuffix(m.To, "00"):
				return &channels.Failure{Verdict: channels.Rejected, Code: "550 5.1.1", Err: errors.New("unknown")}
			case strings.HasSuffix(m.To, "01"):
				return &channels.Failure{Verdict: channels.Uncertain, Err: errors.New("no answer")}
			case n == 500:
				return &channels.Failure{Verdict: channels.Throttled, After: 200 * time.Millisecond, Err: errors.New("slowly")}
			case n == 900:
				return &channels.Failure{Verdict: channels.Broken, Reason: "policy", Code: "550 5.7.1", Err: errors.New("reputation")}
			case n%97 == 0:
				return errTemporary
			}
			return nil
		})
		r := newRig(t, s, birds(l), func(w *Options) {
			w.Data = o.Data
			realRedis(w)
			w.Policy = func(class channels.Class, _ string) outbox.Policy {
				return outbox.Policy{Tries: 5, Backoff: []time.Duration{50 * time.Millisecond}}
			}
		})
		r.start()
		l.until(t, "the first three hundred", func() bool { return l.count() >= 300 })
		do(t, db, `UPDATE consents SET state = 'withdrawn' WHERE contact_id > 1990`)
		if own := r.w.queue.own; own != nil {
			own.server.FlushAll()
		}
		h := within(t, "the hold", r.held)
		for h.Reason != outbox.PolicyRefused {
			h = within(t, "the hold for a person", r.held)
		}
		r.stop() // and a restart, while the channel is held
		r.start()
		if _, err := s.Lift(t.Context(), "birds"); err != nil {
			t.Fatal(err)
		}
		r.w.Poke()
		a := r.done()
		honest(t, db, a)
		if a.Open() != 0 || a.States[outbox.Failed] != 19 || a.States[outbox.Suppressed] != 10 {
			t.Errorf("account %v", a.States)
		}
		if a.States[outbox.Sent] != int64(l.count()) || len(l.twice()) > 0 {
			t.Errorf("%d sent, %d arrived, twice: %v", a.States[outbox.Sent], l.count(), l.twice())
		}
		if n := number(t, db, `SELECT COUNT(*) FROM suppressions`); n != 19 {
			t.Errorf("%d addresses suppressed, want 19", n)
		}
	})
}

// A provider may answer with anything; the outcome is written all the same.
func TestWhateverAProviderSays(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		t.Parallel()
		db := seed(t, o, 3, 3)
		s, l := testkit.Open(t, o), newLoft()
		l.behave(func(m channels.Message) error {
			if m.To == "loft-2" {
				return &channels.Failure{Verdict: channels.Malformed, Code: "5\x0050", Err: errors.New("no \x00 \xff such loft")}
			}
			return nil
		})
		r := newRig(t, s, birds(l), func(w *Options) { w.Data = o.Data })
		r.start()
		a := r.done()
		honest(t, db, a)
		if a.States[outbox.Failed] != 1 || a.States[outbox.Sent] != 2 {
			t.Errorf("account %v", a.States)
		}
	})
}

func TestTwoWorkersShareARun(t *testing.T) {
	t.Parallel()
	if os.Getenv("RAPPORT_TEST_REDIS") == "" {
		t.Skip("RAPPORT_TEST_REDIS is not set: two workers not run")
	}
	o := testkit.Postgres(t)
	db := seed(t, o, 3000, 100)
	l := newLoft()
	in := space()
	var rigs []*rig
	for range 2 {
		s := testkit.Open(t, o)
		r := newRig(t, s, map[string]Lane{"birds": {Channel: l, Concurrency: 8}}, func(w *Options) {
			w.Redis, w.Space, w.Data = os.Getenv("RAPPORT_TEST_REDIS"), in, o.Data
		})
		rigs = append(rigs, r)
		r.start()
	}
	var a outbox.Account
	select {
	case a = <-rigs[0].finished:
	case a = <-rigs[1].finished:
	case <-time.After(60 * time.Second):
		t.Fatal("waited in vain")
	}
	honest(t, db, a)
	if a.States[outbox.Sent] != 3000 || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
}

// The child of TestKilledProcesses.
const (
	childData     = "RAPPORT_WORKER_TEST_DATA"
	childDatabase = "RAPPORT_WORKER_TEST_DATABASE"
	childLoft     = "RAPPORT_WORKER_TEST_LOFT"
)

// wire is a channel to a receiver in another process.
type wire struct{ to string }

// Send posts; no answer after the request left means doubt.
func (w wire) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := m.Leave(ctx); err != nil {
		return channels.Receipt{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.to+"/"+m.Key, http.NoBody)
	if err != nil {
		return channels.Receipt{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return channels.Receipt{}, &channels.Failure{Verdict: channels.Uncertain, Err: errors.New("no answer")}
	}
	return channels.Receipt{ProviderID: m.Key}, res.Body.Close()
}

// Check is not asked.
func (w wire) Check(context.Context) error { return nil }

// Close does nothing.
func (w wire) Close() error { return nil }

const childSlots = 16

// TestChildWorker is the process that is killed.
func TestChildWorker(t *testing.T) {
	data := os.Getenv(childData)
	if data == "" {
		t.Skip("does not apply: runs as the child of TestKilledProcesses only")
	}
	s := testkit.Open(t, store.Options{Data: data, Database: os.Getenv(childDatabase), Now: time.Now})
	r := newRig(t, s, map[string]Lane{"birds": {Channel: wire{os.Getenv(childLoft)}, Concurrency: childSlots}}, func(o *Options) { o.Data = data })
	r.start()
	r.done()
}

func TestKilledProcesses(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		t.Parallel()
		const people, kills = 1500, 3
		db := seed(t, o, people, 200)
		l := newLoft()
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := strings.TrimPrefix(r.URL.Path, "/")
			l.note(func() {
				l.taken[key]++
				l.order = append(l.order, key)
			})
			w.WriteHeader(http.StatusNoContent)
		}))
		defer receiver.Close()
		child := func() *exec.Cmd {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildWorker$")
			cmd.Env = append(os.Environ(), childData+"="+o.Data, childDatabase+"="+o.Database, childLoft+"="+receiver.URL)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return cmd
		}
		for n := range kills {
			cmd := child()
			l.until(t, "the moment of the kill", func() bool { return l.count() >= (n+1)*people/(kills+1) })
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
		}
		if err := child().Wait(); err != nil {
			t.Fatalf("the last one: %v", err)
		}
		sentRows := number(t, db, `SELECT COUNT(*) FROM deliveries WHERE state = 'sent'`)
		doubts := number(t, db, `SELECT COUNT(*) FROM deliveries WHERE state = 'uncertain'`)
		if sentRows+doubts != people || doubts > kills*childSlots {
			t.Errorf("%d sent and %d uncertain of %d after %d kills", sentRows, doubts, people, kills)
		}
		if len(l.twice()) > 0 {
			t.Errorf("twice: %v", l.twice())
		}
		for key := range l.taken {
			if !strings.HasPrefix(key, "d1-") {
				t.Errorf("key %q", key)
			}
		}
		if arrived := len(l.taken); arrived < sentRows || arrived > sentRows+doubts {
			t.Errorf("%d arrived, %d sent, %d uncertain", arrived, sentRows, doubts)
		}
		t.Logf("%d kills left %d of %d uncertain", kills, doubts, people)
	})
}

// nowhere takes everything at once.
type nowhere struct{ n *atomic.Int64 }

// Send counts.
func (w nowhere) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := m.Leave(ctx); err != nil {
		return channels.Receipt{}, err
	}
	w.n.Add(1)
	return channels.Receipt{}, nil
}

// Check likes to talk.
func (w nowhere) Check(context.Context) error { return nil }

// Close does nothing.
func (w nowhere) Close() error { return nil }

// BenchmarkDeliver walks a campaign from queued to sent, without letters and
// without a wire: what the machine room and the database cost by themselves.
func BenchmarkDeliver(b *testing.B) {
	n := 20000
	if scale, err := strconv.ParseFloat(os.Getenv("RAPPORT_BENCH_SCALE"), 64); err == nil {
		n = max(200, int(float64(n)*scale))
	}
	engines := map[string]func(testing.TB) store.Options{"sqlite": testkit.SQLite, "postgres": testkit.Postgres}
	for name, engine := range engines {
		for _, slots := range []int{16, 64, 256} {
			b.Run(fmt.Sprintf("%s/slots=%d", name, slots), func(b *testing.B) {
				for range b.N {
					b.StopTimer()
					o := engine(b)
					s := testkit.Open(b, o)
					seed(b, o, n, 500)
					var count atomic.Int64
					r := newRig(b, s, map[string]Lane{"birds": {Channel: nowhere{&count}, Concurrency: slots}}, func(w *Options) { w.Data = o.Data })
					b.StartTimer()
					r.start()
					if a := r.done(); a.States[outbox.Sent] != int64(n) {
						b.Fatalf("account %v", a.States)
					}
					b.StopTimer()
					r.stop()
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}
