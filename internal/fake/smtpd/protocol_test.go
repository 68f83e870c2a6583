package smtpd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"runtime"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

func TestConversations(t *testing.T) {
	type turn struct{ send, want string }
	users := map[string]string{"anna": "geheim"}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00anna\x00geheim"))
	wrong := base64.StdEncoding.EncodeToString([]byte("\x00anna\x00falsch"))
	unknown := base64.StdEncoding.EncodeToString([]byte("\x00otto\x00"))
	anna := base64.StdEncoding.EncodeToString([]byte("anna"))
	geheim := base64.StdEncoding.EncodeToString([]byte("geheim"))
	tests := []struct {
		name  string
		opts  smtpd.Options
		turns []turn
	}{
		{"order", smtpd.Options{}, []turn{
			{"MAIL FROM:<a@x.test>\r\n", "503 "},
			{"EHLO c\r\n", "250-"},
			{"RCPT TO:<b@x.test>\r\n", "503 5.5.1"},
			{"DATA\r\n", "503 5.5.1"},
			{"MAIL FROM:<a@x.test>\r\n", "250 2.1.0"},
			{"MAIL FROM:<a@x.test>\r\n", "503 5.5.1"},
			{"DATA\r\n", "554 5.5.1"},
			{"RSET\r\n", "250 2.0.0"},
			{"RCPT TO:<b@x.test>\r\n", "503 5.5.1"},
			{"noop\r\n", "250 2.0.0"},
			{"VRFY a\r\n", "252 "},
			{"HELP\r\n", "214 "},
			{"XYZZY\r\n", "500 5.5.1"},
			{"QUIT\r\n", "221 2.0.0"},
		}},
		{"addresses", smtpd.Options{}, []turn{
			{"EHLO c\r\n", "250-"},
			{"MAIL FROM: <a@x.test>\r\n", "501 "},
			{"MAIL FROM:a@x.test\r\n", "501 "},
			{"MAIL FROM:<a@x.test\r\n", "501 "},
			{"MAIL FROM:<a@x.test>SIZE=3\r\n", "501 "},
			{"MAIL FROM:<a b@x.test>\r\n", "553 "},
			{"MAIL FROM:<ä@x.test>\r\n", "553 5.6.7"},
			{"MAIL FROM:<\xff@x.test> SMTPUTF8\r\n", "553 "},
			{"MAIL FROM:<>\r\n", "250 "},
			{"RCPT TO:<>\r\n", "501 "},
			{"RCPT TO:<b>\r\n", "553 "},
			{"RCPT TO:<b@>\r\n", "553 "},
			{"RCPT TO:<b@x.test> FOO=1\r\n", "555 "},
			{"RCPT TO:<ü@x.test>\r\n", "553 5.6.7"},
			{"RCPT TO:<Postmaster>\r\n", "250 "},
			{"RCPT TO:<\"a > b\"@x.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@x.test\r\n", "250 "},
			{"RCPT TO:<@relay.test:b@x.test>\r\n", "250 "},
			{"RSET\r\n", "250 "},
			{"MAIL FROM:<ä@x.test> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=q\r\n", "250 "},
			{"RCPT TO:<ü@x.test>\r\n", "250 "},
		}},
		{"a command of many kinds of line ends", smtpd.Options{}, []turn{
			{"EHLO c\n", "500 "},
			{"EHLO c\rNOOP\r\n", "500 "},
			{"EHLO c\r\n", "250-"},
			{"NOOP\x00\r\n", "500 "},
			{"NOOP \x00\r\n", "500 5.5.2"},
			{"NOOP " + strings.Repeat("x", 3000) + "\r\n", "500 5.5.6"},
			{"NOOP " + strings.Repeat("x", 90_000) + "\r\n", "500 5.5.6"},
			{"NOOP\r\n", "250 "},
		}},
		{"size", smtpd.Options{MaxSize: 100}, []turn{
			{"EHLO c\r\n", "250-"},
			{"MAIL FROM:<a@x.test> SIZE=101\r\n", "552 5.3.4"},
			{"MAIL FROM:<a@x.test> SIZE=ten\r\n", "501 "},
			{"MAIL FROM:<a@x.test> SIZE=100\r\n", "250 "},
			{"RCPT TO:<b@x.test>\r\n", "250 "},
			{"DATA\r\n", "354 "},
			{strings.Repeat("x", 99) + "\r\n.\r\n", "552 5.3.4"},
			{"MAIL FROM:<a@x.test>\r\n", "250 "},
			{"RCPT TO:<b@x.test>\r\n", "250 "},
			{"DATA\r\n", "354 "},
			{strings.Repeat("x", 98) + "\r\n.\r\n", "250 "},
		}},
		{"recipients", smtpd.Options{MaxRcpts: 1}, []turn{
			{"EHLO c\r\n", "250-"},
			{"MAIL FROM:<a@x.test>\r\n", "250 "},
			{"RCPT TO:<b@x.test>\r\n", "250 "},
			{"RCPT TO:<c@x.test>\r\n", "452 4.5.3"},
		}},
		{"1982", smtpd.Options{NoEHLO: true}, []turn{
			{"EHLO c\r\n", "502 "},
			{"HELO c\r\n", "250 mx.example.test"},
			{"MAIL FROM:<a@x.test> BODY=8BITMIME\r\n", "555 "},
			{"MAIL FROM:<a@x.test>\r\n", "250 sender"},
			{"RCPT TO:<b@x.test> NOTIFY=NEVER\r\n", "555 "},
		}},
		{"absent extensions", smtpd.Options{
			Size: smtpd.Absent, SMTPUTF8: smtpd.Absent, EightBitMIME: smtpd.Absent, DSN: smtpd.Absent,
			Pipelining: smtpd.Absent, EnhancedCodes: smtpd.Absent,
		}, []turn{
			{"EHLO c\r\n", "250 mx.example.test greets c\r\n"},
			{"MAIL FROM:<a@x.test> SIZE=1\r\n", "555 parameter"},
			{"MAIL FROM:<a@x.test> SMTPUTF8\r\n", "555 "},
			{"MAIL FROM:<a@x.test> BODY=8BITMIME\r\n", "555 "},
			{"MAIL FROM:<a@x.test> RET=FULL\r\n", "555 "},
			{"STARTTLS\r\n", "502 "},
			{"AUTH PLAIN\r\n", "502 "},
		}},
		{"broken extension", smtpd.Options{SMTPUTF8: smtpd.Broken}, []turn{
			{"EHLO c\r\n", "250-mx.example.test greets c\r\n250-PIPELINING\r\n250-SIZE 26214400\r\n" +
				"250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n"},
			{"MAIL FROM:<a@x.test> SMTPUTF8\r\n", "555 "},
		}},
		{"auth", smtpd.Options{Users: users, AuthRequired: true}, []turn{
			{"EHLO c\r\n", "250-"},
			{"MAIL FROM:<a@x.test>\r\n", "530 5.7.0"},
			{"AUTH CRAM-MD5\r\n", "504 "},
			{"AUTH PLAIN " + wrong + "\r\n", "535 5.7.8"},
			{"AUTH PLAIN " + unknown + "\r\n", "535 5.7.8"},
			{"AUTH PLAIN !!!\r\n", "501 "},
			{"AUTH PLAIN\r\n", "334 \r\n"},
			{"*\r\n", "501 "},
			{"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"},
			{anna + "\r\n", "334 UGFzc3dvcmQ6\r\n"},
			{geheim + "\r\n", "235 2.7.0"},
			{"AUTH PLAIN " + plain + "\r\n", "503 "},
			{"MAIL FROM:<a@x.test>\r\n", "250 "},
		}},
		{"auth in one line", smtpd.Options{Users: users}, []turn{
			{"EHLO c\r\n", "250-"},
			{"AUTH PLAIN " + plain + "\r\n", "235 "},
		}},
		{"auth broken", smtpd.Options{Users: users, AuthBroken: true}, []turn{
			{"EHLO c\r\n", "250-"},
			{"AUTH PLAIN " + plain + "\r\n", "454 "},
		}},
		{"auth only with TLS", smtpd.Options{Users: users, AuthAfterTLS: true, TLS: smtpd.StartTLS, TLSRequired: true}, []turn{
			{"EHLO c\r\n", "250-"},
			{"AUTH PLAIN " + plain + "\r\n", "538 "},
			{"MAIL FROM:<a@x.test>\r\n", "530 5.7.0"},
		}},
		{"TLS refused", smtpd.Options{TLS: smtpd.StartTLSRefused}, []turn{
			{"EHLO c\r\n", "250-"},
			{"STARTTLS\r\n", "454 4.7.0"},
			{"MAIL FROM:<a@x.test>\r\n", "250 "},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, start(t, tt.opts))
			c.want("", "220 mx.example.test ESMTP")
			for _, turn := range tt.turns {
				c.want(turn.send, turn.want)
			}
		})
	}
}

