package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/internal/app"
	"rapport/responses"
)

func newFormsCommand(c *cli) *cobra.Command {
	return group("forms", "where people sign up: list, snippet, invite", `A form of the configuration is a page at /f/NAME. Whoever signs up there gets a
letter with a link, and is written to when they have pressed the button behind
it. docs/forms.md tells the whole.`, newFormsList(c), newFormsSnippet(c), newFormsInvite(c))
}

func newFormsList(c *cli) *cobra.Command {
	return command("list", "list the forms and where they are", "rapport forms list",
		c.inside(func(_ context.Context, h *app.House, _ []string) error {
			type form struct {
				Name    string   `json:"name"`
				URL     string   `json:"url"`
				Channel string   `json:"channel"`
				Topics  []string `json:"topics"`
				Wording string   `json:"wording"`
			}
			list := []form{}
			for _, f := range h.Config.Forms {
				list = append(list, form{f.Name, h.PublicURL() + responses.PathForm + f.Name, f.Channel, f.Topics, app.WordingOf(f.Name)})
			}
			return c.show(list, func(w io.Writer) {
				t := newTable("NAME", "URL", "CHANNEL", "TOPICS", "WORDING")
				for _, f := range list {
					t.row(f.Name, f.URL, f.Channel, strings.Join(f.Topics, ", "), f.Wording)
				}
				t.write(w)
			})
		}))
}

func newFormsSnippet(c *cli) *cobra.Command {
	var lang string
	var frame bool
	cmd := command("snippet NAME", "print HTML to paste into another site", "rapport forms snippet newsletter --lang de\nrapport forms snippet newsletter --frame",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			text, err := h.Snippet(ctx, args[0], lang, frame)
			if err != nil {
				return err
			}
			return c.show(map[string]string{"html": text}, func(w io.Writer) { _, _ = io.WriteString(w, text) })
		}))
	cmd.Flags().StringVar(&lang, "lang", "", "`LANGUAGE` of its words (default: that of the installation)")
	cmd.Flags().BoolVar(&frame, "frame", false, "a frame that shows the page itself; the form's embed_on must name the site")
	return cmd
}

// mostInvited bounds one invite, so that a slip writes to nobody's whole file.
const mostInvited = 1_000_000

func newFormsInvite(c *cli) *cobra.Command {
	limit := 0
	cmd := command("invite NAME", "ask people whose consent waits to confirm it", "rapport contacts import fair.csv --grant email:newsletter --pending --source \"fair 2026, paper forms\"\nrapport forms invite newsletter",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if limit <= 0 || limit > mostInvited {
				return rapport.Invalidf("--limit", "%d is not between 1 and %d", limit, mostInvited)
			}
			n, err := h.Invite(ctx, args[0], limit)
			if err != nil {
				return err
			}
			return c.show(map[string]int{"asked": n}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%d people were asked to confirm.\n", n)
			})
		}))
	cmd.Long = `Sends the letter of the form once to everybody whose answer to its topics waits
for a confirmation and who was never asked: people of a file that was imported
with --pending, or whose column says pending. Who does not confirm in time is
not asked again.`
	cmd.Flags().IntVar(&limit, "limit", mostInvited, "ask at most this `NUMBER` of people")
	return cmd
}
