package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
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
	return group("suppressions", "addresses and domains nobody may write to: list, add, remove, import, export", `A suppressed address gets nothing from any campaign, whatever its owner agreed
to: because it does not exist, because its owner complained, or because you
say so. What its owner said is taken back by a later act of theirs alone. Whole
domains can be suppressed too.`,
		newSuppressionsList(c), newSuppressionsAdd(c), newSuppressionsRemove(c), newSuppressionsImport(c), newSuppressionsExport(c))
}

// splitAddress reads KIND:ADDRESS.
func splitAddress(text string) (kind, value string, err error) {
	kind, value, ok := strings.Cut(text, ":")
	if !ok || kind == "" || value == "" {
		return "", "", rapport.Invalidf("", "%q is not KIND:ADDRESS: name the kind first, like phone:+4930123456; rapport contacts show tells kinds, and a whole domain is --domain", text)
	}
	return kind, value, nil
}

func newSuppressionsList(c *cli) *cobra.Command {
	var limit int
	var domains bool
	cmd := command("list", "list suppressed addresses, or domains", `rapport suppressions list --limit 20
rapport suppressions list --domains`,
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			if domains {
				return c.listDomains(ctx, h, limit)
			}
			if err := noted(ctx, h, "suppressions.list", 0, map[string]any{"limit": limit}); err != nil {
				return err
			}
			list, err := h.Consent.Suppressions(ctx, consent.Suppression{}, limit)
			if err != nil {
				return err
			}
			barred, err := h.Consent.SuppressedDomains(ctx, consent.SuppressedDomain{}, 1)
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
				if len(barred) > 0 {
					c.hint("Whole domains are suppressed, too: rapport suppressions list --domains")
				}
			})
		}))
	cmd.Flags().IntVar(&limit, "limit", 1000, "how many at most; export writes all of them")
	cmd.Flags().BoolVar(&domains, "domains", false, "the suppressed domains")
	return cmd
}

func (c *cli) listDomains(ctx context.Context, h *app.House, limit int) error {
	list, err := h.Consent.SuppressedDomains(ctx, consent.SuppressedDomain{}, limit)
	if err != nil {
		return err
	}
	return c.show(append([]consent.SuppressedDomain{}, list...), func(w io.Writer) {
		t := newTable("KIND", "DOMAIN", "BELOW IT", "REASON", "SINCE", "UNTIL", "BY", "DETAIL")
		for _, d := range list {
			below, until := "no", "-"
			if d.Subdomains {
				below = "yes"
			}
			if !d.Expires.IsZero() {
				until = c.at(d.Expires)
			}
			t.row(d.Kind, d.Domain, below, d.Reason, c.at(d.At), until, dash(d.Actor), dash(d.Detail))
		}
		t.write(w)
	})
}

// blocked is what the flags of add and remove say about domains.
type blocked struct {
	domains    []string
	kind       string
	subdomains bool
	until      string
}

func (b *blocked) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&b.domains, "domain", nil, "a receiving `DOMAIN` like example.com; may be repeated")
	cmd.Flags().StringVar(&b.kind, "kind", "", "kind of address whose domain it is (default: the one that has domains)")
}

// kindOf is the kind of address that domains are of.
func (b *blocked) kindOf(h *app.House) (string, error) {
	kinds := h.Consent.DomainKinds()
	if b.kind != "" || len(kinds) == 1 {
		return cmp.Or(b.kind, kinds[0]), nil
	}
	return "", rapport.Invalidf("--kind", "say whose domain it is: %s", strings.Join(kinds, ", "))
}

func newSuppressionsAdd(c *cli) *cobra.Command {
	var reason, detail string
	var b blocked
	cmd := command("add [KIND:ADDRESS...]", "forbid addresses, or whole domains, to every channel", `rapport suppressions add email:anna@example.com --detail 'letter of 3 May'
rapport suppressions add --domain example.com --subdomains --until 2027-01-31 --reason legal --detail 'contract ended'`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if len(args)+len(b.domains) == 0 {
				return rapport.Invalidf("", "name an address (KIND:ADDRESS) or a domain (--domain)")
			}
			until, err := c.moment(b.until)
			if err != nil {
				return err
			}
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
			for _, domain := range b.domains {
				kind, err := b.kindOf(h)
				if err != nil {
					return err
				}
				fresh, err := h.Consent.SuppressDomain(ctx, consent.SuppressedDomain{Kind: kind, Domain: domain, Subdomains: b.subdomains, Reason: reason, Detail: detail, Expires: until})
				if err != nil {
					return err
				}
				if fresh {
					added++
				}
			}
			if err := noted(ctx, h, "suppressions.add", 0, map[string]any{"added": added, "reason": reason, "domains": len(b.domains)}); err != nil {
				return err
			}
			known := len(args) + len(b.domains) - added
			return c.show(map[string]int{"added": added, "known": known}, func(w io.Writer) {
				what := count(added, "address", "addresses")
				if len(b.domains) > 0 {
					what = count(added, "address or domain", "addresses and domains")
				}
				_, _ = fmt.Fprintf(w, "%s suppressed, %d were before\n", what, known)
			})
		}))
	cmd.Flags().StringVar(&reason, "reason", "", strings.Join(consent.Reasons(), ", ")+" (default manual)")
	cmd.Flags().StringVar(&detail, "detail", "", "why, in your own words")
	b.flags(cmd)
	cmd.Flags().BoolVar(&b.subdomains, "subdomains", false, "also everything below the domains")
	cmd.Flags().StringVar(&b.until, "until", "", "`TIME` after which the domains are free again (default: never)")
	return cmd
}

