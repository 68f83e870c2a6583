package outbox

import (
	"time"

	"rapport/calendars"
	"rapport/channels"
)

// Calm says when people are left alone: the quiet hours of an installation, and
// whose days off count. It is not changed once it is made; the zero value knows
// only the windows of runs.
type Calm struct {
	General  *Quiet                    // nil: none
	Classes  map[channels.Class]*Quiet // instead of General
	Channels map[string]*Quiet         // instead of both, by channel; nil: never quiet there
	Topics   map[string]bool           // whether quiet hours hold a topic, whatever its class
	Shadow   bool                      // only told, not kept to

	Spread       time.Duration // within which what waited for the end of quiet hours begins
	WindowSpread time.Duration // the same for windows

	Home      *time.Location // of people whose own is not known
	Country   string         // attribute that holds a person's country
	Elsewhere string         // calendar of people whose country has none or is not known
	// Book is the calendars as they are now; nil: there are none.
	Book func() *calendars.Book
	// Zone finds a time zone by name; nil: there is none of that name.
	Zone func(name string) *time.Location
}

// QuietOf is the quiet hours that hold the messages of a run, whether they are
// kept to or only told; nil for none. Transactional topics are never held
// unless they say so.
func (c *Calm) QuietOf(class channels.Class, topic, channel string) *Quiet {
	on, said := c.Topics[topic]
	if said && !on || !said && class == channels.Transactional {
		return nil
	}
	if q, ok := c.Channels[channel]; ok {
		return q
	}
	if q, ok := c.Classes[class]; ok {
		return q
	}
	return c.General
}

// Opening is when a message may leave.
type Opening struct {
	At     time.Time // zero: now
	Shadow Reason    // what would hold it now, if it were kept to
}

// Opens says when a message of a run may leave to a person, by the run's window
// and the quiet hours. A person who was erased has no hours. What waits is
// spread over the first minutes, the same for a delivery each time.
func (c *Calm) Opens(r *Run, d *Delivery, now time.Time) Opening {
	q := c.QuietOf(r.Class, r.Topic, r.Channel)
	if r.Window == nil && q == nil {
		return Opening{}
	}
	return c.opens(r.Window, q, d.Person, d.ID, now)
}

// rounds bounds how often a window and quiet hours push each other on.
const rounds = 50

func (c *Calm) opens(w *Window, q *Quiet, p *Person, delivery int64, now time.Time) (out Opening) {
	if p == nil {
		p = &Person{}
	}
	zone := c.ZoneOf(p)
	var offWindow, offQuiet Off
	if w != nil {
		offWindow = c.off(w.Calendar, p)
	}
	if q != nil {
		offQuiet = c.off(q.Calendar, p)
		if c.Shadow {
			if q.Holds(now, zone, offQuiet) {
				out.Shadow = WaitQuiet
			}
			q = nil
		}
	}
	open := func(t time.Time) (time.Time, time.Duration) {
		within := c.WindowSpread
		for range rounds {
			was := t
			if w != nil {
				if t = w.OpensOn(t, zone, offWindow); t.After(was) {
					within = min(c.WindowSpread, (w.To-w.From)/10)
				}
			}
			if q != nil {
				if end := q.Ends(t, zone, offQuiet); end.After(t) {
					t, within = end, c.Spread
				}
			}
			if t.Equal(was) {
				break
			}
		}
		return t, within
	}
	at, within := open(now)
	if !at.After(now) {
		return out
	}
	out.At = at
	if later := at.Add(Spread(delivery, within)); later.After(at) {
		if still, _ := open(later); still.Equal(later) {
			out.At = later
		}
	}
	return out
}

// Meets says whether there is a moment in the coming year at which a window and
// quiet hours both let a message leave, as far as the zone tells.
func (c *Calm) Meets(w *Window, q *Quiet, now time.Time, zone *time.Location) bool {
	t := now
	for range 2 * quietDays {
		was := t
		t = q.Ends(w.OpensOn(t, zone, nil), zone, nil)
		if t.Equal(was) {
			return true
		}
		if t.After(now.AddDate(1, 0, 0)) {
			return false
		}
	}
	return false
}

// ZoneOf is the time zone of a person: their own, else that of their country if
// it has one only, else the installation's.
func (c *Calm) ZoneOf(p *Person) *time.Location {
	if c.Zone != nil {
		if z := c.Zone(p.Zone); p.Zone != "" && z != nil {
			return z
		}
		if name := calendars.PlaceOf(p.Attributes, c.Country, p.Locale).Zone(); name != "" {
			if z := c.Zone(name); z != nil {
				return z
			}
		}
	}
	if c.Home == nil {
		return time.UTC
	}
	return c.Home
}

// off is the days off of a calendar for a person; nil for none.
func (c *Calm) off(name string, p *Person) Off {
	if name == "" || c.Book == nil {
		return nil
	}
	book := c.Book()
	if name == calendars.Recipient {
		if cal := book.For(calendars.PlaceOf(p.Attributes, c.Country, p.Locale)); cal != nil {
			return cal.Off
		}
		name = c.Elsewhere
	}
	if cal, err := book.Calendar(name); err == nil {
		return cal.Off
	}
	return nil
}
