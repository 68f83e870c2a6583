package smtpd

import (
	"context"
	"io"
	"net"
	"time"

	"rapport/internal/fake/journal"
)

// effect is what a command does. It learns whether the sender will hear of it and
// the reply the sender hears.
type effect func(told journal.Outcome, r reply)

// play performs one stage: it asks the script, lets the command have its effect
// unless the script takes it away, and answers. It reports whether the command
// had its effect; an error ends the session.
func (s *session) play(ctx context.Context, step Step, r reply, do effect) (bool, error) {
	if s.srv.opts.Script == nil {
		if do != nil {
			do(journal.Accepted, r)
		}
		s.c.out = r.append(s.c.out, s.enhanced())
		return true, nil
	}
	a := s.srv.opts.Script(step)
	if err := s.wait(ctx, a.before); err != nil {
		return false, err
	}
	had := true
	if a.answers() {
		r = reply{code: a.code, enhanced: a.enhanced, text: a.text, raw: a.raw}
		had = r.positive(step.Stage)
	}
	switch a.end {
	case cutBefore, resetNow, stalled:
		return false, s.vanish(ctx, a.end, step)
	case takeAndCut, silent:
		if had && do != nil {
			do(journal.ReplyLost, r)
		}
		if a.end == takeAndCut {
			s.hangUp()
		} else {
			s.outwait()
		}
		return had, errEnd
	case goOn, cutAfter:
	}
	switch {
	case had && do != nil:
		do(journal.Accepted, r)
	case !had:
		s.record(step, journal.Refused, r)
	}
	if err := s.wait(ctx, a.afterwards); err != nil {
		return had, err
	}
	if err := s.answer(ctx, r, a.drip); err != nil {
		return had, err
	}
	if a.end == cutAfter {
		s.hangUp()
		return had, errEnd
	}
	return had, nil
}

// vanish ends or freezes a session without effect and without an answer.
func (s *session) vanish(ctx context.Context, how ending, step Step) error {
	s.record(step, journal.Dropped, reply{})
	switch how {
	case stalled:
		_ = s.wait(ctx, s.srv.opts.Idle) // the session ends either way
	case resetNow:
		if err := s.c.flush(); err != nil {
			return err
		}
		if tcp, ok := s.raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // without it the end is only less abrupt
			_ = tcp.Close()
		}
	default:
		s.hangUp()
	}
	return errEnd
}

// answer gathers a reply, or lets it drip.
func (s *session) answer(ctx context.Context, r reply, drip time.Duration) error {
	if drip <= 0 {
		s.c.out = r.append(s.c.out, s.enhanced())
		return nil
	}
	text := r.append(nil, s.enhanced())
	for i := range text {
		if err := s.wait(ctx, drip); err != nil {
			return err
		}
		s.c.out = append(s.c.out, text[i])
		if err := s.c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// hangUp closes the connection so that the last answer still arrives: closing
// with unread octets would reset the connection and could take the answer with it.
func (s *session) hangUp() {
	if s.c.flush() != nil {
		return
	}
	half, ok := s.c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if s.c.conn.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		_, _ = io.Copy(io.Discard, s.c.conn) // its end is what was waited for
	}
}
