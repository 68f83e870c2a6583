package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/access"
	"rapport/events"
	"rapport/internal/app"
)

func newEventsCommand(c *cli) *cobra.Command {
	return group("events", "what happened to people in other systems: add, list, names, declare", `An event is something that happened to a contact, like an order or points that
were earned, told by another system with an ID of its own: the same ID twice is
once. Conditions count events at once: event("order.placed", duration("2160h")) >= 2.`,
		newEventsAdd(c), newEventsList(c), newEventsNames(c), newEventsDeclare(c))
}

func newEventsAdd(c *cli) *cobra.Command {
	var o events.LoadOptions
	var errorFile string
	cmd := command("add FILE", "store events from a file with one JSON object a line (- for the input)",
		`rapport events add orders.ndjson --dry-run
rapport events add orders.ndjson --errors bad.csv
rapport events add - --json`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			return c.eventsAdd(ctx, h, args[0], o, errorFile)
		}))
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "only say what would happen")
	cmd.Flags().StringVar(&errorFile, "errors", "", "write lines that were not taken as CSV to `FILE`")
	return cmd
}

func (c *cli) eventsAdd(ctx context.Context, h *app.House, file string, o events.LoadOptions, errorFile string) (err error) {
	in, size, done, err := c.stream(file)
	if err != nil {
		return err
	}
	defer done()
	o.Name = file
	if errorFile != "" {
		w, finish, err2 := c.create(errorFile)
		if err2 != nil {
			return err2
		}
		table := csv.NewWriter(w)
		defer func() {
			table.Flush()
			err = errors.Join(err, table.Error(), finish())
		}()
		o.Refused = func(l events.Line) error { return table.Write([]string{number(l.Line), l.ID, l.Reason}) }
		if err := table.Write([]string{"line", "id", "reason"}); err != nil {
			return fmt.Errorf("write %s: %w", errorFile, err)
		}
	}
	m := c.meter("events")
	o.Progress = func(p events.Progress) { m.set(p.Bytes, size, count(p.Lines, "event", "events")) }
	report, err := h.Events.Load(ctx, in, o)
	m.end()
	if !o.DryRun && report.Added > 0 {
		note := access.Act{Action: "events.add", Detail: map[string]any{"added": report.Added, "known": report.Known, "errors": report.Errors}}
		err = errors.Join(err, h.Access.Note(context.WithoutCancel(ctx), note))
	}
	if err != nil && report.Lines == 0 {
		return err
	}
	if perr := c.show(report, func(w io.Writer) { printEvents(w, report, errorFile) }); err == nil {
		err = perr
	}
	if ctx.Err() != nil {
		c.hint("Stopped; the same command goes on, since what is stored is known by its ID.")
	}
	return err
}

// stream opens a file that is read once, or the input. size is 0 when nobody
// knows it.
func (c *cli) stream(name string) (r io.Reader, size int64, done func(), err error) {
	if name == "-" {
		return c.stdin, 0, func() {}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, nil, badFile(name, err)
	}
	done = func() { _ = f.Close() } // it is only read
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = rapport.Invalidf("", "%s is a folder; name a file with one event a line", name)
	}
	if err != nil {
		done()
		return nil, 0, nil, err
	}
	return f, info.Size(), done, nil
}

func printEvents(w io.Writer, r events.Report, errorFile string) {
	verb := ""
	if r.DryRun {
		verb = " (nothing was written: dry run)"
	}
	_, _ = fmt.Fprintf(w, "%s: %s%s\n", r.File, count(r.Lines, "event", "events"), verb)
	t := newTable("ADDED", "KNOWN", "ERRORS")
	t.row(number(r.Added), number(r.Known), number(r.Errors))
	t.write(w)
	for _, n := range r.Notes {
		_, _ = fmt.Fprintln(w, "note:", n)
	}
	if r.Errors == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, "errors:")
	for _, l := range r.Listed[:min(len(r.Listed), listedLines)] {
		_, _ = fmt.Fprintf(w, "  line %d: %s\n", l.Line, clean(l.Reason, false))
	}
	if more := r.Errors - listedLines; more > 0 {
		where := "list all of them with --errors FILE"
		if errorFile != "" {
			where = "all of them are in " + errorFile
		}
		_, _ = fmt.Fprintf(w, "  … and %d more; %s\n", more, where)
	}
}

