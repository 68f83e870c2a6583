package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rapport/contacts"
	"rapport/internal/app"
	"rapport/internal/strictyaml"
)

func newContactsCommand(c *cli) *cobra.Command {
	return group("contacts", "people: import, export, list, show, put, update, erase", `A contact is a person: addresses, attributes, and an external ID of yours.
Commands that take a CONTACT take any of them.`,
		newContactsImport(c), newContactsImportHistory(c), newContactsExport(c), newContactsList(c), newContactsShow(c), newContactsPut(c), newContactsUpdate(c), newContactsErase(c))
}

func newContactsExport(c *cli) *cobra.Command {
	var o contacts.ExportOptions
	var out string
	cmd := command("export", "write contacts as CSV in the columns that import reads",
		"rapport contacts export --segment regulars --out regulars.csv",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			w, done, err := c.create(out)
			if err != nil {
				return err
			}
			if err := noted(ctx, h, "contacts.export", 0, map[string]any{"segment": o.Segment}); err != nil {
				return errors.Join(err, done())
			}
			m := c.meter("export")
			o.Progress = func(rows int) { m.set(int64(rows), 0, count(rows, "contact", "contacts")) }
			n, err := h.Contacts.Export(ctx, w, o)
			m.end()
			if cerr := done(); err == nil {
				err = cerr
			}
			if err == nil {
				c.hint("%s written", count(n, "contact", "contacts"))
			}
			return err
		}))
	cmd.Flags().StringVar(&o.Segment, "segment", "", "only the members of the segment `NAME`")
	cmd.Flags().BoolVar(&o.Raw, "raw", false, "leave cells that a spreadsheet would take for formulas as they are")
	cmd.Flags().StringVarP(&out, "out", "o", "-", "`FILE` to write")
	return cmd
}

func newContactsList(c *cli) *cobra.Command {
	var search string
	var limit int
	cmd := command("list", "list contacts, newest last", "rapport contacts list --search @example.com --limit 20",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			if err := noted(ctx, h, "contacts.list", 0, map[string]any{"searched": search != "", "limit": limit}); err != nil {
				return err
			}
			list, err := gather(limit, func(after int64, n int) ([]contacts.Contact, error) {
				return h.Contacts.List(ctx, contacts.Page{After: after, Limit: n, Search: search})
			})
			if err != nil {
				return err
			}
			return c.showPeople(h, list)
		}))
	cmd.Flags().StringVar(&search, "search", "", "part of an external ID or address")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return cmd
}

// page is how many people are asked for at once.
const page = 500

// gather reads pages of people until there are enough.
func gather(limit int, next func(after int64, n int) ([]contacts.Contact, error)) ([]contacts.Contact, error) {
	list, after := []contacts.Contact{}, int64(0)
	for len(list) < limit {
		n := min(page, limit-len(list))
		more, err := next(after, n)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
		if len(more) < n {
			break
		}
		after = more[len(more)-1].ID
	}
	return list, nil
}

// showPeople prints people with a column for each kind of address that occurs.
func (c *cli) showPeople(h *app.House, list []contacts.Contact) error {
	return c.show(list, func(w io.Writer) {
		var kinds []string
		for _, k := range h.Drivers.AddressKinds() {
			if slices.ContainsFunc(list, func(x contacts.Contact) bool { _, ok := x.Primary(k.Kind); return ok }) && !k.Implied {
				kinds = append(kinds, k.Kind)
			}
		}
		head := []string{"ID", "EXTERNAL ID"}
		for _, k := range kinds {
			head = append(head, strings.ToUpper(k))
		}
		t := newTable(append(head, "LOCALE", "TIME ZONE", "CREATED")...)
		for _, x := range list {
			cells := []string{x.UID, dash(x.ExternalID)}
			for _, k := range kinds {
				a, _ := x.Primary(k)
				cells = append(cells, dash(a.Value))
			}
			t.row(append(cells, dash(x.Locale), dash(x.Zone), c.at(x.CreatedAt))...)
		}
		t.write(w)
	})
}

// person is a contact as contacts put reads it.
type person struct {
	ExternalID string            `json:"external_id"`
	Locale     string            `json:"locale"`
	Zone       string            `json:"time_zone"`
	Addresses  map[string]string `json:"addresses"`
	Attributes map[string]any    `json:"attributes"`
}

func newContactsPut(c *cli) *cobra.Command {
	var in person
	var addresses, attributes []string
	cmd := command("put [FILE]", "create or change one contact, from flags or a JSON or YAML file (- for the input)",
		"rapport contacts put --external-id 4711 --address email:anna@example.com --locale de --set city=Berlin --set points=120",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if len(args) == 1 {
				data, err := c.read(args[0])
				if err != nil {
					return err
				}
				given := in // flags win over the file
				if err := strictyaml.Decode(args[0], data, &in); err != nil {
					return err
				}
				in.over(given)
			}
			if err := in.set(addresses, attributes); err != nil {
				return err
			}
			x, fresh, err := h.Contacts.Put(ctx, contacts.Input{
				ExternalID: in.ExternalID, Locale: in.Locale, Zone: in.Zone, Addresses: in.Addresses, Attributes: in.Attributes,
			})
			if err != nil {
				return err
			}
			if err := noted(ctx, h, "contacts.put", x.ID, map[string]any{"created": fresh}); err != nil {
				return err
			}
			return c.show(x, func(w io.Writer) {
				word := "changed"
				if fresh {
					word = "created"
				}
				_, _ = fmt.Fprintf(w, "%s %s\n", word, x.UID)
			})
		}))
	f := cmd.Flags()
	f.StringVar(&in.ExternalID, "external-id", "", "your own ID of the person")
	f.StringVar(&in.Locale, "locale", "", "language, like de or en-GB")
	f.StringVar(&in.Zone, "time-zone", "", "IANA time zone, like Europe/Berlin")
	f.StringArrayVar(&addresses, "address", nil, "`KIND:ADDRESS`, which becomes the primary one of its kind; may be repeated")
	f.StringArrayVar(&attributes, "set", nil, "attribute as `NAME=VALUE`, empty clears it; may be repeated")
	return cmd
}

func (p *person) over(given person) {
	for _, f := range []struct {
		to   *string
		from string
	}{{&p.ExternalID, given.ExternalID}, {&p.Locale, given.Locale}, {&p.Zone, given.Zone}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
}

// set adds addresses and attributes from flags.
func (p *person) set(addresses, attributes []string) error {
	for _, one := range addresses {
		kind, value, err := splitAddress(one)
		if err != nil {
			return err
		}
		if p.Addresses == nil {
			p.Addresses = map[string]string{}
		}
		p.Addresses[kind] = value
	}
	values, err := pairs("set", attributes)
	if err != nil {
		return err
	}
	for name, text := range values {
		if p.Attributes == nil {
			p.Attributes = map[string]any{}
		}
		p.Attributes[name] = value(text)
	}
	return nil
}

// value reads a flag's value as JSON where it is some (a number, true, an
// object), else as text; empty means nothing.
func value(text string) any {
	var v any
	switch err := json.Unmarshal([]byte(text), &v); {
	case text == "":
		return nil
	case err != nil:
		return text
	}
	if _, number := v.(float64); number {
		return json.Number(text)
	}
	return v
}
