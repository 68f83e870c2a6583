package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/consent"
	"rapport/internal/app"
)

func newSuppressionsCommand(c *cli) *cobra.Command {
	return group("suppressions", "addresses nobody may write to: list, add, remove, import, export", `A suppressed address gets nothing from any campaign, whatever its owner agreed
to: because it does not exist, because its owner complained, or because you
say so.`,
		newSuppressionsList(c), newSuppressionsAdd(c), newSuppressionsRemove(c), newSuppressionsImport(c), newSuppressionsExport(c))
}

// splitAddress reads KIND:ADDRESS.
func splitAddress(text string) (kind, value string, err error) {
	kind, value, ok := strings.Cut(text, ":")
	if !ok || kind == "" || value == "" {
		return "", "", rapport.Invalidf("", "%q is not KIND:ADDRESS, like phone:+4930123456", text)
	}
	return kind, value, nil
}

func newSuppressionsList(c *cli) *cobra.Command {
	var limit int
	cmd := command("list", "list suppressed addresses", "rapport suppressions list --limit 20",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			if err := noted(ctx, h, "suppressions.list", 0, map[string]any{"limit": limit}); err != nil {
				return err
			}
			list, err := h.Consent.Suppressions(ctx, consent.Suppression{}, limit)
			if err != nil {
				return err
			}
			return c.show(append([]consent.Suppression{}, list...), func(w io.Writer) {
				t := newTable("KIND", "ADDRESS", "REASON", "SINCE", "BY", "DETAIL")
				for _, s := range list {
					value := s.Value
					if value == "" {
						value = "(erased)"
					}
					t.row(s.Kind, value, s.Reason, c.at(s.At), dash(s.Actor), dash(s.Detail))
				}
				t.write(w)
			})
		}))
	cmd.Flags().IntVar(&limit, "limit", 1000, "how many at most; export writes all of them")
	return cmd
}

func newSuppressionsAdd(c *cli) *cobra.Command {
	var reason, detail string
	cmd := command("add KIND:ADDRESS...", "forbid addresses to every channel", "rapport suppressions add email:anna@example.com --detail 'letter of 3 May'",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			added := 0
			for _, one := range args {
				kind, value, err := splitAddress(one)
				if err != nil {
					return err
				}
				fresh, err := h.Consent.Suppress(ctx, kind, value, reason, detail)
				if err != nil {
					return err
				}
				if fresh {
					added++
				}
			}
			if err := noted(ctx, h, "suppressions.add", 0, map[string]any{"added": added, "reason": reason}); err != nil {
				return err
			}
			return c.show(map[string]int{"added": added, "known": len(args) - added}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s suppressed, %d were before\n", count(added, "address", "addresses"), len(args)-added)
			})
		}))
	cmd.Flags().StringVar(&reason, "reason", "", strings.Join(consent.Reasons(), ", ")+" (default manual)")
	cmd.Flags().StringVar(&detail, "detail", "", "why, in your own words")
	return cmd
}

func newSuppressionsRemove(c *cli) *cobra.Command {
	return command("remove KIND:ADDRESS", "let an address be written to again, as far as consent allows", "rapport suppressions remove email:anna@example.com",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			kind, value, err := splitAddress(args[0])
			if err != nil {
				return err
			}
			if err := h.Consent.Unsuppress(ctx, kind, value); err != nil {
				return err
			}
			if err := noted(ctx, h, "suppressions.remove", 0, map[string]any{"kind": kind}); err != nil {
				return err
			}
			return c.show(map[string]string{"removed": args[0]}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "removed") })
		}))
}

func newSuppressionsImport(c *cli) *cobra.Command {
	return command("import FILE", "suppress the addresses of a CSV file: kind, value and optionally reason, detail", "rapport suppressions import blocklist.csv",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			data, err := c.read(args[0])
			if err != nil {
				return err
			}
			r, err := h.Consent.ImportSuppressions(ctx, bytes.NewReader(data))
			if err != nil {
				return err
			}
			if err := noted(ctx, h, "suppressions.import", 0, map[string]any{"rows": r.Rows, "added": r.Added}); err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s: %d added, %d known, %d errors\n", count(r.Rows, "row", "rows"), r.Added, r.Known, r.Errors)
				for _, e := range r.Listed {
					_, _ = fmt.Fprintf(w, "  line %d: %s\n", e.Line, clean(e.Reason, false))
				}
			})
		}))
}

func newSuppressionsExport(c *cli) *cobra.Command {
	var out string
	cmd := command("export", "write suppressed addresses as CSV", "rapport suppressions export --out suppressed.csv",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			if err := noted(ctx, h, "suppressions.export", 0, nil); err != nil {
				return err
			}
			w, done, err := c.create(out)
			if err != nil {
				return err
			}
			n, hidden, err := h.Consent.ExportSuppressions(ctx, w)
			if err = errors.Join(err, done()); err != nil {
				return err
			}
			c.hint("%s written", count(n, "address", "addresses"))
			if hidden > 0 {
				c.hint("%d more are known by their fingerprint only (erased people) and cannot be written", hidden)
			}
			return nil
		}))
	cmd.Flags().StringVarP(&out, "out", "o", "-", "`FILE` to write")
	return cmd
}
