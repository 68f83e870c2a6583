package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/access"
	"rapport/campaigns"
	"rapport/internal/app"
	"rapport/outbox"
)

func newDeliveriesCommand(c *cli) *cobra.Command {
	return group("deliveries", "who got it, who did not, and why: list, show, why, resolve, retry", `A delivery is one message to one person. It is queued, claimed, sending, and
then sent, failed, uncertain (it may have arrived), suppressed, cancelled or
expired.`,
		newDeliveriesList(c), newDeliveriesShow(c), newDeliveriesWhy(c), newDeliveriesResolve(c), newDeliveriesRetry(c))
}

func deliveryOf(ctx context.Context, h *app.House, id string) (campaigns.Detail, error) {
	run, contact, err := rapport.ParseDeliveryID(id)
	if err != nil {
		return campaigns.Detail{}, err
	}
	return h.Store.DeliveryOf(ctx, run, contact)
}

// deliveryFlags are the flags that choose deliveries.
type deliveryFlags struct {
	campaign, run, contact, state, reason string
	limit                                 int
	unplanned                             bool
}

func newDeliveriesList(c *cli) *cobra.Command {
	var f deliveryFlags
	cmd := command("list", "list deliveries, or with --not-planned the people who have none",
		"rapport deliveries list --campaign autumn-offers --state failed\nrapport deliveries list --contact anna@example.com\nrapport deliveries list --campaign autumn-offers --not-planned",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			if f.unplanned {
				return c.listUnplanned(ctx, h, f)
			}
			return c.listDeliveries(ctx, h, f)
		}))
	flags := cmd.Flags()
	flags.StringVar(&f.campaign, "campaign", "", "only of the campaign `NAME`")
	flags.StringVar(&f.run, "run", "", "only of the run `ID`")
	flags.StringVar(&f.contact, "contact", "", "only to the `CONTACT`")
	flags.StringVar(&f.state, "state", "", "only in this `STATE`: "+stateNames())
	flags.StringVar(&f.reason, "reason", "", "only with this `REASON`, like hard_bounce")
	flags.IntVar(&f.limit, "limit", 100, "how many at most; campaigns report --csv people writes all of a run")
	flags.BoolVar(&f.unplanned, "not-planned", false, "people of a campaign who were not planned, and why")
	return cmd
}

func stateNames() string {
	var names []string
	for _, s := range outbox.States() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func (c *cli) listDeliveries(ctx context.Context, h *app.House, f deliveryFlags) error {
	filter := campaigns.Filter{Campaign: f.campaign, Run: f.run, State: outbox.State(f.state), Reason: outbox.Reason(f.reason)}
	if f.state != "" && !slices.Contains(outbox.States(), filter.State) {
		return rapport.Invalidf("--state", "%q is not a state; known: %s", f.state, stateNames())
	}
	if f.contact != "" {
		x, err := h.Contacts.Get(ctx, f.contact)
		if err != nil {
			return err
		}
		filter.Contact = x.ID
	}
	if err := noted(ctx, h, "deliveries.list", filter.Contact, map[string]any{"campaign": f.campaign, "state": f.state, "limit": f.limit}); err != nil {
		return err
	}
	list := []campaigns.Delivery{}
	for len(list) < f.limit {
		filter.Limit = min(page, f.limit-len(list))
		more, err := h.Campaigns.Deliveries(ctx, filter)
		if err != nil {
			return err
		}
		list = append(list, more...)
		if len(more) < filter.Limit {
			break
		}
		filter.After = more[len(more)-1].Number
	}
	return c.show(list, func(w io.Writer) {
		t := newTable("DELIVERY", "CAMPAIGN", "TO", "STATE", "REASON", "CODE", "TRIES", "CHANGED")
		for _, d := range list {
			t.row(d.ID, d.Campaign, dash(d.Address), string(d.State), dash(string(d.Reason)), dash(d.Code), number(d.Attempts), c.at(d.UpdatedAt))
		}
		t.write(w)
	})
}

func (c *cli) listUnplanned(ctx context.Context, h *app.House, f deliveryFlags) error {
	if f.campaign == "" && f.run == "" {
		return rapport.Invalidf("--campaign", "is missing: whose people? Or name a run with --run")
	}
	list, after := []campaigns.NotPlanned{}, int64(0)
	for len(list) < f.limit {
		n := min(page, f.limit-len(list))
		more, err := h.Campaigns.NotPlanned(ctx, f.campaign, f.run, outbox.Reason(f.reason), after, n)
		if err != nil {
			return err
		}
		list = append(list, more...)
		if len(more) < n {
			break
		}
		after = more[len(more)-1].Number
	}
	return c.show(list, func(w io.Writer) {
		t := newTable("CONTACT", "EXTERNAL ID", "REASON")
		for _, x := range list {
			t.row(dash(x.Contact), dash(x.ExternalID), string(x.Reason))
		}
		t.write(w)
	})
}

func newDeliveriesShow(c *cli) *cobra.Command {
	return command("show DELIVERY", "show one delivery: where it stands and why, every try, every response", "rapport deliveries show ID",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			d, err := deliveryOf(ctx, h, args[0])
			if err != nil {
				return err
			}
			if err := h.Access.Note(ctx, access.Act{Action: "deliveries.show", Object: d.ID, Contact: d.ContactNo}); err != nil {
				return err
			}
			return c.show(d, func(w io.Writer) { c.printDelivery(w, d) })
		}))
}

