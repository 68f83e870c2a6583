package contacts

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport/internal/csvtext"
)

// Event is something that happened to a permission or an address before it
// came to us.
type Event string

// The events. The first five are answers of a person about a topic; the others
// are about an address and suppress it.
const (
	EventRequested    Event = "requested" // asked for it, not confirmed
	EventGranted      Event = "granted"
	EventConfirmed    Event = "confirmed" // from the mailbox
	EventWithdrawn    Event = "withdrawn"
	EventObjected     Event = "objected"
	EventBounced      Event = "bounced" // the address does not exist
	EventComplained   Event = "complained"
	EventUnsubscribed Event = "unsubscribed_all" // wants nothing at all
	EventBlocked      Event = "blocked"          // one of theirs decided so
)

// Events lists the events as people write them, in the order in which one
// leads to another.
func Events() []string {
	return []string{
		string(EventRequested), string(EventGranted), string(EventConfirmed), string(EventWithdrawn), string(EventObjected),
		string(EventBounced), string(EventComplained), string(EventUnsubscribed), string(EventBlocked),
	}
}

// parseEvent reads an event, with some of the names it has elsewhere.
func parseEvent(text string) (Event, error) {
	word := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(text)), " ", "_")
	switch word {
	case "subscribed", "opted_in", "opt_in":
		word = string(EventGranted)
	case "pending":
		word = string(EventRequested)
	case "unsubscribed", "opted_out", "opt_out":
		word = string(EventWithdrawn)
	case "bounce", "hard_bounce", "cleaned":
		word = string(EventBounced)
	case "complaint", "spam":
		word = string(EventComplained)
	case "manual", "blocklisted":
		word = string(EventBlocked)
	}
	if !slices.Contains(Events(), word) {
		return "", fmt.Errorf("%s is not an event; known: %s", quote(text), strings.Join(Events(), ", "))
	}
	return Event(word), nil
}

// answers says whether the event is an answer about a topic, and agrees
// whether it is a "yes".
func (e Event) answers() bool {
	switch e {
	case EventRequested, EventGranted, EventConfirmed, EventWithdrawn, EventObjected:
		return true
	case EventBounced, EventComplained, EventUnsubscribed, EventBlocked:
	}
	return false
}

// withdraws says whether an event ends what the person had agreed to.
func (e Event) withdraws() bool {
	switch e {
	case EventWithdrawn, EventObjected, EventComplained, EventUnsubscribed:
		return true
	case EventRequested, EventGranted, EventConfirmed, EventBounced, EventBlocked:
	}
	return false
}

// suppresses is the reason for which an event forbids an address; empty: it
// does not. The words are those of consent.
func (e Event) suppresses() string {
	switch e {
	case EventBounced:
		return "hard_bounce"
	case EventComplained:
		return "complaint"
	case EventUnsubscribed:
		return "unsubscribed_all"
	case EventBlocked:
		return "manual"
	case EventRequested, EventGranted, EventConfirmed, EventWithdrawn, EventObjected:
	}
	return ""
}

// told is what a row says about one event.
type told struct {
	on                         bool
	at                         time.Time // zero: the row does not say
	ip, agent, wording, detail string
	source, reference, channel string
	basis                      string
	driver, topic              string // empty: what the file is about
}

// eventFields lists what a column of an event may hold.
func eventFields() []string { return []string{"at", "ip", "detail"} }

// field takes in one cell about an event.
func (x *told) field(name, cell string, now time.Time) error {
	if cell == "" {
		return nil
	}
	var err error
	switch name {
	case "at":
		x.on = true
		x.at, err = past(cell, now)
	case "ip":
		if ip, perr := netip.ParseAddr(cell); perr != nil || !ip.IsLoopback() { // what a program wrote there is no evidence
			x.ip = cell
		}
	case "detail":
		x.detail = cell
	}
	return err
}

// past reads a moment that must not lie ahead.
func past(cell string, now time.Time) (time.Time, error) {
	at, ok := csvtext.Time(cell)
	switch {
	case !ok:
		return at, fmt.Errorf("%s is not a time; write it like 2026-01-31T09:00:00Z", quote(cell))
	case at.After(now.Add(24 * time.Hour)):
		return at, fmt.Errorf("%s lies in the future", quote(cell))
	case at.After(now):
		return now, nil // a clock or a time zone that is a little ahead
	}
	return at.Truncate(time.Microsecond), nil
}

