package email

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	tripAfter = 5                // failures of a server in a row before it rests
	restFor   = 10 * time.Second // how long it rests before one trial
)

var (
	errClosed   = errors.New("the channel is closed")
	errNoServer = errors.New("no server can be tried now: each has failed several times in a row and rests for a moment")
)

// server is one server with its kept connections. What changes is guarded by
// the pool's mutex.
type server struct {
	endpoint

	cfg     *tls.Config
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	busy    int
	kept    []*conn   // the most recently used last
	next    time.Time // when the rate allows the next letter
}

// seat is the right to hold one conversation with a server. It is given back
// exactly once.
type seat struct {
	*server

	done func(error) // tells the breaker how it went
}

// pool hands out seats by turns and keeps connections between letters. Its
// times are real time: they are about sockets, not about what the house calls
// now.
type pool struct {
	helo          string
	timeout       time.Duration
	idleTimeout   time.Duration
	perConnection int

	mu      sync.Mutex
	servers []*server
	turn    int
	closed  bool
	changed chan struct{} // closed when a seat becomes free; nil while nobody waits

	stop   context.CancelFunc
	reaper sync.WaitGroup
}

func newServer(e endpoint, cfg *tls.Config) *server {
	return &server{endpoint: e, cfg: cfg, breaker: newBreaker(e.addr, tripAfter)}
}

func newBreaker(name string, failures uint32) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        name,
		Timeout:     restFor,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNeutral) },
	})
}

// start begins to let idle connections go.
func (p *pool) start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.reaper.Go(func() {
		tick := time.NewTicker(max(p.idleTimeout/2, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				quitAll(p.expired(now.Add(-p.idleTimeout)))
			}
		}
	})
}

// take waits for a seat at a server that is healthy and not among those tried.
func (p *pool) take(ctx context.Context, tried []*server) (seat, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return seat{}, errClosed
		}
		s, wait := p.choose(tried)
		if s.server != nil || !wait {
			p.mu.Unlock()
			if s.server == nil {
				return seat{}, errNoServer
			}
			return s, nil
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return seat{}, context.Cause(ctx)
		}
	}
}

// choose picks the next server in turn that has a free seat. Without one, it
// says whether waiting makes sense.
func (p *pool) choose(tried []*server) (s seat, wait bool) {
	for i := range p.servers {
		s := p.servers[(p.turn+i)%len(p.servers)]
		switch {
		case slices.Contains(tried, s):
		case s.busy >= s.connections:
			wait = wait || s.breaker.State() != gobreaker.StateOpen
		default:
			done, err := s.breaker.Allow()
			if err != nil {
				continue
			}
			p.turn = (p.turn + i + 1) % len(p.servers)
			s.busy++
			return seat{server: s, done: done}, false
		}
	}
	return seat{}, wait
}

// release gives the seat back, with the connection if it may be kept. One
// that may not is closed first, so that there are never more than allowed.
func (p *pool) release(s seat, c *conn, verdict error) {
	s.done(verdict)
	if c != nil && !p.keep(s.server, c) {
		c.quit()
	}
	p.mu.Lock()
	s.busy--
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	p.mu.Unlock()
}

func (p *pool) keep(s *server, c *conn) bool {
	if c.doubt || c.letters >= p.perConnection {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	c.used, c.idle = true, time.Now()
	s.kept = append(s.kept, c)
	return true
}

// connect returns a ready connection: a kept one, or a new one.
func (p *pool) connect(ctx context.Context, s *server) (*conn, *ended) {
	p.mu.Lock()
	if n := len(s.kept); n > 0 {
		c := s.kept[n-1]
		s.kept = s.kept[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	return s.dial(ctx, p.helo, s.cfg, p.timeout)
}

// reconnect replaces a kept connection that turned out to be dead. The others
// kept with it are likely dead too and go.
func (p *pool) reconnect(ctx context.Context, s *server, dead *conn) (*conn, *ended) {
	dead.doubt = true
	dead.close()
	p.mu.Lock()
	kept := s.kept
	s.kept = nil
	p.mu.Unlock()
	for _, c := range kept {
		c.close()
	}
	return s.dial(ctx, p.helo, s.cfg, p.timeout)
}

// pace waits until the server's rate allows another letter.
func (p *pool) pace(ctx context.Context, s *server) error {
	if s.interval == 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	at := s.next
	if at.Before(now) {
		at = now
	}
	s.next = at.Add(s.interval)
	p.mu.Unlock()
	if !at.After(now) {
		return nil
	}
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// expired takes out the connections that have been idle since before.
func (p *pool) expired(before time.Time) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*conn
	for _, s := range p.servers {
		s.kept = slices.DeleteFunc(s.kept, func(c *conn) bool {
			old := c.idle.Before(before)
			if old {
				out = append(out, c)
			}
			return old
		})
	}
	return out
}

// close lets all kept connections go and waits for the goroutine. Whatever is
// in use is closed when its Send ends.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var all []*conn
	for _, s := range p.servers {
		all = append(all, s.kept...)
		s.kept = nil
	}
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	p.mu.Unlock()
	p.stop()
	quitAll(all)
	p.reaper.Wait()
}

// quitAll says goodbye side by side, so that a silent server costs one second
// and not one for each connection.
func quitAll(conns []*conn) {
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(c.quit)
	}
	wg.Wait()
}