func newSuppressionsRemove(c *cli) *cobra.Command {
	var why string
	var b blocked
	cmd := command("remove [KIND:ADDRESS]", "let an address or a domain be written to again, as far as consent allows", `rapport suppressions remove email:anna@example.com --reason 'mailbox was full, called her'
rapport suppressions remove --domain example.com --reason 'contract renewed'`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if strings.TrimSpace(why) == "" {
				return rapport.Invalidf("--reason", "say why it is taken back: the audit log keeps it")
			}
			if len(args)+len(b.domains) != 1 {
				return rapport.Invalidf("", "name one address (KIND:ADDRESS) or one domain (--domain)")
			}
			kind, what, err := takeBack(ctx, h, args, b)
			if err != nil {
				return err
			}
			if err := noted(ctx, h, "suppressions.remove", 0, map[string]any{"kind": kind, "what": what, "reason": why}); err != nil {
				return err
			}
			return c.show(map[string]string{"removed": strings.Join(append(args, b.domains...), "")}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "removed") })
		}))
	cmd.Flags().StringVar(&why, "reason", "", "why it is taken back, for the audit log; required")
	b.flags(cmd)
	return cmd
}

// takeBack removes the suppression of one address or domain.
func takeBack(ctx context.Context, h *app.House, args []string, b blocked) (kind, what string, err error) {
	if len(args) == 1 {
		kind, value, err := splitAddress(args[0])
		if err != nil {
			return "", "", err
		}
		return kind, "address", h.Consent.Unsuppress(ctx, kind, value)
	}
	if kind, err = b.kindOf(h); err != nil {
		return "", "", err
	}
	return kind, "domain", h.Consent.UnsuppressDomain(ctx, kind, b.domains[0])
}

func newSuppressionsImport(c *cli) *cobra.Command {
	var o consent.SuppressionFile
	var columns []string
	cmd := command("import FILE", "suppress the addresses and domains of a CSV file, our own or another tool's", `rapport suppressions import suppressed.csv
rapport suppressions import bounces.csv --format mailgun --kind email --reason hard_bounce
rapport suppressions import list.csv --column value=E-Mail --column at=Since --kind email --reason complaint`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			data, err := c.read(args[0])
			if err != nil {
				return err
			}
			if o.Columns, err = pairs("column", columns); err != nil {
				return err
			}
			o.Reference = fmt.Sprintf("import %x", sha256.Sum256(data))[:len("import ")+16]
			r, err := h.Consent.ImportSuppressionFile(ctx, bytes.NewReader(data), o)
			if err != nil {
				return err
			}
			if err := noted(ctx, h, "suppressions.import", 0, map[string]any{"rows": r.Rows, "added": r.Added}); err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s: %d added, %d known, %d errors\n", count(r.Rows, "row", "rows"), r.Added, r.Known, r.Errors)
				if r.Skipped > 0 {
					_, _ = fmt.Fprintf(w, "%s forbid no address\n", count(r.Skipped, "row", "rows"))
				}
				for _, e := range r.Listed {
					_, _ = fmt.Fprintf(w, "  line %d: %s\n", e.Line, clean(e.Reason, false))
				}
			})
		}))
	f := cmd.Flags()
	f.StringVar(&o.Format, "format", "", "the tool whose export it is: "+strings.Join(consent.SuppressionFormats(), ", ")+" (default: our own columns)")
	f.StringArrayVar(&columns, "column", nil, "`WHAT=HEADER` names the column of value, reason, detail or at; may be repeated")
	f.StringVar(&o.Kind, "kind", "", "kind of the addresses, where the file does not say")
	f.StringVar(&o.Reason, "reason", "", "reason, where the file does not say (default manual)")
	return cmd
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
			c.hint("%s written", count(n, "row", "rows"))
			if hidden > 0 {
				c.hint("%d more are known by their fingerprint only (erased people) and cannot be written", hidden)
			}
			return nil
		}))
	cmd.Flags().StringVarP(&out, "out", "o", "-", "`FILE` to write")
	return cmd
}
