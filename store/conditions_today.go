package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rapport/conditions"
)

// anniversary compares the month and day of the date with those celebrated
// today.
func (c *compiler) anniversary(n conditions.Anniversary) string {
	monthDay := "substr(" + c.field(n.Of) + ", 6)" // "2026-01-31"
	return c.today(n.Zone, func(today conditions.Day) string {
		var days []string
		for _, d := range today.Celebrates() {
			days = append(days, c.args.text(d)+c.d.binary)
		}
		return "(" + monthDay + " IN (" + strings.Join(days, ", ") + "))"
	})
}

// daysUntil subtracts the number of today from that of the date.
func (c *compiler) daysUntil(n conditions.DaysUntil) string {
	number := "CAST(" + fmt.Sprintf(c.words.day, c.field(n.Of)) + " AS DOUBLE PRECISION)"
	return "(" + number + " - " + c.today(n.Zone, func(today conditions.Day) string {
		return c.args.number(float64(today))
	}) + ")"
}

// today writes what depends on the day: for a named zone once, else once for
// each day that it is somewhere among the contacts. Contacts whose day is that
// of the installation need not be listed.
func (c *compiler) today(zone string, write func(conditions.Day) string) string {
	own := c.at.zone
	if own == nil {
		own = time.UTC
	}
	here := conditions.DayOf(c.at.now, conditions.Zone(zone, own))
	if zone != "" {
		return write(here)
	}
	elsewhere := map[conditions.Day][]string{}
	for _, name := range c.at.zones {
		if day := conditions.DayOf(c.at.now, conditions.Zone(name, own)); day != here {
			elsewhere[day] = append(elsewhere[day], name)
		}
	}
	if len(elsewhere) == 0 {
		return write(here)
	}
	var sql strings.Builder
	sql.WriteString("CASE")
	for _, day := range slices.Sorted(maps.Keys(elsewhere)) {
		names := elsewhere[day]
		for i, name := range names {
			names[i] = c.args.text(name) + c.d.binary
		}
		sql.WriteString(" WHEN c.zone" + c.d.binary + " IN (" + strings.Join(names, ", ") + ") THEN " + write(day))
	}
	sql.WriteString(" ELSE " + write(here) + " END")
	return sql.String()
}
