package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/calendars"
	"rapport/internal/app"
)

func newCalendarsCommand(c *cli) *cobra.Command {
	return group("calendars", "days off: list, show, check, put, remove", `A calendar says which days are off: holidays by rules, and weekdays of rest.
Send windows and quiet hours name one. Those that come with the program name
the law each day rests on; write your own files for everything else.`,
		newCalendarsList(c), newCalendarsShow(c), newCalendarsCheck(c), newCalendarsPut(c), newCalendarsRemove(c))
}

// shownCalendar is a calendar as list shows it.
type shownCalendar struct {
	Name    string            `json:"name"`
	Title   map[string]string `json:"title,omitempty"`
	BuiltIn bool              `json:"built_in"`
	Off     bool              `json:"off"` // nobody has checked it
	Include []string          `json:"include,omitempty"`
	Source  string            `json:"source,omitempty"`
	Seen    string            `json:"seen,omitempty"`
}

func newCalendarsList(c *cli) *cobra.Command {
	return command("list", "list the calendars there are", "rapport calendars list",
		c.inside(func(_ context.Context, h *app.House, _ []string) error {
			book := h.Book()
			var list []shownCalendar
			for _, name := range book.Names() {
				k, err := book.Look(name)
				if err != nil {
					return err
				}
				list = append(list, shownCalendar{name, k.Title, book.BuiltIn(name), k.Unverified, k.Include, k.Law, k.Seen})
			}
			return c.show(list, func(w io.Writer) {
				t := newTable("NAME", "FROM", "TITLE", "SOURCE")
				for _, k := range list {
					from := "the program"
					switch {
					case k.Off:
						from = "off: not checked"
					case !k.BuiltIn:
						from = "you"
					}
					t.row(k.Name, from, dash(k.Title["en"]), dash(k.Source))
				}
				t.write(w)
			})
		}))
}

func newCalendarsShow(c *cli) *cobra.Command {
	var year int
	cmd := command("show NAME", "show the days off of a year, with what each rests on and where it was read", "rapport calendars show de-by --year 2027",
		c.inside(func(_ context.Context, h *app.House, args []string) error {
			k, err := h.Book().Look(args[0])
			if err != nil {
				return err
			}
			if year == 0 {
				year = c.now().Year()
			}
			if year < 1970 || year > 2399 {
				return rapport.Invalidf("year", "%d is not between 1970 and 2399", year)
			}
			return c.showDays(k, year)
		}))
	cmd.Flags().IntVar(&year, "year", 0, "`YEAR` to show (default: this one)")
	return cmd
}

// shownDay is a day off as show shows it.
type shownDay struct {
	Date   string `json:"date"`
	Name   string `json:"name"`
	Source string `json:"source,omitempty"`
	Seen   string `json:"seen,omitempty"`
}

func (c *cli) showDays(k *calendars.Calendar, year int) error {
	out := struct {
		Name string     `json:"name"`
		Off  bool       `json:"off,omitempty"`
		Year int        `json:"year"`
		Rest []string   `json:"rest"`
		Days []shownDay `json:"days"`
	}{Name: k.Name, Off: k.Unverified, Year: year, Rest: []string{}, Days: []shownDay{}}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if k.Rests(d) {
			out.Rest = append(out.Rest, strings.ToLower(d.String()[:3]))
		}
	}
	for _, h := range k.Holidays(year) {
		out.Days = append(out.Days, shownDay{h.Date.Format(time.DateOnly), h.Name, h.Source, h.Seen})
	}
	return c.show(out, func(w io.Writer) {
		if out.Off {
			_, _ = fmt.Fprintln(w, "off: nobody has checked it against its source")
		}
		if len(out.Rest) > 0 {
			_, _ = fmt.Fprintf(w, "every %s\n", strings.Join(out.Rest, ", "))
		}
		var seen []string
		t := newTable("DATE", "DAY", "NAME", "SOURCE")
		for _, h := range k.Holidays(year) {
			t.row(h.Date.Format(time.DateOnly), h.Date.Weekday().String()[:3], h.Name, dash(h.Source))
			if h.Seen != "" && !slices.Contains(seen, h.Seen) {
				seen = append(seen, h.Seen)
			}
		}
		t.write(w)
		for _, place := range seen {
			_, _ = fmt.Fprintf(w, "read at: %s\n", place)
		}
	})
}

func newCalendarsCheck(c *cli) *cobra.Command {
	return command("check FILE", "read a file or folder of own calendars and say what is wrong", "rapport calendars check shop.yaml",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			list, err := app.CalendarFiles(args[0])
			if err != nil {
				return err
			}
			if err := h.CheckCalendars(ctx, list); err != nil {
				return err
			}
			return c.show(calendarNames(list), func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s: %s\n", count(int64(len(list)), "calendar", "calendars"), strings.Join(calendarNames(list), ", "))
			})
		}))
}

func calendarNames(list []*calendars.Calendar) []string {
	out := []string{}
	for _, k := range list {
		out = append(out, k.Name)
	}
	return out
}

func newCalendarsPut(c *cli) *cobra.Command {
	return command("put FILE", "keep the calendars of a file in the database, for all processes", "rapport calendars put shop.yaml",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			list, err := app.CalendarFiles(args[0])
			if err != nil {
				return err
			}
			if err := h.PutCalendars(ctx, list); err != nil {
				return err
			}
			return c.show(calendarNames(list), func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s kept: %s; in force within half a minute\n", count(int64(len(list)), "calendar", "calendars"), strings.Join(calendarNames(list), ", "))
			})
		}))
}

func newCalendarsRemove(c *cli) *cobra.Command {
	return command("remove NAME", "forget a calendar that was put in", "rapport calendars remove shop",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if err := h.RemoveCalendar(ctx, args[0]); err != nil {
				return err
			}
			return c.show(map[string]string{"removed": args[0]}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "removed") })
		}))
}
