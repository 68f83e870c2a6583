package e2e

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rapport/internal/fake/smtpd"
)

// slow makes a mail server that takes d for each message: of half of the
// people the message is taken at once and the answer comes late, of the others
// it is taken late. Whoever is killed meanwhile knows neither.
func slow(d time.Duration) smtpd.Options {
	told := smtpd.ReplyAfter(d).At(smtpd.Dot)
	took := smtpd.Action{}.After(d).At(smtpd.Dot)
	return smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		if step.Addr != "" && strings.IndexByte(step.Addr, '@')%2 == 0 {
			return told(step)
		}
		return took(step)
	}}
}

// doubts is how many messages may be in doubt after kills of processes with so
// many connections: one a connection, and at each kill one whose answer was
// read a moment ago and not yet written down while the next one has its
// connection already.
func doubts(kills, connections int) int { return kills * (connections + 1) }

// moments are the places where a process is killed on the walk of a message,
// with the passage at which it happens. What somebody waits for does not go
// through the queue.
func moments(topic string) []string {
	list := []string{
		"after_plan:1", "after_claim:1", "after_intent:2", "after_rcpt:9",
		"after_data_sent:11", "after_accept_before_settle:13", "after_settle:2",
	}
	if topic == "offers" {
		list = slices.Insert(list, 1, "after_enqueue:1")
	}
	return list
}

// TestKillNine: a process killed at every named moment and at moments by
// chance, in one and the same campaign, loses nobody; what is in doubt is
// bounded by the connections (T1, T2).
func TestKillNine(t *testing.T) {
	for _, c := range []struct {
		topic  string
		people int
	}{
		{"offers", 400},  // marketing: in doubt, never again
		{"service", 300}, // transactional: again, with the same Message-ID
	} {
		t.Run("embedded "+c.topic, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{people: c.people, mail: slow(30 * time.Millisecond), tag: "failpoints"})
			name := "killed-" + c.topic
			r.stock(name)
			r.must("campaigns", "start", name)
			kills := 0
			for _, moment := range moments(c.topic) {
				p := r.start("serve", "serve", "RAPPORT_FAILPOINT="+moment)
				if code := p.wait(); code != -1 {
					t.Fatalf("%s: the process ended with %d instead of being killed", moment, code)
				}
				t.Logf("%s: killed, %d messages taken so far", moment, r.mail.Journal().Taken())
				kills++
			}
			kills += r.killByChance(2, r.serve)
			r.serve()
			r.finished(name)
			r.judgeKills(name, c.topic, kills)
		})
	}
}

// killByChance kills the process that launch starts, n times, each after a
// number of further messages by chance, and returns n.
func (r *rig) killByChance(n int, launch func() *process) int {
	r.t.Helper()
	chance := rand.New(rand.NewPCG(r.seed, 1))
	for range n {
		p := launch()
		r.taken(r.mail.Journal().Taken() + 10 + chance.IntN(40))
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

// TestKillNineWorkers: the same with two worker processes on PostgreSQL and
// Redis, killed in turn and together.
func TestKillNineWorkers(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{people: 1300, postgres: true, mail: slow(30 * time.Millisecond)})
	r.stock("killed-offers")
	r.must("campaigns", "start", "killed-offers")
	one, two := r.start("one", "work"), r.start("two", "work")
	r.taken(150)
	one.kill()
	one = r.start("one", "work")
	r.taken(350)
	two.kill()
	two = r.start("two", "work")
	r.taken(550)
	one.kill()
	two.kill()
	r.start("one", "work")
	r.start("two", "work")
	r.finished("killed-offers")
	r.judgeKills("killed-offers", "offers", 4)
}

// TestFlushAll: whoever empties the queue, or takes it away for a while, takes
// nothing from anybody (T9, T10, T13).
func TestFlushAll(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{people: 1300, postgres: true, mail: slow(30 * time.Millisecond)})
	r.stock("flushed-offers")
	r.must("campaigns", "start", "flushed-offers")
	r.start("one", "work")
	r.start("two", "work")
	for _, n := range []int{100, 300, 500} {
		r.taken(n)
		r.redis.flush()
	}
	r.taken(600)
	// A task that is worked on and has no lease would stay where it is for ever
	// if Redis were the truth (T13).
	if answer, err := r.redis.ask(`EVAL "local n=0 for _,k in ipairs(redis.call('keys','*lease')) do n=n+redis.call('del',k) end return n" 0`); err != nil || !strings.HasPrefix(answer, ":") {
		t.Errorf("delete the leases: %q, %v", answer, err)
	}
	r.taken(700)
	r.redis.kill()
	if a := r.status("flushed-offers"); a.Planned == 0 {
		t.Error("without Redis the account cannot be read")
	}
	r.redis.start()
	r.finished("flushed-offers")
	r.judge("flushed-offers", r.people.willing(), r.mail.Journal().Entries(), bounds{})
	r.well()
}

// TestGracefulStop: SIGTERM in mid-campaign ends with 0, nothing is in doubt,
// and the next process goes on (T4).
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			s.people, s.mail = 200, slow(30*time.Millisecond)
			r := newRig(t, s)
			r.stock("stopped-offers")
			r.must("campaigns", "start", "stopped-offers")
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
			r.serve()
			r.finished("stopped-offers")
			r.judge("stopped-offers", r.people.willing(), r.mail.Journal().Entries(), bounds{})
			r.well()
		})
	}
}

