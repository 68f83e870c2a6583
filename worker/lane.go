package worker

import (
	"context"
	"sync/atomic"

	"rapport/channels"
	"rapport/outbox"
)

// Lane is a channel as the machine room drives it.
type Lane struct {
	Channel      channels.Channel
	Concurrency  int     // Sends at once in this process; 0 means 8
	Rate         float64 // messages a second over all processes; 0 means no limit
	DropsRepeats bool    // the receiver promises to drop repeats of a key
}

const (
	defaultConcurrency = 8
	bulkJobs           = 4  // batches of a channel that are worked on at once
	nowJobs            = 16 // the same in lane now, where a batch is often one message
)

// lane is a channel in this process: its slots are shared by all batches.
type lane struct {
	Lane
	name  string
	pace  *pacer
	chunk int
	all   chan struct{} // one for each Send at once
	bulk  chan struct{} // of which campaigns may take this many
	jobs  map[outbox.Lane]chan struct{}
	holds atomic.Int64 // grows when the channel is held; who began before goes home
}

func newLane(name string, l Lane, pace *pacer) *lane {
	if l.Concurrency <= 0 {
		l.Concurrency = defaultConcurrency
	}
	slots := pace.abreast(l.Concurrency)
	reserve := 0
	if slots > 1 {
		reserve = max(1, slots/8) // what one person waits for always finds a slot
	}
	return &lane{
		Lane: l, name: name, pace: pace,
		chunk: min(max(4*slots, 16), 256),
		all:   make(chan struct{}, slots), bulk: make(chan struct{}, slots-reserve),
		jobs: map[outbox.Lane]chan struct{}{
			outbox.Bulk: make(chan struct{}, bulkJobs), outbox.Now: make(chan struct{}, nowJobs),
		},
	}
}

// slot waits for the right to call Send once and returns how to give it back.
func (l *lane) slot(ctx context.Context, which outbox.Lane) (leave func(), err error) {
	if which == outbox.Now {
		if err := enter(ctx, l.all); err != nil {
			return nil, err
		}
		return func() { <-l.all }, nil
	}
	if err := enter(ctx, l.bulk); err != nil {
		return nil, err
	}
	if err := enter(ctx, l.all); err != nil {
		<-l.bulk
		return nil, err
	}
	return func() { <-l.all; <-l.bulk }, nil
}

func enter(ctx context.Context, room chan struct{}) error {
	select {
	case room <- struct{}{}:
		return nil
	default:
	}
	select {
	case room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