func TestMessageIsTakenWhole(t *testing.T) {
	long := strings.Repeat(strings.Repeat("x", 990)+"\r\n", 200)
	tests := []struct{ name, sent, want string }{
		{"empty", ".\r\n", ""},
		{"simple", "Subject: hi\r\n\r\nbody\r\n.\r\n", "Subject: hi\r\n\r\nbody\r\n"},
		{"stuffed dots", "..\r\n..a\r\nb.\r\n...\r\n.\r\n", ".\r\n.a\r\nb.\r\n..\r\n"},
		{"one dot too few", ".a\r\n.\r\n", "a\r\n"},
		{"empty lines", "\r\n\r\n.\r\n", "\r\n\r\n"},
		{"longer than the buffer", long + ".\r\n", long},
		{"line of 1000 beside the stuffed dot", ".." + strings.Repeat("y", 997) + "\r\n.\r\n", "." + strings.Repeat("y", 997) + "\r\n"},
		{"octets", "\x00\xff\x80\r\n.\r\n", "\x00\xff\x80\r\n"},
	}
	for _, tt := range tests {
		for _, piece := range []int{1 << 20, 7, 1} {
			if piece < 7 && len(tt.sent) > 10_000 {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s := start(t, smtpd.Options{})
				c := dial(t, s).hello()
				c.want("MAIL FROM:<a@x.test>\r\n", "250")
				c.want("RCPT TO:<b@x.test>\r\n", "250")
				c.want("DATA\r\n", "354")
				for rest := tt.sent; rest != ""; {
					n := min(piece, len(rest))
					c.send(rest[:n])
					rest = rest[n:]
				}
				c.want("", "250 2.0.0")
				m, ok := s.Latest("B@x.test")
				if !ok || string(m.Source) != tt.want {
					t.Errorf("taken %q, want %q", m.Source, tt.want)
				}
				sum := sha256.Sum256([]byte(tt.want))
				if e := s.Journal().Entries(); len(e) != 1 || e[0].Digest != hex.EncodeToString(sum[:]) || e[0].Size != int64(len(tt.want)) {
					t.Errorf("journal %+v", e)
				}
			})
		}
	}
}

