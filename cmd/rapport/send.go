package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/campaigns"
	"rapport/consent"
	"rapport/internal/app"
	"rapport/outbox"
)

// sendFlags are the flags of send.
type sendFlags struct {
	campaigns.Single
	data      []string
	at, basis string
	wait      bool
}

func newSendCommand(c *cli) *cobra.Command {
	var f sendFlags
	cmd := command("send", "send one message to one person",
		`rapport send --template welcome --channel newsletter --topic service --to anna@example.com --source "order 4711"
rapport send --template follow-up --channel newsletter --topic service --to 4711 --data case=C-17 --reference case-C-17 --in 48h
rapport send cancel --reference case-C-17`,
		c.inside(func(ctx context.Context, h *app.House, _ []string) error { return c.send(ctx, h, f) }))
	flags := cmd.Flags()
	flags.StringVar(&f.Template, "template", "", "`NAME` of the template")
	flags.StringVar(&f.Channel, "channel", "", "`NAME` of the channel")
	flags.StringVar(&f.Topic, "topic", "", "`NAME` of the topic")
	flags.StringVar(&f.Contact, "to", "", "the `CONTACT`: ID, external ID or address")
	flags.StringArrayVar(&f.data, "data", nil, "what data.<key> says, as `KEY=VALUE` or a JSON object; may be repeated")
	flags.StringVar(&f.Reference, "reference", "", "your own `NAME` for the message: the same again is the same message")
	flags.StringVar(&f.ReplyTo, "reply-to", "", "`ADDRESS` where answers go")
	flags.DurationVar(&f.Delay, "in", 0, "leave after that `TIME`, like 1h")
	flags.StringVar(&f.at, "at", "", "leave at that `TIME`")
	flags.DurationVar(&f.Expires, "expires", 0, "not later than that `TIME` after it is due, like 24h")
	flags.StringVar(&f.basis, "basis", "", "`GROUND` in law for a transactional topic: "+strings.Join(consent.Bases(), ", ")+" (default contract)")
	flags.StringVar(&f.Source, "source", "", "what the basis rests on, a `TEXT` like an order number; needed where no consent is recorded")
	flags.BoolVar(&f.wait, "wait", false, "stay until it is sent; if nobody else sends, send from here")
	cmd.AddCommand(newSendCancel(c), newSendResume(c))
	return cmd
}

func (c *cli) send(ctx context.Context, h *app.House, f sendFlags) error {
	m := f.Single
	for _, need := range [][2]string{{"--template", m.Template}, {"--channel", m.Channel}, {"--topic", m.Topic}, {"--to", m.Contact}} {
		if need[1] == "" {
			return rapport.Invalidf(need[0], "is missing; see rapport send --help")
		}
	}
	var err error
	if m.Data, err = readData(f.data); err != nil {
		return err
	}
	if m.At, err = c.moment(f.at); err != nil {
		return err
	}
	m.Basis = consent.Basis(f.basis)
	out, err := h.Campaigns.Send(ctx, m)
	if err != nil {
		return err
	}
	if f.wait {
		return c.awaitMessage(ctx, h, out)
	}
	err = c.show(out, func(w io.Writer) {
		word := "queued"
		if !out.New {
			word = "known already"
		}
		_, _ = fmt.Fprintf(w, "%s, delivery %s\n", word, out.Delivery)
	})
	if out.New {
		c.nobodySends(ctx, h)
	}
	return err
}

// readData puts KEY=VALUE words and JSON objects together.
func readData(list []string) (map[string]any, error) {
	out := map[string]any{}
	for _, one := range list {
		if strings.HasPrefix(strings.TrimSpace(one), "{") {
			var object map[string]any
			if err := json.Unmarshal([]byte(one), &object); err != nil {
				return nil, rapport.Invalidf("--data", "is not a JSON object: %v", err)
			}
			maps.Copy(out, object)
			continue
		}
		key, text, ok := strings.Cut(one, "=")
		if !ok || key == "" {
			return nil, rapport.Invalidf("--data", "%q is neither KEY=VALUE nor a JSON object", one)
		}
		out[key] = value(text)
	}
	return out, nil
}

// awaitMessage waits until a message has left or ended otherwise, and says so.
func (c *cli) awaitMessage(ctx context.Context, h *app.House, m campaigns.Message) error {
	if _, err := c.watch(ctx, h, "", m.Run.UID, true); err != nil {
		return err
	}
	d, err := deliveryOf(ctx, h, m.Delivery)
	if err != nil {
		return err
	}
	if err := c.show(d, func(w io.Writer) { c.printDelivery(w, d) }); err != nil || d.State == outbox.Sent {
		return err
	}
	return saidError{rapport.Unavailable}
}

func newSendCancel(c *cli) *cobra.Command {
	var reference string
	cmd := command("cancel [MESSAGE]", "stop a single message that has not left", "rapport send cancel --reference case-C-17",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			ref, err := messageOf(args, reference)
			if err != nil {
				return err
			}
			if err := h.Campaigns.CancelSend(ctx, ref); err != nil {
				return err
			}
			return c.show(map[string]string{"cancelled": ref}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "cancelled", clean(ref, false)) })
		}))
	cmd.Flags().StringVar(&reference, "reference", "", "the `NAME` the message was sent with, in place of MESSAGE")
	return cmd
}

func newSendResume(c *cli) *cobra.Command {
	return command("resume MESSAGE", "let a single message go on that could not and was paused; MESSAGE is its reference or the ID of its run", "rapport send resume case-C-17",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			r, err := h.Campaigns.ResumeSend(ctx, args[0])
			if err != nil {
				return err
			}
			err = c.show(r, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%s goes on, run %s\n", clean(args[0], false), r.UID) })
			c.nobodySends(ctx, h)
			return err
		}))
}

// messageOf is the message that is meant, named by an argument or a flag.
func messageOf(args []string, reference string) (string, error) {
	switch {
	case len(args) == 1 && reference == "":
		return args[0], nil
	case len(args) == 0 && reference != "":
		return reference, nil
	}
	return "", rapport.Invalidf("--reference", "name one message: by the reference it was sent with, or the ID of its run")
}
