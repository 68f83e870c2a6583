package email

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
)

// TestFailover: another server is tried when the first has provably not taken
// the letter, and never after a body was offered.
func TestFailover(t *testing.T) {
	for name, c := range map[string]struct {
		script smtpd.Script
		want   string
		second bool // the second server has the letter
		first  bool // the first has it too
	}{
		"421 at connect":      {script: smtpd.Reply(421, "4.3.2", "busy").At(smtpd.Connect), want: "sent", second: true},
		"554 at connect":      {script: smtpd.Reply(554, "5.7.1", "go away").At(smtpd.Connect), want: "sent", second: true},
		"closed at connect":   {script: smtpd.CloseBefore().At(smtpd.Connect), want: "sent", second: true},
		"550 at EHLO":         {script: smtpd.Reply(550, "", "no").At(smtpd.Hello), want: "sent", second: true},
		"451 at MAIL":         {script: smtpd.Reply(451, "4.3.0", "later").At(smtpd.Mail), want: "sent", second: true},
		"sender refused":      {script: smtpd.Reply(550, "5.7.1", "not you").At(smtpd.Mail), want: "sent", second: true},
		"lost at RCPT":        {script: smtpd.CloseBefore().At(smtpd.Rcpt), want: "sent", second: true},
		"421 at DATA":         {script: smtpd.Reply(421, "4.3.2", "busy").At(smtpd.Data), want: "sent", second: true},
		"greylisted":          {script: smtpd.Reply(451, "4.7.1", "greylisted").At(smtpd.Rcpt), want: "temporary"},
		"unknown user":        {script: smtpd.Reply(550, "5.1.1", "no such user").At(smtpd.Rcpt), want: "rejected"},
		"inside the body":     {script: smtpd.AfterRead(1, smtpd.ConnectionReset().At(smtpd.Body)), want: "temporary"},
		"451 at the dot":      {script: smtpd.Reply(451, "4.3.0", "later").At(smtpd.Dot), want: "temporary"},
		"554 at the dot":      {script: smtpd.Reply(554, "5.6.0", "no").At(smtpd.Dot), want: "malformed"},
		"policy at the dot":   {script: smtpd.Reply(550, "5.7.1", "no").At(smtpd.Dot), want: "broken"},
		"taken, answer lost":  {script: smtpd.AcceptThenClose().At(smtpd.Dot), want: "uncertain", first: true},
		"refused, reply lost": {script: smtpd.CloseBefore().At(smtpd.Dot), want: "uncertain"},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := start(t, smtpd.Options{Script: c.script}), start(t, smtpd.Options{})
			ch := openChannel(t, settings(first, second))
			m := letterTo("anna@example.org", "d1-1")
			if name == "inside the body" {
				if testing.Short() {
					t.Skip("needs a letter of many megabytes")
				}
				m.Content["html"] = large()
			}
			asked := 0
			m.Depart = func(context.Context) error { asked++; return nil }
			r, err := ch.Send(t.Context(), m)
			if got := verdictOf(err); got != c.want || asked > 1 {
				t.Errorf("judged %s (%v), want %s; asked %d times", got, err, c.want, asked)
			}
			a, b := first.Journal().Taken(), second.Journal().Taken()
			if (a == 1) != c.first || (b == 1) != c.second || a+b > 1 {
				t.Errorf("the first server has %d and the second %d", a, b)
			}
			if c.second && r.Server != second.Addr() {
				t.Errorf("the receipt names %q", r.Server)
			}
		})
	}
}

// TestPermissionGrowsOld: a server hung, and whoever said no meanwhile would
// not be heard if the letter went to the next one.
func TestPermissionGrowsOld(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		first, second := start(t, smtpd.Options{Script: smtpd.CloseBefore().At(smtpd.Rcpt)}), start(t, smtpd.Options{})
		ch := openChannel(t, settings(first, second))
		if !fresh {
			ch.permission = 0
		}
		_, err := ch.Send(t.Context(), letterTo("anna@example.org", "d1-1"))
		if got := verdictOf(err); got != map[bool]string{true: "sent", false: "temporary"}[fresh] {
			t.Errorf("fresh %v: judged %s (%v)", fresh, got, err)
		}
		if n := second.Journal().Taken(); (n == 1) != fresh {
			t.Errorf("fresh %v: the second server has %d", fresh, n)
		}
	}
}

// TestPermissionGrowsOldOnTheWay: the next server was chosen in time, and until
// its pace or its greeting let the letter go on the permission grew old.
func TestPermissionGrowsOldOnTheWay(t *testing.T) {
	first := start(t, smtpd.Options{Script: smtpd.Reply(421, "4.3.2", "busy").At(smtpd.Mail)})
	second := start(t, smtpd.Options{})
	ch := openChannel(t, settings(first, second))
	ch.pool.servers[1].interval = time.Second
	ch.pool.shared = func(context.Context, string, float64) error {
		ch.permission = 0
		return nil
	}
	_, err := ch.Send(t.Context(), letterTo("anna@example.org", "d1-1"))
	if got := verdictOf(err); got != "throttled" {
		t.Errorf("judged %s (%v), want what the first server said", got, err)
	}
	if n := second.Journal().Taken(); n != 0 {
		t.Errorf("the second server has %d", n)
	}
	if busy := ch.pool.servers[1].busy; busy != 0 {
		t.Errorf("%d seats of the second server are lost", busy)
	}
}

