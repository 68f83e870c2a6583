package worker

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"rapport/outbox"
)

// exchanging runs an exchanger over the model.
func exchanging(t *testing.T, m *model) *exchanger {
	t.Helper()
	o := Options{
		Deliveries: m, Bells: m, Seats: m, Holds: m, Now: time.Now, Data: "-", Random: func() string { return "r" },
		Open: func(context.Context, outbox.Run) (Compose, error) { return nil, errors.New("not asked") },
	}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	x := newExchanger(o, func() (int64, bool) { return 1, true }, newMeter(nil))
	go x.run(context.WithoutCancel(t.Context()))
	t.Cleanup(x.stop)
	return x
}

func claimedModel(t *testing.T, n int) (*model, []outbox.Delivery) {
	t.Helper()
	m := newModel()
	m.plan(marketing(1), outbox.Bulk, n, n)
	rows, err := m.Claim(t.Context(), 1, 1, n, time.Now())
	if err != nil || len(rows) != n {
		t.Fatalf("claimed %d: %v", len(rows), err)
	}
	return m, rows
}

func sent(d outbox.Delivery) outbox.Settlement {
	return outbox.Settlement{Delivery: d.ID, Turn: d.Turn, State: outbox.Sent, Charge: true, At: time.Now()}
}

func TestExchangerGroupsWhatCame(t *testing.T) {
	t.Parallel()
	m, rows := claimedModel(t, 1000)
	x := exchanging(t, m)
	var left sync.WaitGroup
	m.mu.Lock() // the first transaction hangs; the others come meanwhile
	for _, d := range rows {
		left.Go(func() {
			a, err := x.admit(t.Context(), outbox.Ticket{Delivery: d.ID, Turn: d.Turn})
			if err != nil || !a.Go || a.Delivery != d.ID {
				t.Errorf("delivery %d: %+v, %v", d.ID, a, err)
			}
		})
	}
	for asked := 0; asked < len(rows)-group; {
		x.mu.Lock()
		asked = len(x.waiting)
		x.mu.Unlock()
	}
	m.mu.Unlock()
	left.Wait()
	m.mu.Lock()
	var written sync.WaitGroup
	written.Add(len(rows))
	for _, d := range rows {
		x.settle(sent(d), written.Done)
	}
	m.mu.Unlock()
	written.Wait()
	if now := m.account(1); now[outbox.Sent] != 1000 {
		t.Errorf("states %v", now)
	}
	if n := len(m.groups); n > 300 {
		t.Errorf("%d transactions for 1000 tickets and 1000 outcomes", n)
	}
	for _, n := range m.groups {
		if n > group {
			t.Errorf("%d outcomes in one transaction", n)
		}
	}
}

func TestExchangerKeepsOutcomesAndRefusesTickets(t *testing.T) {
	t.Parallel()
	m, rows := claimedModel(t, 2)
	m.away = errAway
	x := exchanging(t, m)
	written := make(chan struct{})
	x.settle(sent(rows[0]), func() { close(written) })
	if _, err := x.admit(t.Context(), outbox.Ticket{Delivery: rows[1].ID, Turn: rows[1].Turn}); !errors.Is(err, errHome) || !errors.Is(err, errAway) {
		t.Errorf("a ticket without a database: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := x.flush(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush says that all is written: %v", err)
	}
	m.set(func() { m.away = nil })
	within(t, "the outcome", written)
	if err := x.flush(t.Context()); err != nil {
		t.Error(err)
	}
	if a, err := x.admit(t.Context(), outbox.Ticket{Delivery: rows[1].ID, Turn: rows[1].Turn}); err != nil || !a.Go {
		t.Errorf("afterwards: %+v, %v", a, err)
	}
}

