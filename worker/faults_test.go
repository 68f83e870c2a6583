package worker

import (
	"testing"
	"time"

	"rapport/channels"
	"rapport/outbox"
)

func TestStopInTheMiddleAndStartAgain(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 1000, 200)
	r := newRig(t, m, birds(l), nil)
	r.start()
	l.until(t, "the first hundred", func() bool { return l.count() >= 100 })
	r.stop()
	now := m.account(1)
	if now[outbox.Claimed]+now[outbox.Sending]+now[outbox.Uncertain] != 0 {
		t.Errorf("after the stop: %v", now)
	}
	if now[outbox.Sent] != l.count() {
		t.Errorf("%d sent, %d arrived", now[outbox.Sent], l.count())
	}
	r.start()
	if a := r.done(); a.States[outbox.Sent] != 1000 || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
}

func TestStopEndsBodiesThatTakeTooLong(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 50, 50)
	l.gate = make(chan struct{}) // nobody opens it
	r := newRig(t, m, birds(l), func(o *Options) { o.Grace = 50 * time.Millisecond })
	r.start()
	l.until2(t, func() bool { return l.flying() == 14 }) // 16 less the reserve of lane now
	r.stop()
	now := m.account(1)
	if now[outbox.Uncertain] != 14 || now[outbox.Queued] != 36 {
		t.Errorf("after the stop: %v", now)
	}
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 500, 100)
	l.gate = make(chan struct{})
	r := newRig(t, m, birds(l), nil)
	r.start()
	for range 50 {
		l.gate <- struct{}{}
	}
	var left int
	m.set(func() { m.away = errAway })
	m.set(func() {
		for _, row := range m.rows {
			left += row.intents
		}
	})
	close(l.gate)
	l.until(t, "what had left", func() bool { return l.count() == left })
	if r.w.spool.waiting() == 0 {
		t.Error("nothing in the spool while the database is away")
	}
	m.set(func() { m.away = nil })
	a := r.done()
	if a.States[outbox.Sent] != 500 || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
	for _, row := range m.rows {
		if row.Attempt != 1 {
			t.Errorf("delivery %d was charged %d attempts", row.ID, row.Attempt)
		}
	}
}

func TestUnwritableOutcomeStopsNobodyElse(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 100, 100)
	m.reject = func(s outbox.Settlement) bool { return s.Delivery == 7 && s.State == outbox.Sent }
	r := newRig(t, m, birds(l), nil)
	r.start()
	l.until(t, "everybody", func() bool { return l.count() == 100 })
	r.stop()
	now := m.account(1)
	if now[outbox.Sent] != 99 || now[outbox.Sending] != 1 {
		t.Errorf("states %v", now)
	}
}

func TestKilledWorker(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		class channels.Class
		want  map[outbox.State]int64
	}{
		{"marketing", channels.Marketing, map[outbox.State]int64{outbox.Sent: 291, outbox.Uncertain: 9}},
		{"transactional", channels.Transactional, map[outbox.State]int64{outbox.Sent: 300}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, l := newModel(), newLoft()
			run := marketing(1)
			run.Class = test.class
			m.plan(run, outbox.Bulk, 300, 60)
			l.gate = make(chan struct{})
			r := newRig(t, m, birds(l), nil)
			r.start()
			for range 80 {
				l.gate <- struct{}{}
			}
			l.until2(t, func() bool { return l.flying() == 14 && l.count() == 80 })
			// Five are answered while the database is away, and then the kill
			// comes: their outcomes are in the spool only.
			m.set(func() { m.away = errAway })
			for range 5 {
				l.gate <- struct{}{}
			}
			l.until2(t, func() bool {
				return r.w.spool.waiting() > 0 && l.count() == 85 && l.flying() == 9 && r.w.exchanger.queued() >= 5
			})
			kill(r.w)
			m.set(func() {
				m.away = nil
				m.seats[r.w.seat.current.Load()] = false
			})
			l.mu.Lock()
			l.gate = nil
			l.mu.Unlock()
			r.start()
			a := r.done()
			for state, n := range test.want {
				if a.States[state] != n {
					t.Errorf("%s: %d, want %d", state, a.States[state], n)
				}
			}
			if !a.Balanced() || len(l.twice()) > 0 {
				t.Errorf("account %v, twice %v", a.States, l.twice())
			}
		})
	}
}

// kill ends a worker as SIGKILL would: nothing more of it reaches the spool or
// the database, and its files are let go.
func kill(w *Worker) {
	w.mu.Lock()
	w.stopping = true
	w.mu.Unlock()
	w.exchanger.stop()
	w.spool.mu.Lock()
	for _, seg := range w.spool.pair {
		seg.gone = true
		_ = seg.file.Close()
	}
	w.spool.mu.Unlock()
	w.quit()
	w.queue.quiet()
	w.giveUp()
	w.keepers.Wait()
}

// flying is how many messages have departed and wait for the receiver.
func (l *loft) flying() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// until2 waits for a count that no message announces.
func (l *loft) until2(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain; %d fly", l.flying())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestQueueIsEmptied(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 2000, 100)
	l.gate = make(chan struct{})
	r := newRig(t, m, birds(l), nil)
	r.start()
	for range 300 {
		l.gate <- struct{}{}
	}
	r.w.queue.own.server.FlushAll()
	close(l.gate)
	if a := r.done(); a.States[outbox.Sent] != 2000 || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
}

func TestQueueAway(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	r := newRig(t, m, birds(l), func(o *Options) { o.Redis = "redis://127.0.0.1:1/0" }) // nobody listens there
	m.plan(marketing(1), outbox.Bulk, 500, 100)
	r.start()
	if a := r.done(); a.States[outbox.Sent] != 500 || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
}

func TestLostSeat(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 600, 100)
	l.gate = make(chan struct{})
	r := newRig(t, m, birds(l), nil)
	r.start()
	for range 60 {
		l.gate <- struct{}{}
	}
	old := r.w.seat.current.Load()
	r.w.seat.doubt()
	close(l.gate)
	a := r.done()
	if now := r.w.seat.current.Load(); now == old || now == 0 {
		t.Errorf("seat %d after a doubt about %d", now, old)
	}
	if a.States[outbox.Sent] != 600 || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
}