// TestBrokenOnlyWhenAllAre: one server that may recover keeps the channel going.
func TestBrokenOnlyWhenAllAre(t *testing.T) {
	broken := smtpd.Reply(550, "5.7.1", "not you").At(smtpd.Mail)
	later := smtpd.Reply(451, "4.3.0", "later").At(smtpd.Mail)
	for _, c := range []struct {
		first, second smtpd.Script
		want          string
	}{{broken, broken, "broken"}, {broken, later, "temporary"}, {later, broken, "temporary"}} {
		ch := openChannel(t, settings(start(t, smtpd.Options{Script: c.first}), start(t, smtpd.Options{Script: c.second})))
		_, err := ch.Send(t.Context(), letterTo("anna@example.org", "d1-1"))
		if verdictOf(err) != c.want {
			t.Errorf("judged %v, want %s", err, c.want)
		}
	}
}

// TestRestingServer: a server that fails again and again is left alone, the
// other carries on; without another, the channel slows down and no attempt is
// charged.
func TestRestingServer(t *testing.T) {
	var knocks atomic.Int32
	down := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Connect {
			knocks.Add(1)
			return smtpd.Reply(421, "4.3.2", "busy")
		}
		return smtpd.Action{}
	}})
	up := start(t, smtpd.Options{})
	ch := openChannel(t, settings(down, up))
	for i := range 40 {
		if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
			t.Errorf("letter %d: %v", i, err)
		}
	}
	if up.Journal().Taken() != 40 || knocks.Load() != tripAfter {
		t.Errorf("taken %d after knocking %d times, want 40 and %d", up.Journal().Taken(), knocks.Load(), tripAfter)
	}

	alone := openChannel(t, settings(down))
	for range tripAfter {
		if _, err := alone.Send(t.Context(), letterTo("anna@example.org", "d1-1")); verdictOf(err) != "throttled" {
			t.Errorf("a busy server: %v", err)
		}
	}
	_, err := alone.Send(t.Context(), letterTo("anna@example.org", "d1-1"))
	if f := channels.Judge(err); f.Verdict != channels.Throttled || f.After <= 0 || !errors.Is(err, errNoServer) {
		t.Errorf("a resting server: %v", err)
	}
}

// TestAskedForAPause: a server that says how long it wants to be left alone is,
// while another stands in; when all have said so, the channel waits as long as
// the first of them asked for. A server that is alone slows the channel down.
func TestAskedForAPause(t *testing.T) {
	asks := func(minutes int) *smtpd.Server {
		return start(t, smtpd.Options{Script: smtpd.Reply(421, "4.3.2", fmt.Sprintf("busy, try again in %d minutes", minutes)).At(smtpd.Rcpt)})
	}
	five, up := asks(5), start(t, smtpd.Options{})
	ch := openChannel(t, settings(five, up))
	for i := range 20 {
		if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
			t.Errorf("letter %d: %v", i, err)
		}
	}
	if total, _, _ := five.Sessions(); total != 1 {
		t.Errorf("the server that wants a pause was asked over %d connections", total)
	}

	both := openChannel(t, settings(asks(5), asks(3)))
	if _, err := both.Send(t.Context(), letterTo("anna@example.org", "d1-1")); verdictOf(err) != "throttled" {
		t.Errorf("both ask: %v", err)
	}
	_, err := both.Send(t.Context(), letterTo("anna@example.org", "d1-2"))
	if f := channels.Judge(err); f.Verdict != channels.Throttled || f.Scope != channels.WholeChannel || f.After <= 2*time.Minute || f.After > 3*time.Minute {
		t.Errorf("both rest: %+v", f)
	}

	_, err = openChannel(t, settings(five)).Send(t.Context(), letterTo("anna@example.org", "d1-3"))
	if f := channels.Judge(err); f.Verdict != channels.Throttled || f.Scope != channels.WholeChannel || f.After != 5*time.Minute {
		t.Errorf("one alone: %+v", f)
	}
}

// TestLoadIsShared: two healthy servers take turns.
func TestLoadIsShared(t *testing.T) {
	a, b := start(t, smtpd.Options{}), start(t, smtpd.Options{})
	ch := openChannel(t, settings(a, b))
	for i := range 20 {
		if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if a.Journal().Taken() != 10 || b.Journal().Taken() != 10 {
		t.Errorf("shared %d to %d", a.Journal().Taken(), b.Journal().Taken())
	}
}

// TestSlowServer: a tarpit holds its own seats only.
func TestSlowServer(t *testing.T) {
	slow, quick := start(t, smtpd.Options{Script: smtpd.Stall().At(smtpd.Mail)}), start(t, smtpd.Options{})
	s := settings(slow, quick)
	s.Servers[0].Connections, s.Servers[1].Connections = 2, 2
	s.Timeout = channels.Duration(time.Minute)
	ch := openChannel(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var sent atomic.Int32
	done := make(chan struct{})
	for i := range 8 {
		wg.Go(func() {
			for n := range 10 {
				if _, err := ch.Send(ctx, letterTo("anna@example.org", fmt.Sprintf("d1-%d-%d", i, n))); err == nil && sent.Add(1) == 60 {
					close(done)
				}
			}
		})
	}
	select {
	case <-done: // sixty went although two senders hang at the slow server
	case <-time.After(20 * time.Second):
		t.Errorf("only %d letters went", sent.Load())
	}
	cancel()
	wg.Wait()
	if _, _, peak := slow.Sessions(); peak > 2 {
		t.Errorf("%d connections at the slow server, want at most 2", peak)
	}
}
