//go:build load

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/internal/bench"
	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

// Runs for the record. They take minutes and judge nothing but the account;
// what they measure is printed.
//
//	go test -tags load -run TestLoad ./e2e -v -timeout 60m
//
// RAPPORT_LOAD_N         how many contacts (100000)
// RAPPORT_LOAD_CONNS     connections of a process to the mail server (10)
// RAPPORT_LOAD_WORKERS   worker processes on PostgreSQL (2)
// RAPPORT_LOAD_PROFILE   a file for a processor profile of ten seconds of sending
// on SQLite, after RAPPORT_LOAD_PROFILE_AFTER messages (0)
// RAPPORT_TEST_POSTGRES  a server, for the runs on PostgreSQL; redis-server
// has to be installed for them, and Postfix (and root) for those to Postfix.
//
// The runs are subtests, so one may be chosen:
// -run 'TestLoad/sqlite/^postfix$', 'TestLoad/postgres/flush' …

// load is one run.
type load struct {
	postgres bool
	postfix  string // transport of a Postfix as the receiver; empty: the fake sink
	kills    int    // kill -9 of all sending processes, so many times
	flushes  int    // FLUSHALL, so many times
}

func TestLoad(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		postgres := engine == "postgres"
		t.Run(engine, func(t *testing.T) {
			t.Run("sink", func(t *testing.T) { load{postgres: postgres}.run(t) })
			t.Run("postfix", func(t *testing.T) { load{postgres: postgres, postfix: "discard:"}.run(t) })
			t.Run("maildir", func(t *testing.T) { load{postgres: postgres, postfix: "virtual:"}.run(t) })
			t.Run("unsubscribe", func(t *testing.T) { load{postgres: postgres}.leave(t) })
			t.Run("kill", func(t *testing.T) { load{postgres: postgres, kills: 3}.run(t) })
			t.Run("kill-postfix", func(t *testing.T) { load{postgres: postgres, kills: 3, postfix: "discard:"}.run(t) })
			if postgres {
				t.Run("flush", func(t *testing.T) { load{postgres: true, flushes: 3}.run(t) })
			}
		})
	}
}

const loadPatience = 30 * time.Minute

func (l load) run(t *testing.T) {
	n := number(t, "RAPPORT_LOAD_N", 100_000)
	s := setup{
		people: n, postgres: l.postgres, connections: number(t, "RAPPORT_LOAD_CONNS", 10),
		mail: smtpd.Options{Keep: smtpd.KeepNothing, Journal: counting(t)},
	}
	var real *postfix
	if l.postfix != "" {
		real = startPostfix(t, l.postfix)
		s.url = "smtp://" + real.addr + "?tls=none"
	}
	r := newRig(t, s)
	say := func(what, format string, args ...any) { t.Logf("%-22s %s", what, fmt.Sprintf(format, args...)) }
	say("machine", "%d cores, %s", runtime.NumCPU(), runtime.Version())

	file := r.people.write(t, r.dir)
	in := r.runFor(loadPatience, "contacts", "import", file, "--json")
	if in.code != 0 {
		t.Fatalf("import: exit %d\n%s", in.code, in.stderr)
	}
	say("import", "%d contacts, ten attributes, two consents: %.1f s, peak %d MiB", n, in.took.Seconds(), in.peak>>20)
	r.must("templates", "put", r.bigLetter())
	r.create("load-offers", "data: {items: [{name: Tea, price: 12}, {name: Cup, price: 8}, {name: Pot, price: 39}, {name: Tin, price: 5}, {name: Spoon, price: 3}]}\n")

	// What sends is there before the start, as it is in an installation.
	fleet := l.fleet(t, r)
	taken := func() int {
		if real != nil {
			return r.sent("load-offers")
		}
		return r.mail.Journal().Taken()
	}
	r.must("campaigns", "start", "load-offers")
	if path := os.Getenv("RAPPORT_LOAD_PROFILE"); path != "" && !l.postgres {
		after := number(t, "RAPPORT_LOAD_PROFILE_AFTER", 0)
		r.until(t, after, taken)
		defer r.profile(path)()
	}
	want := len(r.people.willing())
	for i := range l.kills + l.flushes {
		r.until(t, want*(i+1)/(l.kills+l.flushes+2), taken)
		if l.kills == 0 {
			r.redis.flush()
			say("FLUSHALL", "after %d messages", taken())
			continue
		}
		fleet.kill()
		say("kill -9", "after %d messages", taken())
		fleet.start()
	}
	a := r.awaitFor("load-offers", "finished", loadPatience, time.Second, func(a account) bool { return a.State == "finished" })
	cpu, peak := fleet.used()
	took := a.FinishedAt.Sub(a.StartedAt)
	plan := r.planned(a.Run)
	say("plan", "%d people: %.2f s", a.Planned, plan.Seconds())
	say("send", "%d messages in %.1f s: %.0f/s (planning included)", a.States["sent"], took.Seconds(), float64(a.States["sent"])/took.Seconds())
	say("CPU", "%.1f us/message of the sending processes", float64(cpu.Microseconds())/float64(max(a.States["sent"], 1)))
	say("peak memory", "%d MiB of one process", peak>>20)
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	say("account", "%s", text)
	l.judge(t, r, real, a, want, say)
}