// TestTwoSignals: a second signal hastens the end and corrupts nothing (T5).
func TestTwoSignals(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{people: 120, mail: slow(100 * time.Millisecond)})
	r.stock("hasty-offers")
	r.must("campaigns", "start", "hasty-offers")
	p := r.serve()
	r.taken(40)
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGTERM)
	p.wait()
	r.serve()
	r.finished("hasty-offers")
	r.judge("hasty-offers", r.people.willing(), r.mail.Journal().Entries(), bounds{uncertain: doubts(1, r.connections)})
	r.well()
}

// TestPauseResumeCancel: pause stops, resume repeats nobody, cancel is final
// (T45).
func TestPauseResumeCancel(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			s.people, s.mail = 300, slow(30*time.Millisecond)
			r := newRig(t, s)
			r.stock("paused-offers")
			r.must("campaigns", "start", "paused-offers")
			r.serve()
			for _, n := range []int{30, 60, 90} {
				r.taken(n)
				r.halts("paused-offers", "pause", "paused")
				r.must("campaigns", "resume", "paused-offers")
			}
			r.taken(120)
			a := r.halts("paused-offers", "cancel", "cancelled")
			r.refused(4, "cancelled", "campaigns", "resume", "paused-offers")
			if a.States["cancelled"] == 0 {
				t.Error("nobody was left to be cancelled: the test came too late")
			}
			r.judge("paused-offers", r.people.willing(), r.mail.Journal().Entries(), bounds{stopped: a.States["cancelled"]})
			r.well()
		})
	}
}

// halts pauses or cancels a campaign that is going. When the command has
// ended, what is in an open session may still arrive, and nothing else ever
// does while the program goes on.
func (r *rig) halts(campaign, command, state string) account {
	r.t.Helper()
	r.must("campaigns", command, campaign)
	told := r.mail.Journal().Taken()
	a := r.await(campaign, state, func(a account) bool {
		return a.State == state && a.States["claimed"]+a.States["sending"] == 0
	})
	took := r.mail.Journal().Taken()
	if a.States["sent"] != took {
		r.t.Errorf("%s: %d sent, the receiver took %d", state, a.States["sent"], took)
	}
	if took-told > r.connections {
		r.t.Errorf("%d messages came after the campaign was %s, with %d connections", took-told, state, r.connections)
	}
	for range 4 { // each takes a look of the pump and more
		a = r.status(campaign)
	}
	if now := r.mail.Journal().Taken(); now != took {
		r.t.Errorf("%d messages left while the campaign was %s", now-took, state)
	}
	return a
}

// TestUnsubscribeWhileRunning: who has been told that they are unsubscribed
// gets nothing any more but what was in an open session at that moment (T44).
func TestUnsubscribeWhileRunning(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			s.people = 300
			pace := newBrake(30 * time.Millisecond)
			s.mail = smtpd.Options{Script: pace.script}
			r := newRig(t, s)
			r.stock("first-offers", "second-offers")
			serve := r.serve()
			r.must("campaigns", "start", "first-offers")
			r.finished("first-offers")
			before := r.mail.Journal().Len()
			links := map[string]string{}
			for _, m := range r.mail.Messages() {
				links[m.EnvelopeTo[0]] = open(t, m).leave()
			}

			pace.on()
			r.must("campaigns", "start", "second-offers")
			r.taken(before + 60)
			gone := r.unsubscribe(links, 100)
			r.finished("second-offers")

			entries := since(r.mail.Journal().Entries(), before)
			late := 0
			for i, e := range entries {
				told, left := gone[e.To]
				if !left || !e.Time.After(told) {
					continue
				}
				late++
				// Its session may have been at this very message already; any other
				// that came in the session after the answer went first.
				between := 0
				for _, other := range entries[:i] {
					if other.Session == e.Session && other.Time.After(told) {
						between++
					}
				}
				if between > 0 {
					t.Errorf("%s took a message although %d others came after their unsubscription in the same session", e.To, between)
				}
			}
			a := r.judge("second-offers", r.people.willing(), entries, bounds{stopped: -1})
			if a.Reasons["suppressed"]["withdrawn"]+late < len(gone) {
				t.Errorf("%d left, %d of them too late, but only %v stopped", len(gone), late, a.Reasons["suppressed"])
			}
			if a.States["suppressed"] == 0 {
				t.Error("nobody was stopped: the test came too late")
			}
			r.well()
			if code := serve.stop(); code != 0 {
				t.Errorf("SIGTERM: exit %d", code)
			}
		})
	}
}

// unsubscribe lets n people leave by one click who have not got a message of
// the running campaign yet, and returns when each was told so.
func (r *rig) unsubscribe(links map[string]string, n int) map[string]time.Time {
	r.t.Helper()
	gone := map[string]time.Time{}
	for to, link := range links {
		if len(gone) == n {
			break
		}
		if r.mail.Journal().Accepted(to) > 1 {
			continue
		}
		res, err := r.ask("POST", link, "List-Unsubscribe=One-Click")
		if err != nil {
			r.t.Fatal(err)
		}
		if res.StatusCode/100 != 2 {
			r.t.Fatalf("one-click unsubscription: %s", res.Status)
		}
		if r.mail.Journal().Accepted(to) < 2 { // else it came before the answer
			gone[to] = time.Now()
		}
	}
	return gone
}

// brake is a mail server's pace that a test can change.
type brake struct {
	mu   sync.Mutex
	wait time.Duration
	held smtpd.Script
}

func newBrake(d time.Duration) *brake { return &brake{wait: d} }

func (b *brake) on() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = slow(b.wait).Script
}

func (b *brake) script(step smtpd.Step) smtpd.Action {
	b.mu.Lock()
	held := b.held
	b.mu.Unlock()
	if held == nil {
		return smtpd.Action{}
	}
	return held(step)
}
