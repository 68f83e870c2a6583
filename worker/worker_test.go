package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/outbox"
)

func marketing(id int64) outbox.Run {
	return outbox.Run{ID: id, Name: "spring", Channel: "birds", Driver: "pigeon", Kind: "loft"}
}

func birds(l *loft) map[string]Lane {
	return map[string]Lane{"birds": {Channel: l, Concurrency: 16}}
}

func TestEverybodyIsReachedOnce(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 2000, 150)
	r := newRig(t, m, birds(l), nil)
	r.start()
	a := r.done()
	if a.Planned != 2000 || a.States[outbox.Sent] != 2000 || !a.Balanced() {
		t.Fatalf("account %+v", a)
	}
	if l.count() != 2000 || len(l.taken) != 2000 || len(l.twice()) > 0 {
		t.Fatalf("%d arrived for %d people, twice: %v", l.count(), len(l.taken), l.twice())
	}
	if l.most > 16 {
		t.Errorf("%d at once, 16 allowed", l.most)
	}
	if waiting := r.w.spool.waiting(); waiting != 0 {
		t.Errorf("%d octets left in the spool", waiting)
	}
}

func TestOutcomesBecomeStates(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 60, 20)
	tries := map[string]int{}
	var mu sync.Mutex
	l.behave(func(msg channels.Message) error {
		mu.Lock()
		defer mu.Unlock()
		tries[msg.To]++
		switch n := len(msg.To) + int(msg.To[len(msg.To)-1]); {
		case strings.HasSuffix(msg.To, "1"):
			return &channels.Failure{Verdict: channels.Rejected, Reason: "unknown_user", Err: errors.New("nobody there")}
		case strings.HasSuffix(msg.To, "2"):
			return &channels.Failure{Verdict: channels.Malformed, Err: errors.New("too strange")}
		case strings.HasSuffix(msg.To, "3"):
			return &channels.Failure{Verdict: channels.Uncertain, Err: errors.New("no answer")}
		case strings.HasSuffix(msg.To, "4") && tries[msg.To] == 1:
			return errTemporary
		default:
			_ = n
			return nil
		}
	})
	r := newRig(t, m, birds(l), func(o *Options) {
		o.Policy = func(channels.Class, string) outbox.Policy {
			return outbox.Policy{Tries: 3, Backoff: []time.Duration{time.Millisecond}}
		}
	})
	r.start()
	a := r.done()
	want := map[outbox.State]int64{outbox.Failed: 12, outbox.Uncertain: 6, outbox.Sent: 42}
	for state, n := range want {
		if a.States[state] != n {
			t.Errorf("%s: %d, want %d", state, a.States[state], n)
		}
	}
	if !a.Balanced() {
		t.Errorf("account %+v", a)
	}
	for to, n := range tries {
		want := 1
		if strings.HasSuffix(to, "4") {
			want = 2
		}
		if n != want {
			t.Errorf("%s was tried %d times, want %d", to, n, want)
		}
	}
}

func TestUnsubscribedInTheMiddleIsNotReached(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 400, 100)
	l.gate = make(chan struct{})
	r := newRig(t, m, birds(l), nil)
	r.start()
	for range 20 {
		l.gate <- struct{}{}
	}
	var gone []string
	m.set(func() {
		for _, row := range m.ordered() {
			if row.state != outbox.Sending && row.state != outbox.Sent {
				row.consent = "withdrawn"
				gone = append(gone, row.Address)
			}
		}
	})
	close(l.gate)
	a := r.done()
	if a.States[outbox.Suppressed] != int64(len(gone)) || !a.Balanced() {
		t.Fatalf("%d withdrew, account %v", len(gone), a.States)
	}
	reached := map[string]bool{}
	for _, to := range l.order {
		reached[to] = true
	}
	for _, to := range gone {
		if reached[to] {
			t.Errorf("%s was reached after the withdrawal", to)
		}
	}
}

