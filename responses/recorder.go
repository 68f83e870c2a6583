package responses

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rapport"
)

const (
	batchSize = 500                    // rows in one insert
	batchTime = 250 * time.Millisecond // how long an event waits for company
	capacity  = 10_000                 // events that wait while the store is away
	patience  = 2 * time.Second        // how long Record waits when full
	writeTime = 10 * time.Second       // one insert
	pauseMin  = 500 * time.Millisecond // between tries while the store is away
	pauseMax  = 10 * time.Second
)

// ErrFull is what Record returns when nothing was written for so long that no
// more can be kept.
var ErrFull = errors.New("too many responses wait for the database")

// Recorder gathers events and writes them together: up to 500, or what came
// within 250 ms. While the store does not answer it keeps up to 10,000
// different events and tries again; then Record waits. It is safe for
// concurrent use.
type Recorder struct {
	store Store
	log   *slog.Logger
	in    chan Event
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
	queue queue // the loop's; after done, Stop's

	recorded, repeated, refused atomic.Int64
	waiting                     atomic.Int64
}

// NewRecorder makes a recorder; Start begins.
func NewRecorder(s Store, log *slog.Logger) *Recorder {
	return &Recorder{
		store: s, log: log, in: make(chan Event, batchSize), stop: make(chan struct{}), done: make(chan struct{}),
		queue: queue{seen: map[string]bool{}},
	}
}

// Stats are the recorder's counters since its start.
type Stats struct {
	Recorded int64 // new rows
	Repeated int64 // hits that counted already
	Refused  int64 // could not be kept
	Waiting  int64 // not written yet
}

// Stats returns the counters.
func (r *Recorder) Stats() Stats {
	return Stats{Recorded: r.recorded.Load(), Repeated: r.repeated.Load(), Refused: r.refused.Load(), Waiting: r.waiting.Load()}
}

// Record takes an event. When no more can be kept it waits, until ctx is done
// or for two seconds; the error then is ErrFull.
func (r *Recorder) Record(ctx context.Context, e Event) error {
	select {
	case <-r.stop:
	default:
		select {
		case r.in <- e:
			return nil
		default:
			return r.insist(ctx, e)
		}
	}
	r.refused.Add(1)
	return ErrFull
}

func (r *Recorder) insist(ctx context.Context, e Event) error {
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case r.in <- e:
		return nil
	case <-wait.C:
	case <-ctx.Done():
	case <-r.stop:
	}
	r.refused.Add(1)
	return ErrFull
}

// Start begins to write. The work ends with Stop, not with ctx.
func (r *Recorder) Start(ctx context.Context) error {
	go r.loop(context.WithoutCancel(ctx))
	return nil
}

// Stop takes no more events, writes what waits and returns; what cannot be
// written before ctx is done is counted in the error.
func (r *Recorder) Stop(ctx context.Context) error {
	r.once.Do(func() { close(r.stop) })
	select {
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		select {
		case e := <-r.in:
			r.add(e)
			continue
		default:
		}
		break
	}
	for !r.queue.empty() {
		if err := r.write(ctx, r.queue.take()); err != nil {
			return errors.Join(ErrFull, err)
		}
	}
	return nil
}

// load is what goes into one transaction.
type load struct {
	events []Event
	bursts []Burst
}

// queue is what waits, without repetitions.
type queue struct {
	load
	seen   map[string]bool
	trails trails
}

func (q *queue) empty() bool { return len(q.events) == 0 && len(q.bursts) == 0 }

// take removes the oldest events and all bursts.
func (q *queue) take() load {
	n := min(len(q.events), batchSize)
	out := load{events: q.events[:n:n], bursts: q.bursts}
	q.events, q.bursts = q.events[n:], nil
	if len(q.events) == 0 {
		q.events = nil
		clear(q.seen)
	}
	return out
}

// putBack returns what could not be written to the front.
func (q *queue) putBack(l load) {
	q.events = append(l.events, q.events...)
	q.bursts = append(l.bursts, q.bursts...)
}

