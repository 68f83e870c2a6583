package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	"rapport/access"
	"rapport/internal/app"
)

func newAuditCommand(c *cli) *cobra.Command {
	return group("audit", "who looked at, exported or changed personal data: list", `Every command and page that shows, exports or changes what is known about people
adds a line: who, when, what, and about whom by number. Lines hold no values of
anybody, so they stay when a person is erased.`,
		newAuditList(c))
}

// act is a line as it is printed.
type act struct {
	ID      int64           `json:"id"`
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor"`
	Action  string          `json:"action"`
	Object  string          `json:"object,omitempty"`
	Contact int64           `json:"contact,omitempty"` // number; it outlives the person
	Detail  json.RawMessage `json:"detail"`
}

func newAuditList(c *cli) *cobra.Command {
	var f access.Filter
	var contact, since string
	cmd := command("list", "list acts, newest first",
		"rapport audit list --contact anna@example.com\nrapport audit list --action contacts.export --since 2026-01-01\nrapport audit list --number 4711 --json",
		c.inside(func(ctx context.Context, h *app.House, _ []string) (err error) {
			if f.Since, err = c.about(ctx, h, contact, since, &f.Contact); err != nil {
				return err
			}
			list, err := upTo(f.Limit, func(most int, last *access.Line) ([]access.Line, error) {
				if f.Limit = most; last != nil {
					f.Before = last.ID
				}
				return h.Access.List(ctx, f)
			})
			if err != nil {
				return err
			}
			acts := make([]act, 0, len(list))
			for _, l := range list {
				acts = append(acts, act(l))
			}
			return c.show(acts, func(w io.Writer) {
				t := newTable("ACT", "AT", "BY", "WHAT", "OBJECT", "CONTACT", "DETAIL")
				for _, a := range acts {
					who := "-"
					if a.Contact > 0 {
						who = number(a.Contact)
					}
					detail := string(a.Detail)
					if detail == "{}" {
						detail = ""
					}
					t.row(number(a.ID), c.at(a.At), a.Actor, a.Action, dash(a.Object), who, dash(detail))
				}
				t.write(w)
			})
		}))
	flags := cmd.Flags()
	flags.StringVar(&contact, "contact", "", "only about the `CONTACT`")
	flags.Int64Var(&f.Contact, "number", 0, "only about the contact of that `NUMBER`, also when it was erased")
	flags.StringVar(&f.Action, "action", "", "only this `ACTION`, like contacts.show, or a room like contacts")
	flags.StringVar(&since, "since", "", "only from this `TIME` on")
	flags.Int64Var(&f.Before, "before", 0, "only acts with a smaller number, for the next page")
	flags.IntVar(&f.Limit, "limit", 100, "how many at most")
	return cmd
}

// noted adds a line to the audit log before something personal is shown.
func noted(ctx context.Context, h *app.House, action string, contact int64, detail map[string]any) error {
	return h.Access.Note(ctx, access.Act{Action: action, Contact: contact, Detail: detail})
}
