package e2e

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

func crashFaults() []fault {
	return []fault{
		{"T1_kill_nine_marketing", onEmbedded, func(t *testing.T, s setup) { killNine(t, s, "offers", 330) }},
		{"T1_kill_nine_transactional", onEmbedded, func(t *testing.T, s setup) { killNine(t, s, "service", 280) }},
		{"T1_kill_nine_workers", onPostgres, killNineWorkers},
		{"T2_killed_before_the_outcome_marketing", onBoth, func(t *testing.T, s setup) { killedBeforeTheOutcome(t, s, "offers") }},
		{"T2_killed_before_the_outcome_transactional", onBoth, func(t *testing.T, s setup) { killedBeforeTheOutcome(t, s, "service") }},
		{"T4_graceful_stop", onBoth, gracefulStop},
		{"T4_graceful_stop_without_answers", onEmbedded, gracefulStopWithoutAnswers},
		{"T5_two_signals", onEmbedded, twoSignals},
		{"T6_power_loss", onEmbedded, powerLoss},
		{"T7_hostile_requests", onEmbedded, hostileRequests},
		{"T8_killed_while_migrating", onBoth, killedWhileMigrating},
	}
}

// killNine: a process killed at every named moment and at moments by chance,
// in one and the same campaign, loses nobody; what is in doubt is bounded by
// the connections, and sending goes on at once.
func killNine(t *testing.T, s setup, topic string, people int) {
	s.people, s.mail, s.tag = people, slow(30*time.Millisecond), "failpoints"
	r := newRig(t, s)
	name := "killed-" + topic
	r.plan(name, "")
	kills := 0
	for _, moment := range moments(topic) {
		p := r.start("serve", "serve", "RAPPORT_FAILPOINT="+moment)
		if code := p.wait(); code != -1 {
			t.Fatalf("%s: the process ended with %d instead of being killed", moment, code)
		}
		t.Logf("%s: killed, %d messages taken so far", moment, r.mail.Journal().Taken())
		kills++
	}
	kills += r.killByChance(2, r.serve)
	began := time.Now()
	r.serve()
	r.goesOn(began)
	r.finished(name)
	r.judgeKills(name, topic, kills)
}

// killByChance kills the process that launch starts, n times, each after a
// number of further messages by chance, and returns n.
func (r *rig) killByChance(n int, launch func() *process) int {
	r.t.Helper()
	chance := rand.New(rand.NewPCG(r.seed, 1))
	for range n {
		began := time.Now()
		p := launch()
		r.goesOn(began)
		r.taken(r.mail.Journal().Taken() + 10 + chance.IntN(30))
		p.kill()
	}
	return n
}

func (r *rig) judgeKills(name, topic string, kills int) {
	r.t.Helper()
	doubt := doubts(kills, r.connections)
	b := bounds{uncertain: doubt}
	if topic == "service" {
		b = bounds{repeats: doubt}
	}
	a := r.judge(name, r.people.willing(), r.mail.Journal().Entries(), b)
	r.t.Logf("%d kills, %d connections: %v, %d taken again", kills, r.connections, a.States, len(r.mail.Journal().Duplicates()))
	r.well()
}

// killNineWorkers: the same with three worker processes on PostgreSQL and
// Redis, killed in turn and together.
func killNineWorkers(t *testing.T, s setup) {
	s.people, s.mail, s.tag = 1000, slow(30*time.Millisecond), "failpoints"
	r := newRig(t, s)
	c := r.oneClock()
	r.plan("killed-offers", "")
	w := r.works(3)
	r.taken(120)
	w[0].kill()
	w[0] = r.start("one", "work")
	r.taken(260)
	w[1].kill()
	w[1] = r.start("two", "work")
	r.taken(400)
	for _, p := range w {
		p.kill()
	}
	began := time.Now()
	r.works(3)
	r.goesOn(began)
	c.mourn()
	r.finished("killed-offers")
	r.judgeKills("killed-offers", "offers", 5)
}

