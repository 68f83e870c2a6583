package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rapport/internal/app"
)

func newChoresCommand(c *cli) *cobra.Command {
	return group("chores", "what the house does once a day: list, run", `A running house does each of these once a day by itself; several processes
share them. run does them now, as a test or after a change of a setting.`, newChoresList(c), newChoresRun(c))
}

func newChoresList(c *cli) *cobra.Command {
	return command("list", "list the daily chores", "rapport chores list",
		c.inside(func(_ context.Context, h *app.House, _ []string) error {
			type chore struct {
				Name string `json:"name"`
				What string `json:"what"`
			}
			list := []chore{}
			for _, x := range h.Chores() {
				list = append(list, chore{x.Name, x.What})
			}
			return c.show(list, func(w io.Writer) {
				t := newTable("NAME", "WHAT IT DOES")
				for _, x := range list {
					t.row(x.Name, x.What)
				}
				t.write(w)
			})
		}))
}

func newChoresRun(c *cli) *cobra.Command {
	return command("run [NAME]", "do one daily chore now, or all of them", "rapport chores run expire-requests",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			done, err := h.RunChores(ctx, name)
			if err != nil {
				return err
			}
			return c.show(append([]app.ChoreDone{}, done...), func(w io.Writer) {
				for _, d := range done {
					var words []string
					for _, k := range slices.Sorted(maps.Keys(d.Did)) {
						words = append(words, fmt.Sprintf("%s %d", k, d.Did[k]))
					}
					_, _ = fmt.Fprintln(w, d.Name+":", dash(strings.Join(words, ", ")))
				}
			})
		}))
}
