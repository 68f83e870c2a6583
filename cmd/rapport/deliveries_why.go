package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/campaigns"
	"rapport/internal/app"
)

func newDeliveriesWhy(c *cli) *cobra.Command {
	var q campaigns.Question
	cmd := command("why [DELIVERY]", "why somebody gets a message, or not: every gate for one person, before or after sending, and the first that decided",
		"rapport deliveries why --contact anna@example.com --campaign autumn-offers\nrapport deliveries why --contact anna@example.com --campaign autumn-offers --next\nrapport deliveries why ID --json",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if len(args) > 0 {
				if q.Contact != "" || q.Campaign != "" || q.Run != "" {
					return rapport.Invalidf("", "name either a delivery, or a person with --contact and a message with --campaign or --run")
				}
				q.Delivery = args[0]
			}
			w, err := h.Campaigns.Why(ctx, q)
			if err != nil {
				return err
			}
			var person int64
			if w.Contact != "" {
				x, err := h.Contacts.Get(ctx, w.Contact)
				if err != nil {
					return err
				}
				person = x.ID
			}
			if err := noted(ctx, h, "deliveries.why", person, map[string]any{"campaign": w.Campaign}); err != nil {
				return err
			}
			return c.show(w, func(out io.Writer) { c.printWhy(out, w) })
		}))
	flags := cmd.Flags()
	flags.StringVar(&q.Contact, "contact", "", "the `CONTACT` it is about: ID, external ID or address")
	flags.StringVar(&q.Campaign, "campaign", "", "`NAME` of the campaign: its newest run, or what would come if it never ran")
	flags.StringVar(&q.Run, "run", "", "`ID` of another run, or of a single message")
	flags.BoolVar(&q.Next, "next", false, "what would come next, whatever has been")
	return cmd
}

func (c *cli) printWhy(w io.Writer, y campaigns.Why) {
	_, _ = fmt.Fprintln(w, clean(y.Sentence, false))
	if len(y.Story) > 0 {
		_, _ = fmt.Fprintln(w)
		t := newTable("WHEN", "WHAT", "DETAIL", "ROW")
		for _, g := range y.Story {
			t.row(c.rowAt(g.Row), g.Name, g.Says, rowName(g.Row))
		}
		t.write(w)
	}
	_, _ = fmt.Fprintln(w)
	t := newTable("GATE", "NOW", "WHY", "ROW", "SINCE", "BY")
	for _, g := range y.Gates {
		by := ""
		if g.Row != nil {
			by = g.Row.Actor
		}
		says := g.Says
		if g.Until != nil {
			says += ", until " + c.at(*g.Until)
		}
		t.row(g.Name, string(g.Outcome), says, rowName(g.Row), c.rowAt(g.Row), dash(by))
		for _, p := range g.Parts {
			t.row("", answered(p.Holds), p.Condition, dash(values(p.Values)), "-", "-")
		}
	}
	t.write(w)
}

// answered is what a part of a condition says about somebody.
func answered(holds *bool) string {
	switch {
	case holds == nil:
		return "not known"
	case *holds:
		return "yes"
	}
	return "no"
}

func values(m map[string]string) string {
	out := ""
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if out != "" {
			out += ", "
		}
		out += name + ": " + m[name]
	}
	return out
}

func rowName(r *campaigns.Row) string {
	if r == nil {
		return "-"
	}
	return r.Table + " " + r.Key
}

func (c *cli) rowAt(r *campaigns.Row) string {
	if r == nil || r.At == nil {
		return "-"
	}
	return c.at(*r.At)
}
