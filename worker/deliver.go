package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rapport"
	"rapport/internal/failpoint"
	"rapport/outbox"
)

const (
	// taskTime is how long Asynq gives a task. A job stops taking rows well
	// before, leaves the rest to the pump and so never has a twin.
	taskTime = 10 * time.Minute
	jobTime  = 8 * time.Minute
	// jobPatience is how long a batch waits for other batches of its channel.
	jobPatience = time.Second
	// callTime bounds a call to the database that nobody's context bounds.
	callTime = 30 * time.Second
	// spoilt is how many deliveries of a run in a row must fail to be rendered
	// before the run is paused: then it is the letter and not the people.
	spoilt = 50
)

// task is what a queue task says: nothing of a person, and nothing that is
// believed without asking the database.
type task struct {
	Batch int64 `json:"batch"`
	Run   int64 `json:"run"`
	Round int64 `json:"round"`
}

// runInfo is a run with the way its messages are written.
type runInfo struct {
	run     outbox.Run
	compose Compose
	policy  outbox.Policy
	spoilt  atomic.Int64 // deliveries in a row that could not be rendered
}

// openRun reads a run and opens its letter; it is kept while it is in use.
func (w *Worker) openRun(ctx context.Context, id int64) (*runInfo, error) {
	run, err := w.o.Deliveries.Run(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read run %d: %w", id, err)
	}
	compose, err := w.o.Open(ctx, run)
	if err != nil {
		if k := rapport.KindOf(err); k == rapport.Invalid || k == rapport.NotFound {
			w.pauseRun(ctx, run, "the template cannot be used: "+err.Error())
		}
		return nil, fmt.Errorf("open the letter of run %d: %w", id, err)
	}
	return &runInfo{run: run, compose: compose, policy: w.o.Policy(run.Class, run.Channel)}, nil
}

// job is the work on one batch.
type job struct {
	w     *Worker
	lane  *lane
	info  *runInfo
	batch int64
	which outbox.Lane
	seat  int64
	holds int64                     // lane.holds when it began
	pace  string                    // the receiving domain of all of it, if that is limited
	off   atomic.Pointer[time.Time] // until when the batch is left alone
	halt  atomic.Bool               // the gate said that the run stands still, or the database is away
	sends sync.WaitGroup            // messages on their way
	open  sync.WaitGroup            // outcomes that are not in the database yet
}

// deliver works on a batch until nothing of it is due, its channel or its run
// stands still, or the time is over. An error means that the database did not
// answer; whatever providers said is in the rows.
func (w *Worker) deliver(ctx context.Context, t task, which outbox.Lane) error {
	if !w.begin(t.Batch) {
		return w.decline(ctx, t.Batch)
	}
	defer w.end(t.Batch)
	seat, ok := w.seat.id()
	if !ok {
		return nil // the pump rings again when there is a seat
	}
	info, err := w.runs.Get(ctx, t.Run)
	if err != nil {
		return w.unknown(err, t)
	}
	l := w.lanes[info.run.Channel]
	if l == nil {
		w.log.WarnContext(ctx, "a batch waits for a channel that this process does not have", slog.String("channel", info.run.Channel), slog.Int64("batch", t.Batch))
		return nil
	}
	j := &job{w: w, lane: l, info: info, batch: t.Batch, which: which, seat: seat, holds: l.holds.Load()}
	free, ok, err := j.admitted(ctx)
	if err != nil || !ok {
		return err
	}
	defer free()
	patience, cancel := context.WithTimeout(ctx, jobPatience)
	err = enter(patience, l.jobs[which])
	cancel()
	if err != nil {
		return w.rest(ctx, t.Batch)
	}
	defer func() { <-l.jobs[which] }()
	err = j.empty(ctx)
	if !j.written(ctx) {
		return err // the outcomes are in the spool; the batch is rung again later
	}
	if e := j.rest(ctx); err == nil {
		err = e
	}
	w.pump.poke()
	select {
	case w.ended <- struct{}{}:
	default:
	}
	return err
}

// decline is for a batch that this process already works on, or that came
// while it stops: then others may have it at once.
func (w *Worker) decline(ctx context.Context, batch int64) error {
	w.mu.Lock()
	stopping := w.stopping
	w.mu.Unlock()
	if !stopping {
		return nil
	}
	return w.rest(ctx, batch)
}

// unknown is what becomes of a task whose run cannot be read.
func (w *Worker) unknown(err error, t task) error {
	if k := rapport.KindOf(err); k == rapport.NotFound || k == rapport.Invalid {
		w.meter.forged.Inc()
		w.log.Warn("a queue task is ignored", slog.Int64("batch", t.Batch), slog.Int64("run", t.Run), slog.Any("error", err))
		return nil
	}
	return err
}

