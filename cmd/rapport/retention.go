package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"rapport/internal/app"
	"rapport/rights"
)

func newRetentionCommand(c *cli) *cobra.Command {
	return group("retention", "what is kept how long: report, run", `Settings under retention say how long what is kept; once a day what is older goes,
in small steps, and the audit log says how much. Accounts and reports stay
exact, and nothing of a person who is restricted goes.`,
		newRetentionReport(c), newRetentionRun(c))
}

func newRetentionReport(c *cli) *cobra.Command {
	return command("report", "show the rules and what would go now", "rapport retention report",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			list, err := h.Rights.Due(ctx)
			if err != nil {
				return err
			}
			return c.showKept(list, "WOULD GO", func(k rights.Kept) int64 { return k.Due })
		}))
}

func newRetentionRun(c *cli) *cobra.Command {
	var dry bool
	cmd := command("run", "remove now what is older than the rules say", "rapport retention run --dry-run\nrapport retention run",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			if dry {
				list, err := h.Rights.Due(ctx)
				if err != nil {
					return err
				}
				return c.showKept(list, "WOULD GO", func(k rights.Kept) int64 { return k.Due })
			}
			list, err := h.Rights.Retain(ctx)
			if err != nil {
				return err
			}
			return c.showKept(list, "WENT", func(k rights.Kept) int64 { return k.Went })
		}))
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would go")
	return cmd
}

func (c *cli) showKept(list []rights.Kept, head string, n func(rights.Kept) int64) error {
	return c.show(list, func(w io.Writer) {
		t := newTable("WHAT", "KEPT FOR", "OLDER THAN", head)
		for _, k := range list {
			var before time.Time
			if k.Before != nil {
				before = *k.Before
			}
			t.row(string(k.Rule), k.Keep, c.at(before), number(n(k)))
		}
		t.write(w)
	})
}