func (c *cli) printDelivery(w io.Writer, d campaigns.Detail) {
	t := newTable("DELIVERY", d.ID)
	for _, line := range [][2]string{
		{"state", strings.TrimSpace(string(d.State) + " " + string(d.Reason))},
		{"campaign", d.Campaign},
		{"run", d.Run},
		{"channel", d.Channel},
		{"topic", d.Topic},
		{"revision", number(d.Revision)},
		{"contact", dash(d.Contact)},
		{"to", dash(d.Address)},
		{"consent entry", entry(d.Entry)},
		{"not before", c.maybe(d.NotBefore)},
		{"expires", c.maybe(d.ExpiresAt)},
		{"changed", c.at(d.UpdatedAt)},
		{"provider's id", dash(d.ProviderID)},
		{"server", dash(d.Server)},
		{"code", dash(d.Code)},
		{"tries", number(d.Attempts)},
	} {
		t.row(line[0], line[1])
	}
	t.write(w)
	if len(d.Tries) > 0 {
		_, _ = fmt.Fprintln(w)
		t = newTable("TRY", "VERDICT", "REASON", "CODE", "DETAIL")
		for _, a := range d.Tries {
			t.row(c.at(a.At), a.Verdict, dash(string(a.Reason)), dash(a.Code), a.Detail)
		}
		t.write(w)
	}
	if len(d.Reactions) > 0 {
		_, _ = fmt.Fprintln(w)
		t = newTable("RESPONSE", "FIRST", "TIMES", "BY")
		for _, r := range d.Reactions {
			t.row(r.Kind, c.at(r.First), number(r.N), who(r.Machine))
		}
		t.write(w)
	}
}

// entry names the line of the ledger that a delivery rests on.
func entry(n int64) string {
	if n == 0 {
		return "-"
	}
	return number(n)
}

func newDeliveriesResolve(c *cli) *cobra.Command {
	var campaign, run, to string
	cmd := command("resolve [DELIVERY]", "say what became of a delivery that is uncertain, or of all of a campaign: sent, failed, or queued to try again",
		"rapport deliveries resolve ID --to sent\nrapport deliveries resolve --campaign autumn-offers --to queued",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			n := int64(1)
			var err error
			switch {
			case to == "":
				return rapport.Invalidf("--to", "is missing: sent, failed or queued")
			case len(args) == 1 && campaign == "" && run == "":
				err = h.Campaigns.Resolve(ctx, args[0], outbox.State(to))
			case len(args) == 0 && (campaign != "" || run != ""):
				n, err = h.Campaigns.ResolveRun(ctx, campaign, run, outbox.State(to))
			default:
				return rapport.Invalidf("", "name either one delivery, or a campaign with --campaign")
			}
			if err != nil {
				return err
			}
			return c.show(map[string]any{"resolved": n, "to": to}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s now %s\n", count(n, "delivery is", "deliveries are"), to)
			})
		}))
	cmd.Flags().StringVar(&campaign, "campaign", "", "all that is uncertain in the newest run of the campaign `NAME`")
	cmd.Flags().StringVar(&run, "run", "", "all that is uncertain in the run `ID`")
	cmd.Flags().StringVar(&to, "to", "", "sent, failed or queued")
	return cmd
}

func newDeliveriesRetry(c *cli) *cobra.Command {
	return command("retry DELIVERY", "send again a delivery that failed: the same message with the same ID", "rapport deliveries retry ID",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			run, contact, err := rapport.ParseDeliveryID(args[0])
			if err != nil {
				return err
			}
			n, err := h.Store.Revise(ctx, campaigns.Revision{
				Run: run, Contact: contact, From: outbox.Failed, To: outbox.Queued, Now: c.now().UTC(), Actor: rapport.ActorOf(ctx).Name,
			})
			if err != nil {
				return err
			}
			if n == 0 {
				d, err := deliveryOf(ctx, h, args[0])
				if err != nil {
					return err
				}
				return rapport.Conflictf("delivery %s is %s: only a failed one can be tried again", args[0], d.State)
			}
			err = c.show(map[string]any{"queued": n}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "queued again") })
			c.nobodySends(ctx, h)
			return err
		}))
}
