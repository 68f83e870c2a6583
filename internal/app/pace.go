package app

import (
	"context"

	"rapport/channels"
	"rapport/config"
	"rapport/outbox"
	"rapport/worker"
)

// paced gives a lane what the configuration says about receiving domains and
// days.
func (h *House) paced(l *worker.Lane, c config.Channel, d channels.Driver) {
	if d.Address.Separator != "" {
		l.Domain = d.Address.Domain
		l.Domains = make(map[string]float64, len(c.Domains))
		for domain, rate := range c.Domains {
			l.Domains[domain] = rate.PerSecond()
		}
	}
	l.Warmup = h.Warmup(c)
}

// Warmup is the plan of a channel by days; nil when it has none.
func (h *House) Warmup(c config.Channel) *outbox.Warmup {
	start, days, err := c.Warmup.Plan(h.home)
	if err != nil || len(days) == 0 { // an error: the configuration was not checked
		return nil
	}
	return &outbox.Warmup{Start: start, Days: days}
}

// paceOf is what a channel's driver may ask for departure times of its own: the
// machine room, once there is one. A message that is sent without it, like a
// test, is not paced.
func (h *House) paceOf(channel string) func(ctx context.Context, key string, perSecond float64) error {
	return func(ctx context.Context, key string, perSecond float64) error {
		room := h.room.Load()
		if room == nil {
			return ctx.Err()
		}
		return room.Pace(ctx, channel, key, perSecond)
	}
}
