package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/contacts"
	"rapport/internal/app"
)

// importFlags are the flags of contacts import.
type importFlags struct {
	contacts.ImportOptions
	columns, types, grants, about []string
	errors                        string
}

func newContactsImport(c *cli) *cobra.Command {
	var o importFlags
	cmd := command("import FILE", "bring in contacts from a CSV file (- for the input), with their consents",
		`rapport contacts import people.csv --dry-run
rapport contacts import people.csv --grant email:newsletter --source "shop sign-up form v3" --errors bad.csv
rapport contacts import export.csv --map "E-Mail=email" --map "Notes=-" --type points=number
rapport contacts import audience.csv --preset mailchimp --for email:newsletter --source "audience Shop, export of 3 May"`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			return c.contactsImport(ctx, h, args[0], o)
		}))
	f := cmd.Flags()
	f.StringArrayVar(&o.columns, "map", nil, "read column `HEADER=NAME`, or leave it out with HEADER=-; may be repeated")
	f.StringArrayVar(&o.types, "type", nil, "declare attribute `NAME=TYPE`: "+strings.Join(contacts.Types(), ", ")+"; may be repeated")
	f.BoolVar(&o.Pending, "pending", false, "what --grant permits waits for the person's own confirmation; rapport forms invite asks for it")
	f.StringArrayVar(&o.grants, "grant", nil, "permission `DRIVER:TOPIC` for all rows that have the address; needs --source; may be repeated")
	f.StringVar(&o.Preset, "preset", "", "the tool whose export it is: "+strings.Join(contacts.Presets(), ", ")+"; its columns are known by their names")
	f.StringArrayVar(&o.about, "for", nil, "`DRIVER:TOPIC` that the file's opt-ins and opt-outs are about; may be repeated")
	f.StringVar(&o.Source, "source", "", "where and how the consents were given, if the file does not say")
	f.StringVar(&o.Basis, "basis", "", "ground in law of the consents (default consent)")
	f.BoolVar(&o.Resubscribe, "resubscribe", false, "let a newer consent_at overturn a withdrawal")
	f.BoolVar(&o.ClearEmpty, "clear-empty", false, "empty cells clear what is there, instead of keeping it")
	f.StringVar(&o.Form.Delimiter, "delimiter", "", "sign between cells: , ; | or tab (default: found out)")
	f.StringVar(&o.Form.Encoding, "encoding", "", "utf-8, utf-16le, utf-16be or windows-1252 (default: found out)")
	f.BoolVar(&o.DryRun, "dry-run", false, "only say what would happen")
	f.StringVar(&o.errors, "errors", "", "write bad rows, duplicates and consents not taken as CSV to `FILE`")
	return cmd
}

func (c *cli) contactsImport(ctx context.Context, h *app.House, file string, o importFlags) (err error) {
	opts, err := o.options()
	if err != nil {
		return err
	}
	src, remove, err := c.source(h, file)
	if err != nil {
		return err
	}
	defer remove()
	if o.errors != "" {
		w, done, err2 := c.create(o.errors)
		if err2 != nil {
			return err2
		}
		defer func() { err = errors.Join(err, done()) }()
		opts.Errors = w
	}
	m := c.meter("import")
	opts.Progress = func(p contacts.Progress) { m.set(p.Bytes, p.Size, count(p.Rows, "row", "rows")) }
	report, err := h.Contacts.Import(ctx, src, opts)
	m.end()
	err = errors.Join(err, notedImport(ctx, h, o.History, report))
	if err != nil && report.Rows == 0 {
		return badInput(file, err)
	}
	if perr := c.show(report, func(w io.Writer) { printImport(w, report, o.errors) }); err == nil {
		err = perr
	}
	if ctx.Err() != nil {
		c.hint("Stopped; the same command goes on where this one ended.")
	}
	return badInput(file, err)
}

// notedImport adds what a file has changed to the audit log. Its name is not
// told, since files are named after people too.
func notedImport(ctx context.Context, h *app.House, history bool, r contacts.Report) error {
	if r.DryRun || r.Rows == 0 {
		return nil
	}
	action := "contacts.import"
	if history {
		action = "contacts.import_history"
	}
	detail := map[string]any{"rows": r.Rows, "created": r.Created, "changed": r.Changed, "unchanged": r.Unchanged, "errors": r.Errors}
	if len(r.Consents) > 0 {
		detail["consents"] = r.Consents
	}
	if len(r.History) > 0 {
		detail["history"] = r.History
	}
	// Whoever stops an import has changed what was done until then.
	return noted(context.WithoutCancel(ctx), h, action, 0, detail)
}

// badInput makes the error of a file that cannot be opened a sentence.
func badInput(name string, err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok && pe.Path == name {
		return badFile(name, pe)
	}
	return err
}

// options puts together what the flags say.
func (o importFlags) options() (contacts.ImportOptions, error) {
	opts := o.ImportOptions
	var err error
	if opts.Map, err = pairs("map", o.columns); err != nil {
		return opts, err
	}
	if opts.Types, err = attributeTypes("--type", o.types); err != nil {
		return opts, err
	}
	for _, text := range o.grants {
		g, err := contacts.ParseGrant(text)
		if err != nil {
			return opts, err
		}
		opts.Grants = append(opts.Grants, g)
	}
	for _, text := range o.about {
		g, err := contacts.ParseGrant(text)
		if err != nil {
			return opts, err
		}
		opts.About = append(opts.About, g)
	}
	if opts.Form.Delimiter == "tab" || opts.Form.Delimiter == `\t` {
		opts.Form.Delimiter = "\t"
	}
	return opts, nil
}

