package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Direction is one of the two ways octets go.
type Direction uint8

const (
	// Up is from the one who dialled to the server.
	Up Direction = iota
	// Down is from the server to the one who dialled.
	Down
)

// state is how the line is now.
type state struct {
	cut     bool
	hold    [2]bool
	swallow [2]bool
	delay   time.Duration
	rate    int // octets a second in each direction of each connection; 0: any
}

// trap cuts everything right behind an octet string.
type trap struct {
	way     Direction
	pattern []byte
	sprung  chan struct{}
}

// Relay passes connections on to one server. Its methods may be called from
// several goroutines at once.
type Relay struct {
	target   string
	listener net.Listener
	ended    context.Context //nolint:containedctx // the life of every connection
	end      context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	now     state
	changed chan struct{} // closed at the next change
	links   map[*link]struct{}
	trap    *trap
	opened  int
}

// link is one connection and its continuation.
type link struct {
	near, far net.Conn
	done      chan struct{}
	once      sync.Once
	lost      bool // octets of it were swallowed, so it can never be well again
}

// close ends both sides at once; false when that had been done before.
func (l *link) close() (ended bool) {
	l.once.Do(func() {
		ended = true
		close(l.done)
		if t, ok := l.near.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // a cut line says nothing more
		}
		_ = l.near.Close()
		if l.far != nil {
			_ = l.far.Close() // what it was sent before counts
		}
	})
	return ended
}

// Start listens on a free port of the loopback and passes every connection on
// to target, host:port, until Close.
func Start(ctx context.Context, target string) (*Relay, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	r := &Relay{target: target, listener: l, changed: make(chan struct{}), links: map[*link]struct{}{}}
	r.ended, r.end = context.WithCancel(context.WithoutCancel(ctx))
	r.running.Go(r.accept)
	return r, nil
}

// Addr is where the relay listens, host:port.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Close ends the relay and every connection through it, and waits for them.
func (r *Relay) Close() error {
	r.end()
	err := r.listener.Close()
	r.Reset()
	r.running.Wait()
	return err
}

// Cut resets every connection and every new one until Heal.
func (r *Relay) Cut() {
	r.change(func(s *state) { s.cut = true })
	r.Reset()
}

// Reset resets the connections that are open; new ones are passed on. It
// returns how many there were.
func (r *Relay) Reset() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for l := range r.links {
		if l.close() {
			n++
		}
	}
	return n
}

// Hold stops octets of the given directions, as a line does whose packets are
// lost: connections stay open, new ones are accepted, nothing arrives. After
// Heal everything arrives late.
func (r *Relay) Hold(ways ...Direction) {
	r.change(func(s *state) {
		for _, w := range ways {
			s.hold[w] = true
		}
	})
}

// Swallow makes the line half open: octets of that direction vanish while the
// other one works. A connection that lost octets is reset by Heal.
func (r *Relay) Swallow(way Direction) {
	r.change(func(s *state) { s.swallow[way] = true })
}

// Delay lets each piece of at most 32 KiB wait before it is passed on.
func (r *Relay) Delay(d time.Duration) { r.change(func(s *state) { s.delay = d }) }

// Throttle passes on at most so many octets a second in each direction of each
// connection; 0 is as fast as they come.
func (r *Relay) Throttle(octets int) { r.change(func(s *state) { s.rate = octets }) }

// Heal makes the line a good one again.
func (r *Relay) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now, r.trap = state{}, nil
	for l := range r.links {
		if l.lost {
			l.close()
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// CutBehind cuts as Cut does as soon as the pattern has been passed on in one
// piece in that direction, so that the receiver has it and its answer is lost.
// The channel is closed when that happened. A later call replaces an earlier
// one, and Heal takes it back.
func (r *Relay) CutBehind(way Direction, pattern string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trap = &trap{way: way, pattern: []byte(pattern), sprung: make(chan struct{})}
	return r.trap.sprung
}

// Opened is how many connections were ever passed on.
func (r *Relay) Opened() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened
}

func (r *Relay) change(by func(*state)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	by(&r.now)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Relay) state() (state, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, r.changed
}

func (r *Relay) accept() {
	for {
		near, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) || r.ended.Err() != nil {
			return
		}
		if err == nil {
			r.running.Go(func() { r.carry(near) })
		}
	}
}

// carry passes one connection on until either side ends it.
func (r *Relay) carry(near net.Conn) {
	l := &link{near: near, done: make(chan struct{})}
	if now, _ := r.state(); !now.cut {
		var d net.Dialer
		if far, err := d.DialContext(r.ended, "tcp", r.target); err == nil {
			l.far = far
		}
	}
	if l.far == nil || !r.add(l) { // nobody there: reset
		l.close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { r.pump(l, Up, l.near, l.far) })
	both.Go(func() { r.pump(l, Down, l.far, l.near) })
	both.Wait()
	r.mu.Lock()
	delete(r.links, l)
	r.mu.Unlock()
	l.close()
}

// add counts a link among the open ones, unless the line was cut meanwhile.
func (r *Relay) add(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.cut || r.ended.Err() != nil {
		return false
	}
	r.links[l] = struct{}{}
	r.opened++
	return true
}

func (r *Relay) pump(l *link, way Direction, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !r.pass(l, way, to, buf[:n]) {
			l.close()
			return
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			l.close()
		} else if t, ok := to.(*net.TCPConn); ok {
			_ = t.CloseWrite() // the other direction may still be in use
		}
		return
	}
}

// pass lets a piece through as the line is now; false when the connection is
// over.
func (r *Relay) pass(l *link, way Direction, to io.Writer, piece []byte) bool {
	for {
		now, changed := r.state()
		if !now.hold[way] {
			break
		}
		select {
		case <-changed:
		case <-l.done:
			return false
		}
	}
	if now, _ := r.state(); now.delay > 0 && !l.rest(now.delay) {
		return false
	}
	for len(piece) > 0 {
		now, _ := r.state()
		if now.swallow[way] {
			r.mu.Lock()
			l.lost = true
			r.mu.Unlock()
			return true
		}
		n := len(piece)
		if now.rate > 0 { // twenty times a second
			n = min(n, max(now.rate/20, 1))
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return false
		}
		r.spring(way, piece[:n])
		piece = piece[n:]
		if now.rate > 0 && !l.rest(time.Second*time.Duration(n)/time.Duration(now.rate)) {
			return false
		}
	}
	return true
}

// rest waits; false when the connection is over.
func (l *link) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.done:
		return false
	}
}

// spring cuts if the trap was set for this piece.
func (r *Relay) spring(way Direction, piece []byte) {
	r.mu.Lock()
	t := r.trap
	hit := t != nil && t.way == way && bytes.Contains(piece, t.pattern)
	if hit {
		r.trap = nil
	}
	r.mu.Unlock()
	if hit {
		r.Cut()
		close(t.sprung)
	}
}
