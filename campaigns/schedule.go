package campaigns

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"rapport"
)

// Recipient is the zone of schedules and windows that mean each one's own.
const Recipient = "recipient"

// Occurrence is one time a campaign is due.
type Occurrence struct {
	For   time.Time // which one: the moment, or with zone: recipient the wall time written as UTC
	Begin time.Time // when its run begins
}

// IsZero says that there is none.
func (o Occurrence) IsZero() bool { return o.For.IsZero() }

// Calendar is a schedule that was understood.
type Calendar struct {
	once      time.Time // the moment, or the wall time; zero: by cron, or now
	now       bool
	spec      *cron.SpecSchedule
	zone      *time.Location // of wall times; with recipient: of whoever has none
	recipient bool
	zones     []*time.Location // with recipient: those in use
	until     time.Time        // like once; zero: for ever
}

// Calendar understands a schedule. home is the installation's zone; zones are
// those of contacts, which only zone: recipient needs. The error of a field is
// a *FieldError.
func (s Schedule) Calendar(home *time.Location, zones []*time.Location) (Calendar, error) {
	c := Calendar{now: s.Now, zone: home}
	switch s.Zone {
	case "":
	case Recipient:
		c.recipient = true
		c.zones = append([]*time.Location{home}, zones...)
	default:
		zone, err := loadZone(s.Zone)
		if err != nil {
			return c, &FieldError{"zone", err.Error()}
		}
		c.zone = zone
	}
	var err error
	if s.At != "" {
		if c.once, err = c.read(s.At); err != nil {
			return c, &FieldError{"at", err.Error()}
		}
	}
	if s.Until != "" {
		if c.until, err = c.read(s.Until); err != nil {
			return c, &FieldError{"until", err.Error()}
		}
	}
	if s.Cron != "" {
		if c.spec, err = parseCron(s.Cron); err != nil {
			return c, &FieldError{"cron", err.Error()}
		}
	}
	return c, nil
}

// FieldError is a complaint about one key of a schedule.
type FieldError struct{ Field, Msg string }

// Error returns the sentence with the key before it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Msg }

func loadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		return nil, fmt.Errorf("%q is not a time zone; write one like Europe/Berlin, or recipient for each one's own", name)
	}
	return zone, nil
}

// read reads a date and time: a moment when it has an offset, else a wall time
// in the calendar's zone.
func (c Calendar) read(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		if c.recipient {
			return t, errors.New("a time with an offset is the same moment for everybody; leave the offset away with zone: recipient")
		}
		return t.UTC(), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if wall, err := time.Parse(layout, text); err == nil {
			return c.moment(wall), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date and time; write it like 2026-12-01T09:00", text)
}

// moment is what a wall time stands for in For: itself for recipients' zones.
func (c Calendar) moment(wall time.Time) time.Time {
	if c.recipient {
		return wall
	}
	return rapport.LocalTime(wall, c.zone).UTC()
}

// parseCron reads five fields or @daily and its like. The library panics on a
// time zone without a blank after it, and knows schedules that count from the
// start of a process; neither comes through here.
func parseCron(text string) (spec *cron.SpecSchedule, err error) {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "TZ=") {
		return nil, errors.New("the time zone of a cron expression stands in zone")
	}
	if strings.HasPrefix(text, "@every") {
		return nil, errors.New("@every counts from the start of a process; write the five fields, like */10 * * * * for every ten minutes")
	}
	defer func() {
		if recover() != nil {
			spec, err = nil, fmt.Errorf("%q is not a cron expression; write five fields, like 0 9 * * 1 for Mondays at nine", text)
		}
	}()
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	got, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression (%w); write minute, hour, day, month and weekday, like 0 9 * * 1 for Mondays at nine", text, err)
	}
	spec, ok := got.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q is not a cron expression with five fields", text)
	}
	spec.Location = time.UTC // it counts wall times; what they mean is ours to say
	if spec.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%q never comes: there is no such day", text)
	}
	return spec, nil
}

