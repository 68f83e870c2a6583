package email

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
)

// TestScope is how much a throttle is about, by phase and by what was said.
func TestScope(t *testing.T) {
	for _, c := range []struct {
		at   phase
		said string
		want channels.Scope
	}{
		{atConnect, "421 busy", channels.OneServer},
		{atConnect, "421 4.7.0 Try again later", channels.OneServer},
		{atMail, "421 4.7.28 unusual rate of mail", channels.OneServer}, // no domain is named yet
		{atMail, "450 4.7.1 Error: too much mail from 192.0.2.1", channels.OneServer},
		{atRcpt, "421 closing", channels.OneServer}, // a relay that says nothing ends its service
		{atRcpt, "421 4.3.2 shutting down", channels.OneServer},
		{atRcpt, "450 too many connections", channels.OneServer},
		{atRcpt, "421 4.7.0 Try again later", channels.OneDomain},
		{atRcpt, "451 4.7.1 rate limited", channels.OneDomain},
		{atDot, "421 4.7.28 unusual rate of mail", channels.OneDomain},
		{atDot, "454 Throttling failure: Daily message quota exceeded", channels.WholeChannel},
	} {
		f := judge(c.at, answer(t, c.said))
		if f.Verdict != channels.Throttled || f.Scope != c.want {
			t.Errorf("%s at %s: %s about %d, want %d", c.said, c.at, f.Verdict, f.Scope, c.want)
		}
	}
}

// TestWhatMovesALetter: another server is tried only after a reply, or a loss,
// that proves that this one has not taken the letter, and never to get around
// what a receiving domain asked for.
func TestWhatMovesALetter(t *testing.T) {
	for at := atConnect; at <= atDot; at++ {
		for code := range 600 {
			if code > 0 && code < 300 {
				continue
			}
			for _, text := range []string{"", "too many connections", "greylisted", "user unknown", "blocked using x", "rate limit"} {
				for _, enhanced := range []string{"", ".1.1", ".2.2", ".4.5", ".7.0", ".7.28"} {
					r := reply{code: code, text: text}
					if enhanced != "" && code >= 400 {
						r.enhanced = strconv.Itoa(code/100) + enhanced
					}
					f := judge(at, r)
					moves := movesOn(at, &f)
					if moves && (at > atData || f.Verdict == channels.Rejected || f.Verdict == channels.Malformed || f.Verdict == channels.Uncertain) {
						t.Fatalf("%s at %s (%s) moves a letter", r, at, f.Verdict)
					}
					if moves && f.Scope == channels.OneDomain {
						t.Fatalf("%s %q at %s goes around a domain", r, text, at)
					}
				}
			}
		}
	}
}

// TestBreakerOpensAndTries: after so many failures in a row a server rests; then
// exactly one trial goes through, and its success closes the breaker.
func TestBreakerOpensAndTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker("mx1", tripAfter)
		bad := errors.New("down")
		fail := func() {
			t.Helper()
			done, err := b.Allow()
			if err != nil {
				t.Fatalf("closed, and lets nobody through: %v", err)
			}
			done(bad)
		}
		for range tripAfter - 1 {
			fail()
		}
		done, _ := b.Allow()
		done(nil) // a success in between starts the count anew
		for range tripAfter - 1 {
			fail()
		}
		done, _ = b.Allow()
		done(errNeutral) // says nothing
		if b.State() != gobreaker.StateClosed {
			t.Fatal("opened too early")
		}
		fail()
		if _, err := b.Allow(); err == nil || b.State() != gobreaker.StateOpen {
			t.Fatal("did not open")
		}
		time.Sleep(restFor - time.Millisecond)
		if _, err := b.Allow(); err == nil {
			t.Fatal("did not rest")
		}
		time.Sleep(2 * time.Millisecond)
		var through atomic.Int32
		var trial func(error)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if done, err := b.Allow(); err == nil {
					through.Add(1)
					trial = done
				}
			})
		}
		wg.Wait()
		if through.Load() != 1 {
			t.Fatalf("%d trials at once", through.Load())
		}
		trial(bad)
		if _, err := b.Allow(); err == nil {
			t.Fatal("a failed trial lets the next through")
		}
		time.Sleep(restFor + time.Millisecond)
		done, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}
		done(nil)
		if b.State() != gobreaker.StateClosed {
			t.Fatal("a good trial does not close it")
		}
	})
}

