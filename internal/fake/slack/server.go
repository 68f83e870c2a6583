package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rapport/internal/fake/journal"
)

// Options says how a workspace behaves. The zero value listens on a free port
// of loopback, accepts any token and takes everything.
type Options struct {
	Listen  string           // address; empty: a free port of 127.0.0.1
	Token   string           // token that is accepted; empty: any
	Journal *journal.Journal // where what was posted is recorded; nil: one of its own
	Keep    int              // messages shown on the page; 0: 1000, below 0: none
	Script  Script           // moods; nil: none
	Now     func() time.Time // the server's clock; nil: time.Now
}

// Server is a running workspace.
type Server struct {
	opts     Options
	listener net.Listener
	http     *http.Server
	script   atomic.Pointer[Script]
	box      box
	session  atomic.Uint64
	done     chan struct{} // closed when the server shuts down
	served   sync.WaitGroup
	once     sync.Once

	mu    sync.Mutex
	tries tries
	names names
	last  int64 // newest message time given, in microseconds
}

// maxBody is the largest request that is read.
const maxBody = 1 << 20

// Start starts a workspace; Close ends it.
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
		return nil, fmt.Errorf("start fake Slack: %w", err)
	}
	s := &Server{opts: opts, listener: l, done: make(chan struct{}), box: box{keep: max(opts.Keep, 0)}}
	s.SetScript(opts.Script)
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.served.Go(func() { _ = s.http.Serve(l) }) // ends with Close, whose error says no more
	return s, nil
}

// URL is where the page is.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// APIURL is what the channel's setting api_url must say.
func (s *Server) APIURL() string { return s.URL() + "/api/" }

// Journal is the record of what was posted and refused.
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

// Close ends the server with all its connections. It may be called twice.
func (s *Server) Close() error {
	s.once.Do(func() { close(s.done) })
	err := s.http.Close()
	s.served.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
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
