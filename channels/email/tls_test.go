package email

import (
	"fmt"
	"sync/atomic"
	"testing"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
	"rapport/internal/secret"
)

// TestTLS: never in clear text unless the configuration says so, never with a
// certificate that nobody vouches for, and never a password without TLS.
func TestTLS(t *testing.T) {
	users := map[string]string{"shop": "s3cret-word"}
	for name, c := range map[string]struct {
		server  smtpd.Options
		scheme  string
		login   bool
		query   string
		noCA    bool
		want    string
		or      string // the garbage may come after the connection's end
		reason  string
		tls     bool // the letter came over TLS
		noLogin bool // no AUTH may have been tried
	}{
		"required and offered":         {server: smtpd.Options{TLS: smtpd.StartTLS}, want: "sent", tls: true},
		"required, not offered":        {server: smtpd.Options{}, want: "broken", reason: tlsTrouble},
		"required, refused for now":    {server: smtpd.Options{TLS: smtpd.StartTLSRefused}, want: "temporary", reason: tlsTrouble},
		"required, garbage":            {server: smtpd.Options{TLS: smtpd.StartTLSGarbage}, want: "broken", or: "temporary", reason: tlsTrouble},
		"required, unknown authority":  {server: smtpd.Options{TLS: smtpd.StartTLS}, noCA: true, want: "broken", reason: tlsTrouble},
		"opportunistic and offered":    {server: smtpd.Options{TLS: smtpd.StartTLS}, query: "?tls=opportunistic", want: "sent", tls: true},
		"opportunistic, not offered":   {server: smtpd.Options{}, query: "?tls=opportunistic", want: "sent"},
		"opportunistic, no authority":  {server: smtpd.Options{TLS: smtpd.StartTLS}, query: "?tls=opportunistic", noCA: true, want: "broken", reason: tlsTrouble},
		"none":                         {server: smtpd.Options{TLS: smtpd.StartTLS}, query: "?tls=none", want: "sent"},
		"from the first octet":         {server: smtpd.Options{TLS: smtpd.ImplicitTLS}, scheme: "smtps", want: "sent", tls: true},
		"first octet, no authority":    {server: smtpd.Options{TLS: smtpd.ImplicitTLS}, scheme: "smtps", noCA: true, want: "broken", reason: tlsTrouble},
		"first octet, server in clear": {server: smtpd.Options{}, scheme: "smtps", want: "broken", reason: tlsTrouble},

		"password over TLS":              {server: smtpd.Options{TLS: smtpd.StartTLS, Users: users, AuthRequired: true}, login: true, want: "sent", tls: true},
		"password from the first octet":  {server: smtpd.Options{TLS: smtpd.ImplicitTLS, Users: users, AuthRequired: true}, scheme: "smtps", login: true, want: "sent", tls: true},
		"password, LOGIN only":           {server: smtpd.Options{TLS: smtpd.StartTLS, Users: users, AuthRequired: true, AuthMechanisms: []string{"LOGIN"}}, login: true, want: "sent", tls: true},
		"password, STARTTLS stripped":    {server: smtpd.Options{Users: users}, login: true, want: "broken", reason: tlsTrouble, noLogin: true},
		"password, opportunistic, clear": {server: smtpd.Options{Users: users}, query: "?tls=opportunistic", login: true, want: "broken", reason: authentication, noLogin: true},
		"password, no AUTH offered":      {server: smtpd.Options{TLS: smtpd.StartTLS}, login: true, want: "broken", reason: authentication},
		"password, AUTH out of order":    {server: smtpd.Options{TLS: smtpd.StartTLS, Users: users, AuthBroken: true}, login: true, want: "temporary", reason: authentication},
		"password, wrong":                {server: smtpd.Options{TLS: smtpd.StartTLS, Users: map[string]string{"shop": "other"}}, login: true, want: "broken", reason: authentication},
	} {
		t.Run(name, func(t *testing.T) {
			var encrypted, logins atomic.Int32
			c.server.Script = func(step smtpd.Step) smtpd.Action {
				switch {
				case step.Stage == smtpd.Auth:
					logins.Add(1)
				case step.Stage == smtpd.Mail && step.TLS:
					encrypted.Add(1)
				}
				return smtpd.Action{}
			}
			srv := start(t, c.server)
			s := settings(srv)
			s.Servers[0].URL = secret.New(urlOf(c.scheme, c.login, srv.Addr(), c.query))
			if !c.noCA && c.server.TLS != smtpd.NoTLS {
				s.CAFile = caFile(t, srv)
			}
			ch := openChannel(t, s)
			_, err := ch.Send(t.Context(), letterTo("anna@example.org", "d1-1"))
			f := channels.Judge(err)
			if got := verdictOf(err); got != c.want && got != c.or || err != nil && f.Reason != c.reason {
				t.Errorf("judged %s %s (%v), want %s %s", verdictOf(err), f.Reason, err, c.want, c.reason)
			}
			if check := ch.Check(t.Context()); (check == nil) != (c.want == "sent") {
				t.Errorf("Check says %v", check)
			}
			if (encrypted.Load() == 1) != c.tls {
				t.Errorf("over TLS: %v, want %v", encrypted.Load() == 1, c.tls)
			}
			if c.noLogin && logins.Load() > 0 {
				t.Error("a password was sent in clear text")
			}
			if taken := srv.Journal().Taken(); (taken == 1) != (c.want == "sent") {
				t.Errorf("taken %d", taken)
			}
		})
	}
}

func urlOf(scheme string, login bool, addr, query string) string {
	if scheme == "" {
		scheme = "smtp"
	}
	if login {
		addr = "shop:s3cret-word@" + addr
	}
	return scheme + "://" + addr + query
}

// TestAcceptedStaysAccepted: whatever the connection does after the server's
// 250, the letter is sent, and the next one goes too.
func TestAcceptedStaysAccepted(t *testing.T) {
	for name, script := range map[string]smtpd.Script{
		"closed after the answer": smtpd.CloseAfter().At(smtpd.Dot),
		"RSET not understood":     smtpd.Reply(500, "", "what?").At(smtpd.Reset),
		"RSET kills":              smtpd.CloseBefore().At(smtpd.Reset),
	} {
		srv := start(t, smtpd.Options{Script: script})
		ch := openChannel(t, settings(srv))
		for i := range 5 {
			if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
				t.Errorf("%s: letter %d: %v", name, i, err)
			}
		}
		if srv.Journal().Taken() != 5 || len(srv.Journal().Duplicates()) != 0 {
			t.Errorf("%s: taken %d", name, srv.Journal().Taken())
		}
	}
}
