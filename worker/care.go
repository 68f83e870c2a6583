package worker

import (
	"context"
	"log/slog"
	"time"

	"rapport/outbox"
)

const (
	careEvery    = time.Second
	reclaimEvery = 2 * time.Second
	orphansEvery = 10 * time.Second
	probeEvery   = 5 * time.Minute
	finishRest   = 100 * time.Millisecond
	foldTime     = 500 * time.Millisecond // of each round: the rest has its turn, too
)

// carer does what has to be done again and again beside the bell.
type carer struct {
	w         *Worker
	reclaimed time.Time
	looked    time.Time
	probed    map[string]time.Time
	held      map[string]time.Time // channel → since, of holds that were told
	first     bool
}

// care ends what is over, judges the dead and watches holds, each second.
func (w *Worker) care(ctx context.Context) {
	c := &carer{w: w, probed: map[string]time.Time{}, held: map[string]time.Time{}, first: true}
	tick := time.NewTicker(careEvery)
	defer tick.Stop()
	for {
		now := w.o.Now()
		if err := w.spool.check(); err != nil {
			w.troubled("the spool takes nothing: sending waits", err)
		}
		if _, seated := w.seat.id(); seated {
			c.dead(ctx, now)
			c.holds(ctx, now)
			c.end(ctx, now)
		}
		if !c.wait(ctx, tick.C) {
			return
		}
	}
}

// wait waits for the next second. A batch that has come to its end meanwhile
// may be the last of its run, which somebody may be waiting for.
func (c *carer) wait(ctx context.Context, tick <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick:
			return true
		case <-c.w.ended:
			c.finish(ctx, c.w.o.Now())
		}
		select { // not at every one of a hundred batches a second
		case <-ctx.Done():
			return false
		case <-time.After(finishRest):
		}
	}
}

func (c *carer) dead(ctx context.Context, now time.Time) {
	if since := now.Sub(c.looked); since >= orphansEvery || since < 0 {
		c.looked = now
		c.w.adopt(ctx)
	}
	if since := now.Sub(c.reclaimed); since >= reclaimEvery || since < 0 {
		c.reclaimed = now
		c.w.reclaim(ctx)
	}
}

// adopt writes the outcomes that lie in spools of dead processes.
func (w *Worker) adopt(ctx context.Context) {
	taken, found, err := orphans(w.o.Data, w.database)
	if err != nil {
		w.troubled("a spool of an earlier process cannot be read", err)
	}
	if len(found) > 0 {
		w.log.InfoContext(ctx, "outcomes of a dead process are written", slog.Int("outcomes", len(found)))
		for _, one := range found {
			w.exchanger.settle(one.Settlement, func() { w.spool.settled(one.from) })
		}
		ctx, cancel := context.WithTimeout(ctx, callTime)
		defer cancel()
		if err := w.exchanger.flush(ctx); err != nil {
			w.troubled("the outcomes of a dead process could not be written yet", err)
		}
	}
	for _, s := range taken {
		s.close()
	}
}

// reclaim judges the rows of dead workers.
func (w *Worker) reclaim(ctx context.Context) {
	got, err := w.o.Seats.Reclaim(ctx, w.o.Policy, w.o.Now())
	if err != nil {
		if ctx.Err() == nil {
			w.troubled("the rows of dead workers could not be judged", err)
		}
		return
	}
	if got != (outbox.Reclaimed{}) {
		w.meter.found(got)
		w.log.InfoContext(ctx, "rows of dead workers were judged", slog.Int("workers", got.Workers), slog.Int("freed", got.Freed), slog.Int("repeated", got.Repeated), slog.Int("uncertain", got.Uncertain))
		w.pump.poke()
	}
}