// TestWhatDoesNotLastIsNotTold: a transaction that does not reach the disk
// gives no permission and lets no outcome be forgotten.
func TestWhatDoesNotLastIsNotTold(t *testing.T) {
	t.Parallel()
	m, rows := claimedModel(t, 2)
	m.rows[rows[0].ID].state = outbox.Sending
	m.broken = errors.New("the disk does not answer")
	x := exchanging(t, m)
	written := make(chan struct{})
	x.settle(sent(rows[0]), func() { close(written) })
	if a, err := x.admit(t.Context(), outbox.Ticket{Delivery: rows[1].ID, Turn: rows[1].Turn}); !errors.Is(err, errHome) || !errors.Is(err, m.broken) || a.Go {
		t.Errorf("a ticket that did not reach the disk: %+v, %v", a, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := x.flush(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush says that all is written: %v", err)
	}
	m.set(func() { m.broken = nil })
	within(t, "the outcome", written)
	if err := x.flush(t.Context()); err != nil {
		t.Error(err)
	}
	if now := m.account(1); now[outbox.Sent] != 1 {
		t.Errorf("states %v", now)
	}
}

// TestNextGroupWhileTheDiskWrites: a transaction may begin while another is on
// its way to the disk, but only with as much as that one; else each who comes
// would have one alone.
func TestNextGroupWhileTheDiskWrites(t *testing.T) {
	t.Parallel()
	const half = 20
	m, rows := claimedModel(t, 2*half)
	m.set(func() {
		for _, d := range rows {
			m.rows[d.ID].state = outbox.Sending
		}
		m.slow = make(chan struct{})
	})
	answer := sync.OnceFunc(func() { close(m.slow) })
	defer answer()
	x := exchanging(t, m)
	groups := func() (n, all int) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, g := range m.groups {
			all += g
		}
		return len(m.groups), all
	}
	under := func() int {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.under
	}
	x.mu.Lock() // the first half comes at once
	for _, d := range rows[:half] {
		x.settled = append(x.settled, outcome{sent(d), nil})
	}
	x.mu.Unlock()
	x.ring()
	for under() != half {
		runtime.Gosched()
	}
	for _, d := range rows[half : 2*half-1] {
		x.settle(sent(d), nil)
	}
	time.Sleep(20 * time.Millisecond) // far longer than a group is gathered
	if n, all := groups(); n != 1 || all != half {
		t.Fatalf("%d outcomes in %d transactions while one less waits than is under way", all, n)
	}
	x.settle(sent(rows[2*half-1]), nil)
	for under() != 2*half { // the second has begun though the disk has not answered
		runtime.Gosched()
	}
	if n, all := groups(); n != 2 || all != 2*half {
		t.Errorf("%d outcomes in %d transactions", all, n)
	}
	answer()
	if err := x.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for under() != 0 {
		runtime.Gosched()
	}
}

func TestWhoGivesUpGetsNoPermission(t *testing.T) {
	t.Parallel()
	m, rows := claimedModel(t, 1)
	m.away = errAway
	x := exchanging(t, m)
	x.settle(outbox.Settlement{Delivery: 99, State: outbox.Sent}, nil) // keeps it busy failing
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.admit(gone, outbox.Ticket{Delivery: rows[0].ID, Turn: rows[0].Turn}); !errors.Is(err, errHome) {
		t.Errorf("got %v", err)
	}
}

func TestStoppedExchangerAnswersEverybody(t *testing.T) {
	t.Parallel()
	m, rows := claimedModel(t, 3)
	m.away = errAway
	x := exchanging(t, m)
	x.settle(sent(rows[0]), nil)
	answers := make(chan error, 2)
	for _, d := range rows[1:] {
		go func() {
			_, err := x.admit(t.Context(), outbox.Ticket{Delivery: d.ID, Turn: d.Turn})
			answers <- err
		}()
	}
	x.stop()
	for range 2 {
		if err := within(t, "an answer", answers); !errors.Is(err, errHome) {
			t.Errorf("got %v", err)
		}
	}
	if err := x.flush(t.Context()); err == nil {
		t.Error("flush says that all is written")
	}
}

func TestOneBadOutcomeIsSetAside(t *testing.T) {
	t.Parallel()
	m, rows := claimedModel(t, 50)
	m.reject = func(s outbox.Settlement) bool { return s.Delivery == 20 }
	x := exchanging(t, m)
	m.set(func() {
		for _, d := range rows {
			m.rows[d.ID].state = outbox.Sending
		}
	})
	for _, d := range rows {
		x.settle(sent(d), nil)
	}
	if err := x.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := m.account(1)
	if now[outbox.Sent] != 49 || now[outbox.Sending] != 1 {
		t.Errorf("states %v", now)
	}
}

// TestOutagesSetNothingAside: a database that goes away with an error nobody
// knows, and comes and goes while outcomes are tried alone, costs no outcome.
// Their letters would stand as being sent for as long as the worker lives.
func TestOutagesSetNothingAside(t *testing.T) {
	t.Parallel()
	m, rows := claimedModel(t, 40)
	calls := 0
	m.fails = func(settled []outbox.Settlement) error {
		calls++
		switch {
		case calls <= 2:
			return errors.New("commit: conn closed")
		case len(settled) == 1 && calls%2 == 0:
			return errAway
		}
		return nil
	}
	m.set(func() {
		for _, d := range rows {
			m.rows[d.ID].state = outbox.Sending
		}
	})
	x := exchanging(t, m)
	for _, d := range rows {
		x.settle(sent(d), nil)
	}
	if err := x.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := m.account(1); now[outbox.Sent] != 40 {
		t.Errorf("states %v", now)
	}
}
