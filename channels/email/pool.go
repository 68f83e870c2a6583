package email

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	tripAfter = 5                // failures of a server in a row before it rests
	restFor   = 10 * time.Second // how long it rests before one trial
)

var (
	errClosed   = errors.New("the channel is closed")
	errNoServer = errors.New("no server can be tried now: each has failed several times in a row, or asked for a pause, and rests")
)

// server is one server with its connections. What changes is guarded by the
// pool's mutex.
type server struct {
	endpoint

	cfg     *tls.Config
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	busy    int       // connections that carry a letter, or are dialled for one
	kept    []*conn   // the most recently used last
	room    []*conn   // that carry a letter and may carry a second; the longest waiting first
	next    time.Time // when the rate allows the next letter
	rests   time.Time // until when it asked for a pause
	slow    atomic.Bool
}

// pool hands out seats by turns and keeps connections between letters. Its
// times are real time: they are about sockets, not about what the house calls
// now.
type pool struct {
	helo          string
	timeout       time.Duration
	idleTimeout   time.Duration
	perConnection int
	shared        func(ctx context.Context, key string, perSecond float64) error // pace over all processes; nil: on our own

	mu      sync.Mutex
	servers []*server
	turn    int
	closed  bool
	waiting []*waiter // by rank, then by time

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

// resting is how long the pause goes on that the server asked for.
func (s *server) resting() time.Duration {
	if s.rests.IsZero() {
		return 0
	}
	return time.Until(s.rests)
}

// rest lets a server rest as it asked. What is in hand there goes on; who
// waits for it is told.
func (p *pool) rest(s *server, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(pause); until.After(s.rests) {
		s.rests = until
	}
	p.match()
}

// pause is how long no server can be tried, as far as is known.
func (p *pool) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	shortest := time.Duration(math.MaxInt64)
	for _, s := range p.servers {
		d := s.resting()
		if d <= 0 {
			d = restFor // the breaker's
		}
		shortest = min(shortest, d)
	}
	return shortest
}

// dial makes the connection of a seat that has none.
func (p *pool) dial(ctx context.Context, s *seat) *ended {
	c, end := s.server.dial(ctx, p.helo, s.cfg, p.timeout)
	if end == nil {
		c.taken, c.letters = 1, 1
		s.conn = c
	}
	return end
}

func (p *pool) keep(s *server, c *conn) bool {
	if p.closed || c.doubt.Load() || c.letters >= p.perConnection {
		return false
	}
	c.idle = time.Now()
	s.kept = append(s.kept, c)
	return true
}

// forget closes the connections kept with one that turned out to be dead: they
// are likely dead too.
func (p *pool) forget(s *server) {
	p.mu.Lock()
	kept := s.kept
	s.kept = nil
	p.mu.Unlock()
	for _, c := range kept {
		c.close()
	}
}

// pace waits until the server's rate allows another letter.
func (p *pool) pace(ctx context.Context, s *server) error {
	if s.interval == 0 {
		return nil
	}
	if p.shared != nil {
		return p.shared(ctx, s.addr, float64(time.Second)/float64(s.interval))
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
	p.match()
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
