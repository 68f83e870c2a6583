package smtpd_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

// outcomes is what the journal says of each attempt, in short.
func outcomes(s *smtpd.Server) []string {
	var out []string
	for _, e := range s.Journal().Entries() {
		text := string(e.Outcome)
		if stage := e.Meta["stage"]; stage != "" {
			text += " at " + stage
		}
		out = append(out, text)
	}
	return out
}

func TestActions(t *testing.T) {
	const (
		mail = "MAIL FROM:<a@x.test>\r\n"
		rcpt = "RCPT TO:<b@x.test>\r\n"
		data = "DATA\r\n"
		dot  = "Subject: x\r\n\r\nx\r\n.\r\n"
		gone = "gone"
	)
	type turn struct{ send, want string } // want gone: the connection ends
	envelope := []turn{{mail, "250"}, {rcpt, "250"}, {data, "354"}}
	hello := []turn{{"", "220"}, {"EHLO c\r\n", "250"}}
	full := func(last ...turn) []turn { return append(append(append([]turn{}, hello...), envelope...), last...) }
	tests := []struct {
		name    string
		script  smtpd.Script
		turns   []turn
		journal []string
	}{
		{"connect refused", smtpd.Reply(554, "", "no").AndClose().At(smtpd.Connect), []turn{{"", "554 no\r\n"}, {"", gone}}, nil},
		{"connect cut", smtpd.CloseBefore().At(smtpd.Connect), []turn{{"", gone}}, nil},
		{"connect drips", smtpd.Drip(time.Millisecond).At(smtpd.Connect), hello, nil},
		{"hello refused", smtpd.Reply(421, "4.3.2", "busy").AndClose().At(smtpd.Hello), []turn{{"", "220"}, {"EHLO c\r\n", "421 busy"}, {"", gone}}, nil},
		{"hello cut", smtpd.CloseBefore().At(smtpd.Hello), []turn{{"", "220"}, {"EHLO c\r\n", gone}}, nil},
		{"mail refused", smtpd.Reply(451, "4.7.1", "later").At(smtpd.Mail), append(hello, turn{mail, "451 4.7.1 later\r\n"}, turn{rcpt, "503"}), nil},
		{"answer of two lines", smtpd.Reply(250, "2.1.0", "one\ntwo").At(smtpd.Mail), append(hello, turn{mail, "250-2.1.0 one\r\n250 2.1.0 two\r\n"}, turn{rcpt, "250"}), nil},
		{"rcpt refused", smtpd.Reply(550, "5.1.1", "nobody").At(smtpd.Rcpt), append(hello, turn{mail, "250"}, turn{rcpt, "550 5.1.1 nobody"}, turn{data, "554"}), []string{"refused at rcpt"}},
		{"rcpt cut", smtpd.CloseBefore().At(smtpd.Rcpt), append(hello, turn{mail, "250"}, turn{rcpt, gone}), []string{"dropped at rcpt"}},
		{"rcpt answered, then cut", smtpd.CloseAfter().At(smtpd.Rcpt), append(hello, turn{mail, "250"}, turn{rcpt, "250"}, turn{"", gone}), nil},
		{"data refused", smtpd.Reply(451, "4.3.0", "no room").At(smtpd.Data), append(hello, turn{mail, "250"}, turn{rcpt, "250"}, turn{data, "451"}, turn{"RSET\r\n", "250"}), []string{"refused at data"}},
		{"data cut", smtpd.CloseBefore().At(smtpd.Data), append(hello, turn{mail, "250"}, turn{rcpt, "250"}, turn{data, gone}), []string{"dropped at data"}},
		{"body cut", smtpd.CloseBefore().At(smtpd.Body), full(turn{"", gone}), []string{"dropped at body"}},
		{"body 421", smtpd.Reply(421, "4.3.0", "bye").At(smtpd.Body), full(turn{"", "421 4.3.0"}, turn{"", gone}), []string{"refused at body"}},
		{"body read slowly", smtpd.Delay(time.Millisecond).At(smtpd.Body), full(turn{dot, "250"}), []string{"accepted"}},
		{"dot refused for now", smtpd.Reply(452, "4.2.2", "full").At(smtpd.Dot), full(turn{dot, "452 4.2.2 full"}, turn{mail, "250"}), []string{"refused at dot"}},
		{"dot with another 250", smtpd.Reply(250, "", "Ok: queued as 1").At(smtpd.Dot), full(turn{dot, "250 Ok: queued as 1\r\n"}), []string{"accepted"}},
		{"dot raw", smtpd.Raw("250\r\n").At(smtpd.Dot), full(turn{dot, "250\r\n"}), []string{"accepted"}},
		{"dot raw nonsense", smtpd.Raw("hm?\r\n").At(smtpd.Dot), full(turn{dot, "hm?\r\n"}), []string{"refused at dot"}},
		{"dot cut, not taken", smtpd.CloseBefore().At(smtpd.Dot), full(turn{dot, gone}), []string{"dropped at dot"}},
		{"dot cut, taken", smtpd.AcceptThenClose().At(smtpd.Dot), full(turn{dot, gone}), []string{"reply-lost"}},
		{"dot answered, then cut", smtpd.CloseAfter().At(smtpd.Dot), full(turn{dot, "250"}, turn{"", gone}), []string{"accepted"}},
		{"dot late", smtpd.ReplyAfter(time.Millisecond).At(smtpd.Dot), full(turn{dot, "250"}, turn{mail, "250"}), []string{"accepted"}},
		{"dot delayed", smtpd.Delay(time.Millisecond).At(smtpd.Dot), full(turn{dot, "250"}), []string{"accepted"}},
		{"dot drips", smtpd.Drip(time.Microsecond).At(smtpd.Dot), full(turn{dot, "250 2.0.0 taken\r\n"}, turn{mail, "250"}), []string{"accepted"}},
		{"quit cut", smtpd.CloseBefore().At(smtpd.Quit), append(hello, turn{"QUIT\r\n", gone}), nil},
		{"everything at once", smtpd.Reply(421, "4.3.2", "x").After(1).Late(1).Dripping(1).AndClose().At(smtpd.Noop), append(hello, turn{"NOOP\r\n", "421 4.3.2 x"}, turn{"", gone}), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, smtpd.Options{Script: tt.script})
			c := dial(t, s)
			for _, turn := range tt.turns {
				if turn.want != gone {
					c.want(turn.send, turn.want)
					continue
				}
				c.send(turn.send)
				c.gone()
			}
			if diff := cmp.Diff(tt.journal, outcomes(s)); diff != "" {
				t.Errorf("journal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSilence(t *testing.T) {
	for name, tt := range map[string]struct {
		script smtpd.Script
		want   journal.Outcome
	}{
		"silence takes":  {smtpd.Silence().At(smtpd.Dot), journal.ReplyLost},
		"stall does not": {smtpd.Stall().At(smtpd.Dot), journal.Dropped},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, smtpd.Options{Script: tt.script})
			c := dial(t, s).hello()
			c.letter("b@x.test", "x")
			err := s.Journal().WaitFor(t.Context(), func(j *journal.Journal) bool { return j.Count(tt.want) == 1 })
			if err != nil {
				t.Fatal(err)
			}
			if err := c.conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if b, err := c.in.ReadByte(); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("after the dot: octet %q, error %v; want silence", b, err)
			}
		})
	}
}

