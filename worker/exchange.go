package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"rapport"
	"rapport/internal/failpoint"
	"rapport/outbox"
)

// group is how many settlements and how many tickets one transaction carries
// at most.
const group = 256

// errHome is why a message did not leave although nobody forbade it: the
// process stops, or the database or the spool cannot record it. The delivery
// is released and costs nothing.
var errHome = errors.New("the message stays at home for now")

// outcome is a settlement on its way to the database.
type outcome struct {
	settlement outbox.Settlement
	done       func() // called once it stands in the database, or never will
}

// waiter is a sender that asks whether its message may leave.
type waiter struct {
	ticket outbox.Ticket
	answer chan verdict // of one
}

type verdict struct {
	admission outbox.Admission
	err       error
}

// exchanger carries all outcomes and tickets of the process to the database:
// one transaction at a time, each with whatever came while the last one ran.
type exchanger struct {
	box    outbox.Deliveries
	seat   func() (int64, bool)
	now    func() time.Time
	log    *slog.Logger
	meter  *meter
	wake   chan struct{}  // of one
	behind sync.WaitGroup // transactions on their way to the disk
	ended  chan struct{}
	closed chan struct{}

	mu      sync.Mutex
	settled []outcome
	waiting []*waiter
	busy    int           // outcomes of transactions that do not last yet
	under   int           // outcomes and tickets on their way to the disk
	empty   chan struct{} // closed when nothing is on its way; nil while nobody waits
	stopped bool
}

func newExchanger(o Options, seat func() (int64, bool), m *meter) *exchanger {
	return &exchanger{
		box: o.Deliveries, seat: seat, now: o.Now, log: o.Log, meter: m,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), closed: make(chan struct{}),
	}
}

// settle hands in an outcome. It never blocks and never loses it: while the
// database is away outcomes wait, as many as rows were claimed. What a
// provider said is made into text that every database takes.
func (x *exchanger) settle(s outbox.Settlement, done func()) {
	s.Code, s.Detail, s.ProviderID, s.Server = writable(s.Code), writable(s.Detail), writable(s.ProviderID), writable(s.Server)
	if s.Hold != nil {
		h := *s.Hold
		h.Detail = writable(h.Detail)
		s.Hold = &h
	}
	x.mu.Lock()
	x.settled = append(x.settled, outcome{s, done})
	x.mu.Unlock()
	x.ring()
}

// admit asks for permission and waits for the answer. An error means that no
// permission was given; a row may stand as sending all the same and has to be
// released.
func (x *exchanger) admit(ctx context.Context, t outbox.Ticket) (outbox.Admission, error) {
	w := &waiter{ticket: t, answer: make(chan verdict, 1)}
	x.mu.Lock()
	if x.stopped {
		x.mu.Unlock()
		return outbox.Admission{}, errHome
	}
	x.waiting = append(x.waiting, w)
	x.mu.Unlock()
	x.ring()
	select {
	case v := <-w.answer:
		return v.admission, v.err
	case <-ctx.Done():
		x.giveUp(w)
		return outbox.Admission{}, fmt.Errorf("%w: %w", errHome, ctx.Err())
	}
}

func (x *exchanger) giveUp(w *waiter) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, other := range x.waiting {
		if other == w {
			x.waiting = append(x.waiting[:i], x.waiting[i+1:]...)
			return
		}
	}
}