// counting is a journal that only counts by recipient.
func counting(t testing.TB) *journal.Journal {
	t.Helper()
	j, err := journal.New(journal.Options{CountOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// judge compares whom the receiver took a message for with the account.
func (l load) judge(t *testing.T, r *rig, real *postfix, a account, want int, say func(what, format string, args ...any)) {
	t.Helper()
	counts := r.mail.Journal().Recipients()
	if real != nil {
		counts = real.delivered(a.States["sent"])
	}
	var entries []journal.Entry
	twice, total := 0, 0
	for to, n := range counts {
		total += n
		twice += n - 1
		for range n {
			entries = append(entries, journal.Entry{To: to, Outcome: journal.Accepted})
		}
	}
	say("receiver", "%d messages, %d people, %d taken again", total, len(counts), twice)
	senders := 1
	if l.postgres {
		senders = number(t, "RAPPORT_LOAD_WORKERS", 2)
	}
	b := bounds{uncertain: doubts(l.kills*senders, r.connections)}
	r.judge("load-offers", r.people.willing(), entries, b)
	if a.Planned != want {
		t.Errorf("planned %d, want %d", a.Planned, want)
	}
	say("uncertain", "%d after %d kills of %d processes with %d connections", a.States["uncertain"], l.kills, senders, r.connections)
	r.well()
}

// fleet is what sends: one serving process on SQLite, workers on PostgreSQL.
type fleet struct {
	launch []func() *process
	live   []*process
	gone   []*process
}

func (l load) fleet(t *testing.T, r *rig) *fleet {
	t.Helper()
	f := &fleet{}
	if l.postgres {
		for i := range number(t, "RAPPORT_LOAD_WORKERS", 2) {
			f.launch = append(f.launch, func() *process { return r.start("w"+strconv.Itoa(i), "work") })
		}
	} else {
		f.launch = append(f.launch, r.serve)
	}
	f.start()
	return f
}

func (f *fleet) start() {
	for _, launch := range f.launch {
		f.live = append(f.live, launch())
	}
}

func (f *fleet) kill() {
	for _, p := range f.live {
		p.kill()
	}
	f.gone, f.live = append(f.gone, f.live...), nil
}

// used is the processor time of all and the most memory of one.
func (f *fleet) used() (cpu time.Duration, peak int64) {
	for _, p := range append(f.gone, f.live...) {
		cpu += bench.CPU(p.cmd)
		peak = max(peak, bench.Peak(p.cmd))
	}
	return cpu, peak
}

// profile takes a processor profile of the serving process beside the run. The
// returned func waits for it.
func (r *rig) profile(path string) func() {
	var wg sync.WaitGroup
	wg.Go(func() {
		res, err := r.ask(http.MethodGet, "http://"+r.admin+"/debug/pprof/profile?seconds=10", "")
		if err != nil || res.StatusCode != http.StatusOK {
			r.t.Errorf("profile: %v, %v", res, err)
			return
		}
		if err := os.WriteFile(path, res.Body.(nopBody).Bytes(), 0o600); err != nil {
			r.t.Error(err)
		}
	})
	return wg.Wait
}

// until waits until n messages were taken.
func (r *rig) until(t testing.TB, n int, taken func() int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d messages", n), loadPatience, 50*time.Millisecond, func() bool { return taken() >= n })
}

// sent is how many messages of a campaign the program has seen taken.
func (r *rig) sent(campaign string) int {
	r.t.Helper()
	return r.status(campaign).States["sent"]
}

// planned is how long the planning of a run took.
func (r *rig) planned(run string) time.Duration {
	r.t.Helper()
	db := r.db()
	defer func() { _ = db.Close() }()
	var micros int64
	err := db.QueryRowContext(context.WithoutCancel(r.t.Context()),
		"SELECT COALESCE(planned_at, started_at) - started_at FROM runs WHERE uid = '"+strings.ReplaceAll(run, "'", "")+"'").Scan(&micros)
	if err != nil {
		r.t.Fatal(err)
	}
	return time.Duration(micros) * time.Microsecond
}
