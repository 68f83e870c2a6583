package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/channels"
	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
	"rapport/internal/secret"
)

// verdictOf is the word for how a Send ended; "sent" for nil.
func verdictOf(err error) string {
	if err == nil {
		return "sent"
	}
	return channels.Judge(err).Verdict.String()
}

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

// TestOneBadRecipient: the connection goes on after a refusal, with RSET, and
// exactly one of fifty fails.
func TestOneBadRecipient(t *testing.T) {
	for _, pipelining := range []smtpd.Support{smtpd.Works, smtpd.Absent} {
		var resets atomic.Int32
		refuse := smtpd.ByRecipient(map[string]smtpd.Script{"p17@*": smtpd.Reply(550, "5.1.1", "no such user").At(smtpd.Rcpt)})
		srv := start(t, smtpd.Options{Pipelining: pipelining, Script: func(step smtpd.Step) smtpd.Action {
			if step.Stage == smtpd.Reset {
				resets.Add(1)
			}
			return refuse(step)
		}})
		s := settings(srv)
		s.Servers[0].Connections = 1
		ch := openChannel(t, s)
		for i := range 50 {
			_, err := ch.Send(t.Context(), letterTo(fmt.Sprintf("p%d@example.org", i), fmt.Sprintf("d1-%d", i)))
			if want := map[bool]string{true: "rejected", false: "sent"}[i == 17]; verdictOf(err) != want {
				t.Errorf("letter %d: %v, want %s", i, err, want)
			}
		}
		total, _, _ := srv.Sessions()
		if srv.Journal().Taken() != 49 || total != 1 || resets.Load() != 1 {
			t.Errorf("taken %d over %d connections with %d RSET, want 49, 1, 1", srv.Journal().Taken(), total, resets.Load())
		}
	}
}

// TestOneEnvelopeEach: nobody sees another recipient.
func TestOneEnvelopeEach(t *testing.T) {
	srv := start(t, smtpd.Options{})
	ch := openChannel(t, settings(srv))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			m := letterTo(fmt.Sprintf("p%d@example.org", i), fmt.Sprintf("d1-%d", i))
			m.Return = fmt.Sprintf("d1-%d-mac", i)
			if r, err := ch.Send(t.Context(), m); err != nil || r.Server != srv.Addr() || r.At.IsZero() || r.ProviderID == "" {
				t.Errorf("receipt %+v: %v", r, err)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, m := range srv.Messages() {
		if len(m.EnvelopeTo) != 1 {
			t.Fatalf("an envelope for %v", m.EnvelopeTo)
		}
		to := m.EnvelopeTo[0]
		n := strings.TrimSuffix(strings.TrimPrefix(to, "p"), "@example.org")
		if m.EnvelopeFrom != "bounce+d1-"+n+"-mac@example.com" || m.MessageID != "<d1-"+n+"@example.com>" || m.To != to {
			t.Errorf("to %s: from %s, Message-ID %s, To %s", to, m.EnvelopeFrom, m.MessageID, m.To)
		}
		if strings.Count(string(m.Source), "@example.org") != 1 {
			t.Errorf("the letter to %s names others", to)
		}
		seen[to] = true
	}
	if len(seen) != 40 {
		t.Errorf("%d recipients, want 40", len(seen))
	}
}

// TestTortureOverTheWire: what the server has, octet by octet, is what was composed.
func TestTortureOverTheWire(t *testing.T) {
	srv := start(t, smtpd.Options{})
	ch := openChannel(t, settings(srv))
	n := 0
	for name, body := range tortures() {
		n++
		m := letterTo("anna@example.org", fmt.Sprintf("d1-%d", n))
		m.Content["html"], m.Content["text"] = body, body
		if _, err := ch.Send(t.Context(), m); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := srv.Messages()
		if len(got) != n {
			t.Fatalf("%s: the server has %d letters, want %d", name, len(got), n)
		}
		checkLines(t, got[n-1].Source)
	}
}

// TestStuff: even a letter that another composer wrote stays one letter.
func TestStuff(t *testing.T) {
	for in, want := range map[string]string{
		"a\r\n": "a\r\n", ".": "..", "a\r\n.\r\nb": "a\r\n..\r\nb", "a\n.\nb": "a\n..\nb", "..": "...", "a.b": "a.b",
	} {
		if got := string(stuff([]byte(in))); got != want {
			t.Errorf("stuff(%q) = %q, want %q", in, got, want)
		}
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

// TestPermissionComesLast: while dialling fails nobody is asked, and the
// connection is ready when somebody is.
func TestPermissionComesLast(t *testing.T) {
	var mails atomic.Int32
	srv := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Mail {
			mails.Add(1)
		}
		return smtpd.Action{}
	}})
	ch := openChannel(t, settings(srv))
	no := errors.New("not any more")
	m := letterTo("anna@example.org", "d1-1")
	m.Depart = func(context.Context) error {
		if total, _, _ := srv.Sessions(); total != 1 || mails.Load() != 0 {
			t.Errorf("asked with %d connections and %d MAIL", total, mails.Load())
		}
		return no
	}
	if _, err := ch.Send(t.Context(), m); err != no { //nolint:errorlint // it must be the same error
		t.Errorf("got %v, want Depart's own error", err)
	}
	if mails.Load() != 0 {
		t.Error("an envelope left although Depart refused")
	}

	down := openChannel(t, Settings{From: "news@example.com", Servers: []Server{clearText("127.0.0.1:1")}})
	m.Depart = func(context.Context) error { t.Error("asked without a connection"); return nil }
	if _, err := down.Send(t.Context(), m); verdictOf(err) != "temporary" {
		t.Errorf("no server: %v", err)
	}
}

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

