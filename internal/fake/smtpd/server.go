package smtpd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"rapport/internal/fake/journal"
)

// Server is a running SMTP server. Close it.
type Server struct {
	opts     Options
	listener net.Listener
	tls      *tls.Config
	roots    *x509.CertPool
	caPEM    []byte
	box      *mailbox
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	closed   bool
	sessions uint64
	peak     int
	attempts map[string]int
}

// Start listens and serves until Close is called or ctx ends. It fails when the
// address cannot be listened on or a limit is negative.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: opts, box: newMailbox(opts.MaxMessages, opts.MaxBytes),
		conns: map[net.Conn]struct{}{}, attempts: map[string]int{},
	}
	if err := s.prepareTLS(); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", opts.Addr); err != nil {
		return nil, fmt.Errorf("start SMTP server: %w", err)
	}
	ctx, s.stop = context.WithCancel(ctx)
	s.running.Go(func() { s.accept(ctx) })
	s.running.Go(func() {
		<-ctx.Done()
		s.cutAll()
	})
	return s, nil
}

// Addr is the address the server listens on, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Journal is the record of what the server took.
func (s *Server) Journal() *journal.Journal { return s.opts.Journal }

// Close ends all sessions where they are and returns when every goroutine of the
// server has ended. The journal and the mailbox stay readable. Closing twice is
// harmless.
func (s *Server) Close() error {
	s.stop()
	s.running.Wait()
	return nil
}

// Sessions tells how many connections there were, how many are open now and how
// many were open at once at most.
func (s *Server) Sessions() (total uint64, open, peak int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions, len(s.conns), s.peak
}

func (s *Server) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_ = s.listener.Close() // nothing hangs on it any more
	for conn := range s.conns {
		_ = conn.Close() // its session ends by the error
	}
}

func (s *Server) accept(ctx context.Context) {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// The one who called has gone, or there are no more descriptors; both pass.
			continue
		}
		number, full, ok := s.admit(conn)
		if !ok {
			_ = conn.Close() // the server is closing
			return
		}
		s.running.Go(func() {
			defer s.release(conn)
			newSession(s, conn, number).run(ctx, full)
		})
	}
}

// admit numbers a connection and reports whether there are already too many and
// whether the server still takes any.
func (s *Server) admit(conn net.Conn) (number uint64, full, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, false, false
	}
	full = len(s.conns) >= s.opts.MaxSessions
	s.conns[conn] = struct{}{}
	s.sessions++
	s.peak = max(s.peak, len(s.conns))
	return s.sessions, full, true
}

func (s *Server) release(conn net.Conn) {
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	_ = conn.Close() // it may be closed already
}

// attempt counts one more RCPT for an address. Without a script nobody asks, and
// nothing is remembered.
func (s *Server) attempt(addr string) int {
	if s.opts.Script == nil {
		return 0
	}
	key := strings.ToLower(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts[key]++
	return s.attempts[key]
}
