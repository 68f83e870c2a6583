package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/channels"
	"rapport/internal/app"
	"rapport/outbox"
)

func newChannelsCommand(c *cli) *cobra.Command {
	return group("channels", "the ways to reach people: list, describe, test, hold, release, rate", `A channel is a way to reach people, written into the configuration under a
name of yours, with the driver that does the work.`,
		newChannelsList(c), newChannelsDescribe(c), newChannelsTest(c), newChannelsHold(c), newChannelsRelease(c), newChannelsRate(c))
}

// channelLine is a configured channel as channels list shows it.
type channelLine struct {
	Name      string     `json:"name"`
	Driver    string     `json:"driver"`
	Rate      string     `json:"rate,omitempty"`
	Held      bool       `json:"held"`
	HeldUntil *time.Time `json:"held_until,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	Detail    string     `json:"detail,omitempty"`

	RateSince *time.Time `json:"rate_since,omitempty"` // it was set by hand then
	Slow      []slowLine `json:"slow_domains,omitempty"`
	Warmup    *warmLine  `json:"warmup,omitempty"`
}

func newChannelsList(c *cli) *cobra.Command {
	return command("list", "list configured channels, whether they are held, and the drivers there are", "rapport channels list",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			held, err := h.Store.Holds(ctx, c.now())
			if err != nil {
				return err
			}
			lines := []channelLine{}
			for _, ch := range h.Config.Channels {
				l := channelLine{Name: ch.Name, Driver: ch.Driver, Rate: ch.Rate.String()}
				for _, x := range held {
					if x.Channel != ch.Name {
						continue
					}
					l.Held, l.Reason, l.Detail = true, string(x.Reason), x.Detail
					if !x.Until.IsZero() {
						l.HeldUntil = &x.Until
					}
				}
				if err := paceOf(ctx, h, c.now(), ch, &l); err != nil {
					return err
				}
				lines = append(lines, l)
			}
			drivers := []string{}
			for _, d := range h.Drivers.Drivers() {
				drivers = append(drivers, d.Name)
			}
			return c.show(map[string]any{"channels": lines, "drivers": drivers}, func(w io.Writer) { c.printChannels(w, lines) })
		}))
}

func (c *cli) printChannels(w io.Writer, lines []channelLine) {
	t := newTable("CHANNEL", "DRIVER", "RATE", "STATE")
	for _, l := range lines {
		state := "free"
		switch {
		case l.HeldUntil != nil:
			state = "held until " + c.at(*l.HeldUntil) + ": " + l.Reason + " " + l.Detail
		case l.Held:
			state = "held for a person: " + l.Reason + " " + l.Detail
		}
		t.row(l.Name, l.Driver, dash(l.Rate), state)
	}
	t.write(w)
	for _, l := range lines {
		c.printPace(w, l)
	}
	_, _ = fmt.Fprintln(w)
	t = newTable("DRIVER", "REACHES", "MEANING")
	for _, d := range c.drivers.Drivers() {
		t.row(d.Name, d.Address.Kind, d.Help)
	}
	t.write(w)
}

// field and part are what channels describe says as JSON.
type (
	field struct {
		Name     string `json:"name"`
		Type     string `json:"type"`
		Required bool   `json:"required"`
		Secret   bool   `json:"secret"`
		Help     string `json:"help"`
	}
	part struct {
		Name     string `json:"name"`
		Required bool   `json:"required"`
		MaxBytes int    `json:"max_bytes,omitempty"`
		Help     string `json:"help"`
	}
)

func newChannelsDescribe(c *cli) *cobra.Command {
	cmd := command("describe DRIVER", "describe a driver: what a template needs, and its settings", "rapport channels describe email",
		func(_ *cobra.Command, args []string) error {
			d, err := c.drivers.Driver(args[0])
			if err != nil {
				return err
			}
			parts, fields := []part{}, []field{}
			for _, p := range d.Parts {
				parts = append(parts, part{p.Name, p.Required, p.MaxBytes, p.Help})
			}
			for _, f := range d.Fields {
				fields = append(fields, field{f.Name, f.Type, f.Required, f.Secret, f.Help})
			}
			out := map[string]any{"driver": d.Name, "help": d.Help, "address": d.Address.Kind, "files": d.Files, "parts": parts, "settings": fields}
			return c.show(out, func(w io.Writer) { printDriver(w, d) })
		})
	for _, d := range c.drivers.Drivers() {
		cmd.ValidArgs = append(cmd.ValidArgs, d.Name)
	}
	return cmd
}

func printDriver(w io.Writer, d channels.Driver) {
	_, _ = fmt.Fprintf(w, "%s: %s\nReaches people by: %s\n\nA template has:\n", d.Name, d.Help, d.Address.Kind)
	t := newTable("PART", "", "MEANING")
	for _, p := range d.Parts {
		t.row(p.Name, required(p.Required), p.Help)
	}
	t.write(w)
	_, _ = fmt.Fprintln(w, "\nSettings of a channel:")
	t = newTable("KEY", "TYPE", "", "MEANING")
	for _, f := range d.Fields {
		name := f.Name
		if f.Secret {
			name += " (or " + f.Name + "_file)"
		}
		t.row(name, f.Type, required(f.Required), f.Help)
	}
	t.write(w)
}

func required(yes bool) string {
	if yes {
		return "required"
	}
	return ""
}

func newChannelsTest(c *cli) *cobra.Command {
	var to string
	cmd := command("test NAME", "ask the provider of a channel whether it would talk to us; with --to, send a test message",
		"rapport channels test newsletter\nrapport channels test newsletter --to me@example.com",
		c.inside(func(ctx context.Context, h *app.House, args []string) (err error) {
			ch, d, err := h.OpenChannel(ctx, args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, ch.Close()) }()
			if to == "" {
				if err := ch.Check(ctx); err != nil {
					return rapport.Unavailablef(err, "channel %s does not work: %v", args[0], err)
				}
				return c.show(map[string]any{"channel": args[0], "ok": true}, func(w io.Writer) {
					_, _ = fmt.Fprintf(w, "channel %s works (nothing was sent)\n", args[0])
				})
			}
			r, err := sendTest(ctx, h, ch, d, to)
			if err != nil {
				return err
			}
			out := map[string]any{"channel": args[0], "to": to, "provider_id": r.ProviderID, "server": r.Server}
			return c.show(out, func(w io.Writer) { _, _ = fmt.Fprintf(w, "sent to %s %s\n", to, r.ProviderID) })
		}))
	cmd.Flags().StringVar(&to, "to", "", "`ADDRESS` to send a test message to")
	return cmd
}

// sendTest fills the required parts of a message with a sentence and sends it,
// but to nobody who may not be written to.
func sendTest(ctx context.Context, h *app.House, ch channels.Channel, d channels.Driver, to string) (channels.Receipt, error) {
	address, err := d.Address.Normalize(to)
	if err != nil {
		return channels.Receipt{}, rapport.Invalidf("--to", "%v", err)
	}
	if err := h.Consent.MayTest(ctx, d.Address.Kind, address); err != nil {
		return channels.Receipt{}, err
	}
	key, err := rapport.NewUID(rand.Reader)
	if err != nil {
		return channels.Receipt{}, err
	}
	const sentence = "This is a test message from Rapport."
	m := channels.Message{Key: key, To: address, Class: channels.Transactional, Content: map[string]string{}}
	for _, p := range d.Parts {
		if !p.Required {
			continue
		}
		switch p.Syntax {
		case channels.HTML:
			m.Content[p.Name] = "<!doctype html><html><body><p>" + sentence + "</p></body></html>"
		case channels.JSON:
			m.Content[p.Name] = `{"test": true, "text": "` + sentence + `"}`
		case channels.Plain, channels.Header, channels.Mrkdwn:
			m.Content[p.Name] = sentence
		}
	}
	r, err := ch.Send(ctx, m)
	if err != nil {
		f := channels.Judge(err)
		return r, rapport.Unavailablef(err, "the test message was not taken (%s): %v", f.Verdict, err)
	}
	return r, nil
}

func newChannelsHold(c *cli) *cobra.Command {
	var why string
	var length time.Duration
	cmd := command("hold NAME", "stop a channel: nothing leaves by it until it is released", "rapport channels hold newsletter --for 2h --why 'server moves'",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if err := knownChannel(h, args[0]); err != nil {
				return err
			}
			hold := outbox.Hold{Channel: args[0], Reason: outbox.ByPerson, Detail: why, Since: c.now()}
			if length > 0 {
				hold.Until = c.now().Add(length)
			}
			if err := h.Store.Hold(ctx, hold); err != nil {
				return err
			}
			return c.show(map[string]any{"channel": args[0], "held": true}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "held", args[0]) })
		}))
	cmd.Flags().DurationVar(&length, "for", 0, "how long (default: until somebody releases it)")
	cmd.Flags().StringVar(&why, "why", "", "a few words for others")
	return cmd
}

func newChannelsRelease(c *cli) *cobra.Command {
	return command("release NAME", "let a held channel send again", "rapport channels release newsletter",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if err := knownChannel(h, args[0]); err != nil {
				return err
			}
			if err := heldBack(ctx, h); err != nil {
				return err
			}
			was, err := h.Store.Lift(ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(map[string]any{"channel": args[0], "was_held": was}, func(w io.Writer) {
				if !was {
					_, _ = fmt.Fprintf(w, "%s was not held\n", args[0])
					return
				}
				_, _ = fmt.Fprintln(w, "released", args[0])
			})
		}))
}

func knownChannel(h *app.House, name string) error {
	if _, ok := h.Config.Find(name); ok {
		return nil
	}
	var known []string
	for _, c := range h.Config.Channels {
		known = append(known, c.Name)
	}
	return rapport.Unknown("channel", name, known)
}
