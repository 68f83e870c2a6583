package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/receiver"
)

// Options says how a receiver behaves. The zero value listens on a free port
// of loopback, checks no signature and takes everything.
type Options struct {
	Listen  string           // address; empty: a free port of 127.0.0.1
	Secret  string           // signing secret as the sender has it; empty: signatures are not checked
	Journal *journal.Journal // where what was taken is recorded; nil: one of its own
	Keep    int              // messages shown on the page; 0: 1000, below 0: none
	Script  Script           // moods; nil: none
	Now     func() time.Time // the receiver's clock; nil: time.Now
}

// Visit is one request as a script sees it.
type Visit struct {
	To      string // data.to of the body
	Key     string // webhook-id
	Attempt int    // how often this key has come, from 1
}

// Action is what the receiver does with one request. The zero value takes it
// and answers 204; Error is a 400.
type Action = receiver.Action

// Script decides about a visit. It is called from many goroutines.
type Script = func(Visit) Action

// Server is a running receiver.
type Server struct {
	receiver.Server[*Message, Visit]

	secret string
}

// Start starts a receiver; Close ends it.
func Start(o Options) (*Server, error) {
	s := &Server{secret: o.Secret}
	if err := s.Server.Start(receiver.Options{Listen: o.Listen, Journal: o.Journal, Keep: o.Keep, Now: o.Now}); err != nil {
		return nil, err
	}
	s.SetScript(o.Script)
	s.Serve(s.routes())
	return s, nil
}

// Endpoint is where messages go.
func (s *Server) Endpoint() string { return s.URL() + "/hook" }

// parcel is what the receiver understands of a body.
type parcel struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		To      string          `json:"to"`
		Payload json.RawMessage `json:"payload"`
		Topic   string          `json:"topic"`
	} `json:"data"`
}

func (s *Server) hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, receiver.MaxBody+1))
	if err != nil {
		return // the sender went away
	}
	entry := journal.Entry{
		Session: s.Session(), Peer: r.RemoteAddr, Key: r.Header.Get("webhook-id"), Size: int64(len(body)), Digest: receiver.Digest(body),
	}
	var p parcel
	if status, why := s.read(r, body, &p); why != nil {
		entry.To, entry.Outcome, entry.Code = p.Data.To, journal.Refused, status
		entry.Meta = map[string]string{"why": why.Error()}
		s.Journal().Add(entry)
		http.Error(w, why.Error(), status)
		return
	}
	entry.To = p.Data.To
	action := s.Decide(entry.Key, func(n int) Visit { return Visit{To: p.Data.To, Key: entry.Key, Attempt: n} })
	if action.Error != "" && action.Status == 0 {
		action.Status = http.StatusBadRequest
	}
	if !s.Pause(r, action.Delay) {
		return
	}
	if action.Takes() {
		s.Add(&Message{
			Kept:  receiver.Kept{Time: s.Now(), Key: entry.Key, To: p.Data.To},
			Topic: p.Data.Topic, Payload: p.Data.Payload, Body: string(body), Headers: receiver.HeaderText(r.Header),
		})
	}
	entry.Outcome, entry.Code = action.Outcome(action.Takes(), http.StatusNoContent)
	s.Journal().Add(entry)
	s.Finish(w, r, action, http.StatusNoContent, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) })
}

// read checks a request; the status is what a refusal is answered with.
func (s *Server) read(r *http.Request, body []byte, p *parcel) (int, error) {
	if len(body) > receiver.MaxBody {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body is longer than %d octets", receiver.MaxBody)
	}
	if s.secret != "" {
		if err := Verify(s.secret, r.Header, body, s.Now()); err != nil {
			return http.StatusUnauthorized, err
		}
	}
	if err := json.Unmarshal(body, p); err != nil {
		return http.StatusBadRequest, fmt.Errorf("the body is not what we expect: %w", err)
	}
	if p.Type == "" || p.Timestamp.IsZero() || p.Data.To == "" {
		return http.StatusBadRequest, errors.New("type, timestamp and data.to are needed")
	}
	return 0, nil
}
