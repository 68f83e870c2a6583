package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport/channels"
	"rapport/outbox"
)

func addressOf(contact int64) string { return "loft-" + strconv.FormatInt(contact, 10) }

// loft is a receiver: it keeps a journal of what it took and can be told how
// to behave. Its channel asks for permission as the contract says.
type loft struct {
	mu      sync.Mutex
	taken   map[string]int // key → times
	order   []string       // addresses, as they came
	times   []time.Time
	mood    func(m channels.Message) error // nil: taken
	changed chan struct{}
	gate    chan struct{} // if not nil, each message waits here after its departure
	open    int           // Sends that have departed and not ended
	most    int
}

func newLoft() *loft {
	return &loft{taken: map[string]int{}, changed: make(chan struct{})}
}

// Send flies.
func (l *loft) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := m.Leave(ctx); err != nil {
		return channels.Receipt{}, err
	}
	l.mu.Lock()
	mood, gate := l.mood, l.gate
	l.open++
	l.most = max(l.most, l.open)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.open--
		l.mu.Unlock()
	}()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return channels.Receipt{}, &channels.Failure{Verdict: channels.Uncertain, Err: ctx.Err()}
		}
	}
	if mood != nil {
		if err := mood(m); err != nil {
			l.note(nil)
			return channels.Receipt{}, err
		}
	}
	l.note(func() {
		l.taken[m.Key]++
		l.order = append(l.order, m.To)
		l.times = append(l.times, time.Now())
	})
	return channels.Receipt{ProviderID: "p-" + m.Key, At: time.Now()}, nil
}

// Check always likes to talk.
func (l *loft) Check(context.Context) error { return nil }

// Close does nothing.
func (l *loft) Close() error { return nil }

func (l *loft) note(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if do != nil {
		do()
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *loft) behave(mood func(channels.Message) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mood = mood
}

func (l *loft) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.order)
}

// until waits for something the receiver sees.
func (l *loft) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s; %d arrived", what, l.count())
		}
	}
}

// twice lists keys that arrived more than once.
func (l *loft) twice() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for k, n := range l.taken {
		if n > 1 {
			out = append(out, fmt.Sprintf("%s ×%d", k, n))
		}
	}
	return out
}

// rig is a worker over a store, with signals for what it tells.
type rig struct {
	t        testing.TB
	o        Options
	w        *Worker
	finished chan outbox.Account
	held     chan outbox.Hold
	paused   chan string
}

type testStore interface {
	outbox.Deliveries
	outbox.Bells
	outbox.Seats
	outbox.Holds
}

func newRig(t testing.TB, s testStore, lanes map[string]Lane, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, finished: make(chan outbox.Account, 16), held: make(chan outbox.Hold, 16), paused: make(chan string, 16)}
	r.o = Options{
		Deliveries: s, Bells: s, Seats: s, Holds: s, Channels: lanes,
		Open: func(context.Context, outbox.Run) (Compose, error) {
			return func(_ context.Context, d outbox.Delivery) (channels.Message, error) {
				return channels.Message{Content: map[string]string{"verse": "to " + d.Address}}, nil
			}, nil
		},
		PauseRun: func(_ context.Context, _ int64, note string) error {
			r.paused <- note
			return nil
		},
		OnFinished: func(_ context.Context, a outbox.Account) { r.finished <- a },
		OnHold:     func(_ context.Context, h outbox.Hold) { r.held <- h },
		Data:       t.TempDir(), Name: "test", Now: time.Now, Jitter: rand.Float64,
		Random: func() string { return strconv.FormatUint(rand.Uint64(), 36) },
		Meters: prometheus.NewRegistry(),
	}
	if testing.Verbose() {
		r.o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&r.o)
	}
	return r
}

func (r *rig) start() {
	r.t.Helper()
	if r.w != nil {
		r.o.Meters = prometheus.NewRegistry()
	}
	w, err := New(r.t.Context(), r.o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.w = w // before anything runs: what runs may look at it
	if err := w.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := w.Stop(context.WithoutCancel(r.t.Context())); err != nil {
			r.t.Errorf("stop: %v", err)
		}
	})
}

func (r *rig) stop() {
	r.t.Helper()
	if err := r.w.Stop(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// done waits for the end of a run.
func (r *rig) done() outbox.Account {
	r.t.Helper()
	return within(r.t, "the end of the run", r.finished)
}

func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

var errTemporary = &channels.Failure{Verdict: channels.Temporary, Code: "451", Err: errors.New("come again")}

// queued is how many outcomes wait for the database.
func (x *exchanger) queued() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.settled) + x.busy
}
