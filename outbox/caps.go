package outbox

import (
	"cmp"
	"slices"
	"time"

	"rapport"
	"rapport/channels"
)

// Reasons of caps and of what people asked for.
const (
	Capped     Reason = "capped"      // the person was written to as often as a cap allows; waiting or suppressed
	AskedPause Reason = "asked_pause" // the person asked for a pause; waiting, suppressed or not planned
	AskedLess  Reason = "asked_less"  // the person asked for fewer messages; waiting
)

// Cap is how many messages may reach one person in a time, over everything it
// covers. Transactional ones may be counted and are never held.
type Cap struct {
	Topics   []string       // names; none: all topics of marketing, and with All every topic
	All      bool           // transactional messages count, too
	Channels []string       // names; none: all
	Most     int            // at least 1
	In       time.Duration  // a time that moves along; 0: Period
	Period   Period         // a stretch of the calendar instead
	Zone     *time.Location // of the period; nil: the recipient's
	Drop     bool           // what is too much is suppressed and does not wait
}

// Period is a stretch of the calendar.
type Period string

// The periods; a week begins on Monday (ISO 8601).
const (
	Day   Period = "day"
	Week  Period = "week"
	Month Period = "month"
)

// Wish is what a person asked for of the kind a message is of.
type Wish struct {
	Driver, Topic string        // "" for every one
	PausedUntil   time.Time     // zero: no pause
	Every         time.Duration // at most one in it; 0: no such wish
}

// Letter is what caps and wishes look at in a message.
type Letter struct {
	Class    channels.Class
	Topic    string
	Priority string // of the topic: "high", "normal" or "low"
	Driver   string
	Channel  string
}

// rank orders letters: transactional before high before normal before low.
func (l Letter) rank() int {
	switch {
	case l.Class == channels.Transactional:
		return 0
	case l.Priority == "high":
		return 1
	case l.Priority == "low":
		return 3
	}
	return 2
}

// Reached is a message that may have reached the person, or one that is due
// now and not yet on its way.
type Reached struct {
	Letter
	At    time.Time
	State State
}

// Limits is what keeps people from being written to too often.
type Limits struct {
	Caps   []Cap
	Shadow bool // only told, not kept to
	Home   *time.Location
	// Zones is the time zone of a person who named one or none, by that and by
	// their language; nil: Home.
	Zones func(zone, locale string) *time.Location
}

// ZoneOf is where a person's days begin.
func (l *Limits) ZoneOf(zone, locale string) *time.Location {
	if l.Zones == nil {
		return l.Home
	}
	return l.Zones(zone, locale)
}

// Times after which what is held is looked at again, whatever was computed: a
// message on its way may come back, a rival may be stopped, a cap be changed.
const (
	lookSoon = 2 * time.Minute
	lookLate = 6 * time.Hour
)

// Since is how far back a decision at now may need to look.
func (l *Limits) Since(now time.Time, wishes []Wish) time.Time {
	since := now
	for _, c := range l.Caps {
		begins := now.Add(-c.In)
		switch c.Period {
		case Day:
			begins = now.Add(-50 * time.Hour) // a day of 25 hours, in a zone that is a day ahead
		case Week:
			begins = now.AddDate(0, 0, -9)
		case Month:
			begins = now.AddDate(0, 0, -33)
		}
		if begins.Before(since) {
			since = begins
		}
	}
	for _, w := range wishes {
		if begins := now.Add(-w.Every); begins.Before(since) {
			since = begins
		}
	}
	return since
}

// Verdict is what limits say about a letter: Sending with no reason, or where
// it goes instead and until when. Shadow names what would have held it.
type Verdict struct {
	State  State
	Reason Reason
	Until  time.Time
	Shadow Reason
}

