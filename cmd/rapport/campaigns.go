package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/access"
	"rapport/campaigns"
	"rapport/channels"
	"rapport/internal/app"
	"rapport/internal/strictyaml"
	"rapport/outbox"
)

func newCampaignsCommand(c *cli) *cobra.Command {
	return group("campaigns", "messages to many: create, check, start, watch, report", `A campaign says to whom (audience), what (template), by which channel, for
which topic and when; a YAML file holds it. It is a draft until it is started.
A run is one sending of it: a campaign on a calendar has many.`,
		newCampaignsCreate(c), newCampaignsList(c), newCampaignsShow(c), newCampaignsCheck(c), newCampaignsStart(c),
		campaignAction(c, "pause", "stop a campaign; what is on the wire ends, nothing more leaves", (*campaigns.Service).Pause),
		campaignAction(c, "resume", "let a paused campaign go on; nobody gets a message twice by it", (*campaigns.Service).Resume),
		newCampaignsCancel(c),
		campaignAction(c, "unschedule", "take a campaign off the calendar", (*campaigns.Service).Unschedule),
		newCampaignsRetry(c), newCampaignsStatus(c), newCampaignsReport(c), newCampaignsCopy(c), newCampaignsTest(c))
}

func newCampaignsCreate(c *cli) *cobra.Command {
	return command("create FILE", "make a campaign from a YAML or JSON file, or a new revision of a draft", "rapport campaigns create autumn.yaml",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			data, err := c.read(args[0])
			if err != nil {
				return err
			}
			x, err := h.Campaigns.Create(ctx, args[0], data)
			if err != nil {
				return err
			}
			return c.show(x, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s is a draft, revision %d\n", x.Name, x.Revision)
				c.hint("Look at it with rapport campaigns check %s, then rapport campaigns start %s", x.Name, x.Name)
			})
		}))
}

func newCampaignsList(c *cli) *cobra.Command {
	return command("list", "list campaigns", "rapport campaigns list",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			list := []campaigns.Campaign{}
			for after := ""; ; {
				more, err := h.Campaigns.List(ctx, after, page)
				if err != nil {
					return err
				}
				list = append(list, more...)
				if len(more) < page {
					break
				}
				after = more[len(more)-1].Name
			}
			return c.show(list, func(w io.Writer) {
				t := newTable("NAME", "STATE", "TOPIC", "CHANNEL", "TEMPLATE", "NEXT", "NOTE")
				for _, x := range list {
					d := x.Definition
					t.row(x.Name, string(x.State), d.Topic, d.Channel, d.Template, c.maybe(x.NextAt), dash(x.Note))
				}
				t.write(w)
			})
		}))
}

// maybe shows a moment that may not be known.
func (c *cli) maybe(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return c.at(*t)
}

// campaignShown is what campaigns show says as JSON.
type campaignShown struct {
	campaigns.Campaign
	Runs []campaigns.Run `json:"runs"`
}

func newCampaignsShow(c *cli) *cobra.Command {
	return command("show NAME", "show a campaign: what its file says, where it stands, its last runs", "rapport campaigns show autumn-offers",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			x, err := h.Campaigns.Show(ctx, args[0])
			if err != nil {
				return err
			}
			runs, err := h.Campaigns.Runs(ctx, args[0], "", 10)
			if err != nil {
				return err
			}
			text, err := strictyaml.Encode(x.Definition)
			if err != nil {
				return fmt.Errorf("print campaign %s: %w", x.Name, err)
			}
			return c.show(campaignShown{x, append([]campaigns.Run{}, runs...)}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s is %s. Next run: %s. Changed %s by %s. %s\n\n%s", x.Name, x.State, c.maybe(x.NextAt),
					c.at(x.UpdatedAt), dash(x.Actor), clean(x.Note, false), clean(string(text), true))
				if len(runs) == 0 {
					return
				}
				_, _ = fmt.Fprintln(w)
				t := newTable("RUN", "STATE", "STARTED", "FINISHED", "NOTE")
				for _, r := range runs {
					t.row(r.UID, string(r.State), c.at(r.StartedAt), c.maybe(r.FinishedAt), dash(r.Note))
				}
				t.write(w)
			})
		}))
}

func newCampaignsStart(c *cli) *cobra.Command {
	var wait bool
	var at string
	cmd := command("start NAME", "let a draft go, at once or at the time of its schedule",
		"rapport campaigns start autumn-offers --wait\nrapport campaigns start autumn-offers --at 2026-12-01T09:00",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if at != "" {
				if err := c.reschedule(ctx, h, args[0], at); err != nil {
					return err
				}
			}
			b, err := h.Campaigns.Start(ctx, args[0])
			if err != nil {
				return err
			}
			for _, w := range b.Checked.Warnings {
				c.hint("warning: %s", clean(w, false))
			}
			name := b.Campaign.Name
			if wait {
				return c.follow(ctx, h, name, "", true)
			}
			if err := c.foresee(ctx, h, &b.Checked); err != nil {
				return err
			}
			err = c.show(b, func(w io.Writer) {
				many := count(b.Checked.Planned, "message", "messages")
				if b.Run == nil {
					_, _ = fmt.Fprintf(w, "%s begins %s: about %s, as things stand\n", name, c.maybe(b.Campaign.NextAt), many)
					return
				}
				_, _ = fmt.Fprintf(w, "%s has begun, run %s: about %s to plan\n", name, b.Run.UID, many)
				c.hint("watch it with rapport campaigns status %s --watch", name)
			})
			c.nobodySends(ctx, h)
			return err
		}))
	cmd.Flags().BoolVar(&wait, "wait", false, "stay until the run is over; if nobody else sends, send from here")
	cmd.Flags().StringVar(&at, "at", "", "at that `TIME` instead of the schedule of its file")
	return cmd
}

