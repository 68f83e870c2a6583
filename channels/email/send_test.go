package email

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