// Heed says what a person's own wishes and the caps do to a letter that could
// leave now. Wishes come first and hold also in shadow mode, since they are
// the person's word. past is everything since Since, and what is due now.
func (l *Limits) Heed(letter Letter, wishes []Wish, past []Reached, zone *time.Location, now, expires time.Time) Verdict {
	free := Verdict{State: Sending}
	if letter.Class == channels.Transactional {
		return free
	}
	for _, w := range wishes {
		if v, held := w.heed(letter, past, now, expires); held {
			return v
		}
	}
	for _, c := range l.Caps {
		if !c.Covers(letter) {
			continue
		}
		until, full := c.full(letter, past, cmp.Or(c.Zone, zone, l.Home, time.UTC), now)
		switch {
		case !full:
		case l.Shadow:
			free.Shadow = Capped
		case c.Drop:
			return Verdict{State: Suppressed, Reason: Capped}
		default:
			return Verdict{State: Queued, Reason: Capped, Until: until}
		}
	}
	return free
}

func (w Wish) heed(letter Letter, past []Reached, now, expires time.Time) (Verdict, bool) {
	if w.Driver != "" && w.Driver != letter.Driver || w.Topic != "" && w.Topic != letter.Topic {
		return Verdict{}, false
	}
	if now.Before(w.PausedUntil) {
		if !expires.IsZero() && !w.PausedUntil.Before(expires) {
			return Verdict{State: Suppressed, Reason: AskedPause}, true
		}
		return Verdict{State: Queued, Reason: AskedPause, Until: w.PausedUntil}, true
	}
	if w.Every <= 0 {
		return Verdict{}, false
	}
	rare := Cap{Most: 1, In: w.Every}
	if w.Topic != "" {
		rare.Topics = []string{w.Topic}
	}
	var mine []Reached
	for _, r := range past {
		if w.Driver == "" || r.Driver == w.Driver {
			mine = append(mine, r)
		}
	}
	until, full := rare.full(letter, mine, time.UTC, now)
	return Verdict{State: Queued, Reason: AskedLess, Until: until}, full
}

// Covers says whether the cap is about a letter.
func (c Cap) Covers(l Letter) bool {
	switch {
	case len(c.Channels) > 0 && !slices.Contains(c.Channels, l.Channel):
		return false
	case len(c.Topics) > 0:
		return slices.Contains(c.Topics, l.Topic)
	}
	return c.All || l.Class == channels.Marketing
}

// full says whether the cap has no room for a letter, and when to look again.
// Room that something more urgent is about to take is none.
func (c Cap) full(letter Letter, past []Reached, zone *time.Location, now time.Time) (until time.Time, full bool) {
	begins, ends := c.span(now, zone)
	var times []time.Time
	open, rivals := false, 0
	for _, r := range past {
		switch {
		case !c.Covers(r.Letter):
		case r.State == Queued || r.State == Claimed:
			if r.rank() < letter.rank() {
				rivals++
			}
		case r.At.After(begins):
			times = append(times, r.At)
			open = open || r.State == Sending
		}
	}
	if len(times)+rivals < c.Most {
		return time.Time{}, false
	}
	if open || len(times) < c.Most {
		return now.Add(lookSoon), true
	}
	until = ends
	if c.In > 0 {
		slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
		until = times[c.Most-1].Add(c.In)
	}
	if late := now.Add(lookLate); until.After(late) {
		return late, true
	}
	if soon := now.Add(time.Second); until.Before(soon) { // a clock that was set back: not at once again
		return soon, true
	}
	return until, true
}

// Begins is the moment after which messages count at now.
func (c Cap) Begins(now time.Time, zone *time.Location) time.Time {
	begins, _ := c.span(now, cmp.Or(c.Zone, zone, time.UTC))
	return begins
}

// span is the time that counts at now: what lies after the first moment. The
// second one is when a new period begins.
func (c Cap) span(now time.Time, zone *time.Location) (begins, ends time.Time) {
	if c.In > 0 {
		return now.Add(-c.In), time.Time{}
	}
	date := dateOf(now.In(zone))
	next := date.AddDate(0, 0, 1)
	switch c.Period {
	case Week:
		date = date.AddDate(0, 0, -(int(date.Weekday())+6)%7)
		next = date.AddDate(0, 0, 7)
	case Month:
		date = date.AddDate(0, 0, 1-date.Day())
		next = date.AddDate(0, 1, 0)
	case Day:
	}
	return rapport.LocalTime(date, zone).Add(-time.Nanosecond), rapport.LocalTime(next, zone)
}