// begins is when the run of an occurrence begins: with the first of its
// people.
func (c Calendar) begins(at time.Time) time.Time {
	if !c.recipient {
		return at
	}
	first, _ := c.span(at)
	return first
}

// span is when a wall time comes first and last among the zones in use.
func (c Calendar) span(wall time.Time) (first, last time.Time) {
	for _, zone := range c.zones {
		at := rapport.LocalTime(wall, zone).UTC()
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}

// Recurring says whether there is more than one occurrence.
func (c Calendar) Recurring() bool { return c.spec != nil }

// Ends is the last moment at which a delivery of the occurrence is due.
func (c Calendar) Ends(o Occurrence) time.Time {
	if !c.recipient {
		return o.For
	}
	_, last := c.span(o.For)
	return last
}

// First is the occurrence to wait for from now on. A one-time schedule has its
// one even if it is past; a recurring one the first that begins after now. The
// zero Occurrence means that none will come.
func (c Calendar) First(now time.Time) Occurrence {
	switch {
	case c.now:
		return Occurrence{now, now}
	case c.spec == nil:
		return Occurrence{c.once, c.begins(c.once)}
	}
	from := now
	if c.recipient {
		from = now.UTC().Add(-15 * time.Hour) // no wall is further behind, and those that began are stepped over
	}
	for o := c.After(Occurrence{For: from}); !o.IsZero(); o = c.After(o) {
		if o.Begin.After(now) {
			return o
		}
	}
	return Occurrence{}
}

// After is the next occurrence after another; zero when there is none.
func (c Calendar) After(o Occurrence) Occurrence {
	next := c.step(o.For)
	if next.IsZero() || (!c.until.IsZero() && next.After(c.until)) {
		return Occurrence{}
	}
	return Occurrence{next, c.begins(next)}
}

// step is the next time of a cron schedule, whatever until says.
func (c Calendar) step(after time.Time) time.Time {
	if c.spec == nil {
		return time.Time{}
	}
	if c.recipient {
		return c.spec.Next(after.UTC())
	}
	// Wall times and the moments they mean have the same order, so the first
	// wall time whose moment is later is the next. Where clocks went back the
	// wall time of after came twice; hence the step back.
	local := after.In(c.zone)
	_, offset := local.Zone()
	wall := after.UTC().Add(time.Duration(offset) * time.Second).Add(-3 * time.Hour)
	for range maxSteps {
		if wall = c.spec.Next(wall); wall.IsZero() {
			break
		}
		if at := rapport.LocalTime(wall, c.zone).UTC(); at.After(after) {
			return at
		}
	}
	return time.Time{}
}

// maxSteps is more than the minutes of the longest day that clocks repeat.
const maxSteps = 2000

// Missed is what a recurring campaign does about a time that has come: Run is
// the occurrence to run now (zero: none, it is too old), Next the one to wait
// for, Skipped says that at least one before was left out.
type Missed struct {
	Run, Next Occurrence
	Skipped   bool
}

// Due decides which occurrence runs when at least one has begun: the newest,
// if it is less than half a period old.
func (c Calendar) Due(first Occurrence, now time.Time) Missed {
	newest := c.newest(first, now)
	m := Missed{Run: newest, Next: c.After(newest), Skipped: newest != first}
	following := c.step(newest.For)
	if following.IsZero() {
		return m
	}
	if period := following.Sub(newest.For); now.Sub(newest.Begin) >= period/2 {
		m.Run, m.Skipped = Occurrence{}, true
	}
	return m
}

// newest is the last occurrence that has begun, at least the first.
func (c Calendar) newest(first Occurrence, now time.Time) Occurrence {
	// After a long silence, look back no further than needed.
	for _, back := range []time.Duration{time.Hour, 26 * time.Hour, 40 * 24 * time.Hour} {
		from := now.UTC().Add(-back)
		if !from.After(first.For) {
			break
		}
		if o := c.After(Occurrence{For: from}); !o.IsZero() && !o.Begin.After(now) {
			first = o
			break
		}
	}
	for {
		next := c.After(first)
		if next.IsZero() || next.Begin.After(now) {
			return first
		}
		first = next
	}
}