func TestReset(t *testing.T) {
	c := dial(t, start(t, smtpd.Options{Script: smtpd.ConnectionReset().At(smtpd.Dot)})).hello()
	c.letter("b@x.test", "x")
	if _, err := io.ReadAll(c.in); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want a reset connection", err)
	}
}

func TestCutInsideTheBody(t *testing.T) {
	script := smtpd.AfterRead(20_000, smtpd.CloseBefore().At(smtpd.Body))
	s := start(t, smtpd.Options{Script: script})
	dial(t, s).hello().letter("small@x.test", "x")
	if err := s.Journal().Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c := dial(t, s).hello()
	c.want("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n", "250")
	c.want("", "250")
	c.want("", "354")
	_, _ = io.WriteString(c.conn, strings.Repeat("0123456789\r\n", 100_000)) // it may be cut in the middle
	_, _ = io.ReadAll(c.in)                                                  // a reset is as good an end as any
	e := s.Journal().For("b@x.test")
	if len(e) != 1 || e[0].Outcome != journal.Dropped || e[0].Size < 20_000 || e[0].Size > 30_000 {
		t.Errorf("journal %+v", e)
	}
}

// TestMoodsByAttempt is greylisting and a mailbox that is full for ever, in one
// server, beside people who get their mail.
func TestMoodsByAttempt(t *testing.T) {
	s := start(t, smtpd.Options{Script: smtpd.First(
		smtpd.OnSessions(2, 2, smtpd.Reply(421, "", "not you").AndClose().At(smtpd.Connect)),
		smtpd.ByRecipient(map[string]smtpd.Script{
			"*+later@*": smtpd.OnAttempts(1, 2, smtpd.Reply(451, "4.7.1", "try later").At(smtpd.Rcpt)),
			"*+full@*":  smtpd.Reply(452, "4.2.2", "full").At(smtpd.Dot),
			"*":         smtpd.Reply(250, "2.1.5", "anybody").At(smtpd.Rcpt),
		}),
	)})
	c := dial(t, s).hello()
	c.want("MAIL FROM:<a@x.test>\r\n", "250")
	c.want("RCPT TO:<u+later@x.test>\r\n", "451 4.7.1")
	c.want("RCPT TO:<U+Later@x.test>\r\n", "451 4.7.1")
	c.want("RCPT TO:<u+later@x.test>\r\n", "250 2.1.5 recipient")
	c.want("RCPT TO:<v@x.test>\r\n", "250 2.1.5 anybody")
	c.want("RCPT TO:<w+full@x.test>\r\n", "250 2.1.5 recipient")
	c.want("DATA\r\n", "354")
	c.want(".\r\n", "452 4.2.2")
	dial(t, s).want("", "421 not you")
	c = dial(t, s).hello()
	c.letter("u+later@x.test", "x")
	c.want("", "250")
	if diff := cmp.Diff(map[string]int{"u+later@x.test": 1}, s.Journal().Recipients()); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

func TestByRecipientPatterns(t *testing.T) {
	mood := func(name string) smtpd.Script { return smtpd.Reply(250, "", name).At(smtpd.Rcpt) }
	script := smtpd.ByRecipient(map[string]smtpd.Script{
		"*@slow.test":     mood("domain"),
		"refuse.*@*":      mood("prefix"),
		"*+full@*":        mood("tag"),
		"Anna@slow.test":  mood("exact"),
		"*+a*b@slow.test": mood("middle"),
	})
	for addr, want := range map[string]string{
		"x@slow.test":        "domain",
		"X@SLOW.TEST":        "domain",
		"anna@slow.test":     "exact",
		"refuse.me@a.test":   "prefix",
		"refuse.@a.test":     "prefix",
		"u+full@a.test":      "tag",
		"u+axxb@slow.test":   "middle",
		"u+ab@slow.test":     "middle",
		"u+ba@slow.test":     "domain",
		"u+fuller@a.test":    "",
		"do.refuse.me@a.tst": "",
		"":                   "",
	} {
		got := script(smtpd.Step{Stage: smtpd.Rcpt, To: smtpd.To{Addr: addr}})
		wanted := smtpd.Action{}
		if want != "" {
			wanted = smtpd.Reply(250, "", want)
		}
		if got != wanted {
			t.Errorf("%s: %+v, want %q", addr, got, want)
		}
	}
}

// TestStepTellsTheWholeStory looks at what a script sees on the way.
func TestStepTellsTheWholeStory(t *testing.T) {
	steps := make(chan smtpd.Step, 100)
	s := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		steps <- step
		return smtpd.Action{}
	}})
	c := dial(t, s).hello()
	c.letter("b@x.test", "x")
	c.want("", "250")
	c.want("RSET\r\n", "250")
	c.want("QUIT\r\n", "221")
	c.gone()
	close(steps)
	var got []string
	for step := range steps {
		got = append(got, strings.Join([]string{step.Stage.String(), step.Hello, step.From, step.Addr}, " "))
		if step.Stage == smtpd.Dot && (step.Read != 3 || len(step.All) != 1 || step.Attempt != 1) {
			t.Errorf("at the dot: %+v", step)
		}
		if step.Stage == smtpd.Quit && step.Messages != 1 {
			t.Errorf("at the end: %+v", step)
		}
	}
	want := []string{
		"connect   ", "hello client.test  ", "mail client.test a@from.test ", "rcpt client.test a@from.test b@x.test",
		"data client.test a@from.test b@x.test", "body client.test a@from.test b@x.test",
		"body client.test a@from.test b@x.test", "dot client.test a@from.test b@x.test",
		"rset client.test  ", "quit client.test  ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
