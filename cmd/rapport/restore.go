package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/internal/app"
)

func newRestoreCommand(c *cli) *cobra.Command {
	return group("restore", "after a backup was put back: what waits, and how it goes on", `A backup knows nothing of what was sent after it was made. A process that finds
such a database sends nothing until you confirm. Then messages that may have
been sent already become uncertain, so that nobody gets one twice; those of
transactional topics are sent again with the same Message-ID.`,
		newRestoreStatus(c), newRestoreHold(c), newRestoreConfirm(c))
}

func newRestoreStatus(c *cli) *cobra.Command {
	return command("status", "say whether a backup that was put back waits for a decision, and what is open in it", "rapport restore status",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			r, err := h.Restoration(ctx, false)
			if err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) { c.printRestoration(w, r, false) })
		}))
}

func newRestoreHold(c *cli) *cobra.Command {
	return command("hold", "say that this database is a backup that was put back, where nobody else remembers: nothing is sent until you confirm", "rapport restore hold",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			if err := h.HoldRestored(ctx); err != nil {
				return err
			}
			r, err := h.Restoration(ctx, false)
			if err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) { c.printRestoration(w, r, false) })
		}))
}

func newRestoreConfirm(c *cli) *cobra.Command {
	var again bool
	cmd := command("confirm", "let sending go on: what may have been sent since the backup becomes uncertain, or with --send-again is sent once more",
		"rapport restore confirm\nrapport restore confirm --send-again", c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			r, err := h.ConfirmRestore(ctx, again)
			if err != nil {
				return err
			}
			err = c.show(r, func(w io.Writer) { c.printRestoration(w, r, true) })
			c.nobodySends(ctx, h)
			return err
		}))
	cmd.Flags().BoolVar(&again, "send-again", false, "send again what may have been sent since: people may get it twice")
	return cmd
}

func (c *cli) printRestoration(w io.Writer, r app.Restoration, done bool) {
	if !r.Held {
		_, _ = fmt.Fprintln(w, "Nothing waits: this database is not older than what was sent.")
		return
	}
	will, paused := "will become uncertain", "will be paused"
	if done {
		_, _ = fmt.Fprintln(w, "Sending goes on.")
		will, paused = "now uncertain", "now paused"
	} else {
		_, _ = fmt.Fprintf(w, "Nothing is sent since %s: %s.\n", c.maybe(r.Since), r.Why)
	}
	t := newTable("CAMPAIGN", "RUN", "STATE", "IN DOUBT", "WHAT BECOMES OF THEM")
	for _, one := range r.Runs {
		what := will
		switch {
		case one.Repeated:
			what = "sent again"
		case one.Unready && done:
			what += "; still being planned and paused: whoever resumes it may write to people again"
		case one.Unready:
			what += "; more are planned first"
		}
		t.row(clean(one.Campaign, false), one.Run, one.State, number(one.Doubtful), what)
	}
	if len(r.Runs) > 0 {
		t.write(w)
	}
	for _, name := range r.Campaigns {
		_, _ = fmt.Fprintf(w, "campaign %s was due in the time that is not known: %s\n", clean(name, false), paused)
	}
	if done {
		c.hint("See who is meant: rapport deliveries list --state uncertain --reason restored")
		return
	}
	c.hint("Enter again who unsubscribed since the backup (rapport consent withdraw), then: rapport restore confirm")
}

// heldBack refuses what would let something leave while a restored database
// waits for a decision.
func heldBack(ctx context.Context, h *app.House) error {
	_, still, err := h.Store.Milestone(ctx, "")
	if err != nil || !still.Stands() {
		return err
	}
	return rapport.Conflictf("%s; decide with rapport restore confirm", still.Why)
}
