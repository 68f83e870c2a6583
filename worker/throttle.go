package worker

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rapport/outbox"
)

const (
	// flowSpan is over how long the rate to a domain is measured.
	flowSpan = 10 * time.Second
	// flowsKept bounds for how many domains it is measured.
	flowsKept = 4096
	// patience is how long a message may wait for its domain in a slot; what
	// would wait longer goes back.
	patience = 2 * time.Second
)

// throttle knows the limits of a channel's receiving domains: configured ones,
// and those that the domains asked for, which all processes share through the
// database. It measures what leaves, to know what half of it is.
type throttle struct {
	channel string
	fixed   map[string]time.Duration // configured: between two departures
	now     func() time.Time         // real time, for measuring
	any     atomic.Bool              // some domain is limited
	wake    func()                   // something is to be written soon

	mu     sync.Mutex
	slow   map[string]outbox.Slow
	calls  []call
	good   map[string]int64 // accepted since they were counted last
	flows  map[string]*flow
	behind map[string]time.Time // until when rows were put off
}

// call is a domain that asked for less, of which the database has to know.
type call struct {
	outbox.Call
	channel, domain string
}

// flow counts departures to a domain: of the span now and of the one before.
type flow struct {
	began    time.Time
	now, was int
}

func newThrottle(channel string, domains map[string]float64, now func() time.Time) *throttle {
	t := &throttle{
		channel: channel, fixed: map[string]time.Duration{}, now: now, wake: func() {},
		slow: map[string]outbox.Slow{}, good: map[string]int64{}, flows: map[string]*flow{}, behind: map[string]time.Time{},
	}
	for domain, rate := range domains {
		if rate > 0 {
			t.fixed[domain] = between(rate)
		}
	}
	t.any.Store(len(t.fixed) > 0)
	return t
}

// limited says whether a domain has a limit now.
func (t *throttle) limited(domain string) bool {
	if !t.any.Load() || domain == "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, slowed := t.slow[domain]
	return slowed || t.fixed[domain] > 0
}

// every is the time between two departures to a domain; 0: no limit.
func (t *throttle) every(domain string) time.Duration {
	if !t.any.Load() || domain == "" {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.between(domain)
}

func (t *throttle) between(domain string) time.Duration {
	return max(t.fixed[domain], t.slow[domain].Every)
}

// most is how many slots a limited domain needs: what leaves while one of them
// may wait.
func (t *throttle) most(domain string) int {
	every := t.every(domain)
	if every == 0 {
		return 0
	}
	return max(1, int(math.Ceil(float64(patience)/float64(every))))
}

// rests is until when a domain takes nothing; zero when it does.
func (t *throttle) rests(domain string, now time.Time) time.Time {
	if !t.any.Load() || domain == "" {
		return time.Time{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.slow[domain]; now.Before(s.Until) {
		return s.Until
	}
	return time.Time{}
}

// putOff is when another message to a domain that takes no more for now is to
// be tried: one after another, so that they do not come back all at once.
func (t *throttle) putOff(domain string, now time.Time, processes int64) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.behind[domain]
	if at.Before(now) {
		at = now
	}
	if s := t.slow[domain]; at.Before(s.Until) {
		at = s.Until
	}
	every := max(t.between(domain), 10*time.Millisecond) * time.Duration(max(1, processes))
	t.behind[domain] = at.Add(every)
	return at.Add(every/2 + time.Duration(rand.Int64N(int64(every)))) //nolint:gosec // spreading needs no secret
}

// left counts a departure.
func (t *throttle) left(domain string) {
	if domain == "" {
		return
	}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flows[domain]
	if f == nil {
		if len(t.flows) >= flowsKept {
			maps.DeleteFunc(t.flows, func(_ string, f *flow) bool { return now.Sub(f.began) > 2*flowSpan })
		}
		if len(t.flows) >= flowsKept {
			return
		}
		f = &flow{began: now}
		t.flows[domain] = f
	}
	f.turn(now)
	f.now++
}

func (f *flow) turn(now time.Time) {
	switch since := now.Sub(f.began); {
	case since < flowSpan:
	case since < 2*flowSpan:
		f.was, f.now, f.began = f.now, 0, f.began.Add(flowSpan)
	default:
		f.was, f.now, f.began = 0, 0, now
	}
}

// rate is what left to a domain lately, in messages a second.
func (f *flow) rate(now time.Time) float64 {
	if f == nil {
		return 0
	}
	f.turn(now)
	span := max(now.Sub(f.began), time.Second)
	if f.was > 0 {
		span += flowSpan
	}
	return float64(f.was+f.now) / span.Seconds()
}

// accepted counts a message that a slowed domain took.
func (t *throttle) accepted(domain string) {
	if domain == "" || !t.any.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, slowed := t.slow[domain]; slowed {
		t.good[domain]++
	}
}

// asked is a domain that asks for less; it says what becomes of it and whether
// it is slower than before.
func (t *throttle) asked(domain string, c outbox.Call, processes int64) (outbox.Slow, bool) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	c.Rate = t.flows[domain].rate(now) * float64(max(1, processes))
	was, slowed := t.slow[domain]
	if !slowed {
		was = outbox.Slow{Channel: t.channel, Domain: domain}
	}
	is := was.Fall(c)
	if is == was {
		return is, false
	}
	t.slow[domain] = is
	t.any.Store(true)
	t.calls = append(t.calls, call{c, t.channel, domain})
	t.wake()
	return is, is.Every != was.Every
}

// unwritten takes out what the database has to know.
func (t *throttle) unwritten() (calls []call, good map[string]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	calls, good = t.calls, t.good
	t.calls, t.good = nil, map[string]int64{}
	return calls, good
}

// again puts back what could not be written.
func (t *throttle) again(calls []call, good map[string]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(slices.Clone(calls), t.calls...)
	for domain, n := range good {
		t.good[domain] += n
	}
}

// know takes over what the database says, except about domains that asked
// meanwhile.
func (t *throttle) know(slow map[string]outbox.Slow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.calls {
		slow[c.domain] = t.slow[c.domain]
	}
	t.slow = slow
	maps.DeleteFunc(t.behind, func(domain string, _ time.Time) bool {
		_, slowed := slow[domain]
		return !slowed && t.fixed[domain] == 0
	})
	t.any.Store(len(slow)+len(t.fixed) > 0)
}