// TestMoreSendersThanConnections: everything goes, once, over no more
// connections than allowed.
func TestMoreSendersThanConnections(t *testing.T) {
	srv := start(t, smtpd.Options{})
	s := settings(srv)
	s.Servers[0].Connections = 3
	ch := openChannel(t, s)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for n := range 10 {
				to := fmt.Sprintf("p%d-%d@example.org", i, n)
				if _, err := ch.Send(t.Context(), letterTo(to, fmt.Sprintf("d%d-%d", i, n))); err != nil {
					t.Errorf("%s: %v", to, err)
				}
			}
		})
	}
	wg.Wait()
	total, _, peak := srv.Sessions()
	if peak > 3 || total > 3 || srv.Journal().Taken() != 400 || len(srv.Journal().Recipients()) != 400 {
		t.Errorf("%d letters to %d people over %d connections, %d at once", srv.Journal().Taken(), len(srv.Journal().Recipients()), total, peak)
	}
}

// TestLettersPerConnection: a connection carries so many letters and no more.
func TestLettersPerConnection(t *testing.T) {
	srv := start(t, smtpd.Options{})
	s := settings(srv)
	s.PerConnection = 4
	ch := openChannel(t, s)
	for i := range 10 {
		if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if total, _, _ := srv.Sessions(); total != 3 {
		t.Errorf("%d connections for ten letters, want 3", total)
	}
}

// TestPipelining: with and without, and with every extension missing.
func TestPipelining(t *testing.T) {
	for name, o := range map[string]smtpd.Options{
		"all":           {},
		"no pipelining": {Pipelining: smtpd.Absent},
		"no extension":  {Pipelining: smtpd.Absent, EightBitMIME: smtpd.Absent, SMTPUTF8: smtpd.Absent, DSN: smtpd.Absent, Size: smtpd.Absent, EnhancedCodes: smtpd.Absent},
		"HELO":          {NoEHLO: true},
	} {
		srv := start(t, o)
		ch := openChannel(t, settings(srv))
		for i := range 3 {
			if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if srv.Journal().Taken() != 3 {
			t.Errorf("%s: taken %d", name, srv.Journal().Taken())
		}
	}
}

// TestEightBitAddress: SMTPUTF8 where it is offered, a reason where not.
func TestEightBitAddress(t *testing.T) {
	with, without := start(t, smtpd.Options{}), start(t, smtpd.Options{SMTPUTF8: smtpd.Absent})
	m := letterTo("jürgen@example.org", "d1-1")
	if _, err := openChannel(t, settings(with)).Send(t.Context(), m); err != nil {
		t.Errorf("offered: %v", err)
	}
	if with.Journal().Accepted("jürgen@example.org") != 1 {
		t.Errorf("recipients %v", slices.Collect(maps.Keys(with.Journal().Recipients())))
	}
	m.Depart = func(context.Context) error { t.Error("asked in vain"); return nil }
	_, err := openChannel(t, settings(without)).Send(t.Context(), m)
	if f := channels.Judge(err); f.Verdict != channels.Malformed || f.Reason != "no_smtputf8" {
		t.Errorf("not offered: %v", err)
	}
}

// TestTooLarge: what the server says it cannot take is not offered.
func TestTooLarge(t *testing.T) {
	srv := start(t, smtpd.Options{MaxSize: 10_000})
	ch := openChannel(t, settings(srv))
	m := letterTo("anna@example.org", "d1-1")
	m.Content["html"] = strings.Repeat("x", 20_000)
	_, err := ch.Send(t.Context(), m)
	if f := channels.Judge(err); f.Verdict != channels.Malformed || f.Reason != "too_large" {
		t.Errorf("%v", err)
	}
	if srv.Journal().Len() != 0 {
		t.Error("it was offered")
	}
	if _, err := ch.Send(t.Context(), letterTo("anna@example.org", "d1-2")); err != nil {
		t.Errorf("the next: %v", err)
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

// TestIdleConnectionsGo, without anybody sending.
func TestIdleConnectionsGo(t *testing.T) {
	quits := make(chan struct{}, 10)
	srv := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Quit {
			quits <- struct{}{}
		}
		return smtpd.Action{}
	}})
	s := settings(srv)
	s.IdleTimeout = channels.Duration(20 * time.Millisecond)
	ch := openChannel(t, s)
	for i := range 2 {
		if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
			t.Fatal(err)
		}
		select {
		case <-quits:
		case <-time.After(10 * time.Second):
			t.Fatal("the idle connection is still there")
		}
	}
}