// attributeTypes reads NAME=TYPE words.
func attributeTypes(field string, words []string) (map[string]contacts.Type, error) {
	out := make(map[string]contacts.Type, len(words))
	for _, one := range words {
		i := strings.LastIndexByte(one, '=')
		if i < 1 {
			return nil, rapport.Invalidf(field, "%q is not NAME=TYPE", one)
		}
		if !slices.Contains(contacts.Types(), one[i+1:]) {
			return nil, rapport.Invalidf(field, "%q is not a type; known: %s", one[i+1:], strings.Join(contacts.Types(), ", "))
		}
		out[one[:i]] = contacts.Type(one[i+1:])
	}
	return out, nil
}

// source opens a file, or what comes by stdin, which is kept for the time of
// the import since a file is read twice.
func (c *cli) source(h *app.House, name string) (contacts.Source, func(), error) {
	open := func() (io.ReadCloser, error) { return os.Open(name) }
	if name != "-" {
		if info, err := os.Stat(name); err != nil {
			return contacts.Source{}, nil, badFile(name, err)
		} else if info.IsDir() {
			return contacts.Source{}, nil, rapport.Invalidf("", "%s is a folder; name a CSV file", name)
		}
		return contacts.Source{Name: name, Open: open}, func() {}, nil
	}
	f, err := os.CreateTemp(h.Config.Data, "import-*.csv")
	if err != nil {
		return contacts.Source{}, nil, badFile(h.Config.Data, err)
	}
	remove := func() { _ = os.Remove(f.Name()) } // it lies in our own folder; nothing depends on it
	_, err = io.Copy(f, c.stdin)
	if err = errors.Join(err, f.Close()); err != nil {
		remove()
		return contacts.Source{}, nil, fmt.Errorf("keep the input: %w", err)
	}
	name = f.Name()
	return contacts.Source{Name: "-", Open: open}, remove, nil
}

// listedLines is how many notes about rows are printed for people.
const listedLines = 20

func printImport(w io.Writer, r contacts.Report, errorFile string) {
	verb := ""
	if r.DryRun {
		verb = " (nothing was written: dry run)"
	}
	_, _ = fmt.Fprintf(w, "%s: %s, %s, %s%s\n", r.File, count(r.Rows, "row", "rows"), r.Form.Encoding, delimiterName(r.Form.Delimiter), verb)
	if r.Resumed > 0 {
		_, _ = fmt.Fprintf(w, "went on after row %d of an import that was broken off\n", r.Resumed)
	}
	t := newTable("CREATED", "CHANGED", "UNCHANGED", "DUPLICATES", "ERRORS")
	t.row(number(r.Created), number(r.Changed), number(r.Unchanged), number(r.Duplicates), number(r.Errors))
	t.write(w)
	if len(r.Consents) > 0 {
		var words []string
		for _, k := range slices.Sorted(maps.Keys(r.Consents)) {
			words = append(words, fmt.Sprintf("%s %d", k, r.Consents[k]))
		}
		_, _ = fmt.Fprintln(w, "consents:", strings.Join(words, ", "))
	}
	printPeople(w, r)
	if len(r.Attributes) > 0 {
		var words []string
		for _, k := range slices.Sorted(maps.Keys(r.Attributes)) {
			words = append(words, clean(k, false)+" "+string(r.Attributes[k]))
		}
		_, _ = fmt.Fprintln(w, "attributes:", strings.Join(words, ", "))
	}
	if len(r.Ignored) > 0 {
		_, _ = fmt.Fprintln(w, "columns left out:", clean(strings.Join(r.Ignored, ", "), false))
	}
	for _, n := range r.Notes {
		_, _ = fmt.Fprintln(w, "note:", clean(n, false))
	}
	printRows(w, "errors", r.Listed, r.Errors, errorFile)
	skipped := max(r.Consents["skipped"]+r.Duplicates, int64(len(r.Skipped)))
	printRows(w, "duplicates and consents not taken", r.Skipped, skipped, errorFile)
}

// printPeople says who may be written to after an import, and what to do about
// those who may not.
func printPeople(w io.Writer, r contacts.Report) {
	said := func(title string, m map[string]int64, order ...string) {
		var words []string
		for _, k := range order {
			if m[k] > 0 {
				words = append(words, fmt.Sprintf("%s %d", strings.ReplaceAll(k, "_", " "), m[k]))
			}
		}
		if len(words) > 0 {
			_, _ = fmt.Fprintln(w, title+":", strings.Join(words, ", "))
		}
	}
	said("people", r.People, "permitted", "not_permitted", "refused", "suppressed", "as_before")
	said("history", r.History, "recorded", "known", "older", "refused", "suppressed")
	if n := r.People["not_permitted"]; n > 0 {
		_, _ = fmt.Fprintf(w, `%s stored without permission: nothing marketing is sent to them. If they agreed, say to what and where
(--grant DRIVER:TOPIC --source "...", or columns consent:DRIVER:TOPIC and consent_source); if not, ask them.
`, count(n, "person is", "people are"))
	}
	if n := r.People["refused"]; n > 0 {
		_, _ = fmt.Fprintf(w, "%s withdrawn or objected; a file does not change that.\n", count(n, "person has", "people have"))
	}
}

func printRows(w io.Writer, what string, list []contacts.RowNote, total int64, errorFile string) {
	if len(list) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, what+":")
	for _, n := range list[:min(len(list), listedLines)] {
		_, _ = fmt.Fprintf(w, "  line %d: %s\n", n.Line, clean(n.Reason, false))
	}
	if more := total - listedLines; more > 0 {
		where := "list all of them with --errors FILE"
		if errorFile != "" {
			where = "all of them are in " + errorFile
		}
		_, _ = fmt.Fprintf(w, "  … and %d more; %s\n", more, where)
	}
}

func delimiterName(d string) string {
	if d == "\t" {
		return "cells between tabs"
	}
	return "cells between " + d
}