// claimed is the answer to a claim that was made ahead.
type claimed struct {
	rows []outbox.Delivery
	err  error
}

// empty claims a chunk and sends it; the next chunk is asked for when half of
// the last one is gone.
func (j *job) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	defer j.sends.Wait() // the context is theirs, too
	var rows []outbox.Delivery
	var next chan claimed
	dry := false
	for {
		if next == nil && !dry && len(rows) <= j.lane.chunk(j.pace)/2 && j.working(ctx) {
			next = j.claim(ctx)
		}
		if len(rows) == 0 {
			if next == nil {
				return nil
			}
			got := <-next
			next = nil
			if got.err != nil {
				return got.err
			}
			rows, dry = got.rows, len(got.rows) == 0
			continue
		}
		j.lane.slots.forward(rows, j.which, j.lane.domain)
		if !j.launch(ctx, rows[0]) {
			if next != nil {
				rows = append(rows, (<-next).rows...)
			}
			j.release(rows)
			return nil
		}
		rows = rows[1:]
	}
}

// working says whether more may be started.
func (j *job) working(ctx context.Context) bool {
	seat, ok := j.w.seat.id()
	return ctx.Err() == nil && !j.halt.Load() && j.lane.holds.Load() == j.holds && ok && seat == j.seat
}

// claim reserves the next chunk while the last one is being sent. It does not
// stop in the middle: a row that is claimed must be known to be.
func (j *job) claim(ctx context.Context) chan claimed {
	out := make(chan claimed, 1)
	j.sends.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
		defer cancel()
		rows, err := j.w.o.Deliveries.Claim(ctx, j.batch, j.seat, j.lane.chunk(j.pace), j.w.o.Now())
		if err != nil {
			err = fmt.Errorf("claim from batch %d: %w", j.batch, err)
			j.w.seat.doubt() // rows may stand as claimed and nobody knows
		}
		failpoint.At("after_claim")
		out <- claimed{rows, err}
	})
	return out
}

// launch starts a delivery when there is a slot; false when no more is to be
// started.
func (j *job) launch(ctx context.Context, d outbox.Delivery) bool {
	if !j.working(ctx) {
		return false
	}
	domain := j.lane.domain(d.Address)
	if reason, until := j.unready(domain); reason != "" {
		j.postpone(d, reason, until)
		return true
	}
	leave, err := j.lane.slot(ctx, j.which, domain)
	if err != nil {
		return false
	}
	if !j.working(ctx) {
		leave()
		return false
	}
	j.sends.Go(func() {
		defer leave()
		j.send(ctx, d)
	})
	return true
}

// release gives back rows that were not started. It costs them nothing.
func (j *job) release(rows []outbox.Delivery) {
	reason := outbox.Reason("")
	if !j.lane.warm.waits().IsZero() {
		reason = outbox.WaitWarmup
	}
	if j.lane.holds.Load() != j.holds {
		reason = outbox.WaitHeld
	}
	for _, d := range rows {
		j.back(d, reason, time.Time{})
	}
}

// back queues a delivery again without a charge.
func (j *job) back(d outbox.Delivery, reason outbox.Reason, until time.Time) {
	j.settle(outbox.Settlement{
		Delivery: d.ID, Turn: d.Turn, State: outbox.Queued, Reason: reason, NotBefore: until, At: j.w.o.Now(),
	}, nil)
}

// settle hands an outcome to the database; spooled, if not nil, is told when
// it has arrived.
func (j *job) settle(s outbox.Settlement, spooled func()) {
	j.w.meter.outcome(j.lane.name, s.State, s.Verdict)
	j.open.Add(1)
	j.w.exchanger.settle(s, func() {
		if spooled != nil {
			spooled()
		}
		j.open.Done()
	})
}

// written waits until all outcomes of the job stand in the database; false
// when that takes longer than the job may.
func (j *job) written(ctx context.Context) bool {
	done := make(chan struct{})
	go func() {
		j.open.Wait()
		close(done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), taskTime-jobTime)
	defer cancel()
	select {
	case <-done:
		return true
	case <-j.w.exchanger.ended:
		return false
	case <-ctx.Done():
		return false
	}
}

// rest says that nobody works on the batch any more.
func (w *Worker) rest(ctx context.Context, batch int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	if err := w.o.Deliveries.Rest(ctx, batch); err != nil {
		return fmt.Errorf("rest batch %d: %w", batch, err)
	}
	return nil
}
