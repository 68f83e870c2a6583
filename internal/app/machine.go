package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport"
	"rapport/channels"
	"rapport/internal/lifecycle"
	"rapport/outbox"
	"rapport/worker"
)

// engine is the machine room of this process with the channels it drives.
type engine struct {
	h     *House
	room  *worker.Worker
	close func() error // the channels
}

// newEngine opens the channels and builds the machine room over them. Nothing
// works yet.
func (h *House) newEngine(ctx context.Context, meters prometheus.Registerer) (*engine, error) {
	if err := h.checkCalendars(); err != nil {
		return nil, err
	}
	lanes, closeAll, err := h.lanes(ctx)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	room, err := worker.New(ctx, worker.Options{
		Deliveries: h.Store, Bells: h.Store, Seats: h.Store, Holds: h.Store, Paces: h.Store, Milestones: h.Store,
		Channels: lanes, Open: h.open, Policy: h.policy,
		PauseRun: h.Campaigns.PauseRun, Plan: h.Campaigns.Work, Chores: h.chores(),
		Redis: h.Config.Redis.Reveal(), Data: h.Config.Data, Name: fmt.Sprintf("%s/%d", host, os.Getpid()),
		Zone: h.home, Calm: h.calm, Grace: h.Config.Patience(), Now: h.now, Jitter: rand.Float64, Random: word,
		Log: h.Log, Meters: meters,
	})
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	h.room.Store(room)
	return &engine{h: h, room: room, close: closeAll}, nil
}

// policy is what becomes of attempts, with the retries of the configuration.
func (h *House) policy(class channels.Class, channel string) outbox.Policy {
	c, _ := h.Config.Find(channel)
	retry := h.Config.Retry
	return outbox.PolicyFor(class, c.DropsRepeats, rand.Float64).
		Configured(time.Duration(retry.First), time.Duration(retry.Longest), retry.Attempts)
}

// chores is the small work that some process has to do again and again.
func (h *House) chores() []worker.Chore {
	return append(h.keeping(), []worker.Chore{
		{Name: "seal the ledger", Every: time.Second, Do: func(ctx context.Context) error {
			_, err := h.Consent.Seal(ctx)
			return err
		}},
		{Name: "tell operators", Every: 2 * time.Second, Do: h.tell},
	}...)
}

// parts are the channels and the machine room, for lifecycle.
func (e *engine) parts() []lifecycle.Part {
	return []lifecycle.Part{
		{Name: "channels", Stop: func(context.Context) error { return e.close() }},
		{
			Name: "worker", Grace: e.h.Config.Patience() + 10*time.Second,
			Start: func(ctx context.Context) error {
				if err := e.room.Start(ctx); err != nil {
					return err
				}
				e.h.worker.Store(e.room)
				return nil
			},
			Stop: func(ctx context.Context) error {
				e.h.worker.Store(nil)
				return e.room.Stop(ctx)
			},
		},
	}
}

// grown refuses to run several processes on parts that hold only one.
func (h *House) grown() error {
	if h.Config.Database.Empty() || h.Config.Redis.Empty() {
		return rapport.Invalidf("", "work needs PostgreSQL and Redis, which several processes can share: set database and redis, or run rapport serve, which does everything in one process")
	}
	return nil
}
