package email

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
)

// TestLostConnections is five scripts of how a connection ends around a
// letter (RFC 5321 section 4.5.3.2.6): whatever is repeated freely was not
// taken, whatever may have been taken is uncertain.
func TestLostConnections(t *testing.T) {
	const letters = 100
	for name, c := range map[string]struct {
		script smtpd.Script
		dot    time.Duration
		want   string
		taken  int
		few    bool // few letters that no socket's buffer holds
	}{
		"before DATA":             {script: smtpd.CloseBefore().At(smtpd.Data), want: "temporary"},
		"reset before DATA":       {script: smtpd.ConnectionReset().At(smtpd.Rcpt), want: "temporary"},
		"inside the body":         {script: smtpd.AfterRead(1, smtpd.ConnectionReset().At(smtpd.Body)), want: "temporary", few: true},
		"at the dot, not taken":   {script: smtpd.CloseBefore().At(smtpd.Dot), want: "uncertain"},
		"after the dot, taken":    {script: smtpd.AcceptThenClose().At(smtpd.Dot), want: "uncertain", taken: letters},
		"250 after our patience":  {script: smtpd.ReplyAfter(time.Minute).At(smtpd.Dot), dot: 20 * time.Millisecond, want: "uncertain", taken: letters},
		"garbage after the dot":   {script: smtpd.Raw("what?\r\n").At(smtpd.Dot), want: "uncertain"},
		"half an answer":          {script: smtpd.Raw("250-").AndClose().At(smtpd.Dot), want: "uncertain", taken: letters},
		"answer without an end":   {script: smtpd.Raw(strings.Repeat("250-more\r\n", 100)).At(smtpd.Dot), want: "uncertain", taken: letters},
		"answer of endless lines": {script: smtpd.Raw("250 " + strings.Repeat("x", 10_000) + "\r\n").At(smtpd.Dot), want: "uncertain", taken: letters},
	} {
		t.Run(name, func(t *testing.T) {
			if c.few && testing.Short() {
				t.Skip("needs letters of many megabytes")
			}
			srv := start(t, smtpd.Options{Script: c.script})
			s := settings(srv)
			s.DotTimeout = channels.Duration(c.dot)
			s.Servers[0].Connections = 20
			ch := openChannel(t, s)
			calm(ch)
			var wg sync.WaitGroup
			count, html := letters, "<p>Hello</p>"
			if c.few {
				count, html = 3, large()
			}
			for i := range count {
				wg.Go(func() {
					m := letterTo(fmt.Sprintf("p%d@example.org", i), fmt.Sprintf("d1-%d", i))
					m.Content["html"] = html
					_, err := ch.Send(t.Context(), m)
					if got := verdictOf(err); got != c.want {
						t.Errorf("judged %s: %v", got, err)
					}
				})
			}
			wg.Wait()
			if got := srv.Journal().Taken(); got != c.taken {
				t.Errorf("the server has %d letters, want %d", got, c.taken)
			}
			if d := srv.Journal().Duplicates(); len(d) > 0 {
				t.Errorf("duplicates: %v", d)
			}
		})
	}
}

// large is an HTML part that does not fit into the buffers of two sockets, so
// that a connection broken inside the letter is seen before the final dot is
// written. Of a smaller letter nobody can know how far it came.
func large() string { return strings.Repeat("<p>a long letter that goes on and on</p>\n", 400_000) }

// calm makes the breakers never open, for tests that fail on purpose.
func calm(ch *channel) {
	for _, s := range ch.pool.servers {
		s.breaker = newBreaker("calm", 1<<30)
	}
}

// TestStaleConnection: a kept connection that the server closed meanwhile is
// replaced within the same Send, with one permission.
func TestStaleConnection(t *testing.T) {
	for name, bye := range map[string]smtpd.Action{
		"closed":          smtpd.CloseBefore(),
		"reset":           smtpd.ConnectionReset(),
		"421 and closed":  smtpd.Reply(421, "4.4.2", "idle for too long").AndClose(),
		"421, still open": smtpd.Reply(421, "4.3.2", "enough letters over this connection"),
	} {
		for _, pipelining := range []smtpd.Support{smtpd.Works, smtpd.Absent} {
			srv := start(t, smtpd.Options{Pipelining: pipelining, Script: func(step smtpd.Step) smtpd.Action {
				if step.Stage == smtpd.Mail && step.Messages > 0 {
					return bye
				}
				return smtpd.Action{}
			}})
			ch := openChannel(t, settings(srv))
			for i := range 5 {
				asked := 0
				m := letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))
				m.Depart = func(context.Context) error { asked++; return nil }
				if _, err := ch.Send(t.Context(), m); err != nil || asked != 1 {
					t.Errorf("%s: letter %d: asked %d times: %v", name, i, asked, err)
				}
			}
			if srv.Journal().Taken() != 5 {
				t.Errorf("%s: taken %d, want 5", name, srv.Journal().Taken())
			}
		}
	}
}

// TestGivingUp: at every stage Send ends with its context, and says what may
// have happened.
func TestGivingUp(t *testing.T) {
	for stage, want := range map[smtpd.Stage]string{
		smtpd.Connect: "temporary", smtpd.Hello: "temporary", smtpd.Mail: "temporary",
		smtpd.Rcpt: "temporary", smtpd.Data: "temporary", smtpd.Dot: "uncertain",
	} {
		reached := make(chan struct{}, 1)
		srv := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
			if step.Stage != stage {
				return smtpd.Action{}
			}
			reached <- struct{}{}
			return smtpd.Stall()
		}})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-reached; cancel() }()
		_, err := openChannel(t, settings(srv)).Send(ctx, letterTo("anna@example.org", "d1-1"))
		if f := channels.Judge(err); f.Verdict.String() != want || f.Reason != "timeout" {
			t.Errorf("%s: %s %s: %v", stage, f.Verdict, f.Reason, err)
		}
	}
}

// TestDrips: answers that come octet by octet are read all the same.
func TestDrips(t *testing.T) {
	srv := start(t, smtpd.Options{Script: smtpd.Drip(time.Millisecond).At(smtpd.Mail, smtpd.Rcpt, smtpd.Data, smtpd.Dot)})
	if _, err := openChannel(t, settings(srv)).Send(t.Context(), letterTo("anna@example.org", "d1-1")); err != nil {
		t.Error(err)
	}
}