func TestCancelledRunStops(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 600, 100)
	l.gate = make(chan struct{})
	r := newRig(t, m, birds(l), nil)
	r.start()
	for range 10 {
		l.gate <- struct{}{}
	}
	var sending int
	m.set(func() {
		m.runs[1].state = outbox.Cancelling
		for _, row := range m.rows {
			if row.state == outbox.Sending || row.state == outbox.Sent {
				sending++
			}
		}
	})
	close(l.gate)
	a := r.done()
	if got := a.States[outbox.Sent]; got != int64(sending) {
		t.Errorf("%d sent, %d had left when it was cancelled", got, sending)
	}
	if a.States[outbox.Cancelled] != 600-int64(sending) || !a.Balanced() {
		t.Errorf("account %v", a.States)
	}
}

func TestHeldChannelWaitsAndGoesOn(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 300, 50)
	var calls atomic.Int64
	l.behave(func(channels.Message) error {
		if calls.Add(1) > 40 {
			return &channels.Failure{Verdict: channels.Broken, Reason: "policy", Code: "550 5.7.1", Err: errors.New("reputation")}
		}
		return nil
	})
	r := newRig(t, m, birds(l), nil)
	r.start()
	h := within(t, "the hold", r.held)
	if h.Channel != "birds" || !h.Until.IsZero() || h.Reason != outbox.PolicyRefused {
		t.Fatalf("hold %+v", h)
	}
	if n := calls.Load(); n > 40+2*16 {
		t.Errorf("%d tries on a channel that is held", n)
	}
	l.behave(nil)
	if lifted, err := m.Lift(t.Context(), "birds"); !lifted || err != nil {
		t.Fatal(lifted, err)
	}
	r.w.Poke()
	a := r.done()
	if a.States[outbox.Sent] != 300 || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
	select {
	case again := <-r.held:
		t.Errorf("told twice: %+v", again)
	default:
	}
	for _, row := range m.rows {
		if row.Attempt != 1 {
			t.Errorf("delivery %d was charged %d attempts; a held channel costs none", row.ID, row.Attempt)
		}
	}
}

func TestThrottledChannelPausesByItself(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 100, 100)
	var told atomic.Bool
	l.behave(func(channels.Message) error {
		if told.CompareAndSwap(false, true) {
			return &channels.Failure{Verdict: channels.Throttled, After: 300 * time.Millisecond, Err: errors.New("slowly")}
		}
		return nil
	})
	r := newRig(t, m, birds(l), nil)
	r.start()
	a := r.done()
	if a.States[outbox.Sent] != 100 || len(l.twice()) > 0 {
		t.Errorf("account %v", a.States)
	}
}

func TestWhatAPersonWaitsForGoesFirst(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 200, 50)
	l.gate = make(chan struct{})
	r := newRig(t, m, birds(l), nil)
	r.start()
	l.until2(t, func() bool { return l.flying() == 14 }) // the campaign has all it may have
	single := marketing(2)
	single.Class = channels.Transactional
	m.plan(single, outbox.Now, 1, 1)
	r.w.Poke()
	l.until2(t, func() bool { return l.flying() == 15 })
	if now := m.account(2); now[outbox.Sending] != 1 {
		t.Errorf("the single message: %v", now)
	}
	close(l.gate)
	r.done()
	r.done()
}

func TestSpoiltLetterPausesTheRun(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 500, 500)
	r := newRig(t, m, birds(l), func(o *Options) {
		o.Open = func(context.Context, outbox.Run) (Compose, error) {
			return func(context.Context, outbox.Delivery) (channels.Message, error) {
				return channels.Message{}, rapport.Invalidf("html", "line 3: there is no variable phone")
			}, nil
		}
		pause := o.PauseRun
		o.PauseRun = func(ctx context.Context, run int64, note string) error {
			m.set(func() { m.runs[run].state = outbox.Paused })
			return pause(ctx, run, note)
		}
	})
	r.start()
	note := within(t, "the pause", r.paused)
	if !strings.Contains(note, "phone") {
		t.Errorf("note %q does not say what is wrong", note)
	}
	m.set(func() { m.runs[1].state = outbox.Running }) // somebody lets it go on as it is
	r.w.Poke()
	within(t, "the second pause", r.paused)
	r.stop()
	now := m.account(1)
	if n := now[outbox.Failed]; n < 2*spoilt || n > 2*spoilt+2*16 || now[outbox.Queued] != 500-n {
		t.Errorf("states %v", now)
	}
	if l.count() != 0 {
		t.Errorf("%d arrived", l.count())
	}
}

