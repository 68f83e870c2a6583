package e2e

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
// many connections: two a connection, of which the letter of one is out and the
// envelope of the other stands behind it (ADR 0017), and at each kill one whose
// answer was read a moment ago and not yet written down while the next one has
// its connection already.
func doubts(kills, connections int) int { return kills * (2*connections + 1) }

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
	if took-told > 2*r.connections { // the letter that is out and the one behind it
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

// onlyAfter lets the first n messages come at their pace and does this to the
// rest, which it counts.
func (b *brake) onlyAfter(n int64, then smtpd.Script) *atomic.Int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var met, over atomic.Int64
	pace := slow(b.wait).Script
	b.held = func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Dot && met.Add(1) > n {
			over.Add(1)
			return then(step)
		}
		return pace(step)
	}
	return &over
}

// off lets everything come at once.
func (b *brake) off() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = nil
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
