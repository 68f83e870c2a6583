package worker

import (
	"context"
	"math"
	"strings"
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

// departures is the limiter's script: it gives out up to ARGV[2] departure
// times, one interval apart, none further away than the horizon, by the clock
// of Redis, so that all processes share one pace. It also counts the processes
// that asked lately, for the time when Redis is away.
var departures = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, want, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = tonumber(redis.call('GET', KEYS[1]) or '0')
if due > now + ahead + interval then due = now + ahead + interval end
if due < now then due = now end
local n = 0
if due - now <= ahead then n = math.min(want, math.floor((ahead - (due - now)) / interval) + 1) end
if n > 0 then
  local keep = math.ceil((due - now + n * interval) / 1000) + 1000
  redis.call('SET', KEYS[1], string.format('%.0f', due + n * interval), 'PX', keep)
end
redis.call('ZADD', KEYS[2], now, ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 60000000)
redis.call('PEXPIRE', KEYS[2], 120000)
return {n, string.format('%.0f', due - now), redis.call('ZCARD', KEYS[2])}
`)

// pacer keeps one channel to its rate: a message waits in Depart, the last
// step before it leaves, for a departure time of its own. With Redis the times
// are shared by all processes; when Redis is away each process goes at the
// rate divided by the processes seen last. A nil pacer has no limit.
type pacer struct {
	every  time.Duration // between two departures
	shared redis.UniversalClient
	keys   []string
	me     string
	now    func() time.Time

	mu      sync.Mutex
	waiting []chan time.Time // of one each
	asking  bool
	due     time.Time // next departure, when this process counts for itself
	peers   int64     // processes that share the rate
	alone   time.Time // until when Redis is not asked, as it did not answer
}

// newPacer makes the pacer of a channel. shared is nil when this process is
// the only one that sends.
func newPacer(channel string, rate float64, shared redis.UniversalClient, space, me string, now func() time.Time) *pacer {
	if rate <= 0 {
		return nil
	}
	tag := space + ":{" + channel + "}:"
	return &pacer{
		every:  time.Duration(float64(time.Second) / rate),
		shared: shared, keys: []string{tag + "pace", tag + "peers"}, me: me, now: now, peers: 1,
	}
}

// abreast is how many messages may be on their way to their departure at once:
// what leaves within ten seconds, so that no connection waits much longer.
func (p *pacer) abreast(concurrency int) int {
	if p == nil {
		return concurrency
	}
	return max(1, min(concurrency, int(math.Ceil(float64(10*time.Second)/float64(p.every)))))
}

// wait returns at the message's departure time, or with the context's error.
func (p *pacer) wait(ctx context.Context) error {
	if p == nil {
		return ctx.Err()
	}
	mine := make(chan time.Time, 1)
	p.mu.Lock()
	p.waiting = append(p.waiting, mine)
	ask := !p.asking
	p.asking = true
	p.mu.Unlock()
	if ask {
		go p.ask(context.WithoutCancel(ctx))
	}
	select {
	case at := <-mine:
		return p.sleep(ctx, at.Sub(p.now()))
	case <-ctx.Done():
		p.giveUp(mine)
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

func (p *pacer) giveUp(mine chan time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.waiting {
		if c == mine {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return
		}
	}
}

// ask gives out departures until nobody waits. There is one at a time.
func (p *pacer) ask(ctx context.Context) {
	for {
		p.mu.Lock()
		want := len(p.waiting)
		if want == 0 {
			p.asking = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		n, first := p.take(ctx, want)
		if n == 0 {
			// Nobody's context: the asker ends when the waiters have gone.
			time.Sleep(min(first, horizon))
			continue
		}
		at := p.now().Add(first)
		p.mu.Lock()
		n = min(n, len(p.waiting)) // who left meanwhile leaves a gap, never a crowd
		for i, c := range p.waiting[:n] {
			c <- at.Add(time.Duration(i) * p.every)
		}
		p.waiting = p.waiting[n:]
		p.mu.Unlock()
	}
}

// take reserves up to want departures and says how far away the first is; 0
// when none is within the horizon, with the time to wait.
func (p *pacer) take(ctx context.Context, want int) (int, time.Duration) {
	if p.shared != nil && !p.now().Before(p.alone) {
		if n, first, ok := p.takeShared(ctx, want); ok {
			return n, first
		}
		p.alone = p.now().Add(aloneFor)
	}
	every := p.every * time.Duration(p.peers)
	now := p.now()
	if p.due.After(now.Add(horizon + every)) {
		p.due = now.Add(horizon + every) // the clock was set back
	}
	if p.due.Before(now) {
		p.due = now
	}
	first := p.due.Sub(now)
	if first > horizon {
		return 0, first - horizon
	}
	n := min(want, int((horizon-first)/every)+1)
	if p.peers > 1 {
		n = 1 // the waiters are spread by p.every, which is too fast here
	}
	p.due = p.due.Add(time.Duration(n) * every)
	return n, first
}

func (p *pacer) takeShared(ctx context.Context, want int) (int, time.Duration, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	got, err := departures.Run(ctx, p.shared, p.keys, p.every.Microseconds(), want, horizon.Microseconds(), p.me).Slice()
	if err != nil || len(got) != 3 {
		return 0, 0, false
	}
	n, okN := got[0].(int64)
	text, okText := got[1].(string)
	peers, okPeers := got[2].(int64)
	first, err := time.ParseDuration(strings.TrimSpace(text) + "us")
	if !okN || !okText || !okPeers || err != nil {
		return 0, 0, false
	}
	p.peers = max(1, peers)
	if n == 0 {
		return 0, first - horizon, true
	}
	// Should Redis go away, this process goes on behind what it has now.
	p.due = p.now().Add(first + time.Duration(n)*p.every)
	return int(n), first, true
}