// TestPace: never more than the rate in the receiver's journal, but for one a connection.
func TestPace(t *testing.T) {
	srv := start(t, smtpd.Options{})
	s := settings(srv)
	s.Servers[0].Rate = "100/s"
	ch := openChannel(t, s)
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if peak := srv.Journal().Peak(100 * time.Millisecond); peak > 10+s.Servers[0].Connections {
		t.Errorf("%d letters in 100 ms", peak)
	}
}

// TestNothingIsLeftBehind: no goroutine outlives Close, whatever happened before.
func TestNothingIsLeftBehind(t *testing.T) {
	srv := start(t, smtpd.Options{Script: smtpd.ByRecipient(map[string]smtpd.Script{
		"cut@*": smtpd.CloseBefore().At(smtpd.Data), "no@*": smtpd.Reply(550, "5.1.1", "no").At(smtpd.Rcpt),
	})})
	ch, err := open(channels.Env{Name: "news"}, settings(srv), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, to := range []string{"anna@example.org", "cut@example.org", "no@example.org", "ben@example.org"} {
		wg.Go(func() { _, _ = ch.Send(t.Context(), letterTo(to, fmt.Sprintf("d1-%d", i))) })
	}
	wg.Wait()
	if err := ch.Close(); err != nil {
		t.Error(err)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, left := range []string{"email.(*pool)", "email.(*conn)", "email.(*channel)"} {
		if bytes.Contains(stacks, []byte(left)) {
			t.Errorf("a goroutine is still in %s:\n%s", left, stacks)
		}
	}
}

// TestRefusalIsNotRecordedTwice: one refusal, one entry at the server.
func TestRefusalIsNotRecordedTwice(t *testing.T) {
	srv := start(t, smtpd.Options{Script: smtpd.Reply(550, "5.1.1", "<anna@example.org> is unknown here").At(smtpd.Rcpt)})
	_, err := openChannel(t, settings(srv)).Send(t.Context(), letterTo("anna@example.org", "d1-1"))
	f := channels.Judge(err)
	if f.Code != "550 5.1.1" || f.Server != srv.Addr() || strings.Contains(err.Error(), "anna") {
		t.Errorf("failure %+v: %v", f, err)
	}
	if n := srv.Journal().Count(journal.Refused); n != 1 {
		t.Errorf("%d refusals, want 1", n)
	}
}

// TestSecretsStayInside the settings, however they are printed.
func TestSecretsStayInside(t *testing.T) {
	s := Server{URL: secret.New("smtp://shop:s3cret-word@example.com")}
	e, err := s.parse()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %v %+v", s, s, s, e, e); strings.Contains(text, "s3cret") {
		t.Error(text)
	}
}