func (x *exchanger) ring() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// flush waits until everything handed in stands in the database.
func (x *exchanger) flush(ctx context.Context) error {
	for {
		x.mu.Lock()
		if len(x.settled)+x.busy == 0 {
			x.mu.Unlock()
			return nil
		}
		if x.empty == nil {
			x.empty = make(chan struct{})
		}
		empty := x.empty
		x.mu.Unlock()
		select {
		case <-empty:
		case <-x.ended:
			return errHome
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop ends the loop after the running transaction; what is still waiting
// stays in the spool. Tickets are refused from now on.
func (x *exchanger) stop() {
	x.mu.Lock()
	first := !x.stopped
	x.stopped = true
	x.mu.Unlock()
	if first {
		close(x.closed)
	}
	<-x.ended
}

// run is the loop. The context carries values only: it ends by stop.
func (x *exchanger) run(ctx context.Context) {
	defer close(x.ended)
	defer x.refuse()
	defer x.behind.Wait()
	failures, last := 0, 0
	for {
		if !x.ripe() {
			select {
			case <-x.wake:
				continue
			case <-x.closed:
				return
			}
		}
		x.gather(last)
		settled, waiting := x.take()
		last = len(settled) + len(waiting)
		if err := x.exchange(ctx, settled, waiting); err != nil {
			failures++
			if failures == 1 || failures%20 == 0 {
				x.log.WarnContext(ctx, "the database did not take outcomes; they are kept and tried again", slog.Any("error", err), slog.Int("outcomes", len(settled)), slog.Int("failures", failures))
			}
			if !x.rest(failures) {
				return
			}
			if failures >= 2 && rapport.KindOf(err) != rapport.Unavailable {
				x.isolate(ctx)
			}
			continue
		}
		failures = 0
		select {
		case <-x.closed:
			return
		default:
		}
	}
}

// rest is the pause after a failure: 50 ms at first, 5 s at most.
func (x *exchanger) rest(failures int) bool {
	pause := min(50*time.Millisecond<<min(failures-1, 10), 5*time.Second)
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-x.closed:
		return false
	}
}

// ripe says whether the next transaction may begin: something waits, and as
// much as is still on its way to the disk. So the writer works meanwhile, and
// yet groups stay large: a commit for each who comes would cost more than it
// gains.
func (x *exchanger) ripe() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(x.settled) + len(x.waiting)
	return n > 0 && n >= x.under
}

// gather lets a group come together. A commit costs the same for one row as
// for twenty, and the first who asks after a large group would have one alone
// while all the others come just too late for it. What comes alone in quiet
// times waits for nobody, and nothing waits longer than 300 µs.
func (x *exchanger) gather(last int) {
	for range 3 {
		x.mu.Lock()
		n := len(x.settled) + len(x.waiting)
		x.mu.Unlock()
		if n == 0 || 2*n >= last {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func (x *exchanger) take() ([]outcome, []*waiter) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n, m := min(len(x.settled), group), min(len(x.waiting), group)
	settled, waiting := x.settled[:n:n], x.waiting[:m:m]
	x.settled, x.waiting = x.settled[n:], x.waiting[m:]
	x.busy += n
	return settled, waiting
}

// exchange is one transaction. While it is on its way to the disk the next one
// may begin. When it fails the outcomes go back to the front of the queue and
// the tickets are refused.
func (x *exchanger) exchange(ctx context.Context, settled []outcome, waiting []*waiter) error {
	facts := make([]outbox.Settlement, len(settled))
	for i, o := range settled {
		facts[i] = o.settlement
	}
	tickets := make([]outbox.Ticket, len(waiting))
	for i, w := range waiting {
		tickets[i] = w.ticket
	}
	began := x.now()
	admissions, lasting, err := x.call(ctx, facts, tickets)
	if err != nil {
		x.takeBack(settled, waiting, err)
		return err
	}
	x.sail(len(facts) + len(tickets))
	x.behind.Go(func() {
		err := lasting()
		x.sail(-len(facts) - len(tickets))
		if err != nil {
			x.log.WarnContext(ctx, "outcomes did not reach the disk; they are kept and tried again", slog.Any("error", err), slog.Int("outcomes", len(settled)))
			x.rest(1)
			x.takeBack(settled, waiting, err)
			return
		}
		x.meter.exchanged(len(facts), len(tickets), x.now().Sub(began))
		for i, w := range waiting {
			w.answer <- verdict{admission: admissions[i]}
		}
		x.finish(settled)
	})
	return nil
}

// sail counts what is on its way to the disk.
func (x *exchanger) sail(n int) {
	x.mu.Lock()
	x.under += n
	x.mu.Unlock()
	if n < 0 {
		x.ring()
	}
}

// takeBack is for a transaction of which nobody knows whether it lasts.
func (x *exchanger) takeBack(settled []outcome, waiting []*waiter, err error) {
	x.back(settled)
	for _, w := range waiting {
		w.answer <- verdict{err: fmt.Errorf("%w: %w", errHome, err)}
	}
}

func (x *exchanger) call(ctx context.Context, facts []outbox.Settlement, tickets []outbox.Ticket) ([]outbox.Admission, func() error, error) {
	seat, ok := x.seat()
	if !ok && len(tickets) > 0 {
		return nil, nil, rapport.Unavailablef(nil, "this worker has lost its seat and takes a new one")
	}
	// Long enough for any healthy database, so that a dead connection cannot
	// keep every sender of the process waiting.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	admissions, lasting, err := x.box.Exchange(ctx, seat, facts, tickets, x.now())
	if err != nil {
		return nil, nil, err
	}
	if len(admissions) != len(tickets) {
		return nil, nil, fmt.Errorf("exchange: %d tickets and %d admissions", len(tickets), len(admissions))
	}
	return admissions, lasting, nil
}

func (x *exchanger) back(settled []outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy -= len(settled)
	if len(settled) > 0 {
		x.settled = append(settled, x.settled...)
	}
	x.ring()
}

// finish tells everybody whose outcome is in the database now.
func (x *exchanger) finish(settled []outcome) {
	for _, o := range settled {
		if o.done != nil {
			o.done()
		}
	}
	if len(settled) > 0 {
		failpoint.At("after_settle")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy -= len(settled)
	if x.empty != nil && len(x.settled)+x.busy == 0 {
		close(x.empty)
		x.empty = nil
	}
}

// isolate is for a failure that looks like the fault of one outcome and not of
// the database: each is tried alone, and one that fails while others succeed
// is set aside, so that it does not stop all the rest. Its row stays with this
// worker and is judged when the worker leaves.
func (x *exchanger) isolate(ctx context.Context) {
	settled, waiting := x.take()
	var good, bad, later []outcome
	var failure error
	for _, o := range settled {
		switch err := x.alone(ctx, o); {
		case err == nil:
			good = append(good, o)
		case rapport.KindOf(err) == rapport.Unavailable: // says nothing about this one
			later = append(later, o)
		default:
			bad, failure = append(bad, o), err
		}
	}
	x.mu.Lock()
	x.waiting = append(waiting, x.waiting...)
	x.mu.Unlock()
	if len(good) == 0 {
		x.back(append(later, bad...))
		return
	}
	if len(later) > 0 {
		x.back(later)
	}
	x.mu.Lock()
	x.busy -= len(bad)
	x.mu.Unlock()
	for _, o := range bad {
		x.log.ErrorContext(ctx, "an outcome cannot be written and is set aside", slog.Int64("delivery", o.settlement.Delivery), slog.Int64("turn", o.settlement.Turn), slog.String("state", string(o.settlement.State)), slog.Any("error", failure))
		x.meter.setAside.Inc()
		if o.done != nil {
			o.done()
		}
	}
	x.finish(good)
}

// alone brings one outcome to the database and to the disk.
func (x *exchanger) alone(ctx context.Context, o outcome) error {
	_, lasting, err := x.call(ctx, []outbox.Settlement{o.settlement}, nil)
	if err != nil {
		return err
	}
	return lasting()
}

// refuse answers whoever still waits when the loop ends.
func (x *exchanger) refuse() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stopped = true
	for _, w := range x.waiting {
		w.answer <- verdict{err: errHome}
	}
	x.waiting = nil
}

// writable leaves out what PostgreSQL takes in no text.
func writable(text string) string {
	if !strings.Contains(text, "\x00") && utf8.ValidString(text) {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "…"), "\x00", "")
}