func TestNothingIsSmuggled(t *testing.T) {
	const second = "MAIL FROM:<x@evil.test>\r\nRCPT TO:<victim@x.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
	tests := map[string]string{
		"LF dot LF":          "a\n.\n" + second,
		"LF dot CRLF":        "a\n.\r\n" + second,
		"CRLF dot LF":        "a\r\n.\n" + second,
		"CR dot CR":          "a\r.\r" + second,
		"CRLF dot CR":        "a\r\n.\r" + second,
		"LF dot CR LF alone": "\n.\r\n" + second,
		"CRLF NUL dot":       "a\r\n\x00.\r\n" + "\n" + second,
		"bare LF in text":    "a\nb\r\n",
		"bare CR in text":    "a\rb\r\n",
		"CR CR LF":           "a\r\r\n",
	}
	for name, text := range tests {
		for _, piece := range []int{1 << 20, 1} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := start(t, smtpd.Options{})
				c := dial(t, s).hello()
				c.want("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n", "250")
				c.want("", "250")
				c.want("DATA\r\n", "354")
				for rest := text + "\r\n.\r\n"; rest != ""; {
					n := min(piece, len(rest))
					c.send(rest[:n])
					rest = rest[n:]
				}
				c.want("", "554 5.6.11")
				c.want("QUIT\r\n", "221")
				c.gone()
				if n := s.Journal().Taken(); n != 0 {
					t.Errorf("%d messages taken, want none", n)
				}
				if e := s.Journal().Entries(); len(e) != 1 || e[0].Outcome != journal.Refused || e[0].Code != 554 || e[0].To != "b@x.test" {
					t.Errorf("journal %+v", e)
				}
			})
		}
	}
}

func TestLongLinesAreRefused(t *testing.T) {
	s := start(t, smtpd.Options{})
	c := dial(t, s).hello()
	for _, n := range []int{999, 40_000} {
		c.letter("b@x.test", "a\r\n"+strings.Repeat("x", n))
		c.want("", "554 5.6.0")
	}
	c.letter("b@x.test", strings.Repeat("x", 998))
	c.want("", "250 ")
}

func TestPipelining(t *testing.T) {
	const one = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
	const all = one + "Message-ID: <1@x>\r\n\r\na\r\n.\r\n" + one + "Message-ID: <2@x>\r\n\r\nb\r\n.\r\nQUIT\r\n"

	t.Run("works", func(t *testing.T) {
		s := start(t, smtpd.Options{})
		c := dial(t, s).hello()
		c.send(all)
		for _, want := range []string{"250", "250", "354", "250", "250", "250", "354", "250", "221"} {
			c.want("", want)
		}
		c.gone()
		if n := s.Journal().Accepted("b@x.test"); n != 2 {
			t.Errorf("taken %d, want 2", n)
		}
		if d := s.Journal().Duplicates(); len(d) != 0 {
			t.Errorf("duplicates %v", d)
		}
	})
	t.Run("broken", func(t *testing.T) {
		c := dial(t, start(t, smtpd.Options{Pipelining: smtpd.Broken})).hello()
		c.want(one, "250 2.1.0")
		c.want("NOOP\r\n", "250 2.0.0")
		c.want("RCPT TO:<b@x.test>\r\n", "250 2.1.5")
	})
}