// TestHalfOpenServer: of all letters that wait, one tries the server that has
// rested; the others go elsewhere or wait. Nothing is lost and nothing is sent
// twice.
func TestHalfOpenServer(t *testing.T) {
	var down atomic.Bool
	var knocks atomic.Int32
	down.Store(true)
	sick := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Connect && down.Load() {
			knocks.Add(1)
			return smtpd.CloseBefore()
		}
		return smtpd.Action{}
	}})
	well := start(t, smtpd.Options{})
	ch := openChannel(t, settings(sick, well))
	const rest = 300 * time.Millisecond
	ch.pool.servers[0].breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     rest,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= tripAfter },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNeutral) },
	})
	n := 0
	send := func(count int) {
		t.Helper()
		var wg sync.WaitGroup
		for range count {
			n++
			key := fmt.Sprintf("d1-%d", n)
			wg.Go(func() {
				if _, err := ch.Send(t.Context(), letterTo("anna@example.org", key)); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			})
		}
		wg.Wait()
	}
	for ch.pool.servers[0].breaker.State() != gobreaker.StateOpen {
		send(1)
	}
	knocks.Store(0)
	for ch.pool.servers[0].breaker.State() == gobreaker.StateOpen {
		time.Sleep(rest / 10)
	}
	send(20) // while it is half open and still down
	if k := knocks.Load(); k != 1 {
		t.Errorf("%d letters tried the server that had rested, want one", k)
	}
	down.Store(false)
	for ch.pool.servers[0].breaker.State() == gobreaker.StateOpen {
		time.Sleep(rest / 10)
	}
	send(20)
	if ch.pool.servers[0].breaker.State() != gobreaker.StateClosed || sick.Journal().Taken() == 0 {
		t.Errorf("the server is well again and %s; it took %d", ch.pool.servers[0].breaker.State(), sick.Journal().Taken())
	}
	if got := sick.Journal().Taken() + well.Journal().Taken(); got != n {
		t.Errorf("%d letters, %d taken", n, got)
	}
}

// TestThrottledDomainKeepsTheServer: a relay that passes on what one domain
// asks for is not at fault, and the letter does not go around by another.
func TestThrottledDomainKeepsTheServer(t *testing.T) {
	var asked atomic.Int32
	script := func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Rcpt && step.Addr == "anna@slow.example" {
			asked.Add(1)
			return smtpd.Reply(451, "4.7.1", "rate limited, try again in 2 minutes")
		}
		return smtpd.Action{}
	}
	first, second := start(t, smtpd.Options{Script: script}), start(t, smtpd.Options{Script: script})
	ch := openChannel(t, settings(first, second))
	for i := range 4 * tripAfter {
		_, err := ch.Send(t.Context(), letterTo("anna@slow.example", fmt.Sprintf("d1-%d", i)))
		f := channels.Judge(err)
		if f.Verdict != channels.Throttled || f.Scope != channels.OneDomain || f.After != 2*time.Minute {
			t.Fatalf("letter %d: %+v", i, f)
		}
	}
	for _, s := range ch.pool.servers {
		if s.breaker.State() != gobreaker.StateClosed {
			t.Errorf("the breaker of %s is %s", s.addr, s.breaker.State())
		}
	}
	if _, err := ch.Send(t.Context(), letterTo("bert@example.org", "d2-1")); err != nil {
		t.Errorf("another domain: %v", err)
	}
	if n := asked.Load(); n != 4*tripAfter {
		t.Errorf("the domain was asked %d times for %d letters", n, 4*tripAfter)
	}
}