// What a letter needs may be away for a while: nobody fails by it, and nobody
// is tried thousands of times a second.
func TestLetterThatCannotBeWrittenNowWaits(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Now, 1, 1)
	tried := make(chan struct{}, 1)
	r := newRig(t, m, birds(l), func(o *Options) {
		o.Open = func(context.Context, outbox.Run) (Compose, error) {
			return func(context.Context, outbox.Delivery) (channels.Message, error) {
				select {
				case tried <- struct{}{}:
				default:
				}
				return channels.Message{}, rapport.Unavailablef(nil, "the files are away")
			}, nil
		}
	})
	before := time.Now()
	r.start()
	within(t, "the first try", tried)
	r.stop()
	if row := m.ordered()[0]; row.state != outbox.Queued || row.reason != outbox.WaitRetry || row.notBefore.Before(before.Add(renderAgain)) || row.Attempt != 0 {
		t.Errorf("it is %s (%s) until %s after %d attempts", row.state, row.reason, row.notBefore, row.Attempt)
	}
}

func TestCrashOfOneMessage(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 30, 30)
	l.behave(func(msg channels.Message) error {
		if msg.To == "loft-9" {
			panic("index out of range")
		}
		return nil
	})
	r := newRig(t, m, birds(l), func(o *Options) {
		open := o.Open
		o.Open = func(ctx context.Context, run outbox.Run) (Compose, error) {
			compose, err := open(ctx, run)
			return func(ctx context.Context, d outbox.Delivery) (channels.Message, error) {
				if d.Address == "loft-8" {
					panic("nil map")
				}
				return compose(ctx, d)
			}, err
		}
	})
	r.start()
	a := r.done()
	if a.States[outbox.Sent] != 28 || a.States[outbox.Failed] != 1 || a.States[outbox.Uncertain] != 1 {
		t.Errorf("account %v", a.States)
	}
}

func TestWindowIsKept(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	run := marketing(1)
	now := time.Now().UTC()
	tomorrow := now.Add(24 * time.Hour)
	run.Window = &outbox.Window{From: 0, To: 24 * time.Hour, Zone: time.UTC}
	run.Window.Days[tomorrow.Weekday()] = true
	m.plan(run, outbox.Bulk, 40, 40)
	r := newRig(t, m, birds(l), nil)
	r.start()
	waitState(t, m, func() bool {
		for _, row := range m.rows {
			if row.reason != outbox.WaitQuiet {
				return false
			}
		}
		return true
	})
	r.stop()
	midnight := time.Date(tomorrow.Year(), tomorrow.Month(), tomorrow.Day(), 0, 0, 0, 0, time.UTC)
	moments := map[time.Time]bool{}
	for _, row := range m.rows {
		if row.notBefore.Before(midnight) || row.notBefore.Sub(midnight) > windowSpread || row.Attempt != 0 || row.state != outbox.Queued {
			t.Fatalf("delivery %d: %s until %s, %d charged", row.ID, row.state, row.notBefore, row.Attempt)
		}
		moments[row.notBefore] = true
	}
	if len(moments) < 20 {
		t.Errorf("40 begin at %d moments", len(moments))
	}
	if l.count() != 0 {
		t.Errorf("%d arrived outside the window", l.count())
	}
}

// waitState waits until the model looks as wanted.
func waitState(t *testing.T, m *model, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var well bool
		m.set(func() { well = ok() })
		if well {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %v", m.account(1))
		}
		time.Sleep(2 * time.Millisecond)
	}
}
