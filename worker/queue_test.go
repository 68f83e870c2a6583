package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rapport/channels"
	"rapport/outbox"
)

func TestForgedTasksAreIgnored(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 10, 10)
	m.plan(marketing(2), outbox.Bulk, 10, 10)
	m.set(func() { m.runs[1].state = outbox.Paused })
	m.set(func() { m.runs[2].state = outbox.Paused })
	r := newRig(t, m, birds(l), nil)
	r.start()
	for n, payload := range []string{
		``, `null`, `{}`, `[1,2]`, `{"batch":-1,"run":1,"round":1}`, `{"batch":1,"run":99,"round":1}`, `{"batch":1,"run":0,"round":1}`,
		`{"batch":1,"run":1,"round":1,"to":"someone@example.com"}`, `{"batch":"1","run":1}`, strings.Repeat("x", 100_000),
	} {
		before := testutil.ToFloat64(r.w.meter.forged)
		if err := r.w.queue.handle(t.Context(), asynq.NewTask(taskType, []byte(payload)), outbox.Bulk); err != nil {
			t.Errorf("task %d is tried again: %v", n, err)
		}
		if testutil.ToFloat64(r.w.meter.forged) != before+1 {
			t.Errorf("task %d was taken", n)
		}
	}
	// A task may name a batch of another run: nothing of it leaves.
	m.set(func() { m.runs[1].state, m.runs[2].state = outbox.Running, outbox.Paused })
	if err := r.w.queue.handle(t.Context(), asynq.NewTask(taskType, []byte(`{"batch":2,"run":1,"round":1}`)), outbox.Bulk); err != nil {
		t.Error(err)
	}
	r.done()
	if now := m.account(2); now[outbox.Queued] != 10 {
		t.Errorf("a batch of a paused run: %v", now)
	}
	if l.count() != 10 {
		t.Errorf("%d arrived", l.count())
	}
}

func TestQueueHoldsNumbersOnly(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 400, 10)
	l.gate = make(chan struct{})
	r := newRig(t, m, birds(l), nil)
	r.start()
	l.until2(t, func() bool { return l.flying() == 14 })
	dump := r.w.queue.own.server.Dump()
	if !strings.Contains(dump, `batch`) {
		t.Error("there is nothing in the queue to look at")
	}
	for _, secret := range []string{"loft-", "verse", "spring"} {
		if strings.Contains(dump, secret) {
			t.Errorf("the queue holds %q", secret)
		}
	}
	close(l.gate)
	r.done()
}

func TestAskingTwiceIsNoError(t *testing.T) {
	t.Parallel()
	r := newRig(t, newModel(), birds(newLoft()), nil)
	w, err := New(t.Context(), r.o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.queue.close() }()
	b := outbox.Batch{ID: 1, Run: 1, Channel: "birds", Lane: outbox.Bulk, Round: 3}
	for range 2 {
		if err := w.queue.ask(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.queue.inspector.GetQueueInfo(w.queue.names[outbox.Bulk]["birds"])
	if err != nil || info.Size != 1 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestIdleWorkerIsQuiet(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 500, 20)
	r := newRig(t, m, birds(l), nil)
	r.start()
	for range 50 {
		r.w.Poke()
	}
	r.done()
	time.Sleep(200 * time.Millisecond) // the last pokes
	var before, after int
	m.set(func() { before = m.dues })
	time.Sleep(1500 * time.Millisecond)
	m.set(func() { after = m.dues })
	if after-before > 8 {
		t.Errorf("asked %d times within 1.5 s what is due, with nothing to do", after-before)
	}
}

// privateRedis is a redis-server of the test's own that can be taken away.
type privateRedis struct {
	t    *testing.T
	port string
	cmd  *exec.Cmd
}

func newPrivateRedis(t *testing.T) *privateRedis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed: Redis going away not run")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	p := &privateRedis{t: t, port: port}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *privateRedis) start() {
	p.t.Helper()
	p.cmd = exec.Command("redis-server", "--port", p.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", p.t.TempDir())
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := (&net.Dialer{}).DialContext(p.t.Context(), "tcp", "127.0.0.1:"+p.port)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal("redis-server does not answer")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *privateRedis) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// lines counts what is written to a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps a line.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) warnings() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), "level=WARN")
}

func TestRedisGoesAndComesBackEmpty(t *testing.T) {
	t.Parallel()
	server := newPrivateRedis(t)
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 1500, 25)
	l.gate = make(chan struct{})
	log := &lines{}
	r := newRig(t, m, map[string]Lane{"birds": {Channel: l, Concurrency: 16, Rate: 100_000}}, func(o *Options) {
		o.Redis = "redis://127.0.0.1:" + server.port
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	})
	r.start()
	let := func(n int) {
		for range n {
			l.gate <- struct{}{}
		}
	}
	let(200)
	server.kill()
	let(500) // goes on without
	server.start()
	let(300)
	server.kill()
	server.start()
	close(l.gate)
	a := r.done()
	if a.States[outbox.Sent] != 1500 || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
	if n := log.warnings(); n > 30 {
		t.Errorf("%d warnings about one Redis:\n%s", n, log.text.String())
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 30, 30)
	l.behave(func(msg channels.Message) error {
		if msg.To == "loft-3" {
			return &channels.Failure{Verdict: channels.Rejected, Err: errors.New("nobody")}
		}
		return nil
	})
	registry := prometheus.NewRegistry()
	r := newRig(t, m, birds(l), func(o *Options) { o.Meters = registry })
	r.start()
	r.done()
	for name, want := range map[string]float64{
		`rapport_outcomes_total{channel="birds",state="sent"}`:              29,
		`rapport_outcomes_total{channel="birds",state="failed"}`:            1,
		`rapport_outcomes_total{channel="birds",state="uncertain"}`:         0,
		`rapport_failed_attempts_total{channel="birds",verdict="rejected"}`: 1,
		`rapport_channel_held{channel="birds"}`:                             0,
		`rapport_spool_bytes`:                                               0,
		`rapport_runs_finished_total`:                                       1,
		`rapport_queue_up`:                                                  1,
		`rapport_outcomes_set_aside_total`:                                  0,
		`rapport_queue_tasks{channel="birds",lane="bulk",state="archived"}`: 0,
	} {
		got, ok := metric(t, registry, name)
		if !ok || got != want {
			t.Errorf("%s = %v (there: %v), want %v", name, got, ok, want)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// metric finds a value by its name and labels as Prometheus writes them.
func metric(t *testing.T, g prometheus.Gatherer, name string) (float64, bool) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			var labels []string
			for _, l := range one.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			full := f.GetName()
			if len(labels) > 0 {
				full += "{" + strings.Join(labels, ",") + "}"
			}
			if full == name {
				return one.GetCounter().GetValue() + one.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

// hasty forgets to ask for permission.
type hasty struct{ *loft }

// Send sends at once.
func (h hasty) Send(_ context.Context, m channels.Message) (channels.Receipt, error) {
	h.note(func() {
		h.taken[m.Key]++
		h.order = append(h.order, m.To)
	})
	return channels.Receipt{}, nil
}

func TestChannelThatDoesNotAskIsRecorded(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 20, 20)
	r := newRig(t, m, map[string]Lane{"birds": {Channel: hasty{l}}}, nil)
	r.start()
	if a := r.done(); a.States[outbox.Sent] != 20 || l.count() != 20 {
		t.Errorf("account %v, %d arrived", a.States, l.count())
	}
}
