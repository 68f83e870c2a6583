package outbox

import (
	"time"
)

// Warmup is a plan for a sender that receivers do not know yet: how many
// messages may leave on each day from the first on. Days are those of a zone.
type Warmup struct {
	Start time.Time // any moment of the first day, in the zone of the plan
	Days  []int64   // by day; after the last there is no limit
}

// Limit is how many messages may leave on the day of now; false when the plan
// is over. Before the first day the first day's number holds.
func (w Warmup) Limit(now time.Time) (int64, bool) {
	day := int(date(now.In(w.Start.Location())).Sub(date(w.Start)).Hours() / 24)
	if day = max(day, 0); day >= len(w.Days) {
		return 0, false
	}
	return w.Days[day], true
}

// Day names the day of now and says when the next one begins.
func (w Warmup) Day(now time.Time) (name string, next time.Time) {
	local := now.In(w.Start.Location())
	y, m, d := local.Date()
	next = time.Date(y, m, d+1, 0, 0, 0, 0, w.Start.Location())
	if !next.After(now) { // midnight does not exist on some days
		next = now.Add(time.Hour)
	}
	return local.Format(time.DateOnly), next
}

// date is a local day as a moment that days can be counted with.
func date(at time.Time) time.Time {
	y, m, d := at.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
