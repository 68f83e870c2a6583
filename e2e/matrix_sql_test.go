package e2e

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/internal/fake/relay"
	"rapport/internal/fake/smtpd"
)

func sqlFaults() []fault {
	return []fault{
		{"T16_sql_away", onBoth, sqlAway},
		{"T17_sql_fails_after_250", onPostgres, sqlFailsAfter250},
		{"T18_lock_storm", onBoth, lockStorm},
		{"T19_slow_reports", onBoth, slowReports},
		{"T21_bad_surroundings", onEmbedded, badSurroundings},
	}
}

// sqlAway: the database does not answer for a while, in the middle of a
// campaign. Nothing leaves without its intent, pixels and links answer, nobody
// is told that they have left unless that is on record, and sending goes on.
func sqlAway(t *testing.T, s setup) {
	s.people, s.private = 200, s.postgres
	pace := newBrake(30 * time.Millisecond)
	s.mail = smtpd.Options{Script: pace.script}
	r := newRig(t, s)
	r.stock("first-offers", "second-offers")
	serve := r.serve()
	r.must("campaigns", "start", "first-offers")
	r.finished("first-offers")
	before := r.mail.Journal().Len()
	letter := r.letterFor(r.people.willing()[0])
	leaver := r.letterFor(r.people.willing()[len(r.people.willing())-1])
	pace.on()
	r.must("campaigns", "start", "second-offers")
	r.taken(before + 30)
	back := r.takeSQLAway()
	taken := r.mail.Journal().Taken()

	var all sync.WaitGroup
	all.Go(func() {
		if res, err := r.get(letter.pixel()); err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "image/gif" {
			t.Errorf("the pixel: %v, %v", res, err)
		}
	})
	all.Go(func() {
		res, err := r.get(letter.links("/c/")[0])
		if err != nil {
			t.Errorf("a link: %v", err)
			return
		}
		switch to := res.Header.Get("Location"); {
		case res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "":
		case res.StatusCode == http.StatusFound && strings.HasPrefix(to, "https://shop.example/"):
		default:
			t.Errorf("a link: %s to %q", res.Status, to)
		}
	})
	left := make(chan int, 1)
	all.Go(func() {
		res, err := r.ask("POST", leaver.leave(), "List-Unsubscribe=One-Click")
		if err != nil {
			t.Errorf("unsubscription: %v", err)
			left <- 0
			return
		}
		left <- res.StatusCode
	})
	time.Sleep(1500 * time.Millisecond)
	at := r.mail.Journal().Taken()
	time.Sleep(1500 * time.Millisecond)
	if now := r.mail.Journal().Taken(); now != at {
		t.Errorf("%d messages left while the database was away", now-at)
	}
	if at-taken > groupOf {
		t.Errorf("%d messages left after the database was gone", at-taken)
	}
	select { // an answer while nothing can be on record
	case code := <-left:
		if code/100 == 2 {
			t.Errorf("somebody was told %d although it cannot be on record", code)
		}
		left <- code
	default:
	}
	if serve.ended() {
		t.Fatal("the process has ended")
	}
	began := time.Now()
	back()
	r.goesOn(began)
	all.Wait()
	told := <-left == http.StatusOK
	r.finished("second-offers")
	entries := since(r.mail.Journal().Entries(), before)
	a := r.judge("second-offers", r.people.willing(), entries, bounds{stopped: -1})
	if n := a.Reasons["suppressed"]["withdrawn"]; told && n == 0 && r.mail.Journal().Accepted(r.people.willing()[len(r.people.willing())-1]) < 2 {
		t.Errorf("somebody was told that they have left, and %v", a.Reasons)
	}
	r.well()
}

// groupOf is how many deliveries may have their intent on record before the
// first of them leaves.
const groupOf = 64

// takeSQLAway stops the server with all its sessions, or holds the embedded
// database's lock. The returned func gives it back.
func (r *rig) takeSQLAway() func() {
	r.t.Helper()
	if r.server != nil {
		r.server.freeze()
		return r.server.thaw
	}
	return r.lockFile()
}

// lockFile holds the write lock of the embedded database.
func (r *rig) lockFile() func() {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.path("data", "rapport.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx := context.WithoutCancel(r.t.Context())
	conn, err := db.Conn(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		r.t.Fatal(err)
	}
	return func() {
		_, _ = conn.ExecContext(ctx, "ROLLBACK") // closing does it as well
		_ = conn.Close()
		_ = db.Close()
	}
}

// sqlFailsAfter250: the line to the database breaks at the very moment a
// message is taken, or right behind a commit whose answer is lost. Nobody gets
// anything again.
func sqlFailsAfter250(t *testing.T, s setup) {
	s.people, s.lined = 400, true
	var line atomic.Pointer[relay.Relay]
	var at atomic.Int64 // the message at which the line breaks
	taken := atomic.Int64{}
	pace := slow(20 * time.Millisecond).Script
	s.mail = smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Dot && taken.Add(1) == at.Load() {
			line.Load().Cut()
		}
		return pace(step)
	}}
	r := newRig(t, s)
	r.plan("broken-offers", "")
	l, _ := r.line("one")
	line.Store(l.sql)
	r.start("one", "work")
	const breaks = 4
	for i := range breaks {
		r.taken(20 + 40*i)
		if i%2 == 0 {
			n := taken.Load() + 10
			at.Store(n)
			r.taken(int(n))
		} else {
			select {
			case <-l.sql.CutBehind(relay.Up, "commit"):
			case <-time.After(patience):
				t.Fatal("no commit went by")
			}
		}
		time.Sleep(200 * time.Millisecond)
		l.sql.Heal()
	}
	r.ends("broken-offers", bounds{uncertain: doubts(breaks, r.connections)})
}

