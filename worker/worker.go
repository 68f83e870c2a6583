package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport"
	"rapport/channels"
	"rapport/outbox"
)

// Compose writes the message of one delivery: its parts, files, list, links,
// return token and reply address. The worker fills in the key, the address,
// the class and Depart. An error means that this delivery cannot be rendered
// and fails, except an Unavailable one, after which it is tried again.
type Compose func(ctx context.Context, d outbox.Delivery) (channels.Message, error)

// Chore is small work that some process has to do again and again.
type Chore struct {
	Name  string // for the log
	Every time.Duration
	Do    func(ctx context.Context) error
}

// Options is what the machine room is made of.
type Options struct {
	Deliveries outbox.Deliveries
	Bells      outbox.Bells
	Seats      outbox.Seats
	Holds      outbox.Holds
	Paces      outbox.Paces      // nil: rates are as configured, and nothing is learnt about them
	Milestones outbox.Milestones // nil: an older copy of the database is not noticed
	Channels   map[string]Lane   // by configured name

	// Open makes the writer of a run's messages; it is asked once while the
	// run is in use. An Invalid or NotFound error pauses the run.
	Open func(ctx context.Context, run outbox.Run) (Compose, error)
	// Policy is what becomes of attempts; nil means outbox.PolicyFor.
	Policy func(class channels.Class, channel string) outbox.Policy
	// PauseRun stops a run that cannot go on, with a note for people.
	PauseRun func(ctx context.Context, run int64, note string) error
	// Plan does the next piece of planning, in a goroutine of its own, each
	// second and again at once while it says that there is more. May be nil.
	Plan func(ctx context.Context) (more bool, err error)
	// Chores are done one after another in a goroutine of their own.
	Chores []Chore
	// OnFinished and OnHold are told once a run, and once a hold and process;
	// they are called by one goroutine and should not keep it. May be nil.
	OnFinished func(ctx context.Context, a outbox.Account)
	OnHold     func(ctx context.Context, h outbox.Hold)

	Redis  string         // address, see OpenRedis; empty: the embedded queue
	Space  string         // keeps installations in one Redis apart; empty: "rapport"
	Data   string         // the data folder, for the spool
	Name   string         // of this worker, for people
	Zone   *time.Location // of people without one; nil: UTC
	Calm   *outbox.Calm   // when people are left alone; nil: the windows of runs only
	Grace  time.Duration  // how long Stop lets open sends end; 0: 60 s
	Now    func() time.Time
	Jitter func() float64 // in [0, 1), spreads retries
	Random func() string  // an unguessable word: this process's name in Redis, the embedded queue's password
	Log    *slog.Logger
	Meters prometheus.Registerer // nil: none
}

