package worker

import (
	"context"
	"log/slog"
	"time"

	"rapport"
	"rapport/internal/failpoint"
	"rapport/outbox"
)

const (
	pumpEvery = time.Second
	// pumpRest is the least time between two looks, however often it is poked;
	// campaigns are looked at less often than what a person waits for.
	pumpRest = 5 * time.Millisecond
	bulkRest = 100 * time.Millisecond
	// window is how many tasks of a channel and lane may wait in the queue: it
	// holds seconds of work, and a lost one costs seconds.
	window = 64
	// armedFor is how long a batch counts as asked for. Whoever works on it
	// says when it is done; this is for tasks that got lost.
	armedFor = time.Minute
)

// pump rings for whatever is due.
type pump struct {
	w     *Worker
	poked chan struct{}
	last  time.Time           // when campaigns were looked at
	rung  map[int64]rung      // batches that were asked for through the queue
	seen  map[int64]time.Time // due batches there was no room for, since when
}

type rung struct {
	outbox.Batch
	at time.Time
}

func newPump(w *Worker) *pump {
	return &pump{w: w, poked: make(chan struct{}, 1), rung: map[int64]rung{}, seen: map[int64]time.Time{}}
}

func (p *pump) poke() {
	select {
	case p.poked <- struct{}{}:
	default:
	}
}

// run looks each second and when poked, until the context ends.
func (p *pump) run(ctx context.Context) {
	tick := time.NewTicker(pumpEvery)
	defer tick.Stop()
	soon := time.NewTimer(0) // the next look at campaigns, when a poke came too early
	defer soon.Stop()
	for {
		began := p.w.o.Now()
		if _, seated := p.w.seat.id(); seated && p.w.witness.stands() == nil {
			if wait := p.look(ctx, began); wait > 0 {
				soon.Reset(wait)
			}
		}
		p.w.meter.lag.Set(max(0, (p.w.o.Now().Sub(began) - pumpEvery).Seconds()))
		rest := time.NewTimer(pumpRest)
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-p.poked:
		case <-soon.C:
		}
	}
}

// look rings for what is due. When it is too early to look at campaigns again
// it says how long to wait for that.
func (p *pump) look(ctx context.Context, now time.Time) time.Duration {
	p.forget(now)
	if p.w.queue.flushed() {
		p.again(ctx)
	}
	if !p.w.queue.up.Load() {
		p.instead()
	}
	p.ring(ctx, outbox.Now, now)
	if since := now.Sub(p.last); since >= 0 && since < bulkRest {
		return bulkRest - since
	}
	p.last = now
	p.ring(ctx, outbox.Bulk, now)
	return 0
}

// ring arms what is due in a lane and asks for it: in this process directly
// when somebody waits for it or the queue is away, by the queue otherwise.
func (p *pump) ring(ctx context.Context, which outbox.Lane, now time.Time) {
	due, err := p.w.o.Bells.Due(ctx, which, now, window*max(1, len(p.w.lanes)))
	if err != nil {
		if ctx.Err() == nil {
			p.w.troubled("the database does not say what is due", err)
		}
		return
	}
	room := map[string]int{}
	for _, b := range due {
		if p.w.lanes[b.Channel] == nil {
			p.w.troubled("batches wait for a channel that is not configured here", rapport.Unknown("channel", b.Channel, nil))
			continue
		}
		left, known := room[b.Channel]
		if !known {
			left = window - p.w.queue.waiting(which, b.Channel)
		}
		if left > 0 && p.ask(ctx, b, now) {
			left--
			delete(p.seen, b.ID)
		} else if _, noted := p.seen[b.ID]; !noted {
			p.seen[b.ID] = now
		}
		room[b.Channel] = left
	}
	p.age(which, due, now)
}

// age tells how long the oldest due batch has been waiting for room.
func (p *pump) age(which outbox.Lane, due []outbox.Batch, now time.Time) {
	var oldest time.Duration
	still := make(map[int64]time.Time, len(due))
	for _, b := range due {
		if since, ok := p.seen[b.ID]; ok {
			still[b.ID] = since
			oldest = max(oldest, now.Sub(since))
		}
	}
	if which == outbox.Bulk {
		p.seen = still
	}
	p.w.meter.oldest.WithLabelValues(string(which)).Set(oldest.Seconds())
}

// ask arms one batch and sees that somebody works on it.
func (p *pump) ask(ctx context.Context, b outbox.Batch, now time.Time) bool {
	if b.Lane == outbox.Bulk && !p.w.lanes[b.Channel].warm.waits().IsZero() {
		return false // the channel has sent what its plan allows today
	}
	ways := p.w.direct[b.Lane]
	up := p.w.queue.up.Load()
	if !up && len(ways) == cap(ways) {
		return false // the queue is away and this process has its hands full
	}
	armed, mine, err := p.w.o.Bells.Arm(ctx, b, now, now.Add(armedFor))
	if err != nil || !mine {
		if err != nil && ctx.Err() == nil {
			p.w.troubled("a batch could not be armed", err)
		}
		return false
	}
	if b.Lane == outbox.Now || !up {
		if p.w.handOver(armed) {
			p.w.meter.rings.WithLabelValues(string(b.Lane), "direct").Inc()
			return true
		}
	}
	if err := p.w.queue.ask(ctx, armed); err != nil {
		p.w.troubled("the queue does not answer; this process goes on by itself", err)
		if p.w.handOver(armed) {
			return true
		}
		if err := p.w.o.Deliveries.Rest(ctx, b.ID); err != nil {
			p.w.troubled("a batch could not be put to rest", err)
		}
		return false
	}
	failpoint.At("after_enqueue")
	p.rung[armed.ID] = rung{armed, now}
	p.w.meter.rings.WithLabelValues(string(b.Lane), "queue").Inc()
	return true
}

// again asks once more for what was in a queue that has lost everything.
func (p *pump) again(ctx context.Context) {
	lost := 0
	for id, r := range p.rung {
		if p.w.busyWith(id) {
			continue
		}
		if err := p.w.queue.ask(ctx, r.Batch); err != nil {
			p.w.troubled("the queue does not answer; this process goes on by itself", err)
			return
		}
		lost++
	}
	p.w.log.WarnContext(ctx, "the queue was empty: batches are asked for again", slog.Int("batches", lost))
}

// instead works on what lies in a queue that is away, as far as this process
// has hands. A batch that was already worked on costs one look.
func (p *pump) instead() {
	for id, r := range p.rung {
		if p.w.busyWith(id) {
			continue
		}
		if !p.w.handOver(r.Batch) {
			return
		}
		delete(p.rung, id)
	}
}

// forget drops notes about batches that are no longer armed, so that the map
// stays as small as the window.
func (p *pump) forget(now time.Time) {
	for id, r := range p.rung {
		if now.Sub(r.at) > armedFor {
			delete(p.rung, id)
		}
	}
}

// handOver gives a batch to a goroutine of this process, if one is free.
func (w *Worker) handOver(b outbox.Batch) bool {
	ways := w.direct[b.Lane]
	select {
	case ways <- struct{}{}:
	default:
		return false
	}
	w.keepers.Go(func() {
		defer func() { <-ways }()
		if err := w.deliver(w.soft, task{Batch: b.ID, Run: b.Run, Round: b.Round}, b.Lane); err != nil && w.soft.Err() == nil {
			w.troubled("a batch could not be worked on", err)
		}
	})
	return true
}

func (w *Worker) busyWith(batch int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active[batch]
}
