package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rapport/outbox"
)

const (
	taskType    = "deliver"
	taskRetries = 2
	// How often the servers look when nothing is there. Lane now is handed over
	// inside the process first, so an embedded queue need not hurry.
	nowCheck  = 20 * time.Millisecond
	bulkCheck = 200 * time.Millisecond
)

// queue is the bell: two Asynq servers and a client. It keeps nothing that
// the database does not know.
type queue struct {
	w         *Worker
	me        string
	redis     redis.UniversalClient
	own       *embedded // nil: a real Redis
	client    atomic.Pointer[asynq.Client]
	inspector *asynq.Inspector
	servers   []*asynq.Server
	names     map[outbox.Lane]map[string]string // lane → channel → name
	up        atomic.Bool
	emptied   atomic.Bool // everything was lost since the pump asked last
	epoch     string      // the mark in Redis, as seen last
	watching  sync.WaitGroup

	mu      sync.Mutex
	pending map[string]int
	sizes   *prometheus.Desc
}

func openQueue(ctx context.Context, w *Worker, channelNames []string) (*queue, error) {
	q := &queue{
		w: w, me: w.o.Random(), names: map[outbox.Lane]map[string]string{}, pending: map[string]int{},
		sizes: prometheus.NewDesc("rapport_queue_tasks", "Tasks in the queue, by lane, channel and state.", []string{"lane", "channel", "state"}, nil),
	}
	if w.o.Redis == "" {
		q.redis, q.own = openEmbedded(w.o.Random(), w.o.Now())
	} else {
		var err error
		if q.redis, err = OpenRedis(w.o.Redis); err != nil {
			return nil, err
		}
		q.warn(ctx)
	}
	q.client.Store(asynq.NewClientFromRedisClient(q.redis))
	q.inspector = asynq.NewInspectorFromRedisClient(q.redis)
	for _, which := range []outbox.Lane{outbox.Now, outbox.Bulk} {
		q.names[which] = map[string]string{}
		for _, c := range channelNames {
			q.names[which][c] = w.o.Space + ":" + string(which) + ":" + c
		}
	}
	return q, nil
}

// warn says loudly that a Redis may throw tasks away; one that is not there
// yet is no error.
func (q *queue) warn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, redisReply)
	defer cancel()
	if err := CheckRedis(ctx, q.redis); err != nil {
		q.w.log.WarnContext(ctx, "Redis is not as it should be", slog.Any("error", err))
	}
}

// shared is the Redis that several processes share; nil when this one is alone.
func (q *queue) shared() redis.UniversalClient {
	if q.own != nil {
		return nil
	}
	return q.redis
}

// start runs the servers and watches Redis until the context ends.
func (q *queue) start(ctx context.Context) error {
	q.watch(ctx) // before the pump runs
	jobs := map[outbox.Lane]int{outbox.Now: nowJobs, outbox.Bulk: bulkJobs}
	checks := map[outbox.Lane]time.Duration{outbox.Now: nowCheck, outbox.Bulk: bulkCheck}
	if q.own != nil {
		checks[outbox.Now] = bulkCheck
	}
	for which, names := range q.names {
		if len(names) == 0 {
			continue
		}
		weights := map[string]int{}
		for _, n := range names {
			weights[n] = 1
		}
		srv := asynq.NewServerFromRedisClient(q.redis, asynq.Config{
			Concurrency: jobs[which]*len(names) + bulkJobs, Queues: weights,
			TaskCheckInterval: checks[which], DelayedTaskCheckInterval: time.Second,
			ShutdownTimeout: 2 * time.Second, // the worker has waited for its jobs before
			RetryDelayFunc:  func(n int, _ error, _ *asynq.Task) time.Duration { return time.Duration(5*(n+1)) * time.Second },
			Logger:          asynqLog{q.w}, LogLevel: asynq.InfoLevel,
		})
		err := srv.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error { return q.handle(ctx, t, which) }))
		if err != nil {
			return fmt.Errorf("start the queue's server for lane %s: %w", which, err)
		}
		q.servers = append(q.servers, srv)
	}
	q.watching.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				q.watch(ctx)
			}
		}
	})
	return nil
}

// handle works on the batch that a task names. The context is the worker's:
// what becomes of a task is no reason to stop a batch.
func (q *queue) handle(ctx context.Context, t *asynq.Task, which outbox.Lane) error {
	ref, ours := named(t)
	if !ours {
		q.w.meter.forged.Inc()
		q.w.log.WarnContext(ctx, "a queue task that is not ours is ignored", slog.Int("octets", len(t.Payload())))
		return nil
	}
	return q.w.deliver(ctx, ref, which)
}

// named reads which batch a task names, and says whether the task is one of
// ours.
func named(t *asynq.Task) (ref task, ours bool) {
	dec := json.NewDecoder(bytes.NewReader(t.Payload()))
	dec.DisallowUnknownFields()
	err := dec.Decode(&ref)
	return ref, err == nil && t.Type() == taskType && ref.Batch > 0 && ref.Run > 0
}

