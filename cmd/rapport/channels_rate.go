package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/config"
	"rapport/internal/app"
	"rapport/outbox"
)

// noRate is how people take a limit away.
const noRate = "none"

func newChannelsRate(c *cli) *cobra.Command {
	var reset bool
	cmd := command("rate NAME RATE", "change the rate of a channel while it is sending, in all processes",
		"rapport channels rate newsletter 50/s\nrapport channels rate newsletter none\nrapport channels rate newsletter --reset",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if err := knownChannel(h, args[0]); err != nil {
				return err
			}
			if reset == (len(args) == 2) {
				return rapport.Invalidf("RATE", "write a rate like 50/s or 600/m, none for no limit, or --reset for the configured one")
			}
			if reset {
				return c.resetRate(ctx, h, args[0])
			}
			r := outbox.LiveRate{Channel: args[0], Since: c.now()}
			if args[1] != noRate {
				rate, err := config.ParseRate(args[1])
				if err != nil {
					return rapport.Invalidf("RATE", "%v", err)
				}
				r.N, r.Per = int64(rate.N), rate.Per
			}
			if err := h.Store.SetRate(ctx, r); err != nil {
				return err
			}
			return c.show(map[string]any{"channel": args[0], "rate": args[1]}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s sends at %s within a few seconds, until it is reset\n", args[0], rateText(r))
			})
		}))
	cmd.Args = cobra.RangeArgs(1, 2)
	cmd.Flags().BoolVar(&reset, "reset", false, "let the configured rate hold again")
	return cmd
}

func (c *cli) resetRate(ctx context.Context, h *app.House, channel string) error {
	was, err := h.Store.ResetRate(ctx, channel)
	if err != nil {
		return err
	}
	return c.show(map[string]any{"channel": channel, "was_set": was}, func(w io.Writer) {
		if !was {
			_, _ = fmt.Fprintf(w, "%s sends at its configured rate already\n", channel)
			return
		}
		_, _ = fmt.Fprintf(w, "%s sends at its configured rate within a few seconds\n", channel)
	})
}

func rateText(r outbox.LiveRate) string {
	if r.N == 0 {
		return noRate
	}
	return config.Rate{N: int(r.N), Per: r.Per}.String()
}

// slowLine is a receiving domain that asked for less.
type slowLine struct {
	Domain    string    `json:"domain"`
	PerMinute float64   `json:"per_minute"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"nothing_until"`
	Reason    string    `json:"reason"`
	Detail    string    `json:"detail"`
}

// warmLine is where a warm-up plan stands today.
type warmLine struct {
	Day   string `json:"day"`
	Taken int64  `json:"taken"`
	Limit int64  `json:"limit"`
}

// paceOf fills in what the processes share about the pace of a channel.
func paceOf(ctx context.Context, h *app.House, now time.Time, ch config.Channel, l *channelLine) error {
	rates, err := h.Store.LiveRates(ctx)
	if err != nil {
		return err
	}
	for _, r := range rates {
		if r.Channel == ch.Name {
			l.Rate, l.RateSince = rateText(r), &r.Since
		}
	}
	slows, err := h.Store.Slows(ctx)
	if err != nil {
		return err
	}
	for _, s := range slows {
		if s.Channel == ch.Name {
			l.Slow = append(l.Slow, slowLine{s.Domain, s.PerMinute(), s.Since, s.Until, string(s.Reason), s.Detail})
		}
	}
	plan := h.Warmup(ch)
	if plan == nil {
		return nil
	}
	limit, planned := plan.Limit(now)
	if !planned {
		return nil
	}
	day, _ := plan.Day(now)
	taken, err := h.Store.Warmed(ctx, ch.Name, day)
	l.Warmup = &warmLine{day, taken, limit}
	return err
}

func (c *cli) printPace(w io.Writer, l channelLine) {
	if l.RateSince != nil {
		_, _ = fmt.Fprintf(w, "%s: rate set to %s since %s; --reset lets the configured one hold\n", l.Name, l.Rate, c.at(*l.RateSince))
	}
	for _, s := range l.Slow {
		_, _ = fmt.Fprintf(w, "%s: %s slowed down to %.3g/min since %s because %s\n", l.Name, s.Domain, s.PerMinute, c.at(s.Since), because(s.Reason, s.Detail))
	}
	if l.Warmup != nil {
		_, _ = fmt.Fprintf(w, "%s: warm-up, %d of %d on %s\n", l.Name, l.Warmup.Taken, l.Warmup.Limit, l.Warmup.Day)
	}
}

func because(reason, detail string) string {
	if detail == "" {
		return reason
	}
	return detail
}
