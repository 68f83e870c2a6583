package consent

import (
	"slices"
	"time"

	"rapport"
)

// Terms is what the configuration says about every entry.
type Terms struct {
	Controller   string   // who is responsible for the data
	Jurisdiction string   // whose law applies, like DE
	Categories   []string // kinds of data worked with
	// Expires ends a "yes" to a topic so long after the act that gave it, when
	// the entry names no end itself.
	Expires map[string]Span
	// Networks is how much of a network address is evidence; empty: what the
	// entry brings.
	Networks rapport.Networks
}

// Span is a length of time in calendar months and days.
type Span struct{ Months, Days int }

// After is the moment a span after another one.
func (s Span) After(t time.Time) time.Time { return t.AddDate(0, s.Months, s.Days) }

// Apply completes an entry: what the configuration knows, and whose clock its
// time is of. It changes nothing that is filled in.
func (t Terms) Apply(e Entry) Entry {
	if e.Controller == "" {
		e.Controller = t.Controller
	}
	if e.Jurisdiction == "" {
		e.Jurisdiction = t.Jurisdiction
	}
	if e.Categories == nil {
		e.Categories = slices.Clone(t.Categories)
	}
	if e.Clock == "" {
		e.Clock = StatedClock
		if e.Undated {
			e.Clock = FileClock
		}
	}
	if t.Networks != "" {
		e.IP = t.Networks.Keep(e.IP)
	}
	span, ends := t.Expires[e.Topic]
	if ends && e.Expires.IsZero() && e.State.Answer() == Yes && (e.Basis == ByConsent || e.Basis == BySoftOptIn) {
		e.Expires = span.After(e.At)
	}
	e.Expires = e.Expires.UTC().Truncate(time.Microsecond)
	return e
}
