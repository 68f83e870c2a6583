package httpx

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// Trip watches one request on its way out. Make it with Watch, hand its
// context to the request, and ask it when the request has failed.
type Trip struct {
	depart func(context.Context) error

	mu      sync.Mutex
	asked   bool  // depart was called
	refused error // what depart said
	left    bool  // something was written
	over    bool  // the caller has its error: nothing more may be written
}

type tripKey struct{}

// errOver ends a writer whose caller no longer waits.
var errOver = errors.New("the request was given up")

// Watch returns a context that makes a Client report to the Trip. depart, when
// not nil, is called at most once, in the caller's goroutine: with the
// connection made, just before the first octet of the request is written. When
// it refuses, nothing is written and Client.Do fails with that very error.
func Watch(ctx context.Context, depart func(context.Context) error) (context.Context, *Trip) {
	t := &Trip{depart: depart}
	return context.WithValue(ctx, tripKey{}, t), t
}

func tripOf(ctx context.Context) *Trip {
	t, _ := ctx.Value(tripKey{}).(*Trip)
	return t
}

// Left says whether anything of the request may have reached the server.
// False is proof that it has not.
func (t *Trip) Left() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left
}

// Refused returns what depart said; nil when it agreed or was never asked.
func (t *Trip) Refused() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// follow makes the transport tell the trip which connection it got, and asks
// for permission there: the transport calls GotConn in the caller's goroutine,
// after dialling and handshakes and before it writes. A refusal also ends the
// context, so that no other connection is tried.
func (t *Trip) follow(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if c, ok := info.Conn.(*gateConn); ok {
				c.trip.Store(t)
			}
			if err := t.board(ctx); err != nil {
				cancel(err)
			}
		},
	}), cancel
}

// board asks for permission once. A second connection, made because a kept
// one had been closed before anything was written, needs no second permission.
func (t *Trip) board(ctx context.Context) error {
	if t.asked || t.depart == nil {
		return t.Refused()
	}
	t.asked = true // only the goroutine that calls Do comes here
	err := t.depart(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused = err
	return err
}

// finish says that the caller has its answer; after an error nothing more may
// be written, so that what Left says stays true.
func (t *Trip) finish(failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = failed
}

// start says whether a write may begin. It counts as having left from here,
// until the write is known to have moved nothing.
func (t *Trip) start() (first bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused != nil {
		return false, t.refused
	}
	if t.over {
		return false, errOver
	}
	first = !t.left
	t.left = true
	return first, nil
}

func (t *Trip) nothingLeft() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = false
}

// gateConn is a connection, inside its encryption if there is one, that lets
// octets through only for a trip that may leave.
type gateConn struct {
	net.Conn
	trip atomic.Pointer[Trip]
}

// Write writes when the trip of the current request may leave.
func (c *gateConn) Write(p []byte) (int, error) {
	t := c.trip.Load()
	if t == nil {
		return 0, errOver
	}
	first, err := t.start()
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if first && n == 0 && err != nil {
		t.nothingLeft()
	}
	return n, err
}
