package smtpd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"rapport/internal/fake/journal"
)

// errEnd ends a session that has come to its end by the rules or by the script.
var errEnd = errors.New("session ends")

// session is one connection. It belongs to one goroutine.
type session struct {
	srv    *Server
	raw    net.Conn // the TCP connection below TLS
	c      *wire
	number uint64
	peer   string

	hello    string
	extended bool // EHLO, not HELO
	tlsName  string
	user     string
	messages int
	scratch  []byte
	envelope
}

// envelope is what MAIL and RCPT have said since the last reset.
type envelope struct {
	open       bool
	from       string
	mailParams string
	utf8       bool
	rcpts      []To
	rcptParams []string
}

func newSession(srv *Server, conn net.Conn, number uint64) *session {
	return &session{
		srv: srv, raw: conn, c: newWire(conn, srv.opts.Idle), number: number,
		peer: conn.RemoteAddr().String(),
	}
}

// run holds the conversation. The caller closes the connection.
func (s *session) run(ctx context.Context, full bool) {
	err := s.greet(ctx, full)
	for err == nil {
		limit := maxCommand
		var line []byte
		line, err = s.c.line(limit)
		switch {
		case errors.Is(err, errLongLine):
			err = s.say(500, "5.5.6", "line too long")
		case errors.Is(err, errBareLine):
			err = s.say(500, "5.5.2", "a command ends with CR LF and has neither alone")
		case err == nil:
			err = s.command(ctx, line)
		default:
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				_ = s.say(421, "4.4.2", "idle for too long")
			}
		}
	}
	_ = s.c.flush() // the connection ends either way
}

func (s *session) greet(ctx context.Context, full bool) error {
	if s.srv.opts.TLS == ImplicitTLS {
		if err := s.handshake(ctx); err != nil {
			return err
		}
	}
	if full {
		_ = s.say(421, "4.3.2", "too many connections") // the connection ends either way
		return errEnd
	}
	_, err := s.play(ctx, s.step(Connect), reply{code: 220, text: s.srv.opts.Name + " ESMTP ready"}, nil)
	return err
}

// command answers one command line.
func (s *session) command(ctx context.Context, line []byte) error {
	verb, rest, _ := bytes.Cut(line, []byte{' '})
	arg := string(rest)
	if strings.ContainsFunc(arg, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return s.say(500, "5.5.2", "a control character in a command")
	}
	switch strings.ToUpper(string(verb)) {
	case "EHLO", "HELO":
		return s.helloCommand(ctx, len(verb) > 0 && verb[0]|0x20 == 'e', arg)
	case "MAIL":
		return s.mailCommand(ctx, arg)
	case "RCPT":
		return s.rcptCommand(ctx, arg)
	case "DATA":
		return s.dataCommand(ctx, arg)
	case "STARTTLS":
		return s.startTLSCommand(ctx, arg)
	case "AUTH":
		return s.authCommand(ctx, arg)
	case "RSET":
		_, err := s.play(ctx, s.step(Reset), reply{code: 250, enhanced: "2.0.0", text: "forgotten"},
			func(journal.Outcome, reply) { s.envelope = envelope{} })
		return s.lose(err)
	case "NOOP":
		_, err := s.play(ctx, s.step(Noop), reply{code: 250, enhanced: "2.0.0", text: "nothing done"}, nil)
		return err
	case "QUIT":
		_, err := s.play(ctx, s.step(Quit), reply{code: 221, enhanced: "2.0.0", text: "goodbye"}, nil)
		if err != nil {
			return err
		}
		return errEnd
	case "VRFY":
		return s.say(252, "2.5.0", "send it and see")
	case "HELP":
		return s.say(214, "2.0.0", "RFC 5321")
	}
	return s.say(500, "5.5.1", "unknown command")
}

// say gathers an answer that no script has a part in.
func (s *session) say(code int, enhanced, text string) error {
	s.c.out = reply{code: code, enhanced: enhanced, text: text}.append(s.c.out, s.enhanced())
	return nil
}

func (s *session) enhanced() bool {
	return s.extended && s.srv.opts.EnhancedCodes == Works
}

func (s *session) step(stage Stage) Step {
	return Step{
		Stage: stage, Session: s.number, Messages: s.messages, Hello: s.hello,
		TLS: s.tlsName != "", From: s.from, Ahead: len(s.c.buffered()),
	}
}

// messageStep is the step at Data, Body and Dot.
func (s *session) messageStep(stage Stage, read int64) Step {
	step := s.step(stage)
	step.All, step.Read = s.rcpts, read
	if len(s.rcpts) > 0 {
		step.To = s.rcpts[0]
	}
	return step
}

// lose throws away what a sender has sent ahead, when PIPELINING is broken.
func (s *session) lose(err error) error {
	if err == nil && s.srv.opts.Pipelining == Broken {
		s.c.r = s.c.w
	}
	return err
}

// handshake encrypts the connection. Octets that came in the clear ahead of it
// are thrown away, so that nobody can slip commands in (RFC 3207 section 4.2).
func (s *session) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.srv.opts.Idle)
	defer cancel()
	conn := tls.Server(s.raw, s.srv.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	s.tlsName = tls.VersionName(conn.ConnectionState().Version)
	s.c = newWire(conn, s.srv.opts.Idle)
	s.hello, s.extended, s.user, s.envelope = "", false, "", envelope{}
	return nil
}

// wait pauses, with all answers sent, until the time is over or the server closes.
func (s *session) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if err := s.c.flush(); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outwait keeps the connection open in silence until the sender gives up, the
// idle limit ends it or the server closes.
func (s *session) outwait() {
	if s.c.flush() != nil || s.c.conn.SetReadDeadline(time.Now().Add(s.srv.opts.Idle)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, s.c.conn) // its end is what was waited for
}
