package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"rapport/internal/fake/smtpd"
)

func clockFaults() []fault {
	return []fault{
		{"T22_clock_jumps", onBoth, clockJumps},
		{"T24_two_schedulers", onPostgres, twoSchedulers},
		{"T25_suspended", onEmbedded, suspended},
		{"T54_window_closes", onBoth, windowCloses},
	}
}

// clockJumps: the clock of all processes jumps by hours and a day while the
// campaign sends and some messages wait for another try. Nobody is forgotten,
// nobody gets it twice, and no worker takes another one for dead.
func clockJumps(t *testing.T, s setup) {
	s.people, s.tag = 250, "failpoints"
	pace := slow(30 * time.Millisecond).Script
	s.mail = smtpd.Options{Script: smtpd.First(smtpd.ByRecipient(map[string]smtpd.Script{
		"*5@*": smtpd.OnAttempts(1, 1, smtpd.Reply(451, "4.7.1", "try later").At(smtpd.Rcpt)),
	}), pace)}
	r := newRig(t, s)
	c := r.oneClock()
	r.plan("leaping-offers", "expires: 240h\n")
	r.works(2)
	for i, ahead := range []time.Duration{-2 * time.Hour, 0, 2 * time.Hour, 26 * time.Hour} {
		r.taken(25 + 40*i)
		c.set(ahead)
	}
	r.ends("leaping-offers", bounds{})
}

// everyMinute is a campaign that recurs each minute.
const everyMinute = "schedule: {cron: \"* * * * *\"}\n"

// recurring makes a few people and a campaign for each minute, and starts it.
func (r *rig) recurring(name string) {
	r.t.Helper()
	r.stock()
	r.must("campaigns", "create", r.file(name+".yaml", "name: "+name+"\ntopic: offers\nchannel: news\ntemplate: letter\n"+everyMinute))
	r.must("campaigns", "start", name)
}

// runs counts the runs that have ended.
func (r *rig) runs() int { return r.one("SELECT count(*) FROM runs WHERE state = 'finished'") }

// runsSoon waits until n runs have ended.
func (r *rig) runsSoon(n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d runs", n), patience, 50*time.Millisecond, func() bool { return r.runs() >= n })
}

// judgeRuns checks that each person got one message of each run, and each run
// has a minute of its own.
func (r *rig) judgeRuns() {
	r.t.Helper()
	runs := r.runs()
	if open := r.one("SELECT count(*) FROM runs WHERE state <> 'finished'"); open > 0 {
		r.t.Errorf("%d runs are still going", open)
	}
	if own := r.one("SELECT count(DISTINCT scheduled_for) FROM runs"); own != runs {
		r.t.Errorf("%d runs share %d moments", runs, own)
	}
	entries := r.mail.Journal().Entries()
	got := map[string]int{}
	for _, e := range entries {
		got[e.To]++
	}
	for _, to := range r.people.willing() {
		if got[to] != runs {
			r.t.Errorf("%s got %d messages of %d runs", to, got[to], runs)
		}
		delete(got, to)
	}
	if len(got) > 0 {
		r.t.Errorf("strangers got something: %v", got)
	}
	for key, n := range keysOf(entries) {
		if n > 1 {
			r.t.Errorf("%s was taken %d times", key, n)
		}
	}
}

// minutes until the next full minute of the machine's clock, so that a clock
// can be set on the second.
func untilMinute() time.Duration {
	return time.Until(time.Now().Truncate(time.Minute).Add(time.Minute))
}

// twoSchedulers: two processes whose clocks are three seconds apart both find
// that a minute has come; each minute is one run.
func twoSchedulers(t *testing.T, s setup) {
	s.people, s.tag = 4, "failpoints"
	r := newRig(t, s)
	one, two := r.clock("one"), r.clock("two")
	two.set(3 * time.Second)
	r.recurring("minutely")
	r.ready(r.start("one", "serve", one.env()))
	r.start("two", "serve", two.env(), "RAPPORT_LISTEN=127.0.0.1:"+freePort(t), "RAPPORT_ADMIN=off")
	base := untilMinute()
	minutes := number(t, "RAPPORT_E2E_MINUTES", 12)
	for i := range minutes {
		ahead := base + time.Duration(i)*time.Minute
		one.set(ahead)
		two.set(ahead + 3*time.Second)
		r.runsSoon(i + 1)
	}
	r.judgeRuns()
	if runs := r.runs(); runs < minutes || runs > minutes+2 {
		t.Errorf("%d runs in %d minutes", runs, minutes)
	}
}

// suspended: the machine sleeps for ten minutes. What was missed is made up
// for once, not ten times.
func suspended(t *testing.T, s setup) {
	s.people, s.tag = 4, "failpoints"
	r := newRig(t, s)
	c := r.oneClock()
	r.recurring("minutely")
	p := r.serve()
	base := untilMinute()
	c.set(base)
	r.runsSoon(1)
	before := r.runs()
	p.signal(syscall.SIGSTOP)
	c.set(base + 10*time.Minute)
	p.signal(syscall.SIGCONT)
	r.runsSoon(before + 1)
	c.set(base + 11*time.Minute)
	r.runsSoon(before + 2)
	if runs := r.runs(); runs > before+3 {
		t.Errorf("%d runs after ten minutes of sleep: a burst", runs-before)
	}
	if n := r.one("SELECT count(*) FROM campaigns WHERE note <> ''"); n == 0 && !strings.Contains(r.outputs(), "missed") {
		t.Error("nobody is told that runs were missed")
	}
	r.judgeRuns()
}

// windowCloses: the hours for sending end in the middle of the run. The rest
// is held until they begin again, nothing leaves before, and nothing is lost.
func windowCloses(t *testing.T, s setup) {
	s.people, s.mail, s.tag = 150, slow(60*time.Millisecond), "failpoints"
	r := newRig(t, s)
	c := r.oneClock()
	// The clock begins half an hour before the end of the window.
	now := time.Now().UTC()
	evening := time.Date(now.Year(), now.Month(), now.Day(), 17, 30, 0, 0, time.UTC).Add(24 * time.Hour)
	c.set(evening.Sub(now))
	r.plan("polite-offers", "expires: 100h\nwindow: {from: \"09:00\", to: \"18:00\", zone: UTC}\n")
	r.works(2)
	r.taken(30)
	c.set(evening.Sub(now) + 31*time.Minute)
	told := r.mail.Journal().Taken()
	a := r.await("polite-offers", "waiting for the morning", func(a account) bool {
		return a.States["claimed"]+a.States["sending"] == 0 && a.Waiting["quiet"] == a.States["queued"]
	})
	took := r.mail.Journal().Taken()
	if took-told > 2*r.connections*2 {
		t.Errorf("%d messages left after the window had closed", took-told)
	}
	if a.States["queued"] == 0 {
		t.Fatal("nobody was left to wait: the test came too late")
	}
	c.set(evening.Sub(now) + 15*time.Hour) // 08:30
	for range 3 {
		r.status("polite-offers")
	}
	if n := r.mail.Journal().Taken(); n != took {
		t.Errorf("%d messages left before the window opened", n-took)
	}
	c.set(evening.Sub(now) + 15*time.Hour + 33*time.Minute) // what waited begins within two minutes
	r.ends("polite-offers", bounds{})
}
