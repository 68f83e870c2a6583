package smtpd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/fake/smtpd"
)

// TestTwoLettersInFlight: a sender that puts the next envelope behind a body
// can be cut, refused and told goodbye at every place between the two, and
// what was answered before always arrives.
func TestTwoLettersInFlight(t *testing.T) {
	const (
		first  = "MAIL FROM:<a@x.test>\r\nRCPT TO:<one@x.test>\r\nDATA\r\n"
		second = "Subject: 1\r\n\r\nx\r\n.\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<two@x.test>\r\nDATA\r\n"
		last   = "Subject: 2\r\n\r\nx\r\n.\r\n"
	)
	on2 := func(s smtpd.Script) smtpd.Script { return smtpd.OnMessages(2, 2, s) }
	bye := smtpd.Reply(421, "4.3.2", "closing").AndClose()
	for name, tt := range map[string]struct {
		script  smtpd.Script
		want    []string // codes of the answers behind the first envelope's; the connection ends after them
		outcome []string
	}{
		"all well":                   {nil, []string{"250", "250", "250", "354", "250"}, []string{"accepted", "accepted"}},
		"cut at the first dot":       {smtpd.CloseBefore().At(smtpd.Dot), nil, []string{"dropped at dot"}},
		"first taken, answer lost":   {smtpd.AcceptThenClose().At(smtpd.Dot), nil, []string{"reply-lost"}},
		"first refused, second goes": {smtpd.OnMessages(1, 1, smtpd.Reply(554, "5.6.0", "no").At(smtpd.Dot)), []string{"554", "250", "250", "354", "250"}, []string{"refused at dot", "accepted"}},
		"421 at the first dot":       {bye.At(smtpd.Dot), []string{"421"}, []string{"refused at dot"}},
		"cut after the first answer": {smtpd.CloseAfter().At(smtpd.Dot), []string{"250"}, []string{"accepted"}},
		"421 at the second MAIL":     {on2(bye.At(smtpd.Mail)), []string{"250", "421"}, []string{"accepted"}},
		"cut at the second MAIL":     {on2(smtpd.CloseBefore().At(smtpd.Mail)), []string{"250"}, []string{"accepted"}},
		"second RCPT refused":        {on2(smtpd.Reply(550, "5.1.1", "nobody").At(smtpd.Rcpt)), []string{"250", "250", "550", "554"}, []string{"accepted", "refused at rcpt"}},
		"421 at the second DATA":     {on2(bye.At(smtpd.Data)), []string{"250", "250", "250", "421"}, []string{"accepted", "refused at data"}},
		"cut at the second DATA":     {on2(smtpd.CloseBefore().At(smtpd.Data)), []string{"250", "250", "250"}, []string{"accepted", "dropped at data"}},
		"second taken, answer lost":  {on2(smtpd.AcceptThenClose().At(smtpd.Dot)), []string{"250", "250", "250", "354"}, []string{"accepted", "reply-lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, smtpd.Options{Script: tt.script})
			c := dial(t, s).hello()
			c.want(first, "250")
			c.want("", "250")
			c.want("", "354")
			c.send(second)
			for i, want := range tt.want {
				got := c.want("", want)
				if i == 3 && strings.HasPrefix(got, "354") {
					c.send(last)
				}
			}
			if name == "all well" || name == "first refused, second goes" {
				c.want("QUIT\r\n", "221")
			}
			if name == "second RCPT refused" { // the session stays open
				c.want("QUIT\r\n", "221")
			}
			c.gone()
			if diff := cmp.Diff(tt.outcome, outcomes(s)); diff != "" {
				t.Errorf("journal (-want +got):\n%s", diff)
			}
		})
	}
}

// TestScriptKnowsHowFarAheadTheSenderIs: a mood may hit only those who pipeline.
func TestScriptKnowsHowFarAheadTheSenderIs(t *testing.T) {
	s := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Mail && step.Ahead > 0 {
			return smtpd.Reply(421, "4.5.0", "one at a time").AndClose()
		}
		return smtpd.Action{}
	}})
	dial(t, s).hello().want("MAIL FROM:<a@x.test>\r\n", "250")
	dial(t, s).hello().want("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n", "421")
}

// TestDataAlways: some servers say 354 although no recipient is left.
func TestDataAlways(t *testing.T) {
	s := start(t, smtpd.Options{DataAlways: true, Script: smtpd.Reply(550, "5.1.1", "nobody").At(smtpd.Rcpt)})
	c := dial(t, s).hello()
	c.want("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n", "250")
	c.want("", "550")
	c.want("", "354")
	c.want(".\r\n", "554")
	if n := s.Journal().Taken(); n != 0 {
		t.Errorf("%d messages taken for nobody", n)
	}
}

// TestEverywhere: a tarpit and a line of few octets a second still let one
// through.
func TestEverywhere(t *testing.T) {
	for name, a := range map[string]smtpd.Action{"tarpit": smtpd.Delay(time.Millisecond), "drip": smtpd.Drip(10 * time.Microsecond)} {
		s := start(t, smtpd.Options{Script: a.Everywhere()})
		c := dial(t, s).hello()
		c.letter("b@x.test", "x")
		c.want("", "250")
		c.want("QUIT\r\n", "221")
		if n := s.Journal().Taken(); n != 1 {
			t.Errorf("%s: %d taken", name, n)
		}
	}
}

// TestCertificates: what is wrong with a certificate is seen by the sender.
func TestCertificates(t *testing.T) {
	for kind, want := range map[smtpd.Certificate]string{smtpd.Good: "", smtpd.Expired: "expired", smtpd.OtherName: "another.example.test"} {
		s := start(t, smtpd.Options{TLS: smtpd.StartTLS, Certificate: kind})
		c := dial(t, s).hello()
		c.want("STARTTLS\r\n", "220 ")
		if err := c.handshake(s); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("certificate %d: %v, want %q", kind, err, want)
		}
	}
}
