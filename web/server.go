package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"rapport"
)

// Limits of a connection. A body may be longer than its guard allows only to
// be refused.
const (
	headerTime  = 5 * time.Second
	readTime    = 30 * time.Second
	writeTime   = 2 * time.Minute // profiles take one
	idleTime    = 2 * time.Minute
	headerBytes = 32 << 10
)

// Server listens on one address. It is a part for internal/lifecycle.
type Server struct {
	http     *http.Server
	listener net.Listener
	serving  sync.WaitGroup
}

// Listen takes the address; requests wait until Start. An address that is
// taken is an Unavailable error that says so.
func Listen(ctx context.Context, address string, h http.Handler, log *slog.Logger) (*Server, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, rapport.Unavailablef(err, "cannot listen on %s: %v; stop whatever uses it or choose another address", address, err)
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return &Server{http: s, listener: l}, nil
}

// Addr is where the server listens, with the port it was given.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Start serves until Stop; fail hears of an end that nobody asked for.
func (s *Server) Start(fail func(error)) {
	s.serving.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve on %s: %w", s.Addr(), err))
		}
	})
}

// Stop takes no more requests and waits for those under way until ctx is done;
// then they are cut off.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	_ = s.listener.Close() // already closed when it was started
	s.serving.Wait()
	return err
}
