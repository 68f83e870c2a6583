package outbox

import (
	"fmt"
	"strings"
	"time"

	"rapport"
)

// Window is when messages of a run may leave: on some days, between two local
// times, in a zone or in each recipient's own.
type Window struct {
	Days [7]bool        // by time.Weekday
	From time.Duration  // since local midnight
	To   time.Duration  // since local midnight, after From
	Zone *time.Location // nil: the recipient's

	Calendar string // on whose days off it stays shut; "recipient": of each one's country
}

// Opens returns the first moment at or after now when the window is open in
// the zone; now itself when it is open. A local time that does not exist opens
// at the first moment after the gap.
func (w *Window) Opens(now time.Time, recipient *time.Location) time.Time {
	return w.OpensOn(now, recipient, nil)
}

// OpensOn is Opens with days off, on which the window stays shut.
func (w *Window) OpensOn(now time.Time, recipient *time.Location, off Off) time.Time {
	zone := w.Zone
	if zone == nil {
		zone = recipient
	}
	local := now.In(zone)
	for day := range quietDays {
		y, m, d := local.Date()
		date := time.Date(y, m, d+day, 0, 0, 0, 0, time.UTC)
		if !w.Days[date.Weekday()] || off != nil && off(date) {
			continue
		}
		from, to := rapport.LocalTime(date.Add(w.From), zone), rapport.LocalTime(date.Add(w.To), zone)
		if !from.Before(to) {
			continue // all of it lies in a gap of the clocks
		}
		if now.Before(from) {
			return from
		}
		if now.Before(to) {
			return now
		}
	}
	return now
}

// weekdays by the three letters people write.
var weekdays = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday,
	"thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

// ParseDays reads day names and ranges like "mon-fri"; none means every day.
func ParseDays(list []string) (days [7]bool, err error) {
	if len(list) == 0 {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for _, item := range list {
		first, last, isRange := strings.Cut(strings.ToLower(strings.TrimSpace(item)), "-")
		if !isRange {
			last = first
		}
		a, okA := weekdays[first]
		b, okB := weekdays[last]
		if !okA || !okB {
			return days, fmt.Errorf("%q is not a day; write mon, tue, wed, thu, fri, sat, sun or a range like mon-fri", item)
		}
		for d := a; ; d = (d + 1) % 7 {
			days[d] = true
			if d == b {
				break
			}
		}
	}
	return days, nil
}