// killedBeforeTheOutcome: the receiver has taken the message and the process
// dies before that is on record anywhere. Marketing stays in doubt and is not
// repeated; transactional is, with the same Message-ID.
func killedBeforeTheOutcome(t *testing.T, s setup, topic string) {
	s.people, s.connections, s.tag = 40, 1, "failpoints"
	r := newRig(t, s)
	c := r.oneClock()
	name := "doubtful-" + topic
	r.plan(name, "")
	command := "serve"
	if s.postgres {
		command = "work"
	}
	p := r.start("one", command, "RAPPORT_FAILPOINT=after_accept_before_settle:3")
	if code := p.wait(); code != -1 {
		t.Fatalf("the process ended with %d instead of being killed", code)
	}
	began := time.Now()
	r.works(1)
	r.goesOn(began)
	c.mourn()
	if topic == "service" {
		r.ends(name, bounds{repeats: 2})
		if len(r.mail.Journal().Duplicates()) == 0 {
			t.Error("what was in doubt was not sent again")
		}
		return
	}
	if a := r.ends(name, bounds{uncertain: 2}); a.States["uncertain"] == 0 {
		t.Errorf("nothing is in doubt: %v", a.States)
	}
}

// gracefulStop: SIGTERM in mid-campaign ends with 0, nothing is in doubt, and
// the next process goes on.
func gracefulStop(t *testing.T, s setup) {
	s.people, s.mail = 200, slow(30*time.Millisecond)
	r := newRig(t, s)
	r.plan("stopped-offers", "")
	for _, n := range []int{40, 90} {
		var p *process
		if n == 90 && r.database != "" {
			p = r.start("worker", "work")
		} else {
			p = r.serve()
		}
		r.taken(n)
		if code := p.stop(); code != 0 {
			t.Errorf("SIGTERM: exit %d", code)
		}
		a, took := r.status("stopped-offers"), r.mail.Journal().Taken()
		if a.States["claimed"]+a.States["sending"]+a.States["uncertain"] != 0 || a.States["sent"] != took || a.State != "running" {
			t.Errorf("after the stop: %s %v, the receiver took %d", a.State, a.States, took)
		}
	}
	began := time.Now()
	r.serve()
	r.goesOn(began)
	r.ends("stopped-offers", bounds{})
}

// gracefulStopWithoutAnswers: the receiver does not answer within the grace of
// a stop. What was offered is in doubt, the process still ends in order.
func gracefulStopWithoutAnswers(t *testing.T, s setup) {
	s.people, s.config = 60, "stop: 1s"
	pace := newBrake(30 * time.Millisecond)
	s.mail = smtpd.Options{Script: pace.script}
	r := newRig(t, s)
	r.plan("stopped-offers", "")
	stuck := pace.onlyAfter(20, smtpd.Delay(time.Minute).At(smtpd.Dot))
	p := r.serve()
	eventually(t, "every connection waits for an answer", patience, 10*time.Millisecond, func() bool { return stuck.Load() >= int64(r.connections) })
	if code := p.stop(); code != 0 {
		t.Errorf("SIGTERM: exit %d", code)
	}
	a := r.status("stopped-offers")
	if n := a.States["uncertain"]; n == 0 || n > 2*r.connections || a.States["claimed"]+a.States["sending"] != 0 {
		t.Errorf("after the stop: %v, with %d connections", a.States, r.connections)
	}
	pace.off()
	r.serve()
	r.ends("stopped-offers", bounds{uncertain: 2 * r.connections})
}

// twoSignals: a second signal hastens the end, a kill follows, and neither
// corrupts anything.
func twoSignals(t *testing.T, s setup) {
	s.people, s.mail = 120, slow(100*time.Millisecond)
	r := newRig(t, s)
	r.plan("hasty-offers", "")
	p := r.serve()
	r.taken(30)
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGTERM)
	p.wait()
	p = r.serve()
	r.taken(60)
	p.signal(syscall.SIGTERM)
	p.kill()
	began := time.Now()
	r.serve()
	r.goesOn(began)
	r.ends("hasty-offers", bounds{uncertain: doubts(2, r.connections)})
}