// lockStorm: others hold locks on the rows of the campaign in bad order, pause
// it and let it go on, while it sends. No update is lost.
func lockStorm(t *testing.T, s setup) {
	s.people, s.mail = 250, slow(30*time.Millisecond)
	r := newRig(t, s)
	r.plan("stormy-offers", "")
	r.works(2)
	r.taken(20)
	ctx, calm := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	held := atomic.Int64{}
	for i := range 4 {
		all.Go(func() { r.storm(ctx, uint64(i), &held) })
	}
	for range 3 {
		all.Go(func() {
			for range 3 {
				for _, command := range []string{"pause", "resume"} {
					if res := r.run("campaigns", command, "stormy-offers"); res.code != 0 && res.code != 4 && res.code != 6 {
						t.Errorf("campaigns %s: exit %d\n%s", command, res.code, res.stderr)
					}
				}
			}
		})
	}
	r.taken(100)
	calm()
	all.Wait()
	r.run("campaigns", "resume", "stormy-offers") // somebody's pause may have come last
	t.Logf("%d locks were held", held.Load())
	r.ends("stormy-offers", bounds{})
}

// storm takes locks and lets them go until ctx ends.
func (r *rig) storm(ctx context.Context, n uint64, held *atomic.Int64) {
	chance := rand.New(rand.NewPCG(r.seed, n))
	db := r.writer()
	defer func() { _ = db.Close() }()
	for ctx.Err() == nil {
		if tx, err := db.BeginTx(ctx, nil); err == nil {
			if r.database != "" {
				order := []string{"ASC", "DESC"}[chance.IntN(2)]
				for _, table := range [][]string{{"runs", "deliveries"}, {"deliveries", "batches"}, {"batches", "runs"}}[chance.IntN(3)] {
					var some int
					_ = tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT id FROM "+table+" ORDER BY id "+order+" LIMIT 20 FOR UPDATE) x").Scan(&some) // it may be the victim
				}
			} else {
				_, _ = tx.ExecContext(ctx, "UPDATE runs SET note = note") // takes the lock
			}
			held.Add(1)
			time.Sleep(time.Duration(5+chance.IntN(40)) * time.Millisecond)
			_ = tx.Rollback()
		}
		time.Sleep(time.Duration(chance.IntN(30)) * time.Millisecond)
	}
}

// writer opens the installation's database to lock rows in it.
func (r *rig) writer() *sql.DB {
	driver, address := "pgx", r.database
	if address == "" {
		driver, address = "sqlite", "file:"+r.path("data", "rapport.db")+"?_pragma=busy_timeout(2000)&_txlock=immediate"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		r.t.Error(err)
	}
	return db
}

// slowReports: two hundred readers want reports and letters at once while the
// campaign sends. They wait or are sent away; sending has its own share.
func slowReports(t *testing.T, s setup) {
	s.people, s.mail = 250, slow(20*time.Millisecond)
	r := newRig(t, s)
	r.plan("read-offers", "")
	r.serve()
	r.taken(10)
	m, _ := r.mail.Latest(r.mail.Journal().Entries()[0].To)
	view := open(t, m).links("/v/")[0]
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for i := range 200 {
		all.Go(func() {
			target := "http://" + r.admin + "/report.json"
			if i%2 == 0 {
				target = view
			}
			for range 2 {
				res, err := r.get(target)
				code := 0
				if err == nil {
					code = res.StatusCode
				}
				mu.Lock()
				codes[code]++
				mu.Unlock()
			}
		})
	}
	r.ends("read-offers", bounds{})
	all.Wait()
	for code, n := range codes {
		switch code {
		case http.StatusOK, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		default:
			t.Errorf("%d requests were answered with %d", n, code)
		}
	}
	t.Logf("answers: %v", codes)
	if codes[http.StatusOK] == 0 {
		t.Error("nobody was answered")
	}
}

// badSurroundings: what is missing or in the way is said in a sentence.
func badSurroundings(t *testing.T, s setup) {
	s.people = 20
	r := newRig(t, s)
	r.plan("stuck-offers", "")
	key := r.read(r.path("data", "secret.key"))
	for _, c := range []struct {
		name   string
		spoil  func()
		code   int
		mend   func()
		config string
	}{
		{"no key", func() { must(t, os.Remove(r.path("data", "secret.key"))) }, 4, func() { r.file("data/secret.key", key) }, ""},
		{"half a key", func() { r.file("data/secret.key", key[:20]) }, 0, func() { r.file("data/secret.key", key) }, ""},
		{"the data folder is a file", func() { r.file("file", "x") }, 0, func() {}, "./file"},
		{"the database is no database", func() { r.file("junk/rapport.db", strings.Repeat("no database ", 500)) }, 0, func() {}, "./junk"},
	} {
		c.spoil()
		args := []string{"serve"}
		if c.config != "" {
			args = append(args, "--data", c.config)
		}
		res := r.run(args...)
		if res.code == 0 || res.code == 1 || c.code != 0 && res.code != c.code {
			t.Errorf("%s: exit %d", c.name, res.code)
		}
		if !strings.Contains(res.stderr, "rapport: ") || strings.Contains(res.stderr, "goroutine ") {
			t.Errorf("%s: no sentence:\n%s", c.name, tail(res.stderr, 20))
		}
		c.mend()
	}
	if _, err := os.Stat(filepath.Join(r.path("data"), "rapport.db")); err != nil {
		t.Error(err)
	}
	r.serve()
	r.ends("stuck-offers", bounds{})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