// ask puts a batch into the queue. Asking twice for one round is no error.
func (q *queue) ask(ctx context.Context, b outbox.Batch) error {
	ref, err := json.Marshal(task{Batch: b.ID, Run: b.Run, Round: b.Round})
	if err != nil {
		return fmt.Errorf("encode batch %d: %w", b.ID, err)
	}
	_, err = q.client.Load().EnqueueContext(ctx, asynq.NewTask(taskType, ref),
		asynq.TaskID(fmt.Sprintf("deliver:%d:%d", b.ID, b.Round)), asynq.Queue(q.names[b.Lane][b.Channel]),
		asynq.Timeout(taskTime), asynq.MaxRetry(taskRetries), asynq.Retention(0))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	if err != nil {
		q.up.Store(false) // until the next look
		return fmt.Errorf("enqueue batch %d: %w", b.ID, err)
	}
	q.mu.Lock()
	q.pending[q.names[b.Lane][b.Channel]]++
	q.mu.Unlock()
	return nil
}

// waiting is how many tasks of a channel and lane are in the queue, as far as
// known.
func (q *queue) waiting(which outbox.Lane, channel string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pending[q.names[which][channel]]
}

// flushed says, once, that the queue lost everything.
func (q *queue) flushed() bool { return q.emptied.Swap(false) }

// watch asks Redis whether it lives, whether it still knows us, and how much
// waits in it.
func (q *queue) watch(ctx context.Context) {
	if q.own != nil {
		q.own.pass(q.w.o.Now())
	}
	ctx, cancel := context.WithTimeout(ctx, 2*redisReply)
	defer cancel()
	lost, err := q.lost(ctx)
	if err != nil {
		if q.up.Swap(false) {
			q.w.log.WarnContext(ctx, "Redis does not answer; this process goes on by itself", slog.Any("error", err))
		} else if ctx.Err() == nil {
			q.w.troubled("Redis does not answer", err)
		}
		return
	}
	if lost {
		// Asynq's client remembers which queues it has made known.
		q.client.Store(asynq.NewClientFromRedisClient(q.redis))
		q.emptied.Store(true)
		q.w.pump.poke()
	}
	for _, names := range q.names {
		for _, name := range names {
			n := 0
			if info, err := q.inspector.GetQueueInfo(name); err == nil { // an error: nothing was ever in it
				n = info.Pending
			}
			q.mu.Lock()
			q.pending[name] = n
			q.mu.Unlock()
		}
	}
	if !q.up.Swap(true) && len(q.servers) > 0 {
		q.w.log.InfoContext(ctx, "Redis answers again")
		q.w.pump.poke()
	}
}

// lost says whether Redis has lost what was in it since the last look: all
// processes share a mark, and a new one means that the old one was lost.
func (q *queue) lost(ctx context.Context) (bool, error) {
	key := q.w.o.Space + ":epoch"
	mark, err := q.redis.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		if err = q.redis.SetNX(ctx, key, q.w.o.Random(), 0).Err(); err == nil {
			mark, err = q.redis.Get(ctx, key).Result()
		}
	}
	if err != nil {
		return false, fmt.Errorf("look at the queue's mark: %w", err)
	}
	before := q.epoch
	q.epoch = mark
	return before != "" && before != mark, nil
}

// quiet takes no more tasks.
func (q *queue) quiet() {
	q.each((*asynq.Server).Stop)
}

// each does something with both servers at once, as each waits for its loop.
func (q *queue) each(do func(*asynq.Server)) {
	var all sync.WaitGroup
	for _, s := range q.servers {
		all.Go(func() { do(s) })
	}
	all.Wait()
}

// close ends the servers and lets Redis go.
func (q *queue) close() error {
	q.each((*asynq.Server).Shutdown)
	q.watching.Wait()
	err := q.redis.Close()
	if q.own != nil {
		q.own.server.Close()
	}
	return err
}

// Describe names the sizes of the queue for Prometheus.
func (q *queue) Describe(out chan<- *prometheus.Desc) { out <- q.sizes }

// Collect asks for the sizes of the queue; nothing while Redis is away.
func (q *queue) Collect(out chan<- prometheus.Metric) {
	if !q.up.Load() {
		return
	}
	for which, names := range q.names {
		for channel, name := range names {
			info, err := q.inspector.GetQueueInfo(name)
			if err != nil {
				continue
			}
			for state, n := range map[string]int{"pending": info.Pending, "active": info.Active, "retry": info.Retry, "archived": info.Archived} {
				out <- prometheus.MustNewConstMetric(q.sizes, prometheus.GaugeValue, float64(n), string(which), channel, state)
			}
		}
	}
}

// asynqLog lets the library speak in our log: its stories at debug, its
// troubles once a minute, as Redis may be away for long.
type asynqLog struct{ w *Worker }

// Debug is for the library's finest stories.
func (l asynqLog) Debug(args ...any) { l.say(args) }

// Info is for the library's stories.
func (l asynqLog) Info(args ...any) { l.say(args) }

// Warn is for the library's troubles.
func (l asynqLog) Warn(args ...any) {
	l.w.troubled("the queue has trouble", errors.New(fmt.Sprint(args...)))
}

// Error is for the library's greater troubles.
func (l asynqLog) Error(args ...any) { l.Warn(args...) }

// Fatal is never called by the parts in use; the process must not end by it.
func (l asynqLog) Fatal(args ...any) { l.Warn(args...) }

func (l asynqLog) say(args []any) {
	l.w.log.Log(context.Background(), slog.LevelDebug, "queue", slog.String("says", fmt.Sprint(args...)))
}
