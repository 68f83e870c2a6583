package worker

import (
	"context"
	"math"
	"sync"
	"time"

	"rapport/outbox"
)

const (
	// warmSpread is within which time of a new day a process begins again, so
	// that not everything leaves at midnight.
	warmSpread = 10 * time.Minute
	// warmBlock is how many messages a process takes out of a day's number at
	// once, at most; a hundredth of the day's if that is less.
	warmBlock = 50
)

// warmer counts what leaves against the warm-up plan of a channel. It takes
// small blocks out of the day's number in the database before anything leaves:
// a process that dies leaves fewer messages than the plan allows, never more.
type warmer struct {
	channel string
	plan    outbox.Warmup
	paces   outbox.Paces
	now     func() time.Time
	jitter  func() float64

	mu   sync.Mutex
	day  string
	left int64     // of the block in hand
	full time.Time // when campaigns go on, as the day's number is used up
}

func newWarmer(channel string, l Lane, o Options) *warmer {
	if l.Warmup == nil || o.Paces == nil {
		return nil
	}
	jitter := o.Jitter
	if jitter == nil {
		jitter = func() float64 { return 0 }
	}
	return &warmer{channel: channel, plan: *l.Warmup, paces: o.Paces, now: o.Now, jitter: jitter}
}

// waits is until when campaigns wait for the next day; zero when they do not.
func (w *warmer) waits() time.Time {
	if w == nil {
		return time.Time{}
	}
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Before(w.full) && w.full.Sub(now) < 25*time.Hour+warmSpread { // else the clock was set
		return w.full
	}
	return time.Time{}
}

// take counts a message that is about to leave; when it may not, it says when
// it may. What one person waits for is counted and always leaves.
func (w *warmer) take(ctx context.Context, which outbox.Lane) (until time.Time, err error) {
	if w == nil {
		return time.Time{}, nil
	}
	now := w.now()
	limit, planned := w.plan.Limit(now)
	if !planned {
		return time.Time{}, nil
	}
	day, next := w.plan.Day(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	if day != w.day {
		w.day, w.left = day, 0
	}
	if w.left > 0 {
		w.left--
		return time.Time{}, nil
	}
	most, want := limit, max(1, min(limit/100, warmBlock))
	if which == outbox.Now {
		most, want = math.MaxInt64/2, 1
	}
	got, _, err := w.paces.Warm(ctx, w.channel, day, most, want)
	if err != nil {
		return time.Time{}, err
	}
	if got == 0 {
		w.full = next.Add(time.Duration(w.jitter() * float64(warmSpread)))
		return w.full, nil
	}
	w.left = got - 1
	return time.Time{}, nil
}

// back returns one that did not leave after all.
func (w *warmer) back() {
	if w == nil {
		return
	}
	day, _ := w.plan.Day(w.now())
	w.mu.Lock()
	defer w.mu.Unlock()
	if day == w.day {
		w.left++
	}
}

// close gives back what is left of the block in hand.
func (w *warmer) close(ctx context.Context) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 {
		return nil
	}
	_, _, err := w.paces.Warm(ctx, w.channel, w.day, math.MaxInt64/2, -w.left)
	w.left = 0
	return err
}