func TestTLS(t *testing.T) {
	t.Run("STARTTLS forgets what was said in the clear", func(t *testing.T) {
		s := start(t, smtpd.Options{TLS: smtpd.StartTLS, TLSRequired: true})
		c := dial(t, s).hello()
		c.startTLS(s)
		c.want("MAIL FROM:<a@x.test>\r\n", "503 ")
		if got := c.want("EHLO c\r\n", "250"); strings.Contains(got, "STARTTLS") {
			t.Errorf("STARTTLS offered twice: %q", got)
		}
		c.want("STARTTLS\r\n", "503 ")
		c.letter("b@x.test", "\r\n")
		c.want("", "250 ")
		if got := s.Journal().Entries()[0].Meta["tls"]; got != "TLS 1.3" {
			t.Errorf("journal says tls %q", got)
		}
	})
	t.Run("implicit", func(t *testing.T) {
		s := start(t, smtpd.Options{TLS: smtpd.ImplicitTLS})
		c := dial(t, s)
		c.encrypt(s)
		c.hello()
		c.want("STARTTLS\r\n", "502 ")
	})
	t.Run("garbage", func(t *testing.T) {
		c := dial(t, start(t, smtpd.Options{TLS: smtpd.StartTLSGarbage})).hello()
		c.want("STARTTLS\r\n", "220 ")
		c.want("", "this is not")
		c.gone()
	})
	t.Run("commands sent ahead in the clear are not obeyed", func(t *testing.T) {
		s := start(t, smtpd.Options{TLS: smtpd.StartTLS})
		c := dial(t, s).hello()
		c.want("STARTTLS\r\nNOOP\r\n", "220 ")
		c.encrypt(s)
		c.want("EHLO again.test\r\n", "250")
	})
}

func TestTooManySessions(t *testing.T) {
	s := start(t, smtpd.Options{MaxSessions: 1})
	dial(t, s).hello()
	second := dial(t, s)
	second.want("", "421 ")
	second.gone()
	if total, _, peak := s.Sessions(); total != 2 || peak != 2 {
		t.Errorf("sessions total %d, peak %d; want 2, 2", total, peak)
	}
}

func TestIdleSessionEnds(t *testing.T) {
	c := dial(t, start(t, smtpd.Options{Idle: 20 * time.Millisecond}))
	c.want("", "220 ")
	c.want("", "421 idle")
	c.gone()
}

func TestStartFails(t *testing.T) {
	s := start(t, smtpd.Options{})
	if _, err := smtpd.Start(t.Context(), smtpd.Options{Addr: s.Addr()}); err == nil {
		t.Error("two servers listen on one address")
	}
	if _, err := smtpd.Start(t.Context(), smtpd.Options{MaxLine: -1}); err == nil {
		t.Error("a negative limit was taken")
	}
}

// TestNothingIsLeft is not parallel: it looks at all goroutines of the process.
func TestNothingIsLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	script := smtpd.ByRecipient(map[string]smtpd.Script{
		"silent@*": smtpd.Silence().At(smtpd.Dot),
		"stall@*":  smtpd.Stall().At(smtpd.Body),
		"late@*":   smtpd.ReplyAfter(time.Hour).At(smtpd.Dot),
		"drip@*":   smtpd.Drip(time.Hour).At(smtpd.Dot),
	})
	for _, end := range []string{"close", "context"} {
		s, err := smtpd.Start(ctx, smtpd.Options{Script: script})
		if err != nil {
			t.Fatal(err)
		}
		dial(t, s).hello()
		for _, who := range []string{"silent", "stall", "late", "drip"} {
			dial(t, s).hello().letter(who+"@x.test", "x")
		}
		if err := s.Journal().Wait(ctx, 3); err != nil {
			t.Fatal(err)
		}
		if end == "context" {
			cancel()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if _, open, _ := s.Sessions(); open != 0 {
			t.Errorf("%d sessions open after Close", open)
		}
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if bytes.Contains(stacks, []byte("smtpd.(*session)")) || bytes.Contains(stacks, []byte("smtpd.(*Server)")) {
			t.Errorf("a goroutine is left after %s:\n%s", end, stacks)
		}
	}
}
