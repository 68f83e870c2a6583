package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rapport/outbox"
)

const (
	beatEvery = 5 * time.Second
	// changeTime is how long a worker that must take a new seat lets its open
	// sends end first, so that their rows are not judged while they run.
	changeTime = time.Minute
)

// sitter keeps the worker's seat: it beats, and takes a new seat when the old
// one may be taken for dead, or when rows may be claimed of which nobody knows.
type sitter struct {
	seats outbox.Seats
	name  string
	now   func() time.Time
	log   *slog.Logger

	current  atomic.Int64 // 0: no seat
	doubtful chan struct{}
	mu       sync.Mutex
	seat     outbox.Seat
}

func newSitter(o Options) *sitter {
	return &sitter{seats: o.Seats, name: o.Name, now: o.Now, log: o.Log, doubtful: make(chan struct{}, 1)}
}

// id is the number that stands on the rows of this worker; false while it has
// no seat and must not claim.
func (s *sitter) id() (int64, bool) {
	n := s.current.Load()
	return n, n != 0
}

// doubt asks for a new seat: rows may stand as claimed by this one that nobody
// works on.
func (s *sitter) doubt() {
	select {
	case s.doubtful <- struct{}{}:
	default:
	}
}

func (s *sitter) sit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	seat, err := s.seats.Sit(ctx, s.name, s.now())
	if err != nil {
		return fmt.Errorf("take a seat: %w", err)
	}
	s.mu.Lock()
	s.seat = seat
	s.mu.Unlock()
	s.current.Store(seat.ID())
	return nil
}

// leave gives the seat up, if there is one. A database that is away finds out
// by the lock or the missing beats.
func (s *sitter) leave(ctx context.Context) error {
	s.current.Store(0)
	s.mu.Lock()
	seat := s.seat
	s.seat = nil
	s.mu.Unlock()
	if seat == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	return seat.Leave(ctx, s.now())
}

func (s *sitter) beat(ctx context.Context) error {
	s.mu.Lock()
	seat := s.seat
	s.mu.Unlock()
	if seat == nil {
		return nil // being changed
	}
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	return seat.Beat(ctx, s.now())
}

// keep beats until the context ends. settle waits until nothing of the worker
// is on its way, as far as its context allows.
func (s *sitter) keep(ctx context.Context, settle func(context.Context)) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		var why error
		select {
		case <-ctx.Done():
			return
		case <-s.doubtful:
			why = errDoubt
		case <-tick.C:
			why = s.beat(ctx)
		}
		if why == nil || ctx.Err() != nil {
			continue
		}
		s.log.WarnContext(ctx, "the worker takes a new seat", slog.Int64("seat", s.current.Load()), slog.Any("error", why))
		s.change(ctx, settle)
	}
}

var errDoubt = errors.New("a claim was not answered")

func (s *sitter) change(ctx context.Context, settle func(context.Context)) {
	s.current.Store(0) // nothing more is claimed or admitted
	patience, cancel := context.WithTimeout(ctx, changeTime)
	settle(patience)
	cancel()
	if err := s.leave(ctx); err != nil {
		s.log.DebugContext(ctx, "the old seat was left without a word", slog.Any("error", err))
	}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, beatEvery) {
		err := s.sit(ctx)
		if err == nil {
			s.log.InfoContext(ctx, "the worker has a new seat", slog.Int64("seat", s.current.Load()))
			return
		}
		s.log.DebugContext(ctx, "no new seat yet", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
