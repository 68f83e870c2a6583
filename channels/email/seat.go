package email

import (
	"context"
	"slices"

	"github.com/sony/gobreaker/v2"
)

// seat is a letter's place on a connection to a server. It is given back
// exactly once.
type seat struct {
	*server

	conn   *conn       // nil: it is still to be dialled
	used   bool        // the connection carried another letter before
	opened bool        // this letter is out
	done   func(error) // tells the breaker how it went; nil: given back
}

// The order in which seats are given to those who wait.
const (
	departed = iota // has its permission
	personal        // somebody waits for it
	general
)

// waiter is a letter that waits for a seat.
type waiter struct {
	rank   int
	tried  []*server // where it was refused
	got    chan seat // of one; without a server there is none to be had
	asked  bool      // it has been in the queue, and take has not answered yet
	queued bool      // it is in the queue
}

// alone says that the letter may not wait behind another one: its permission
// is growing old.
func (w *waiter) alone() bool { return w.rank == departed }

// take waits for a seat at a server that is healthy and not among those tried.
func (p *pool) take(ctx context.Context, w *waiter) (seat, error) {
	p.mu.Lock()
	if !w.asked { // else release has queued it
		p.queue(w)
		p.match()
	}
	p.mu.Unlock()
	defer func() { w.asked = false }()
	var s seat
	select {
	case s = <-w.got:
	default:
		select {
		case s = <-w.got:
		case <-ctx.Done():
			if p.leave(w) {
				return seat{}, context.Cause(ctx)
			}
			s = <-w.got
		}
	}
	switch {
	case s.server != nil:
		return s, nil
	case p.isClosed():
		return seat{}, errClosed
	}
	return seat{}, errNoServer
}

func (p *pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *pool) queue(w *waiter) {
	w.queued, w.asked = true, true
	i := len(p.waiting)
	for i > 0 && p.waiting[i-1].rank > w.rank {
		i--
	}
	p.waiting = slices.Insert(p.waiting, i, w)
}

// leave gives up waiting; false when the seat has come meanwhile.
func (p *pool) leave(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.queued {
		return false
	}
	w.queued = false
	p.waiting = slices.DeleteFunc(p.waiting, func(o *waiter) bool { return o == w })
	return true
}

// match gives seats to those who wait, for as long as there are any, and tells
// those who would wait in vain.
func (p *pool) match() {
	full := false // there is none for anybody
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiter) bool {
		if full && len(w.tried) == 0 && !p.closed {
			return false
		}
		var s seat
		wait := false
		if !p.closed {
			s, wait = p.choose(w)
		}
		if s.server == nil && wait {
			full = full || len(w.tried) == 0 && !w.alone()
			return false
		}
		w.queued = false
		w.got <- s
		return true
	})
}

// choose picks the next server in turn that has a free connection, or else one
// where a second letter may ride. Without either, it says
// whether waiting makes sense.
func (p *pool) choose(w *waiter) (s seat, wait bool) {
	for i := range p.servers {
		s := p.servers[(p.turn+i)%len(p.servers)]
		switch {
		case slices.Contains(w.tried, s), s.resting() > 0:
		case s.busy >= s.connections:
			wait = wait || s.breaker.State() != gobreaker.StateOpen
		default:
			done, err := s.breaker.Allow()
			if err != nil {
				continue
			}
			p.turn = (p.turn + i + 1) % len(p.servers)
			s.busy++
			out := seat{server: s, done: done}
			if n := len(s.kept); n > 0 {
				out.conn, out.used = s.kept[n-1], true
				s.kept = s.kept[:n-1]
				out.conn.taken, out.conn.letters = 1, out.conn.letters+1
				p.list(s, out.conn)
			}
			return out, false
		}
	}
	if wait && !w.alone() {
		return p.chooseBehind(w), true
	}
	return seat{}, wait
}

func (p *pool) chooseBehind(w *waiter) seat {
	for i := range p.servers {
		s := p.servers[(p.turn+i)%len(p.servers)]
		for len(s.room) > 0 && s.room[0].doubt.Load() {
			p.unlist(s, s.room[0])
		}
		if len(s.room) == 0 || s.slow.Load() || s.resting() > 0 || slices.Contains(w.tried, s) {
			continue
		}
		c := s.room[0]
		done, err := s.breaker.Allow()
		if err != nil {
			continue
		}
		p.turn = (p.turn + i + 1) % len(p.servers)
		p.unlist(s, c)
		c.taken, c.letters = c.taken+1, c.letters+1
		return seat{server: s, conn: c, used: true, done: done}
	}
	return seat{}
}

// open says that the letter whose seat it is has its 354 and is about to go
// out. It returns whether another letter holds the place behind.
func (p *pool) open(s *seat) bool {
	if !s.conn.pipelining {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.opened, s.conn.out = true, true
	p.list(s.server, s.conn)
	p.match()
	return s.conn.taken > 1
}

// list makes it known that a second letter may ride on a connection: behind
// one that is out, or together with the next, where letters were taken before.
// Nobody joins at a server that is slow, or has a rate.
func (p *pool) list(s *server, c *conn) {
	if c.taken != 1 || c.listed || !c.pipelining || !c.out && !c.proven || c.letters >= p.perConnection ||
		c.doubt.Load() || s.interval > 0 || s.slow.Load() || p.closed {
		return
	}
	c.listed = true
	s.room = append(s.room, c)
}

func (p *pool) unlist(s *server, c *conn) {
	if c.listed {
		c.listed = false
		s.room = slices.DeleteFunc(s.room, func(o *conn) bool { return o == c })
	}
}

// release gives the seat back; the last one decides whether the connection is
// kept. One that is not is closed first, so that there are never more than
// allowed. A letter that again needs a seat is queued before anybody else
// can have this one.
func (p *pool) release(s *seat, r *ride, verdict error, again *waiter) {
	s.done(verdict)
	s.done = nil
	c := s.conn
	p.mu.Lock()
	if again != nil {
		p.queue(again)
	}
	if c != nil && !p.vacate(s, r) {
		p.mu.Unlock()
		return
	}
	if c == nil || p.keep(s.server, c) {
		s.busy--
		p.match()
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	c.quit()
	p.mu.Lock()
	s.busy--
	p.match()
	p.mu.Unlock()
}

// vacate takes the letter off its connection and gives the turn to the one
// behind it. It says whether the connection is empty now.
func (p *pool) vacate(s *seat, r *ride) bool {
	c := s.conn
	if s.opened {
		c.out = false
		c.proven = true
	}
	c.taken--
	c.pass(r)
	p.unlist(s.server, c)
	if c.taken > 0 {
		p.list(s.server, c)
		p.match()
		return false
	}
	return true
}
