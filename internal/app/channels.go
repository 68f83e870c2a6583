package app

import (
	"context"
	"errors"
	"fmt"

	"rapport"
	"rapport/channels"
	"rapport/worker"
)

// OpenChannel opens one channel of the configuration; whoever opens it closes
// it.
func (h *House) OpenChannel(ctx context.Context, name string) (channels.Channel, channels.Driver, error) {
	c, ok := h.Config.Find(name)
	if !ok {
		var known []string
		for _, c := range h.Config.Channels {
			known = append(known, c.Name)
		}
		return nil, channels.Driver{}, rapport.Unknown("channel", name, known)
	}
	driver, err := h.Drivers.Driver(c.Driver)
	if err != nil {
		return nil, driver, fmt.Errorf("channel %s: %w", name, err)
	}
	ch, err := driver.Open(ctx, c.Env(h.now), c.Raw)
	return ch, driver, err
}

// lanes opens every channel for the machine room. The returned func closes
// them again.
func (h *House) lanes(ctx context.Context) (map[string]worker.Lane, func() error, error) {
	lanes := make(map[string]worker.Lane, len(h.Config.Channels))
	closeAll := func() error {
		var errs []error
		for _, l := range lanes {
			errs = append(errs, l.Channel.Close())
		}
		return errors.Join(errs...)
	}
	for _, c := range h.Config.Channels {
		ch, driver, err := h.OpenChannel(ctx, c.Name)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		lanes[c.Name] = worker.Lane{
			Channel: ch, Concurrency: c.Workers(driver), Rate: c.Rate.PerSecond(), DropsRepeats: c.DropsRepeats,
		}
	}
	return lanes, closeAll, nil
}