func (o *Options) complete() error {
	switch {
	case o.Deliveries == nil || o.Bells == nil || o.Seats == nil || o.Holds == nil:
		return errors.New("worker: Deliveries, Bells, Seats and Holds are needed")
	case o.Open == nil || o.Now == nil || o.Random == nil || o.Data == "":
		return errors.New("worker: Open, Now, Random and Data are needed")
	}
	if o.Space == "" {
		o.Space = "rapport"
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Grace == 0 {
		o.Grace = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Policy == nil {
		lanes, jitter := o.Channels, o.Jitter
		o.Policy = func(class channels.Class, channel string) outbox.Policy {
			return outbox.PolicyFor(class, lanes[channel].DropsRepeats, jitter)
		}
	}
	return nil
}

// Worker is the machine room of one process.
type Worker struct {
	o         Options
	log       *slog.Logger
	meter     *meter
	lanes     map[string]*lane
	seat      *sitter
	spool     *spool
	exchanger *exchanger
	witness   *witness
	database  uint64 // the fingerprint of its name in the spool; 0: nobody knows
	queue     *queue
	pump      *pump
	runs      *Cache[int64, *runInfo]
	zones     *Cache[string, *time.Location]
	desk      sync.RWMutex // where messages are written: suspects have it for themselves
	suspects  sync.Mutex   // one suspect at a time

	hard    context.Context //nolint:containedctx // the life of open sends, longer than any call's
	giveUp  context.CancelFunc
	soft    context.Context //nolint:containedctx // the life of everything else
	quit    context.CancelFunc
	keepers sync.WaitGroup // goroutines that end with soft
	direct  map[outbox.Lane]chan struct{}
	planned chan struct{} // of one: planning is wanted
	ended   chan struct{} // of one: a batch came to its end
	asked   chan struct{} // of one: a receiving domain asked for less

	mu       sync.Mutex
	troubles map[string]time.Time // when something was logged last
	active   map[int64]bool       // batches that are being worked on
	quiet    chan struct{}        // closed when none is; nil while nobody waits
	started  bool
	stopping bool
}

// New makes a worker and opens what it needs, without starting to work. A
// Redis that does not answer now is no error: it is only a bell.
func New(ctx context.Context, o Options) (*Worker, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(o.Channels))
	w := &Worker{
		o: o, log: o.Log, meter: newMeter(names), lanes: map[string]*lane{}, active: map[int64]bool{},
		seat: newSitter(o), troubles: map[string]time.Time{}, planned: make(chan struct{}, 1), ended: make(chan struct{}, 1), asked: make(chan struct{}, 1),
		direct: map[outbox.Lane]chan struct{}{
			outbox.Now: make(chan struct{}, 2*nowJobs), outbox.Bulk: make(chan struct{}, bulkJobs*max(1, len(names))),
		},
	}
	w.exchanger = newExchanger(o, w.seat.id, w.meter)
	w.runs = NewCache(256, w.openRun)
	w.zones = NewCache(1024, func(_ context.Context, name string) (*time.Location, error) { return time.LoadLocation(name) })
	if w.o.Calm == nil {
		w.o.Calm = w.calm()
	}
	var err error
	if w.queue, err = openQueue(ctx, w, names); err != nil {
		return nil, err
	}
	for _, name := range names {
		pace := newPacer(name, o.Channels[name].Rate, w.queue.shared(), o.Space, w.queue.me, time.Now)
		w.lanes[name] = newLane(name, o.Channels[name], pace, newWarmer(name, o.Channels[name], o), func() {
			select {
			case w.asked <- struct{}{}:
			default:
			}
		})
	}
	w.pump = newPump(w)
	w.witness = newWitness(o, w.queue.shared())
	if o.Meters != nil {
		if err := w.meter.register(o.Meters, w.gauges()...); err != nil {
			return nil, errors.Join(fmt.Errorf("register metrics: %w", err), w.queue.close())
		}
	}
	return w, nil
}

// gauges are the numbers that are asked for and not counted.
func (w *Worker) gauges() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "rapport", Name: name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("spool_bytes", "Outcomes that are not in the database yet.", func() float64 {
			if w.spool == nil {
				return 0
			}
			return float64(w.spool.waiting())
		}),
		gauge("batches_in_hand", "Batches this process works on.", func() float64 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return float64(len(w.active))
		}),
		gauge("queue_up", "1 while the queue answers.", func() float64 {
			if w.queue.up.Load() {
				return 1
			}
			return 0
		}),
		w.queue,
	}
}

// Start takes the seat, settles what an earlier process left in the spool,
// judges the rows of the dead, and begins to work. A Conflict error says that
// another process is the sender. After an error the worker is closed and a new
// one must be made.
func (w *Worker) Start(ctx context.Context) error {
	life := context.WithoutCancel(ctx)
	if err := w.seat.sit(ctx); err != nil {
		return errors.Join(err, w.queue.close())
	}
	if err := w.begins(ctx); err != nil {
		return errors.Join(err, w.seat.leave(life), w.queue.close())
	}
	w.mu.Lock()
	w.started = true
	w.mu.Unlock()
	w.keepers.Go(func() { w.seat.keep(w.soft, w.settle) })
	w.keepers.Go(func() { w.pump.run(w.soft) })
	w.keepers.Go(func() { w.care(w.soft) })
	w.keepers.Go(func() { w.plan(w.soft) })
	w.keepers.Go(func() { w.chores(w.soft) })
	w.keepers.Go(func() { w.pacing(w.soft) })
	if w.witness != nil {
		w.keepers.Go(func() { w.witness.run(w.soft, w.laneNames(), w.troubled) })
	}
	return nil
}

// begins clears up after earlier processes and opens the bell.
func (w *Worker) begins(ctx context.Context) error {
	life := context.WithoutCancel(ctx)
	w.hard, w.giveUp = context.WithCancel(life)
	w.soft, w.quit = context.WithCancel(life)
	found, err := w.openSpool(ctx)
	if err != nil {
		return err
	}
	if err := w.witness.begin(ctx, w.laneNames(), found); err != nil {
		w.quit()
		w.giveUp()
		w.spool.close()
		return err
	}
	go w.exchanger.run(life) // ends by its stop
	if err = w.replay(ctx, found); err == nil {
		w.reclaim(ctx)
		err = w.queue.start(w.soft)
	}
	if err != nil {
		w.quit()
		w.giveUp()
		w.exchanger.stop()
		w.spool.close()
	}
	return err
}

func (w *Worker) laneNames() []string { return slices.Sorted(maps.Keys(w.lanes)) }

