package outbox

import (
	"errors"
	"fmt"
	"time"
)

// QuietSpec is when people are left alone, as a configuration says it.
type QuietSpec struct {
	From     string   `json:"from,omitempty"`     // "21:00"; earlier in the day than To, or over midnight
	To       string   `json:"to,omitempty"`       // "08:00"
	Days     []string `json:"days,omitempty"`     // days on which the hours begin; none: every day
	AllDay   []string `json:"all_day,omitempty"`  // days that are quiet as a whole, like [sun]
	Zone     string   `json:"zone,omitempty"`     // IANA name; "recipient" or empty: each one's own
	Calendar string   `json:"calendar,omitempty"` // whose days off are quiet as a whole; "recipient": of each one's country
}

// Quiet is when people are left alone: between two local times and on whole
// days, by what the clock on their wall shows. Where clocks show a time twice,
// both are quiet.
type Quiet struct {
	From, To time.Duration // since local midnight; over midnight when To is not after From; the same: no hours
	Days     [7]bool       // on which the hours begin, by time.Weekday
	AllDay   [7]bool
	Zone     *time.Location // nil: the recipient's
	Calendar string
}

// Parse checks quiet hours and makes them ready to be asked.
func (s QuietSpec) Parse() (*Quiet, error) {
	q := &Quiet{Calendar: s.Calendar}
	if (s.From == "") != (s.To == "") {
		return nil, errors.New("from and to belong together, like from: \"21:00\", to: \"08:00\"")
	}
	if s.From == "" && len(s.AllDay) == 0 && s.Calendar == "" {
		return nil, errors.New("say when it is quiet: from and to, all_day or calendar")
	}
	var err error
	if s.From != "" {
		if q.From, err = clock(s.From); err != nil {
			return nil, fmt.Errorf("from: %w", err)
		}
		if q.To, err = clock(s.To); err != nil {
			return nil, fmt.Errorf("to: %w", err)
		}
		if q.From == q.To {
			return nil, fmt.Errorf("from %s to %s is no time at all; days that are quiet as a whole go to all_day", s.From, s.To)
		}
	}
	if q.Days, err = ParseDays(s.Days); err != nil {
		return nil, fmt.Errorf("days: %w", err)
	}
	if len(s.AllDay) > 0 {
		if q.AllDay, err = ParseDays(s.AllDay); err != nil {
			return nil, fmt.Errorf("all_day: %w", err)
		}
	}
	if q.AllDay == [7]bool{true, true, true, true, true, true, true} {
		return nil, errors.New("all_day: all seven days are quiet, so nothing would ever leave")
	}
	if s.Zone != "" && s.Zone != "recipient" {
		if q.Zone, err = time.LoadLocation(s.Zone); err != nil {
			return nil, fmt.Errorf("zone: %q is not a time zone; write one like Europe/Berlin, or recipient", s.Zone)
		}
	}
	return q, nil
}

// Off says whether a date (a midnight in UTC) is a day off.
type Off func(date time.Time) bool

// quietDays bounds the search for an end: a calendar that has no working day
// in a year is taken for one that has.
const quietDays = 400

// Holds says whether it is quiet at a moment in the zone, which a zone of its
// own overrides.
func (q *Quiet) Holds(now time.Time, recipient *time.Location, off Off) bool {
	local := now.In(q.zone(recipient))
	date := dateOf(local)
	if q.AllDay[date.Weekday()] || off != nil && off(date) {
		return true
	}
	if q.From == q.To {
		return false
	}
	at := sinceMidnight(local)
	today, yesterday := q.Days[date.Weekday()], q.Days[date.AddDate(0, 0, -1).Weekday()]
	if q.From < q.To {
		return today && at >= q.From && at < q.To
	}
	return today && at >= q.From || yesterday && at < q.To
}

// Ends returns the first moment at or after now when it is not quiet; now
// itself when it is not.
func (q *Quiet) Ends(now time.Time, recipient *time.Location, off Off) time.Time {
	zone, t := q.zone(recipient), now
	for range 3 * quietDays {
		if !q.Holds(t, zone, off) {
			return t
		}
		next := nextShown(t, 0, zone)
		if q.From != q.To {
			if at := nextShown(t, q.To%(24*time.Hour), zone); at.Before(next) {
				next = at
			}
		}
		t = next
	}
	return t
}

func (q *Quiet) zone(recipient *time.Location) *time.Location {
	if q.Zone != nil {
		return q.Zone
	}
	return recipient
}

// dateOf is the date a clock shows, as midnight in UTC.
func dateOf(local time.Time) time.Time {
	y, m, d := local.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func sinceMidnight(local time.Time) time.Duration {
	h, m, s := local.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(local.Nanosecond())
}

// nextShown is the first moment after t when clocks in the zone show a time of
// day, or jump over it, or jump at all: whoever looks for the end of something
// looks again then.
func nextShown(t time.Time, at time.Duration, zone *time.Location) time.Time {
	local := t.In(zone)
	wall := dateOf(local).Add(at)
	_, offset := local.Zone()
	next := wall.Add(-time.Duration(offset) * time.Second)
	if !next.After(t) {
		next = next.Add(24 * time.Hour)
	}
	if _, jump := local.ZoneBounds(); !jump.IsZero() && jump.Before(next) {
		return jump
	}
	return next
}

// Spread is a moment of the first part of an opened time, the same each time
// for a delivery, so that what waited does not leave all at once and a second
// look changes nothing.
func Spread(delivery int64, within time.Duration) time.Duration {
	if within <= 0 {
		return 0
	}
	x := uint64(delivery) * 0x9E3779B97F4A7C15 //nolint:gosec // numbers are not negative; multiplicative hashing (Knuth): neighbours go far apart
	x ^= x >> 32
	return time.Duration(float64(x%1_000_000) / 1_000_000 * float64(within))
}