// foresee adds to what a start has checked how many people it is about. A start
// does not wait for that: planning goes on meanwhile.
func (c *cli) foresee(ctx context.Context, h *app.House, x *campaigns.Checked) error {
	full, err := h.Campaigns.Check(ctx, x.Campaign)
	if err != nil {
		return fmt.Errorf("%s has begun, but its people could not be counted: %w", x.Campaign, err)
	}
	x.Audience, x.Planned, x.Skipped, x.Late, x.Missing = full.Audience, full.Planned, full.Skipped, full.Late, full.Missing
	return nil
}

// reschedule gives a draft another time.
func (c *cli) reschedule(ctx context.Context, h *app.House, name, at string) error {
	when, err := c.moment(at)
	if err != nil {
		return err
	}
	x, err := h.Campaigns.Show(ctx, name)
	if err != nil {
		return err
	}
	def := x.Definition
	def.Schedule = campaigns.Schedule{At: when.Format(time.RFC3339)}
	_, err = h.Campaigns.Put(ctx, def)
	return err
}

// campaignAction is a command that moves a campaign.
func campaignAction(c *cli, verb, short string, do func(*campaigns.Service, context.Context, string) (campaigns.Campaign, error)) *cobra.Command {
	return command(verb+" NAME", short, "rapport campaigns "+verb+" autumn-offers",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			x, err := do(h.Campaigns, ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(x, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%s is %s\n", x.Name, x.State) })
		}))
}

func newCampaignsCancel(c *cli) *cobra.Command {
	cmd := campaignAction(c, "cancel", "end a campaign for good; what was not sent never will be", (*campaigns.Service).Cancel)
	return cmd
}

func newCampaignsRetry(c *cli) *cobra.Command {
	var run, reason string
	cmd := command("retry NAME", "send again what failed: the same messages with the same IDs", "rapport campaigns retry autumn-offers --reason mailbox_full",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			n, err := h.Campaigns.Retry(ctx, args[0], run, outbox.Reason(reason))
			if err != nil {
				return err
			}
			err = c.show(map[string]any{"campaign": args[0], "queued": n}, func(w io.Writer) {
				_, _ = fmt.Fprintln(w, count(n, "message", "messages"), "queued again")
			})
			if n > 0 {
				c.nobodySends(ctx, h)
			}
			return err
		}))
	cmd.Flags().StringVar(&run, "run", "", "`ID` of a run (default: the newest)")
	cmd.Flags().StringVar(&reason, "reason", "", "only what failed with this reason, like mailbox_full")
	return cmd
}

func newCampaignsCopy(c *cli) *cobra.Command {
	return command("copy NAME NEW", "make a draft of another name that says the same", "rapport campaigns copy autumn-offers winter-offers",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			x, err := h.Campaigns.Copy(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return c.show(x, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%s is a draft\n", x.Name) })
		}))
}

func newCampaignsTest(c *cli) *cobra.Command {
	var as, to string
	cmd := command("test NAME", "send a marked copy to an address of yours, as a contact would get it; it is in no account",
		"rapport campaigns test autumn-offers --as anna@example.com --to me@example.com",
		c.inside(func(ctx context.Context, h *app.House, args []string) (err error) {
			if as == "" || to == "" {
				return rapport.Invalidf("", "say whose copy it is and where it goes: --as CONTACT --to ADDRESS")
			}
			copied, err := h.Campaigns.Test(ctx, args[0], as, to)
			if err != nil {
				return err
			}
			x, err := h.Contacts.Get(ctx, as)
			if err != nil {
				return err
			}
			if err := h.Access.Note(ctx, access.Act{Action: "campaigns.test", Object: args[0], Contact: x.ID}); err != nil {
				return err
			}
			ch, _, err := h.OpenChannel(ctx, copied.Channel)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, ch.Close()) }()
			r, err := ch.Send(ctx, copied.Message)
			if err != nil {
				return rapport.Unavailablef(err, "the copy was not taken (%s): %v", channels.Judge(err).Verdict, err)
			}
			return c.show(map[string]string{"channel": copied.Channel, "to": copied.Message.To, "provider_id": r.ProviderID}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "sent a copy to %s over %s\n", copied.Message.To, copied.Channel)
			})
		}))
	cmd.Flags().StringVar(&as, "as", "", "the `CONTACT` whose copy it is")
	cmd.Flags().StringVar(&to, "to", "", "the `ADDRESS` it goes to")
	return cmd
}
