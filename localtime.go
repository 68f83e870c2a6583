package rapport

import "time"

// LocalTime is the moment when clocks in the zone show what wall shows in UTC.
// A local time that does not exist (clocks go forward) is the first moment
// after the gap; one that exists twice (clocks go back) is the first.
func LocalTime(wall time.Time, zone *time.Location) time.Time {
	wall = wall.UTC()
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	first := wall.Add(-time.Duration(max(before, after)) * time.Second)
	last := wall.Add(-time.Duration(min(before, after)) * time.Second)
	for _, t := range []time.Time{first, last} {
		if _, offset := t.In(zone).Zone(); t.Add(time.Duration(offset) * time.Second).Equal(wall) {
			return t.In(zone)
		}
	}
	// In the gap: the clocks jump between the two candidates.
	if _, end := first.In(zone).ZoneBounds(); !end.IsZero() {
		return end
	}
	return last.In(zone)
}
