package worker

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"rapport/channels"
	"rapport/outbox"
)

// Lane is a channel as the machine room drives it.
type Lane struct {
	Channel      channels.Channel
	Concurrency  int     // Sends at once in this process; 0 means 8
	Rate         float64 // messages a second over all processes; 0 means no limit
	DropsRepeats bool    // the receiver promises to drop repeats of a key

	Domain  func(address string) string // the receiving domain of an address; nil: there are none
	Domains map[string]float64          // messages a second to receiving domains that have a limit
	Warmup  *outbox.Warmup              // how many may leave on a day; nil: no plan
}

const (
	defaultConcurrency = 8
	bulkJobs           = 4  // batches of a channel that are worked on at once
	nowJobs            = 16 // the same in lane now, where a batch is often one message
	domainJobs         = 2  // batches of a limited domain that are worked on at once
)

// lane is a channel in this process: its slots are shared by all batches.
type lane struct {
	Lane
	name     string
	pace     *pacer
	throttle *throttle
	warm     *warmer // nil: no plan
	slots    *slots
	jobs     map[outbox.Lane]chan struct{}
	holds    atomic.Int64 // grows when the channel is held; who began before goes home
	held     atomic.Bool  // as it was found last
	away     stumbles

	mu     sync.Mutex
	narrow map[string]int // jobs of limited domains
}

func newLane(name string, l Lane, pace *pacer, warm *warmer, wake func()) *lane {
	if l.Concurrency <= 0 {
		l.Concurrency = defaultConcurrency
	}
	t := newThrottle(name, l.Domains, pace.now)
	pace.own, t.wake = t.every, wake
	return &lane{
		Lane: l, name: name, pace: pace, throttle: t, warm: warm,
		slots:  newSlots(pace.abreast(l.Concurrency), t.most),
		narrow: map[string]int{},
		jobs: map[outbox.Lane]chan struct{}{
			outbox.Bulk: make(chan struct{}, bulkJobs), outbox.Now: make(chan struct{}, nowJobs),
		},
	}
}

// chunk is how many rows are claimed at once; of a limited domain, what leaves
// within ten seconds.
func (l *lane) chunk(domain string) int {
	n := min(max(4*l.slots.size(), 16), 256)
	if every := l.throttle.every(domain); domain != "" && every > 0 {
		n = min(n, int(math.Ceil(float64(10*time.Second)/float64(every))))
	}
	return n
}

// domain is who receives for an address, as far as the driver knows.
func (l *lane) domain(address string) string {
	if l.Domain == nil {
		return ""
	}
	return l.Domain(address)
}

// slot waits for the right to call Send once and returns how to give it back.
func (l *lane) slot(ctx context.Context, which outbox.Lane, domain string) (leave func(), err error) {
	return l.slots.enter(ctx, which, domain)
}

// work is the right to work on a batch of a limited domain; false when as many
// are worked on as make sense.
func (l *lane) work(domain string) (done func(), ok bool) {
	if domain == "" || !l.throttle.limited(domain) {
		return func() {}, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.narrow[domain] >= domainJobs {
		return nil, false
	}
	l.narrow[domain]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.narrow[domain]--; l.narrow[domain] <= 0 {
			delete(l.narrow, domain)
		}
	}, true
}

// stumbles notices that a channel was away: many attempts in a row that never
// came as far as a message. The first that gets through begins slowly.
type stumbles struct{ n atomic.Int64 }

// manyStumbles in a row mean that a provider is away and not one message odd.
const manyStumbles = 20

// note says whether the channel has just come back.
func (s *stumbles) note(stumbled bool) (back bool) {
	if stumbled {
		s.n.Add(1)
		return false
	}
	return s.n.Swap(0) >= manyStumbles
}

func enter(ctx context.Context, room chan struct{}) error {
	select {
	case room <- struct{}{}:
		return nil
	default:
	}
	select {
	case room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
