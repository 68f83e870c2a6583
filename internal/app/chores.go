package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rapport"
	"rapport/worker"
)

// DailyChore is work that the house does once a day, whatever happens to the
// processes meanwhile: one of them takes it on, and where it fails or dies it is
// taken on again an hour later.
type DailyChore struct {
	Name string // like expire-requests; what a person types
	What string // a sentence of what it does
	// Do does it now and says in numbers what it did. It must bear being done
	// twice.
	Do func(ctx context.Context) (map[string]int, error)
}

// Daily adds a chore of each day. Rooms add theirs while the house is built.
func (h *House) Daily(c DailyChore) { h.daily = append(h.daily, c) }

// Chores lists the daily chores in the order in which they are done.
func (h *House) Chores() []DailyChore { return slices.Clone(h.daily) }

// ChoreDone is what a chore did.
type ChoreDone struct {
	Name string         `json:"name"`
	Did  map[string]int `json:"did"`
	Last time.Time      `json:"at"`
}

// RunChores does the daily chore of that name now, or all of them for "",
// whenever they were done last.
func (h *House) RunChores(ctx context.Context, name string) ([]ChoreDone, error) {
	var out []ChoreDone
	var known []string
	for _, c := range h.daily {
		known = append(known, c.Name)
		if name != "" && name != c.Name {
			continue
		}
		did, err := c.Do(ctx)
		if err != nil {
			return out, fmt.Errorf("chore %s: %w", c.Name, err)
		}
		at := h.now()
		if err := h.Store.FinishChore(ctx, c.Name, at); err != nil {
			return out, err
		}
		out = append(out, ChoreDone{c.Name, did, at})
	}
	if name != "" && len(out) == 0 {
		return nil, rapport.Unknown("chore", name, known)
	}
	return out, nil
}

// How often chores are done, how often somebody looks whether one is due, and
// how long whoever has taken one on may be about it.
const (
	choreEvery = 24 * time.Hour
	choreLook  = time.Minute
	choreLease = time.Hour
)

// dueChores does what is due and nobody else has taken on. One that fails does
// not keep the others from being done.
func (h *House) dueChores(ctx context.Context) error {
	var errs []error
	for _, c := range h.daily {
		now := h.now()
		mine, err := h.Store.TakeChore(ctx, c.Name, now, now.Add(-choreEvery), now.Add(choreLease))
		if err != nil {
			return err
		}
		if !mine {
			continue
		}
		did, err := c.Do(ctx)
		if err == nil {
			err = h.Store.FinishChore(ctx, c.Name, h.now())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("chore %s: %w", c.Name, err))
			continue
		}
		level := slog.LevelDebug // nothing was there to do
		for _, n := range did {
			if n != 0 {
				level = slog.LevelInfo
			}
		}
		h.Log.LogAttrs(ctx, level, "a chore of the day is done", slog.String("chore", c.Name), slog.Any("did", did))
	}
	return errors.Join(errs...)
}

// keeping is the part of the machine room that does the daily chores.
func (h *House) keeping() []worker.Chore {
	return []worker.Chore{
		{Name: "daily chores", Every: choreLook, Do: h.dueChores},
		{Name: "go on with requests", Every: choreLook, Do: h.Requests.Resume},
	}
}
