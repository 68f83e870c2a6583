package receiver

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

// MaxBody is the largest body of a request that is read.
const MaxBody = 1 << 20

// Options is what all receivers let one choose. The zero value listens on a
// free port of loopback and keeps a journal of its own.
type Options struct {
	Listen  string           // address; empty: a free port of 127.0.0.1
	Journal *journal.Journal // where what was taken is recorded; nil: one of its own
	Keep    int              // messages shown on the page; 0: 1000, below 0: none
	Now     func() time.Time // the receiver's clock; nil: time.Now
}

// Server is a running receiver of messages M, whose scripts see visits V.
type Server[M Message, V any] struct {
	Box[M]

	// Now is the receiver's clock.
	Now func() time.Time

	record   *journal.Journal
	listener net.Listener
	http     *http.Server
	script   atomic.Pointer[func(V) Action]
	session  atomic.Uint64
	done     chan struct{} // closed when the receiver shuts down
	served   sync.WaitGroup
	once     sync.Once

	mu    sync.Mutex
	tries tries
}

// Start listens; Serve begins to answer.
func (s *Server[M, V]) Start(o Options) error {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Keep == 0 {
		o.Keep = 1000
	}
	s.Now = o.Now
	if s.Now == nil {
		s.Now = time.Now
	}
	s.record = o.Journal
	if s.record == nil {
		j, err := journal.New(journal.Options{Keep: 10_000, Now: s.Now})
		if err != nil {
			return err
		}
		s.record = j
	}
	var err error
	if s.listener, err = net.Listen("tcp", o.Listen); err != nil { //nolint:noctx // listening does not wait
		return fmt.Errorf("start receiver: %w", err)
	}
	s.keep, s.done = max(o.Keep, 0), make(chan struct{})
	return nil
}

// Serve answers with h until Close is called.
func (s *Server[M, V]) Serve(h http.Handler) {
	s.http = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.served.Go(func() { _ = s.http.Serve(s.listener) }) // ends with Close, whose error says no more
}

// URL is where the page is.
func (s *Server[M, V]) URL() string { return "http://" + s.listener.Addr().String() }

// Journal is the record of what was taken and refused.
func (s *Server[M, V]) Journal() *journal.Journal { return s.record }

// Session numbers the next request, from 1.
func (s *Server[M, V]) Session() uint64 { return s.session.Add(1) }

// SetScript changes the moods from the next request on; nil takes everything.
func (s *Server[M, V]) SetScript(f func(V) Action) {
	if f == nil {
		s.script.Store(nil)
		return
	}
	s.script.Store(&f)
}

// Decide asks the script. The visit learns how often its key has come, from 1.
func (s *Server[M, V]) Decide(key string, visit func(attempt int) V) Action {
	f := s.script.Load()
	if f == nil {
		return Action{}
	}
	s.mu.Lock()
	n := s.tries.next(key)
	s.mu.Unlock()
	return (*f)(visit(n))
}

// Close ends the receiver with all its connections. It may be called twice.
func (s *Server[M, V]) Close() error {
	s.once.Do(func() { close(s.done) })
	err := s.http.Close()
	s.served.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// maxTries bounds the memory for counting attempts: two generations of this
// many keys.
const maxTries = 100_000

// tries counts how often each key has come, exactly for at least the latest
// maxTries keys.
type tries struct{ young, old map[string]int }

func (t *tries) next(key string) int {
	n, ok := t.young[key]
	if !ok {
		n = t.old[key]
	}
	if len(t.young) >= maxTries {
		t.old, t.young = t.young, nil
	}
	if t.young == nil {
		t.young = map[string]int{}
	}
	t.young[key] = n + 1
	return n + 1
}

// Digest is the SHA-256 of a body as journals write it.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// HeaderText is a request's header, one field a line in order, without the
// password in it.
func HeaderText(h http.Header) string {
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