func (w *Worker) openSpool(ctx context.Context) ([]spooled, error) {
	name, err := w.witness.name(ctx)
	if err != nil {
		return nil, err
	}
	w.database = fingerprint(name)
	s, found, err := openSpools(w.o.Data, w.database)
	if errors.Is(err, errForeign) {
		return nil, rapport.Conflictf("the spool in %s holds outcomes of messages of another database: put that database back, or move the spool away (the messages stay in doubt there)", w.o.Data)
	}
	if err != nil {
		return nil, rapport.Unavailablef(err, "the spool in %s cannot be used: %v", w.o.Data, err)
	}
	w.spool = s
	return found, nil
}

// replay settles the outcomes of a spool and waits until they are written.
func (w *Worker) replay(ctx context.Context, found []spooled) error {
	if len(found) == 0 {
		return nil
	}
	w.log.InfoContext(ctx, "outcomes of an earlier process are written", slog.Int("outcomes", len(found)))
	for _, one := range found {
		w.exchanger.settle(one.Settlement, func() { w.spool.settled(one.from) })
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := w.exchanger.flush(ctx); err != nil {
		return rapport.Unavailablef(err, "the outcomes in the spool could not be written to the database; try again in a moment")
	}
	return nil
}

// Poke says that something may be due or wants to be planned: it is looked at
// at once and not within a second.
func (w *Worker) Poke() {
	w.pump.poke()
	select {
	case w.planned <- struct{}{}:
	default:
	}
}

// settle waits until no batch is in hand and every outcome is written.
func (w *Worker) settle(ctx context.Context) {
	if w.idle(ctx) {
		_ = w.exchanger.flush(ctx) // what is left is in the spool
	}
}

// idle waits until no batch is in hand; false when the context ends first.
func (w *Worker) idle(ctx context.Context) bool {
	w.mu.Lock()
	if len(w.active) == 0 {
		w.mu.Unlock()
		return true
	}
	if w.quiet == nil {
		w.quiet = make(chan struct{})
	}
	quiet := w.quiet
	w.mu.Unlock()
	select {
	case <-quiet:
		return true
	case <-ctx.Done():
		return false
	}
}

// begin notes that this process works on a batch; false when it does already
// or stops.
func (w *Worker) begin(batch int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopping || w.active[batch] || w.witness.stands() != nil {
		return false
	}
	w.active[batch] = true
	return true
}

func (w *Worker) end(batch int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.active, batch)
	if len(w.active) == 0 && w.quiet != nil {
		close(w.quiet)
		w.quiet = nil
	}
}

// Stop starts nothing more, lets open sends end within the grace (or until
// the context ends, which hastens but harms nothing), writes every outcome and
// leaves the seat. What had no answer by then is uncertain.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	if w.stopping || !w.started {
		w.mu.Unlock()
		return nil
	}
	w.stopping = true
	w.mu.Unlock()
	w.quit()
	w.queue.quiet()
	grace, cancel := context.WithTimeout(ctx, w.o.Grace)
	w.idle(grace)
	cancel()
	w.giveUp()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	w.settle(last)
	w.exchanger.stop()
	w.keepers.Wait()
	for name, l := range w.lanes {
		if err := l.warm.close(last); err != nil {
			w.log.WarnContext(ctx, "what is left of a warm-up could not be given back", slog.String("channel", name), slog.Any("error", err))
		}
	}
	_ = w.witness.look(last, w.laneNames()) // else the next count begins a little lower
	errs := []error{w.seat.leave(context.WithoutCancel(ctx)), w.queue.close()}
	w.spool.close()
	return errors.Join(errs...)
}

// troubled logs a trouble that may come again and again, once a minute.
func (w *Worker) troubled(what string, err error) {
	now := w.o.Now()
	w.mu.Lock()
	last, known := w.troubles[what]
	quiet := known && now.Sub(last) < time.Minute && !now.Before(last)
	if !quiet {
		w.troubles[what] = now
	}
	w.mu.Unlock()
	if !quiet {
		w.log.Warn("trouble in the machine room", slog.String("what", what), slog.Any("error", err))
	}
}

func (w *Worker) crashed(d outbox.Delivery, where string) {
	w.meter.panics.Inc()
	w.log.Error("code of one message crashed", slog.String("where", where), slog.Int64("delivery", d.ID), slog.Int64("run", d.Run))
}

func (w *Worker) pauseRun(ctx context.Context, run outbox.Run, note string) {
	if w.o.PauseRun == nil {
		return
	}
	if err := w.o.PauseRun(context.WithoutCancel(ctx), run.ID, note); err != nil {
		w.log.ErrorContext(ctx, "a run that cannot go on could not be paused", slog.Int64("run", run.ID), slog.Any("error", err))
	}
}
