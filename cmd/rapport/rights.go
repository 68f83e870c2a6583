package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/contacts"
	"rapport/internal/app"
	"rapport/rights"
)

func newRightsCommand(c *cli) *cobra.Command {
	return group("rights", "what people may ask for: a copy, an objection, a restriction, erasure", `Access and portability (export), objection to all marketing (object), and to be
kept and nothing else (restrict, release). Corrections are contacts update,
erasure is contacts erase. Each is noted in the audit log.`,
		newRightsShow(c), newRightsExport(c), newRightsObject(c), newRightsRestrict(c), newRightsRelease(c), newRightsOverwrite(c))
}

// onPerson is a command about one contact.
func (c *cli) onPerson(do func(ctx context.Context, h *app.House, x contacts.Contact) error) func(*cobra.Command, []string) error {
	return c.inside(func(ctx context.Context, h *app.House, args []string) error {
		x, err := h.Contacts.Get(ctx, args[0])
		if err != nil {
			return err
		}
		return do(ctx, h, x)
	})
}

func newRightsShow(c *cli) *cobra.Command {
	return command("show CONTACT", "show whether somebody is restricted or has objected to all marketing", "rapport rights show anna@example.com",
		c.onPerson(func(ctx context.Context, h *app.House, x contacts.Contact) error {
			m, err := h.Rights.Marks(ctx, x.ID)
			if err != nil {
				return err
			}
			out := map[string]any{"contact": x.UID, "number": x.ID, "restricted": !m.RestrictedAt.IsZero(), "objected": !m.ObjectedAt.IsZero()}
			if !m.RestrictedAt.IsZero() {
				out["restricted_at"], out["reason"], out["by"] = m.RestrictedAt, m.Reason, m.Actor
			}
			if !m.ObjectedAt.IsZero() {
				out["objected_at"] = m.ObjectedAt
			}
			return c.show(out, func(w io.Writer) {
				t := newTable("CONTACT", x.UID)
				t.row("number", number(x.ID))
				t.row("restricted since", c.at(m.RestrictedAt))
				t.row("because", dash(m.Reason))
				t.row("by", dash(m.Actor))
				t.row("objects to all marketing since", c.at(m.ObjectedAt))
				t.write(w)
			})
		}))
}

func newRightsExport(c *cli) *cobra.Command {
	var out string
	cmd := command("export CONTACT", "write all that is kept about somebody as an archive: a page to read, and JSON",
		"rapport rights export anna@example.com --out anna.zip",
		c.onPerson(func(ctx context.Context, h *app.House, x contacts.Contact) (err error) {
			if out == "" {
				return rapport.Invalidf("--out", "is missing: the file to write, or - for the output")
			}
			w, done, err := c.create(out)
			if err != nil {
				return err
			}
			copied, err := h.Rights.Archive(ctx, x, w)
			if cerr := done(); err == nil {
				err = cerr
			}
			if err != nil {
				return err
			}
			if out == "-" {
				return nil
			}
			return c.show(copied, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s written: %s, %s, %s, %s written again\n", out, count(copied.Deliveries, "delivery", "deliveries"),
					count(copied.Responses, "response", "responses"), count(copied.Events, "event", "events"), count(copied.Letters, "letter", "letters"))
				if copied.Cut {
					_, _ = fmt.Fprintln(w, "It is not all: there was more than an archive holds.")
				}
			})
		}))
	cmd.Flags().StringVarP(&out, "out", "o", "", "`FILE` to write, - for the output")
	return cmd
}

func newRightsObject(c *cli) *cobra.Command {
	var source string
	var end bool
	cmd := command("object CONTACT", "record that somebody objects to all marketing, on every channel and topic, and to profiles for it",
		"rapport rights object anna@example.com --source \"letter of 3 May\"",
		c.onPerson(func(ctx context.Context, h *app.House, x contacts.Contact) error {
			if end {
				if err := h.Rights.EndObjection(ctx, x.ID, source); err != nil {
					return err
				}
				return c.show(map[string]any{"objected": false}, func(w io.Writer) {
					_, _ = fmt.Fprintln(w, "The general objection is over. What was refused stays refused until the person says yes to it.")
				})
			}
			o, err := h.Rights.Object(ctx, x.ID, source)
			if err != nil {
				return err
			}
			return c.show(o, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "objected to %s, %s in the ledger\n", count(len(o.Topics), "marketing topic", "marketing topics"), count(o.Entries, "new line", "new lines"))
			})
		}))
	cmd.Flags().StringVar(&source, "source", "", "a `TEXT`: where and how the person said so")
	cmd.Flags().BoolVar(&end, "end", false, "the person takes the general objection back")
	return cmd
}

func newRightsRestrict(c *cli) *cobra.Command {
	var reason string
	cmd := command("restrict CONTACT", "keep somebody's data and do nothing else with them: nothing is sent, nothing goes by age",
		"rapport rights restrict anna@example.com --reason \"says the birthday is wrong, we are looking\"",
		c.onPerson(func(ctx context.Context, h *app.House, x contacts.Contact) error {
			if err := h.Rights.Restrict(ctx, x.ID, reason); err != nil {
				return err
			}
			return c.show(map[string]any{"restricted": true}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "restricted") })
		}))
	cmd.Flags().StringVar(&reason, "reason", "", "a `TEXT`: why; the person may read it")
	return cmd
}

