package receiver

import (
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"rapport/internal/fake/journal"
)

// Action is what a receiver does with one request. The zero value takes it.
type Action struct {
	Error      string        // refuse in the protocol's own words
	Status     int           // answer this HTTP status; two hundreds take the request
	RetryAfter string        // Retry-After header, as it is; with Status 0 it means 429
	Location   string        // Location header, as it is
	Raw        string        // answer 200 with this text as it is, without taking the request
	Delay      time.Duration // wait this long before doing anything
	Drip       time.Duration // send the answer octet by octet with this pause before each
	LoseReply  bool          // take it, then reset the connection
	Drop       bool          // reset the connection without taking it
	Stall      bool          // take nothing and never answer
	Endless    bool          // after the answer's header, a body without end
}

// Takes says whether the request counts as taken, if the protocol has nothing
// against it.
func (a Action) Takes() bool {
	switch {
	case a.Drop, a.Stall, a.Error != "", a.Raw != "":
		return false
	case a.LoseReply:
		return true
	}
	return a.Code(http.StatusOK)/100 == 2
}

// Code is the HTTP status of the answer; usual is the receiver's own when the
// action names none.
func (a Action) Code(usual int) int {
	switch {
	case a.Status != 0:
		return a.Status
	case a.RetryAfter != "":
		return http.StatusTooManyRequests
	}
	return usual
}

// Outcome is what the journal says of a request that was taken or not, and the
// status that was given, 0 when none was.
func (a Action) Outcome(taken bool, usual int) (journal.Outcome, int) {
	switch {
	case a.Stall, a.Drop:
		return journal.Dropped, 0
	case taken && a.LoseReply:
		return journal.ReplyLost, 0
	case taken:
		return journal.Accepted, a.Code(usual)
	}
	return journal.Refused, a.Code(usual)
}

// Finish ends a request as the action says. Where it says nothing special, say
// writes the receiver's own answer.
func (s *Server[M, V]) Finish(w http.ResponseWriter, r *http.Request, a Action, usual int, say func(http.ResponseWriter)) {
	for name, value := range map[string]string{"Retry-After": a.RetryAfter, "Location": a.Location} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	if a.Drip > 0 {
		w = &dripping{ResponseWriter: w, pause: func() bool { return s.Pause(r, a.Drip) }}
	}
	switch {
	case a.Stall:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	case a.LoseReply, a.Drop:
		reset(w)
	case a.Endless:
		w.WriteHeader(a.Code(usual))
		s.babble(w, r)
	case a.Raw != "":
		_, _ = io.WriteString(w, a.Raw) // the caller went away
	case a.Code(usual) != usual:
		http.Error(w, http.StatusText(a.Code(usual)), a.Code(usual))
	default:
		say(w)
	}
}

// dripping writes an answer octet by octet.
type dripping struct {
	http.ResponseWriter

	pause func() bool
}

// Write waits before each octet; it ends when somebody went away.
func (d *dripping) Write(p []byte) (int, error) {
	for i := range p {
		if !d.pause() {
			return i, net.ErrClosed
		}
		if _, err := d.ResponseWriter.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if err := http.NewResponseController(d.ResponseWriter).Flush(); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// Unwrap is for http.ResponseController.
func (d *dripping) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// Pause waits as a script asks; false when the sender or the receiver went
// away meanwhile.
func (s *Server[M, V]) Pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.done:
	}
	return false
}

// babble writes until the sender hangs up.
func (s *Server[M, V]) babble(w http.ResponseWriter, r *http.Request) {
	chunk := []byte(strings.Repeat("and so on ", 1000))
	for r.Context().Err() == nil {
		select {
		case <-s.done:
			return
		default:
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// reset ends the connection with a TCP reset, in the middle of the exchange.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
