package smtpd_test

import (
	"crypto/tls"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

func TestJournalAndMailbox(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s := start(t, smtpd.Options{MaxMessages: 2, Now: func() time.Time { return at }, JournalHeaders: []string{"Subject", "X-Twice"}})
	c := dial(t, s).hello()
	const rest = "\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_folgen?=\r\nX-Twice: 1\r\nX-twice: 2\r\n\r\nhallo\r\n"
	for _, id := range []string{"<1@x>", "<2@x>", "<3@x>"} {
		c.want("MAIL FROM:<ret+1@from.test> BODY=8BITMIME\r\n", "250")
		c.want("RCPT TO:<b@x.test> NOTIFY=NEVER\r\n", "250")
		c.want("RCPT TO:<c@x.test>\r\n", "250")
		c.want("DATA\r\n", "354")
		c.want("Message-Id: "+id+rest+".\r\n", "250")
	}
	got := s.Journal().Entries()[4]
	got.Digest, got.Peer = "", ""
	want := journal.Entry{
		Seq: 5, Time: at, Session: 1, From: "ret+1@from.test", To: "b@x.test", Key: "<3@x>",
		Size:    int64(len("Message-Id: <3@x>" + rest)),
		Outcome: journal.Accepted, Code: 250,
		Meta: map[string]string{
			"hello": "client.test", "mail": "BODY=8BITMIME", "rcpt": "NOTIFY=NEVER",
			"Subject": "=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?q?_folgen?=", "X-Twice": "1\n2",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	mails := s.Messages()
	if len(mails) != 2 || mails[0].ID != 2 || mails[1].Subject != "Grüße folgen" || len(mails[1].EnvelopeTo) != 2 {
		t.Errorf("mailbox %+v", mails)
	}
	if _, ok := s.Message(1); ok {
		t.Error("the oldest mail is still there")
	}
	if m, ok := s.Message(3); !ok || m.MessageID != "<3@x>" {
		t.Errorf("mail 3: %v %+v", ok, m)
	}
}

func TestKeep(t *testing.T) {
	body := "Message-ID: <1@x>\r\nSubject: s\r\n\r\n" + strings.Repeat("0123456789\r\n", 50_000)
	for keep, check := range map[smtpd.Keep]func(e journal.Entry, m smtpd.Message, kept bool) bool{
		smtpd.KeepBodies: func(e journal.Entry, m smtpd.Message, kept bool) bool {
			return kept && e.Key == "<1@x>" && len(m.Source) == len(body) && string(m.Header) == body[:31]
		},
		smtpd.KeepHeaders: func(e journal.Entry, m smtpd.Message, kept bool) bool {
			return kept && e.Key == "<1@x>" && m.Source == nil && string(m.Header) == body[:31] && e.Digest != ""
		},
		smtpd.KeepNothing: func(e journal.Entry, _ smtpd.Message, kept bool) bool {
			return !kept && e.Key == "" && e.Digest == ""
		},
	} {
		s := start(t, smtpd.Options{Keep: keep})
		c := dial(t, s).hello()
		c.letter("b@x.test", strings.TrimSuffix(body, "\r\n"))
		c.want("", "250 ")
		m, kept := s.Latest("b@x.test")
		e := s.Journal().Entries()
		if len(e) != 1 || e[0].Size != int64(len(body)) || !check(e[0], m, kept) {
			t.Errorf("keep %d: entries %+v, kept %v, source %d, header %q", keep, e, kept, len(m.Source), m.Header)
		}
	}
}

func TestMailboxBytesAreBounded(t *testing.T) {
	s := start(t, smtpd.Options{MaxBytes: 50_000})
	c := dial(t, s).hello()
	for range 20 {
		c.letter("b@x.test", strings.Repeat(strings.Repeat("x", 98)+"\r\n", 100))
		c.want("", "250 ")
	}
	if got := len(s.Messages()); got != 4 {
		t.Errorf("%d mails of 11 KB kept in 50 KB, want 4", got)
	}
}

// TestAnotherProgramsClient lets the client of the standard library, which knows
// nothing of this server, send a mail with TLS and a password.
func TestAnotherProgramsClient(t *testing.T) {
	s := start(t, smtpd.Options{
		Name: "localhost", TLS: smtpd.StartTLS, TLSRequired: true, AuthRequired: true, AuthAfterTLS: true,
		Users: map[string]string{"anna": "geheim"},
	})
	c, err := smtp.NewClient(dial(t, s).conn, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	step := func(name string, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	step("STARTTLS", c.StartTLS(&tls.Config{RootCAs: s.RootCAs(), ServerName: "localhost", MinVersion: tls.VersionTLS12}))
	step("AUTH", c.Auth(smtp.PlainAuth("", "anna", "geheim", "127.0.0.1")))
	step("MAIL", c.Mail("ä@x.test"))
	step("RCPT", c.Rcpt("ü@x.test"))
	w, err := c.Data()
	step("DATA", err)
	_, err = w.Write([]byte("Subject: x\n\n.dot\nend"))
	step("body", err)
	step("dot", w.Close())
	step("QUIT", c.Quit())
	m, ok := s.Latest("ü@x.test")
	if want := "Subject: x\r\n\r\n.dot\r\nend\r\n"; !ok || string(m.Source) != want {
		t.Errorf("taken %q, want %q", m.Source, want)
	}
	if e := s.Journal().Entries()[0]; e.Meta["user"] != "anna" || e.Meta["mail"] != "BODY=8BITMIME SMTPUTF8" {
		t.Errorf("journal %+v", e)
	}
}