func newRightsRelease(c *cli) *cobra.Command {
	var reason string
	cmd := command("release CONTACT", "end a restriction; the person has to be told before",
		"rapport rights release anna@example.com --reason \"birthday corrected, told on 12 May\"",
		c.onPerson(func(ctx context.Context, h *app.House, x contacts.Contact) error {
			if err := h.Rights.Release(ctx, x.ID, reason); err != nil {
				return err
			}
			return c.show(map[string]any{"restricted": false}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "released") })
		}))
	cmd.Flags().StringVar(&reason, "reason", "", "a `TEXT`: why the restriction ends")
	return cmd
}

func newRightsOverwrite(c *cli) *cobra.Command {
	var yes bool
	cmd := command("overwrite", "rewrite the database so that nothing of removed rows is left in its files",
		"rapport rights overwrite --yes",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			if !yes {
				if err := c.confirm("Rewrite the whole database? Nothing is sent meanwhile, and it needs as much room again.", "--yes"); err != nil {
					return err
				}
			}
			if err := h.Rights.Overwrite(ctx); err != nil {
				return err
			}
			return c.show(map[string]any{"rewritten": h.Store.Engine()}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "rewritten") })
		}))
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newContactsErase(c *cli) *cobra.Command {
	var yes bool
	var certificate string
	cmd := command("erase CONTACT", "forget a person for good: addresses, attributes, evidence; the ledger and the numbers stay",
		"rapport contacts erase anna@example.com --yes --certificate erased.html",
		c.onPerson(func(ctx context.Context, h *app.House, x contacts.Contact) error {
			if !yes {
				if err := c.confirm("Erase contact "+x.UID+" for good?", "--yes"); err != nil {
					return err
				}
			}
			w, done := io.Discard, func() error { return nil }
			if certificate != "" { // a file that cannot be written is found before
				var err error
				if w, done, err = c.create(certificate); err != nil {
					return err
				}
			}
			cert, err := h.Rights.Erase(ctx, x.ID)
			if err == nil {
				err = writeCertificate(w, filepath.Ext(certificate), h.Config.Locale, cert)
			}
			if cerr := done(); err == nil {
				err = cerr
			}
			if err != nil {
				return err
			}
			return c.show(erasure{x.UID, cert}, func(w io.Writer) { printCertificate(w, x.UID, cert) })
		}))
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().StringVar(&certificate, "certificate", "", "write what was removed to `FILE`, .html to print or .json; it holds no value of the person")
	return cmd
}

// erasure is what the command prints: the ID it was asked for, and the
// certificate, which names nobody.
type erasure struct {
	Erased string `json:"erased"`
	rights.Certificate
}

func writeCertificate(w io.Writer, form, locale string, cert rights.Certificate) error {
	if strings.EqualFold(form, ".json") {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(cert)
	}
	return cert.WriteHTML(w, locale)
}

func printCertificate(w io.Writer, uid string, cert rights.Certificate) {
	_, _ = fmt.Fprintf(w, "erased %s, which was contact number %d\n", uid, cert.Number)
	t := newTable("REMOVED FROM", "WHAT", "ROWS")
	for _, r := range cert.Removed {
		t.row(r.Where, r.What, number(r.N))
	}
	t.write(w)
	if cert.Stopped+cert.Leaving > 0 {
		_, _ = fmt.Fprintf(w, "%s stopped, %d in a worker's hands meet the gate\n", count(cert.Stopped, "delivery", "deliveries"), cert.Leaving)
	}
	_, _ = fmt.Fprintf(w, "%s stay suppressed\n", count(len(cert.Hashes), "fingerprint", "fingerprints"))
}

func newContactsUpdate(c *cli) *cobra.Command {
	var in person
	var addresses, attributes []string
	cmd := command("update CONTACT", "correct what is kept about a person; that it was corrected is noted, the old value is not kept",
		"rapport contacts update anna@example.com --address email:anna.berger@example.com --set city=Köln",
		c.onPerson(func(ctx context.Context, h *app.House, x contacts.Contact) error {
			if err := in.set(addresses, attributes); err != nil {
				return err
			}
			y, changed, err := h.Contacts.Correct(ctx, x.ID, contacts.Input{
				ExternalID: in.ExternalID, Locale: in.Locale, Zone: in.Zone, Addresses: in.Addresses, Attributes: in.Attributes,
			})
			if err != nil {
				return err
			}
			if len(changed) > 0 {
				if err := noted(ctx, h, "contacts.update", x.ID, map[string]any{"fields": changed}); err != nil {
					return err
				}
			}
			return c.show(map[string]any{"contact": y, "changed": changed}, func(w io.Writer) {
				if len(changed) == 0 {
					_, _ = fmt.Fprintln(w, "nothing to change")
					return
				}
				_, _ = fmt.Fprintf(w, "changed %s\n", strings.Join(changed, ", "))
			})
		}))
	f := cmd.Flags()
	f.StringVar(&in.ExternalID, "external-id", "", "your own ID of the person")
	f.StringVar(&in.Locale, "locale", "", "language, like de or en-GB")
	f.StringVar(&in.Zone, "time-zone", "", "IANA time zone, like Europe/Berlin")
	f.StringArrayVar(&addresses, "address", nil, "`KIND:ADDRESS`, which takes the place of the primary one; permissions hold for the address they were given for")
	f.StringArrayVar(&attributes, "set", nil, "attribute as `NAME=VALUE`, empty clears it; may be repeated")
	return cmd
}