// add says whether the event was new among those that wait.
func (q *queue) add(e Event) bool {
	if !e.Machine {
		burst, during, from := q.trails.add(e)
		if burst {
			q.mark(e, from)
		}
		if burst || during {
			e.Machine, e.Agent = true, AgentBurst
		}
	}
	key := e.Key()
	if q.seen[key] {
		return false
	}
	q.seen[key] = true
	q.events = append(q.events, e)
	return true
}

// mark gives the earlier hits of a burst to the machine: those that wait, and
// by the burst those that are written.
func (q *queue) mark(e Event, from time.Time) {
	for i := range q.events {
		w := &q.events[i]
		if w.Run == e.Run && w.Contact == e.Contact && w.Kind.hit() && !w.At.Before(from) {
			w.Machine, w.Agent = true, AgentBurst
		}
	}
	q.bursts = append(q.bursts, Burst{Run: e.Run, Contact: e.Contact, From: from})
}

func (r *Recorder) add(e Event) {
	if !r.queue.add(e) {
		r.repeated.Add(1)
	}
	r.waiting.Store(int64(len(r.queue.events)))
}

// loop owns the queue until it ends.
func (r *Recorder) loop(ctx context.Context) {
	defer close(r.done)
	timer := time.NewTimer(batchTime)
	timer.Stop() // nothing waits yet
	defer timer.Stop()
	ready := false // the oldest has waited long enough
	var pause time.Duration
	var under load
	written := make(chan error, 1)
	busy := false
	for {
		in := r.in
		if len(r.queue.events)+len(under.events) >= capacity {
			in = nil
		}
		select {
		case e := <-in:
			if r.queue.empty() && !busy {
				timer.Reset(batchTime)
			}
			r.add(e)
		case <-timer.C:
			ready = true
		case err := <-written:
			busy = false
			pause = r.after(ctx, err, under, pause)
			under = load{}
			ready = false
			if !r.queue.empty() {
				timer.Reset(max(pause, batchTime))
			}
		case <-r.stop:
			if busy {
				if err := <-written; err != nil {
					r.queue.putBack(under)
				}
			}
			return
		}
		full := pause == 0 && len(r.queue.events) >= batchSize
		if busy || r.queue.empty() || !ready && !full {
			continue
		}
		under, busy = r.queue.take(), true
		go func(l load) { written <- r.write(ctx, l) }(under)
	}
}

// after decides how long to wait after a write.
func (r *Recorder) after(ctx context.Context, err error, l load, pause time.Duration) time.Duration {
	if err == nil {
		if pause > 0 {
			r.log.InfoContext(ctx, "responses are recorded again", slog.Int("waiting", len(r.queue.events)))
		}
		return 0
	}
	r.queue.putBack(l)
	if pause == 0 {
		r.log.WarnContext(ctx, "responses cannot be recorded for now and are kept", slog.Int("waiting", len(r.queue.events)), slog.Any("error", err))
	}
	return min(max(2*pause, pauseMin), pauseMax)
}

// write inserts a load. An event that the store refuses for its own sake must
// not keep the others back, so after such an error each is tried alone.
func (r *Recorder) write(ctx context.Context, l load) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	n, err := r.store.AddResponses(ctx, l.events, l.bursts)
	if err == nil {
		r.count(len(l.events), n)
		return nil
	}
	if rapport.KindOf(err) == rapport.Unavailable || ctx.Err() != nil || len(l.events) < 2 {
		return err
	}
	good, added := 0, 0
	for _, e := range l.events {
		if n, one := r.store.AddResponses(ctx, []Event{e}, nil); one == nil {
			good, added = good+1, added+n
		} else if rapport.KindOf(one) == rapport.Unavailable || ctx.Err() != nil {
			return one
		}
	}
	if good == 0 {
		return err // it is not one of them, it is the store
	}
	r.count(good, added)
	r.refused.Add(int64(len(l.events) - good))
	r.log.ErrorContext(ctx, "responses were refused by the database", slog.Int("refused", len(l.events)-good), slog.Any("error", err))
	return nil
}

func (r *Recorder) count(tried, added int) {
	r.recorded.Add(int64(added))
	r.repeated.Add(int64(tried - added))
}
