package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/contacts"
	"rapport/internal/app"
	"rapport/internal/strictyaml"
)

func newAttributesCommand(c *cli) *cobra.Command {
	return group("attributes", "what is known about contacts: list, declare", `Attributes are what you know about contacts, like points or birthday, each
with one type. Imports learn them from what they read; declare them to choose
the type yourself. Templates show them, conditions ask about them.`,
		command("list", "list attributes with their types", "rapport attributes list",
			c.inside(func(ctx context.Context, h *app.House, _ []string) error {
				types, err := h.Contacts.Attributes(ctx)
				if err != nil {
					return err
				}
				return c.show(types, func(w io.Writer) {
					t := newTable("NAME", "TYPE")
					for _, name := range slices.Sorted(maps.Keys(types)) {
						t.row(name, string(types[name]))
					}
					t.write(w)
				})
			})),
		command("declare NAME=TYPE...", "declare attributes before anybody has them", "rapport attributes declare points=number birthday=date",
			c.inside(func(ctx context.Context, h *app.House, args []string) error {
				types, err := attributeTypes("attributes", args)
				if err != nil {
					return err
				}
				if err := h.Contacts.Declare(ctx, types); err != nil {
					return err
				}
				return c.show(types, func(w io.Writer) { _, _ = fmt.Fprintln(w, count(len(types), "attribute", "attributes"), "declared") })
			})),
	)
}

func newSegmentsCommand(c *cli) *cobra.Command {
	return group("segments", "saved conditions over contacts: put, list, count, members, check, delete", `A segment is a condition with a name, like contact.points > 100. Who is in it
is asked anew each time.`,
		newSegmentsPut(c), newSegmentsList(c), newSegmentsCheck(c), newSegmentsCount(c), newSegmentsMembers(c), newSegmentsDelete(c))
}

// segmentFile is a segment as a file says it.
type segmentFile struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Where string `json:"where"`
}

func newSegmentsPut(c *cli) *cobra.Command {
	var in segmentFile
	cmd := command("put NAME", "save a condition under a name, from flags or a YAML or JSON file (name, title, where)",
		`rapport segments put regulars --title "Regular customers" --where 'contact.points >= 500 && contact.country == "DE"'
rapport segments put segments/regulars.yaml`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if in.Where == "" {
				data, err := c.read(args[0])
				if rapport.KindOf(err) == rapport.NotFound {
					return rapport.Invalidf("--where", "is missing, and there is no file %s; write rapport segments put NAME --where CONDITION", args[0])
				} else if err != nil {
					return err
				}
				title := in.Title
				if err := strictyaml.Decode(args[0], data, &in); err != nil {
					return err
				}
				if title != "" {
					in.Title = title
				}
			} else {
				in.Name = args[0]
			}
			seg, err := h.Contacts.PutSegment(ctx, in.Name, in.Title, in.Where)
			if err != nil {
				return err
			}
			n, err := h.Contacts.Count(ctx, seg.Name)
			if err != nil {
				return err
			}
			return c.show(seg, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "saved %s: %s just now\n", seg.Name, count(n, "member", "members"))
			})
		}))
	cmd.Flags().StringVar(&in.Where, "where", "", "the `CONDITION`")
	cmd.Flags().StringVar(&in.Title, "title", "", "what people see")
	return cmd
}

func newSegmentsList(c *cli) *cobra.Command {
	return command("list", "list segments", "rapport segments list",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			list, err := h.Contacts.Segments(ctx)
			if err != nil {
				return err
			}
			return c.show(append([]contacts.Segment{}, list...), func(w io.Writer) {
				t := newTable("NAME", "TITLE", "CHANGED", "CONDITION")
				for _, s := range list {
					t.row(s.Name, dash(s.Title), c.at(s.UpdatedAt), s.Condition)
				}
				t.write(w)
			})
		}))
}

func newSegmentsCheck(c *cli) *cobra.Command {
	return command("check CONDITION", "check a condition and count who matches, without saving it",
		`rapport segments check 'contact.city == "Berlin" && consent("email", "offers")'`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			cond, err := h.Contacts.Check(ctx, args[0])
			if err != nil {
				return err
			}
			n, err := h.Contacts.CountWhere(ctx, cond)
			if err != nil {
				return err
			}
			return c.show(map[string]any{"condition": args[0], "members": n}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "in order: %s just now\n", count(n, "member", "members"))
			})
		}))
}

func newSegmentsCount(c *cli) *cobra.Command {
	return command("count NAME", "count who is in a segment just now", "rapport segments count regulars",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			n, err := h.Contacts.Count(ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(map[string]any{"segment": args[0], "members": n}, func(w io.Writer) { _, _ = fmt.Fprintln(w, n) })
		}))
}

func newSegmentsMembers(c *cli) *cobra.Command {
	var limit int
	cmd := command("members NAME", "list who is in a segment just now", "rapport segments members regulars --limit 20",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if err := noted(ctx, h, "segments.members", 0, map[string]any{"segment": args[0], "limit": limit}); err != nil {
				return err
			}
			list, err := gather(limit, func(after int64, n int) ([]contacts.Contact, error) {
				return h.Contacts.Members(ctx, args[0], after, n)
			})
			if err != nil {
				return err
			}
			return c.showPeople(h, list)
		}))
	cmd.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return cmd
}

func newSegmentsDelete(c *cli) *cobra.Command {
	return command("delete NAME", "remove a segment; nobody is removed with it", "rapport segments delete regulars",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if err := h.Contacts.DeleteSegment(ctx, args[0]); err != nil {
				return err
			}
			return c.show(map[string]string{"deleted": args[0]}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "deleted", args[0]) })
		}))
}
