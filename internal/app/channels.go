package app

import (
	"context"
	"errors"
	"fmt"

	"rapport"
	"rapport/channels"
	"rapport/config"
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
	env := c.Env(h.now)
	env.Pace = h.paceOf(name)
	ch, err := driver.Open(ctx, env, c.Raw)
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
		lane := worker.Lane{Channel: ch, Concurrency: abreast(c, driver, ch), Rate: c.Rate.PerSecond(), DropsRepeats: c.DropsRepeats}
		h.paced(&lane, c, driver)
		lanes[c.Name] = lane
	}
	return lanes, closeAll, nil
}

// sized is a channel that knows by its own settings how many Sends at once
// keep it busy. A paced one is asked for as many as may leave without one
// waiting behind another, so that the receiver never sees more than the rate
// and one message a connection.
type sized interface {
	Concurrency(paced bool) int
}

// abreast is how many Sends of a channel are on their way at once: by the
// setting, or as many as the open channel or its driver likes.
func abreast(c config.Channel, d channels.Driver, ch channels.Channel) int {
	if s, ok := ch.(sized); ok && c.Concurrency == 0 {
		return s.Concurrency(c.Rate.PerSecond() > 0)
	}
	return c.Workers(d)
}
