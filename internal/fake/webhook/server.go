package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rapport/internal/fake/journal"
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

// Server is a running receiver.
type Server struct {
	opts     Options
	listener net.Listener
	http     *http.Server
	script   atomic.Pointer[Script]
	box      box
	session  atomic.Uint64
	done     chan struct{} // closed when the receiver shuts down
	served   sync.WaitGroup
	once     sync.Once

	mu    sync.Mutex
	tries tries
}

// maxBody is the largest body that is taken.
const maxBody = 1 << 20

// Start starts a receiver; Close ends it.
func Start(opts Options) (*Server, error) {
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Keep == 0 {
		opts.Keep = 1000
	}
	if opts.Journal == nil {
		j, err := journal.New(journal.Options{Keep: 10_000, Now: opts.Now})
		if err != nil {
			return nil, err
		}
		opts.Journal = j
	}
	l, err := net.Listen("tcp", opts.Listen) //nolint:noctx // listening does not wait
	if err != nil {
		return nil, fmt.Errorf("start webhook receiver: %w", err)
	}
	s := &Server{opts: opts, listener: l, done: make(chan struct{}), box: box{keep: max(opts.Keep, 0)}}
	s.SetScript(opts.Script)
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.served.Go(func() { _ = s.http.Serve(l) }) // ends with Close, whose error says no more
	return s, nil
}

// URL is where the page is.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Endpoint is where messages go.
func (s *Server) Endpoint() string { return s.URL() + "/hook" }

// Journal is the record of what was taken and refused.
func (s *Server) Journal() *journal.Journal { return s.opts.Journal }

// Messages returns the kept messages, newest first; to filters, empty is all.
func (s *Server) Messages(to string) []Message { return s.box.list(to) }

// SetScript changes the moods from the next request on; nil takes everything.
func (s *Server) SetScript(f Script) {
	if f == nil {
		s.script.Store(nil)
		return
	}
	s.script.Store(&f)
}

// Close ends the receiver with all its connections. It may be called twice.
func (s *Server) Close() error {
	s.once.Do(func() { close(s.done) })
	err := s.http.Close()
	s.served.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

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
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return // the sender went away
	}
	entry := journal.Entry{
		Session: s.session.Add(1), Peer: r.RemoteAddr, Key: r.Header.Get("webhook-id"), Size: int64(len(body)), Digest: digest(body),
	}
	var p parcel
	if status, why := s.read(r, body, &p); why != nil {
		entry.To, entry.Outcome, entry.Code = p.Data.To, journal.Refused, status
		entry.Meta = map[string]string{"why": why.Error()}
		s.opts.Journal.Add(entry)
		http.Error(w, why.Error(), status)
		return
	}
	entry.To = p.Data.To
	action := s.decide(Visit{To: p.Data.To, Key: entry.Key})
	if !s.pause(r, action.Delay) {
		return
	}
	if action.takes() {
		s.box.add(Message{
			Time: s.opts.Now(), Key: entry.Key, To: p.Data.To, Topic: p.Data.Topic,
			Payload: p.Data.Payload, Body: string(body), Headers: headerText(r.Header),
		})
	}
	s.answer(w, r, action, entry)
}

// read checks a request; the status is what a refusal is answered with.
func (s *Server) read(r *http.Request, body []byte, p *parcel) (int, error) {
	if len(body) > maxBody {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body is longer than %d octets", maxBody)
	}
	if s.opts.Secret != "" {
		if err := Verify(s.opts.Secret, r.Header, body, s.opts.Now()); err != nil {
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

func (s *Server) decide(v Visit) Action {
	f := s.script.Load()
	if f == nil {
		return Action{}
	}
	s.mu.Lock()
	v.Attempt = s.tries.next(v.Key)
	s.mu.Unlock()
	return (*f)(v)
}

// pause waits as the script asks; false when the sender or the receiver went
// away meanwhile.
func (s *Server) pause(r *http.Request, d time.Duration) bool {
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

func (s *Server) answer(w http.ResponseWriter, r *http.Request, a Action, e journal.Entry) {
	switch {
	case a.Stall, a.Drop:
		e.Outcome = journal.Dropped
	case a.LoseReply:
		e.Outcome = journal.ReplyLost
	case a.takes():
		e.Outcome, e.Code = journal.Accepted, a.status()
	default:
		e.Outcome, e.Code = journal.Refused, a.status()
	}
	s.opts.Journal.Add(e)
	switch {
	case a.Stall:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	case a.LoseReply, a.Drop:
		reset(w)
	default:
		if a.RetryAfter != "" {
			w.Header().Set("Retry-After", a.RetryAfter)
		}
		if a.Location != "" {
			w.Header().Set("Location", a.Location)
		}
		w.WriteHeader(a.status())
		if a.Endless {
			s.babble(w, r)
		}
	}
}

// babble writes until the sender hangs up.
func (s *Server) babble(w http.ResponseWriter, r *http.Request) {
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

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func headerText(h http.Header) string {
	var out strings.Builder
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			if name == "Authorization" {
				v = "[hidden]"
			}
			fmt.Fprintf(&out, "%s: %s\n", name, v)
		}
	}
	return out.String()
}