// holds tells about new holds and lets a channel go that a check finds well.
func (c *carer) holds(ctx context.Context, now time.Time) {
	list, err := c.w.o.Holds.Holds(ctx, now)
	if err != nil {
		if ctx.Err() == nil {
			c.w.troubled("the holds could not be read", err)
		}
		return
	}
	held := make(map[string]time.Time, len(list))
	for _, h := range list {
		held[h.Channel] = h.Since
		since, told := c.held[h.Channel]
		if (!told || !since.Equal(h.Since)) && !c.first && c.w.o.OnHold != nil {
			c.w.o.OnHold(ctx, h)
		}
		c.probe(ctx, h, now)
	}
	for name, l := range c.w.lanes {
		value := 0.0
		_, is := held[name]
		if l.see(is); is {
			value = 1
		}
		c.w.meter.held.WithLabelValues(name).Set(value)
	}
	c.held, c.first = held, false
}

// probe asks a provider that broke, now and then, whether it would talk to us
// again. A refusal by policy is for a person to look at: a greeting proves
// nothing about it.
func (c *carer) probe(ctx context.Context, h outbox.Hold, now time.Time) {
	l := c.w.lanes[h.Channel]
	if l == nil || !h.Until.IsZero() || !probeable(h.Reason) {
		return
	}
	last := c.probed[h.Channel]
	if last.Before(h.Since) {
		last = h.Since
	}
	if now.Sub(last) < probeEvery {
		return
	}
	c.probed[h.Channel] = now
	check, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := l.Channel.Check(check); err != nil {
		return
	}
	if lifted, err := c.w.o.Holds.Lift(ctx, h.Channel); err == nil && lifted {
		c.w.log.InfoContext(ctx, "a channel answers again and is released", slog.String("channel", h.Channel))
		c.w.pump.poke()
	}
}

func probeable(r outbox.Reason) bool {
	return r == outbox.Authentication || r == outbox.Connection || r == outbox.TLS
}

// end folds what nobody will send any more, and finishes runs.
func (c *carer) end(ctx context.Context, now time.Time) {
	if c.w.witness.stands() != nil {
		return // what is over may have been sent before
	}
	for deadline := c.w.o.Now().Add(foldTime); ctx.Err() == nil; {
		n, err := c.w.o.Bells.Fold(ctx, now)
		if err != nil && ctx.Err() == nil {
			c.w.troubled("what is over could not be folded", err)
		}
		if err != nil || n == 0 || c.w.o.Now().After(deadline) {
			break
		}
	}
	c.finish(ctx, now)
}

// finish ends runs of which nothing is open and tells about them.
func (c *carer) finish(ctx context.Context, now time.Time) {
	if c.w.witness.stands() != nil {
		return
	}
	done, err := c.w.o.Bells.Finish(ctx, now)
	if err != nil && ctx.Err() == nil {
		c.w.troubled("runs could not be finished", err)
	}
	for _, a := range done {
		c.w.meter.finished.Inc()
		c.w.log.InfoContext(ctx, "a run is finished", slog.String("campaign", a.Campaign), slog.Int64("planned", a.Planned), slog.Int64("sent", a.States[outbox.Sent]))
		if c.w.o.OnFinished != nil {
			c.w.o.OnFinished(ctx, a)
		}
	}
}

// plan asks for the next piece of planning, so that a million people do not
// keep the bell waiting.
func (w *Worker) plan(ctx context.Context) {
	if w.o.Plan == nil {
		return
	}
	tick := time.NewTicker(pumpEvery)
	defer tick.Stop()
	for {
		var more bool
		var err error
		if w.witness.stands() == nil {
			more, err = w.o.Plan(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.troubled("planning failed and is tried again", err)
		}
		if more {
			w.pump.poke()
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-w.planned:
		case <-tick.C:
		}
	}
}

// chores does each chore in its own time.
func (w *Worker) chores(ctx context.Context) {
	if len(w.o.Chores) == 0 {
		return
	}
	last := make([]time.Time, len(w.o.Chores))
	tick := time.NewTicker(careEvery)
	defer tick.Stop()
	for {
		for i, c := range w.o.Chores {
			now := w.o.Now()
			if since := now.Sub(last[i]); since < c.Every && since >= 0 {
				continue
			}
			last[i] = now
			if err := c.Do(ctx); err != nil && ctx.Err() == nil {
				w.troubled("a chore failed: "+c.Name, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