// powerLoss: a copy of the data folder, taken at one moment as a machine that
// loses its power leaves it, is started elsewhere. What it says agrees with
// what had left by then, and whoever was told of their withdrawal stays out.
func powerLoss(t *testing.T, s setup) {
	s.people, s.mail = 200, slow(30*time.Millisecond)
	r := newRig(t, s)
	r.plan("cut-offers", "")
	p := r.serve()
	r.taken(30)
	gone := map[string]bool{}
	for _, to := range slices.Backward(r.people.willing()) {
		if len(gone) == 3 {
			break
		}
		if r.mail.Journal().Accepted(to) == 0 {
			r.must("consent", "withdraw", to, "email:offers", "--source", "call")
			gone[to] = r.mail.Journal().Accepted(to) == 0
		}
	}
	r.taken(60)
	p.signal(syscall.SIGSTOP)
	time.Sleep(200 * time.Millisecond) // what the receiver has in hand is taken
	before := r.mail.Journal().Entries()
	copyFolder(t, r.path("data"), r.path("copy"))
	p.signal(syscall.SIGCONT)
	p.stop()

	other, err := smtpd.Start(context.WithoutCancel(t.Context()), smtpd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	if err := os.Rename(r.path("data"), r.path("data-before")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.path("copy"), r.path("data")); err != nil {
		t.Fatal(err)
	}
	r.file("rapport.yaml", strings.ReplaceAll(r.read(r.config), r.mail.Addr(), other.Addr()))
	r.serve()
	r.finished("cut-offers")
	entries := slices.Concat(before, other.Journal().Entries())
	r.judge("cut-offers", r.people.willing(), entries, bounds{uncertain: doubts(1, r.connections), stopped: -1})
	for to, out := range gone {
		if out && other.Journal().Accepted(to) > 0 {
			t.Errorf("%s was told that they have left, and got a message after the power came back", to)
		}
	}
	r.well()
}

// hostileRequests: what is no request at all, and what is one with hostile
// content, is refused or ignored; the process lives and sends.
func hostileRequests(t *testing.T, s setup) {
	s.people, s.mail = 60, slow(30*time.Millisecond)
	r := newRig(t, s)
	r.plan("calm-offers", "")
	p := r.serve()
	r.taken(5)
	for _, octets := range []string{
		"\x16\x03\x01\x02\x00\x01\x00", "GET", "GET / HTTP/9.9\r\n\r\n", "POST /u/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"POST /u/%00%0a HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=\r\nContent-Length: 4\r\n\r\n--\r\n",
		"GET /c/" + strings.Repeat("%2e%2e/", 400) + "etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 1<<20),
		"POST /p/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	} {
		r.throws(octets)
	}
	for _, target := range []string{"/c/AAAA/0", "/o/" + strings.Repeat("A", 4000), "/v/%ff%fe", "/u/\u202e", "/p/'; DROP TABLE deliveries; --", "/c/x/-1", "/nowhere"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			res, err := r.ask(method, "http://"+r.listen+strings.ReplaceAll(target, " ", "%20"), "List-Unsubscribe=One-Click&x="+strings.Repeat("y", 100))
			if err == nil && res.StatusCode >= http.StatusInternalServerError && res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s %s: %s", method, target, res.Status)
			}
		}
	}
	r.ends("calm-offers", bounds{})
	if p.ended() {
		t.Error("the process has ended")
	}
	if said := p.out.String(); strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") {
		t.Errorf("a request crashed:\n%s", tail(said, 40))
	}
}

// throws sends octets to the public listener and reads what comes, if anything.
func (r *rig) throws(octets string) {
	r.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(r.t.Context(), "tcp", r.listen)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
	_, _ = conn.Write([]byte(octets)) // it may be refused in the middle
	line, _ := bufio.NewReader(conn).ReadString('\n')
	if strings.Contains(line, " 500 ") {
		r.t.Errorf("%.60q was answered with %s", octets, line)
	}
}

// killedWhileMigrating: whoever brings the database up to date may die at any
// moment; the next one ends the work.
func killedWhileMigrating(t *testing.T, s setup) {
	s.people, s.raw = 30, true
	r := newRig(t, s)
	command := "serve"
	if s.postgres {
		command = "migrate"
	}
	chance := rand.New(rand.NewPCG(r.seed, 2))
	kills := 0
	for range 6 {
		p := r.start("first", command)
		select {
		case <-p.done:
		case <-time.After(time.Duration(5+chance.IntN(120)) * time.Millisecond):
			kills++
		}
		p.kill()
	}
	t.Logf("killed %d times", kills)
	if s.postgres {
		r.must("migrate")
	}
	r.plan("migrated-offers", "")
	r.serve()
	r.ends("migrated-offers", bounds{})
}

// keysOf counts the Message-IDs of what was taken.
func keysOf(entries []journal.Entry) map[string]int {
	out := map[string]int{}
	for _, e := range entries {
		if e.Outcome.Taken() {
			out[fmt.Sprint(e.To, " ", e.Key)]++
		}
	}
	return out
}
