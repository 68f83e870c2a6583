package worker

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// horizon is how far ahead departures are given out. What waits longer asks
// again, so a message in lane now waits behind at most this much of a campaign.
const horizon = 500 * time.Millisecond

// aloneFor is how long a process keeps to its share of the rate by itself
// before it asks a Redis again that did not answer.
const aloneFor = 5 * time.Second

// lateFor is how long a message waits at the wire for its turn with a limit of
// its own, like that of its receiving domain, before it makes room for others.
const lateFor = 5 * time.Second

// keptLines bounds how many limits beside the channel's own are remembered.
const keptLines = 4096

// errLate says that a message's turn is too far away to wait for at the wire.
var errLate = errors.New("the receiving domain takes no more for now")

// pacer keeps one channel to its rate, and messages of it to limits of their
// own: a message waits in Depart, the last step before it leaves, for a
// departure time of its own. With Redis the times are shared by all processes;
// when Redis is away each process goes at the rate divided by the processes
// seen last. It goes by real time: what the house calls now may jump.
type pacer struct {
	shared redis.UniversalClient
	tag    string // of all keys, one slot of a cluster
	me     string
	now    func() time.Time
	own    func(key string) time.Duration // between two departures of a message's own limit; 0: none

	mu    sync.Mutex
	every time.Duration // between two departures of the channel; 0: no limit
	ramp  time.Time     // when the channel began to send again after a rest
	lines map[string]*line
	peers int64     // processes that share the rate
	alone time.Time // until when Redis is not asked, as it did not answer
}

// line is the messages of this process that wait for one limit; the channel's
// own has the empty key.
type line struct {
	key     string
	server  bool // a limit apart from the channel's
	every   time.Duration
	waiting []chan turn // of one each
	asking  bool
	due     time.Time // next departure, when this process counts for itself
	last    time.Time // given out last: two never come closer, whatever clocks do
}

// turn is a departure time, or that it is too far away.
type turn struct {
	at   time.Time
	late bool
}

// newPacer makes the pacer of a channel; a rate of 0 is no limit. shared is
// nil when this process is the only one that sends.
func newPacer(channel string, rate float64, shared redis.UniversalClient, space, me string, now func() time.Time) *pacer {
	p := &pacer{
		shared: shared, tag: space + ":{" + channel + "}:", me: me, now: now, peers: 1,
		own: func(string) time.Duration { return 0 }, lines: map[string]*line{"": {}},
	}
	p.set(rate)
	return p
}

// between is the time between two of so many a second; 0 for no limit.
func between(rate float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return max(time.Duration(float64(time.Second)/rate), time.Microsecond)
}

// set changes the rate for what leaves from now on.
func (p *pacer) set(rate float64) {
	p.mu.Lock()
	p.every = between(rate)
	p.mu.Unlock()
}

// rise makes the channel begin slowly, as it has rested.
func (p *pacer) rise() {
	p.mu.Lock()
	p.ramp = p.now()
	p.mu.Unlock()
}

// rampTime is how long a channel that rested takes to its full pace, and
// rampStart with which part of it it begins.
const (
	rampTime  = time.Minute
	rampStart = 0.1
)

// part is which part of its full pace the channel has now. The caller holds
// the lock.
func (p *pacer) part() float64 {
	since := p.now().Sub(p.ramp)
	if p.ramp.IsZero() || since >= rampTime || since < 0 {
		return 1
	}
	return rampStart + (1-rampStart)*float64(since)/float64(rampTime)
}

// abreast is how many messages may be on their way to their departure at once:
// what leaves within ten seconds, so that no connection waits much longer, and
// fewer while a channel that rested begins again.
func (p *pacer) abreast(concurrency int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	part := p.part()
	n := int(math.Ceil(float64(concurrency) * part))
	if p.every > 0 {
		n = min(n, int(math.Ceil(part*float64(10*time.Second)/float64(p.every))))
	}
	return max(1, n)
}

// wait returns at the departure time of a message with a limit of its own (""
// for none), with the context's error, or with errLate.
func (p *pacer) wait(ctx context.Context, key string) error {
	if key != "" && p.own(key) == 0 {
		key = ""
	}
	p.mu.Lock()
	if key == "" && p.every == 0 {
		p.mu.Unlock()
		return ctx.Err()
	}
	return p.queue(ctx, p.line(key))
}

// waitFor is wait for a limit that stands beside the channel's.
func (p *pacer) waitFor(ctx context.Context, key string, rate float64) error {
	every := between(rate)
	if every == 0 {
		return ctx.Err()
	}
	p.mu.Lock()
	l := p.line("server " + key)
	l.server, l.every = true, every
	return p.queue(ctx, l)
}

// line returns the line of a limit. The caller holds the lock.
func (p *pacer) line(key string) *line {
	l := p.lines[key]
	if l == nil {
		if len(p.lines) >= keptLines {
			p.prune()
		}
		l = &line{key: key}
		p.lines[key] = l
	}
	return l
}

