package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"rapport/channels"
	"rapport/outbox"
)

const (
	// paceEvery is how often a process looks what others know about pace.
	paceEvery = time.Second
	// meetEvery is how often it makes itself known to those who share a rate.
	meetEvery = 10 * time.Second
	// crowdWait is how long a batch of a limited domain waits for others of it.
	crowdWait = 2 * time.Second
)

// later is why a message did not leave although nobody forbade it: its
// receiving domain or its channel takes no more for now.
type later struct {
	reason outbox.Reason
	until  time.Time
}

// Error says what it waits for.
func (l *later) Error() string { return "the message waits: " + string(l.reason) }

// Pace returns when a message of a channel may leave under a limit of the
// channel's driver, as channels.Env.Pace promises.
func (w *Worker) Pace(ctx context.Context, channel, key string, perSecond float64) error {
	l := w.lanes[channel]
	if l == nil {
		return fmt.Errorf("pace of channel %s: it is not driven here", channel)
	}
	return l.pace.waitFor(ctx, key, perSecond)
}

// pacing keeps what all processes share about pace: live rates, slowed
// domains, and how many share a rate.
func (w *Worker) pacing(ctx context.Context) {
	if w.o.Paces == nil {
		return
	}
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	var met time.Time
	for {
		if err := w.share(ctx); err != nil && ctx.Err() == nil {
			w.troubled("the pace could not be shared", err)
		}
		if now := time.Now(); now.Sub(met) >= meetEvery {
			met = now
			for _, l := range w.lanes {
				l.pace.meet(ctx)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.asked:
		}
	}
}

// share writes what this process learnt and reads what others did.
func (w *Worker) share(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	list, err := w.o.Paces.Slows(ctx)
	if err != nil {
		return err
	}
	known := map[string]map[string]outbox.Slow{}
	for _, s := range list {
		if known[s.Channel] == nil {
			known[s.Channel] = map[string]outbox.Slow{}
		}
		known[s.Channel][s.Domain] = s
	}
	rates, err := w.o.Paces.LiveRates(ctx)
	if err != nil {
		return err
	}
	w.meter.slow.Reset()
	for name, l := range w.lanes {
		if known[name] == nil {
			known[name] = map[string]outbox.Slow{}
		}
		if err := w.exchangePace(ctx, l, known[name]); err != nil {
			return err
		}
		rate := l.Rate
		for _, r := range rates {
			if r.Channel == name {
				rate = r.PerSecond()
			}
		}
		l.pace.set(rate)
		l.resize()
	}
	return nil
}

// exchangePace writes what a lane learnt about its domains, lets those climb
// that may, and takes over the rest.
func (w *Worker) exchangePace(ctx context.Context, l *lane, known map[string]outbox.Slow) error {
	calls, good := l.throttle.unwritten()
	for len(calls) > 0 {
		is, err := w.fall(ctx, known, calls[0])
		if err != nil {
			l.throttle.again(calls, good)
			return err
		}
		known[is.Domain] = is
		calls = calls[1:]
	}
	for domain, n := range good {
		if err := w.o.Paces.Praise(ctx, l.name, domain, n); err != nil {
			l.throttle.again(nil, good)
			return err
		}
		delete(good, domain)
		if s, ok := known[domain]; ok {
			s.Good += n
			known[domain] = s
		}
	}
	now := w.o.Now()
	for domain, was := range known {
		is, changed := was.Climb(now)
		if !changed {
			continue
		}
		mine, err := w.o.Paces.KeepSlow(ctx, was, is)
		if err != nil {
			return err
		}
		if !mine {
			continue
		}
		if known[domain] = is; is.Free() {
			delete(known, domain)
			w.log.InfoContext(ctx, "a receiving domain is not slowed down any more", slog.String("channel", l.name), slog.String("domain", domain))
		}
	}
	l.throttle.know(known)
	for domain, s := range known {
		w.meter.slow.WithLabelValues(l.name, domain).Set(s.PerMinute())
	}
	return nil
}

// fall writes that a domain asked for less, on top of what others wrote.
func (w *Worker) fall(ctx context.Context, known map[string]outbox.Slow, c call) (outbox.Slow, error) {
	was, ok := known[c.domain]
	if !ok {
		was = outbox.Slow{Channel: c.channel, Domain: c.domain}
	}
	is := was.Fall(c.Call)
	if is == was {
		return was, nil
	}
	mine, err := w.o.Paces.KeepSlow(ctx, was, is)
	if err == nil && !mine { // somebody else was faster: theirs counts, and is read in a second
		return is, nil
	}
	return is, err
}

// resize gives the lane as many slots as its pace can use.
func (l *lane) resize() { l.slots.resize(l.pace.abreast(l.Concurrency)) }

// rise lets a lane that rested begin slowly.
func (l *lane) rise() {
	l.pace.rise()
	l.resize()
}

// see takes over whether the channel is held; one that was begins slowly.
func (l *lane) see(held bool) {
	if l.held.Swap(held) && !held {
		l.rise()
	}
}

// admitted says whether a batch of a limited domain is to be worked on now; one
// that is not is left alone until it makes sense.
func (j *job) admitted(ctx context.Context) (done func(), ok bool, err error) {
	l := j.lane
	if j.w.o.Paces == nil || !l.throttle.any.Load() {
		return func() {}, true, nil
	}
	pace, err := j.w.o.Paces.PaceOf(ctx, j.batch)
	if err != nil {
		return nil, false, err
	}
	if !l.throttle.limited(pace) {
		return func() {}, true, nil
	}
	j.pace = pace
	now := j.w.o.Now()
	until := l.throttle.rests(pace, now)
	if until.IsZero() {
		if done, ok = l.work(pace); ok {
			return done, true, nil
		}
		until = now.Add(crowdWait)
	}
	j.off.Store(&until)
	return nil, false, j.rest(ctx)
}

// rest says that nobody works on the job's batch any more, and until when it
// is left alone.
func (j *job) rest(ctx context.Context) error {
	until := j.off.Load()
	if until == nil || j.w.o.Paces == nil {
		return j.w.rest(ctx, j.batch)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	most := j.w.o.Now().Add(armedFor) // a limit may be changed or taken away meanwhile
	if until.After(most) {
		until = &most
	}
	return j.w.o.Paces.PutOff(ctx, j.batch, *until)
}

// unready says why a delivery is not worth starting now, and when it is; the
// zero time when it is.
func (j *job) unready(domain string) (outbox.Reason, time.Time) {
	l, now := j.lane, j.w.o.Now()
	if j.which == outbox.Bulk {
		if until := l.warm.waits(); !until.IsZero() {
			return outbox.WaitWarmup, until
		}
	}
	if !l.throttle.limited(domain) {
		return "", time.Time{}
	}
	if !l.throttle.rests(domain, now).IsZero() || (j.pace == "" && l.slots.crowded(domain)) {
		return outbox.WaitSlow, l.throttle.putOff(domain, now, l.pace.sharers())
	}
	return "", time.Time{}
}

// postpone queues a delivery for a later time; when it speaks for its whole
// batch, the batch rests until then.
func (j *job) postpone(d outbox.Delivery, reason outbox.Reason, until time.Time) {
	j.back(d, reason, until)
	if reason == outbox.WaitWarmup || j.pace != "" {
		j.off.CompareAndSwap(nil, &until)
		j.halt.Store(true)
	}
}

// turn waits for the departure time of a message, at the wire.
func (a *attempt) turn(ctx context.Context) error {
	l, now := a.lane, a.w.o.Now()
	domain := l.domain(a.d.Address)
	if until := l.throttle.rests(domain, now); !until.IsZero() {
		return &later{outbox.WaitSlow, l.throttle.putOff(domain, now, l.pace.sharers())}
	}
	if err := l.pace.wait(ctx, domain); err != nil {
		if errors.Is(err, errLate) {
			return &later{outbox.WaitSlow, l.throttle.putOff(domain, a.w.o.Now(), l.pace.sharers())}
		}
		return fmt.Errorf("%w: %w", errHome, err)
	}
	until, err := l.warm.take(ctx, a.which)
	switch {
	case err != nil:
		a.w.troubled("the warm-up could not be counted: sending waits", err)
		return fmt.Errorf("%w: %w", errHome, err)
	case !until.IsZero():
		return &later{outbox.WaitWarmup, until}
	}
	l.throttle.left(domain)
	return nil
}

// learn takes out of an outcome what it says about pace: how much of the
// channel has to slow down, and whether it has come back.
func (a *attempt) learn(s *outbox.Settlement, err error) {
	l := a.lane
	domain := l.domain(a.d.Address)
	if err == nil {
		l.throttle.accepted(domain)
		if l.away.note(false) {
			l.rise()
		}
		return
	}
	f := channels.Judge(err)
	if !a.departed && f.Verdict == channels.Temporary {
		l.away.note(true)
	}
	if f.Verdict != channels.Throttled {
		return
	}
	switch {
	case f.Scope == channels.OneServer:
		s.Hold = nil // the driver lets that server rest
	case f.Scope == channels.OneDomain && domain != "":
		s.Hold = nil
		c := outbox.Call{At: s.At, After: f.After, Reason: outbox.Reason(f.Reason), Detail: strings.ReplaceAll(s.Detail, a.d.Address, "…")}
		is, slower := l.throttle.asked(domain, c, l.pace.sharers())
		if s.State == outbox.Queued {
			s.Reason, s.NotBefore = outbox.WaitSlow, l.throttle.putOff(domain, s.At, l.pace.sharers())
		}
		if slower {
			a.w.log.Warn("a receiving domain asked for less", slog.String("channel", l.name), slog.String("domain", domain),
				slog.Float64("per_minute", is.PerMinute()), slog.Time("until", is.Until), slog.String("said", brief(c.Detail)))
		}
	}
}