// tell takes in a cell about what happened before.
func (m *rowMaker) tell(c *column, cell string, say *consentCells) error {
	e := c.event
	if c.role == roleStatus {
		word, known := c.words[strings.ToLower(cell)]
		if cell == "" || word == "-" {
			return nil
		}
		if !known {
			return fmt.Errorf("%s is not a word of it that is known", quote(cell))
		}
		e = Event(word)
	}
	if say.events == nil {
		say.events = map[Event]*told{}
	}
	x := say.events[e]
	if x == nil {
		x = &told{}
		say.events[e] = x
	}
	if c.role == roleStatus {
		x.on = true
		return nil
	}
	return x.field(c.field, cell, m.now)
}

// events turns what a row tells about events into permissions and
// suppressions. A confirmation without the request before it is taken for a
// plain "yes": it proves one step and not two.
func (m *rowMaker) events(r *Row, all map[Event]*told) error {
	if c := all[EventConfirmed]; c != nil && c.on && !happened(all, EventRequested) && !happened(all, EventGranted) {
		all[EventGranted], all[EventConfirmed] = c, nil
	}
	for _, name := range Events() {
		if x := all[Event(name)]; x != nil && x.on {
			if err := m.event(r, Event(name), x); err != nil {
				return err
			}
		}
	}
	return nil
}

func happened(all map[Event]*told, e Event) bool {
	return all[e] != nil && all[e].on && !all[e].at.IsZero()
}

// event takes in one event for everything it is about.
func (m *rowMaker) event(r *Row, e Event, x *told) error {
	about := m.about
	if x.driver != "" {
		about = []permit{{Grant{x.driver, x.topic}, m.kindOf[x.driver]}}
	}
	at, undated := x.at, x.at.IsZero()
	if undated {
		at = m.now
	}
	var forbidden []string
	for _, p := range about {
		if reason := e.suppresses(); reason != "" && !slices.Contains(forbidden, p.kind) {
			forbidden = append(forbidden, p.kind)
			for _, a := range r.Addresses {
				if a.Kind == p.kind {
					r.Suppressions = append(r.Suppressions, Suppression{Address: a, Reason: reason, Detail: x.detail, At: at, Undated: undated, Reference: m.reference(r.Line, x.reference)})
				}
			}
		}
		if p.Topic == "" || !e.answers() && !e.withdraws() {
			continue
		}
		c := Consent{
			Driver: p.Driver, Kind: p.kind, Topic: p.Topic, State: string(e), Basis: x.basis, Source: m.sourceOf(x), IP: x.ip, At: at, Undated: undated,
			History: true, Agent: x.agent, Wording: x.wording, Channel: x.channel, Reference: m.reference(r.Line, x.reference),
		}
		if !e.answers() {
			c.State = string(EventWithdrawn)
		}
		if c.Basis == "" {
			c.Basis = m.basis
		}
		for _, a := range r.Addresses {
			if a.Kind == p.kind {
				c.Address, c.Given = a.Value, a.Display
			}
		}
		var err error
		if c.Salt, err = m.salt(); err != nil {
			return err
		}
		r.Consents = append(r.Consents, c)
	}
	return nil
}

// sourceOf says where an answer came from, with what the row adds. Without any
// word about it there is none, and a "yes" is not taken.
func (m *rowMaker) sourceOf(x *told) string {
	source := x.source
	if source == "" {
		source = m.source
	}
	if x.detail != "" && source != "" {
		source += " (" + x.detail + ")"
	}
	return source
}

// reference names a line of the file, and what the row names itself.
func (m *rowMaker) reference(line int, own string) string {
	ref := "import " + m.file + ":" + strconv.Itoa(line)
	if own != "" {
		ref += "; " + own
	}
	return ref
}

// kindsOfDrivers is which kind of address each driver reaches.
func (r headerRules) kindsOfDrivers() map[string]string {
	out := map[string]string{}
	for _, d := range r.drivers.Drivers() {
		out[d.Name] = d.Address.Kind
	}
	return out
}

var errNoTopic = errors.New("the event is an answer and names no topic; give it a column topic, or say what the file is about with --for DRIVER:TOPIC")