// prune forgets lines that nobody stands in and that owe no time.
func (p *pacer) prune() {
	now := p.now()
	for key, l := range p.lines {
		if key != "" && !l.asking && len(l.waiting) == 0 && now.After(l.due) && now.Sub(l.last) > time.Minute {
			delete(p.lines, key)
		}
	}
}

// queue waits in a line. The caller holds the lock, which is let go.
func (p *pacer) queue(ctx context.Context, l *line) error {
	mine := make(chan turn, 1)
	l.waiting = append(l.waiting, mine)
	ask := !l.asking
	l.asking = true
	p.mu.Unlock()
	if ask {
		go p.ask(context.WithoutCancel(ctx), l)
	}
	select {
	case got := <-mine:
		if got.late {
			return errLate
		}
		return p.sleep(ctx, got.at.Sub(p.now()))
	case <-ctx.Done():
		p.giveUp(l, mine)
		return ctx.Err()
	}
}

func (p *pacer) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pacer) giveUp(l *line, mine chan turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range l.waiting {
		if c == mine {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return
		}
	}
}

// asked is one question for departures: how many, and the times between two of
// the channel and of the limit of their own.
type asked struct {
	want       int
	every, own time.Duration
}

func (q asked) step() time.Duration { return max(q.every, q.own) }

// question reads what a line asks for; false when nobody waits any more.
func (p *pacer) question(l *line) (asked, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := asked{want: len(l.waiting)}
	if q.want == 0 {
		l.asking = false
		return q, false
	}
	switch {
	case l.server:
		q.own = l.every
	default:
		q.every = time.Duration(float64(p.every) / p.part())
		if l.key != "" {
			q.own = p.own(l.key)
		}
	}
	return q, true
}

// ask gives out departures until nobody waits. There is one at a time in a line.
func (p *pacer) ask(ctx context.Context, l *line) {
	for {
		q, more := p.question(l)
		if !more {
			return
		}
		if q.step() == 0 { // the limit was taken away meanwhile
			p.give(l, q.want, p.now(), 0)
			continue
		}
		n, first := p.take(ctx, l, q)
		switch {
		case n > 0:
			p.give(l, n, p.now().Add(first), q.step())
		case first > lateFor && l.key != "" && !l.server:
			p.late(l)
		default:
			wait := first - horizon
			if wait <= 0 { // the channel is ready, the own limit is not
				wait = first - q.every
			}
			// Nobody's context: the asker ends when the waiters have gone.
			time.Sleep(min(max(wait, time.Millisecond), horizon))
		}
	}
}

// give hands out n departures from a time on.
func (p *pacer) give(l *line, n int, at time.Time, step time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if soonest := l.last.Add(step); !l.last.IsZero() && at.Before(soonest) && soonest.Sub(at) < 2*horizon+step {
		at = soonest
	}
	n = min(n, len(l.waiting)) // who left meanwhile leaves a gap, never a crowd
	for i, c := range l.waiting[:n] {
		l.last = at.Add(time.Duration(i) * step)
		c <- turn{at: l.last}
	}
	l.waiting = l.waiting[n:]
}

// late sends everybody in a line away.
func (p *pacer) late(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range l.waiting {
		c <- turn{late: true}
	}
	l.waiting = nil
}

// take reserves departures and says how far away the first is; 0 when none is
// within the horizon, with the time until there may be one.
func (p *pacer) take(ctx context.Context, l *line, q asked) (int, time.Duration) {
	p.mu.Lock()
	shared := p.shared != nil && !p.now().Before(p.alone)
	p.mu.Unlock()
	if shared {
		if n, first, ok := p.takeShared(ctx, l, q); ok {
			return n, first
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if shared {
		p.alone = p.now().Add(aloneFor)
	}
	return p.takeAlone(l, q)
}

// takeAlone is what the script does, for a process that counts by itself: at
// the rate divided by the processes that share it. The caller holds the lock.
func (p *pacer) takeAlone(l *line, q asked) (int, time.Duration) {
	now, channel := p.now(), p.lines[""]
	due := func(l *line, every time.Duration) time.Time {
		if every == 0 || l.due.Before(now) {
			return now
		}
		if far := now.Add(horizon + every); l.due.After(far) {
			l.due = far // the clock was set back, or the rate raised
		}
		return l.due
	}
	every, own := q.every*time.Duration(p.peers), q.own*time.Duration(p.peers)
	all, mine := due(channel, every), now
	if own > 0 {
		mine = due(l, own)
	}
	first, n := all, 0
	if mine.After(first) {
		first = mine
	}
	ahead := first.Sub(now)
	if ahead <= horizon && (every == 0 || mine.Sub(all) <= every) {
		n = min(q.want, int((horizon-ahead)/max(every, own))+1)
		if p.peers > 1 || (every > 0 && own > 0) {
			n = 1 // the waiters are spread by the step, which may be too fast here
		}
	}
	if n == 0 {
		return 0, ahead
	}
	last := first.Add(time.Duration(n-1) * max(every, own))
	if every > 0 {
		channel.due = last.Add(every)
	}
	if own > 0 {
		l.due = last.Add(own)
	}
	return n, ahead
}

// sharers is how many processes share the rate, as far as known.
func (p *pacer) sharers() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peers
}