func newEventsList(c *cli) *cobra.Command {
	var f events.Filter
	var contact, since string
	cmd := command("list", "list events, newest first",
		"rapport events list --contact anna@example.com\nrapport events list --name order.placed --since 2026-11-01 --json",
		c.inside(func(ctx context.Context, h *app.House, _ []string) (err error) {
			if f.Since, err = c.about(ctx, h, contact, since, &f.Contact); err != nil {
				return err
			}
			if f.Name != "" {
				if err := events.CheckName(f.Name); err != nil {
					return err
				}
			}
			note := access.Act{Action: "events.list", Contact: f.Contact, Object: f.Name, Detail: map[string]any{"limit": f.Limit}}
			if err := h.Access.Note(ctx, note); err != nil {
				return err
			}
			list, err := eventsUpTo(ctx, h, f)
			if err != nil {
				return err
			}
			return c.show(list, func(w io.Writer) {
				t := newTable("AT", "NAME", "CONTACT", "ID", "DATA")
				for _, e := range list {
					who := e.ExternalID
					if who == "" {
						who = e.Contact
					}
					t.row(c.at(e.At), e.Name, who, e.ID, dash(string(e.Data)))
				}
				t.write(w)
			})
		}))
	flags := cmd.Flags()
	flags.StringVar(&contact, "contact", "", "only of the `CONTACT`")
	flags.StringVar(&f.Name, "name", "", "only events of this `NAME`")
	flags.StringVar(&since, "since", "", "only what happened at this `TIME` or later")
	flags.IntVar(&f.Limit, "limit", 100, "how many at most")
	return cmd
}

// eventsUpTo reads pages of events up to the limit of a filter.
func eventsUpTo(ctx context.Context, h *app.House, f events.Filter) ([]events.Event, error) {
	return upTo(f.Limit, func(most int, last *events.Event) ([]events.Event, error) {
		if f.Limit = most; last != nil {
			f.Before = events.Place{At: last.At, Number: last.Number}
		}
		return h.Events.List(ctx, f)
	})
}

// shownEvents bounds what a timeline shows of one person.
const shownEvents = 10_000

// toldOf lists the events of a contact for its timeline.
func toldOf(ctx context.Context, h *app.House, contact int64) ([]happening, error) {
	list, err := eventsUpTo(ctx, h, events.Filter{Contact: contact, Limit: shownEvents})
	if err != nil {
		return nil, err
	}
	out := make([]happening, 0, len(list))
	for _, e := range list {
		out = append(out, happening{At: e.At, Kind: "event", What: e.Name, Detail: string(e.Data), Subject: e.ID})
	}
	return out, nil
}

func newEventsNames(c *cli) *cobra.Command {
	return command("names", "list the names of events with how many there are of each", "rapport events names",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			list, err := h.Events.Names(ctx)
			if err != nil {
				return err
			}
			return c.show(append([]events.Name{}, list...), func(w io.Writer) {
				t := newTable("NAME", "EVENTS", "KNOWN SINCE")
				for _, n := range list {
					t.row(n.Name, number(n.Events), c.at(n.CreatedAt))
				}
				t.write(w)
			})
		}))
}

func newEventsDeclare(c *cli) *cobra.Command {
	return command("declare NAME...", "make names known before their first event, so that conditions can ask for them", "rapport events declare order.placed order.returned",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if err := h.Events.Declare(ctx, args); err != nil {
				return err
			}
			return c.show(map[string]any{"declared": args}, func(w io.Writer) {
				_, _ = fmt.Fprintln(w, count(len(args), "name", "names"), "known")
			})
		}))
}
