package conditions

import (
	"errors"
	"slices"
	"time"
)

// Day is a day of the calendar, counted from 1 January 1970.
type Day int64

const (
	dayLayout    = "2006-01-02"
	dayMicros    = 24 * 60 * 60 * 1_000_000
	secondsADay  = 24 * 60 * 60
	leapDay      = "02-29"
	beforeLeap   = "02-28"
	monthDayFrom = len("2006-")
)

// ParseDay reads "2026-01-31"; years run from 0001 to 9999.
func ParseDay(text string) (Day, error) {
	t, err := time.Parse(dayLayout, text)
	if err != nil || t.Year() < 1 {
		return 0, errors.New(`a date looks like "2026-01-31"`)
	}
	return Day(t.Unix() / secondsADay), nil
}

// DayOf is the day that the moment falls on in a zone.
func DayOf(at time.Time, zone *time.Location) Day {
	y, m, d := at.In(zone).Date()
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsADay)
}

// String returns the day as "2026-01-31".
func (d Day) String() string {
	return time.Unix(int64(d)*secondsADay, 0).UTC().Format(dayLayout)
}

// Midnight is the first moment of the day in UTC, in microseconds since 1970.
func (d Day) Midnight() int64 { return int64(d) * dayMicros }

// Celebrates lists the anniversaries that fall on this day as "01-31": its own
// month and day, and 29 February too on 28 February of a year without one.
func (d Day) Celebrates() []string {
	own := d.String()[monthDayFrom:]
	if own == beforeLeap && (d + 1).String()[monthDayFrom:] != leapDay {
		return []string{beforeLeap, leapDay}
	}
	return []string{own}
}

// Zone returns the location of an IANA name, or otherwise when the name is
// empty, unknown or "Local" (which means the machine and nobody's home).
func Zone(name string, otherwise *time.Location) *time.Location {
	if name == "" || name == "Local" {
		return otherwise
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return otherwise
	}
	return loc
}

// celebrated reports whether today is an anniversary of the day.
func celebrated(day, today Day) bool {
	return slices.Contains(today.Celebrates(), day.String()[monthDayFrom:])
}
