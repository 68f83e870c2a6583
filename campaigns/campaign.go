package campaigns

import (
	"encoding/json"
	"fmt"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/conditions"
	"rapport/outbox"
)

// State is where a campaign stands.
type State string

// The states of a campaign. A recurring one goes back to Scheduled after each
// run.
const (
	Draft     State = "draft"
	Scheduled State = "scheduled"
	Running   State = "running"
	Paused    State = "paused"
	Finished  State = "finished"
	Cancelled State = "cancelled"
)

// Campaign is a definition and where it stands.
type Campaign struct {
	ID         int64      `json:"-"`
	UID        string     `json:"id"`
	Name       string     `json:"name"`
	Title      string     `json:"title"`
	State      State      `json:"state"`
	Definition Definition `json:"definition"`
	Next       Occurrence `json:"-"`              // zero when nothing is scheduled
	NextAt     *time.Time `json:"next_at"`        // when the next run begins
	Note       string     `json:"note,omitempty"` // what people should know
	Revision   int64      `json:"revision"`       // grows each time the draft is put again
	Actor      string     `json:"actor"`          // who put it
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// Definition is a campaign as a file says it.
type Definition struct {
	Name     string             `json:"name"`
	Title    string             `json:"title,omitempty"`
	Topic    string             `json:"topic"`
	Channel  string             `json:"channel"`
	Template string             `json:"template"`
	Audience Audience           `json:"audience"`
	Schedule Schedule           `json:"schedule"`
	Window   *outbox.WindowSpec `json:"window,omitempty"`
	Expires  channels.Duration  `json:"expires,omitempty"` // after each delivery's own due time; 0: the default of its class
	ReplyTo  string             `json:"reply_to,omitempty"`
	Tracking string             `json:"tracking,omitempty"` // person, aggregate or off; empty: the configured one
	Data     map[string]any     `json:"data,omitempty"`     // data.<key> in the template, the same for everybody
}

// Audience is whom a campaign is for: who is in any of the segments (everybody
// when there is none) and matches Where, but in none of Exclude.
type Audience struct {
	Where    string   `json:"where,omitempty"`    // condition
	Segments []string `json:"segments,omitempty"` // names
	Exclude  []string `json:"exclude,omitempty"`  // names of segments
}

// Schedule says when: exactly one of Now, At and Cron is set.
type Schedule struct {
	Now   bool   `json:"now,omitempty"`
	At    string `json:"at,omitempty"`    // 2026-12-01T09:00 in Zone, or with an offset
	Cron  string `json:"cron,omitempty"`  // five fields in Zone
	Zone  string `json:"zone,omitempty"`  // IANA name, or "recipient"; empty: the installation's
	Until string `json:"until,omitempty"` // last possible time of a Cron schedule, as At
	Late  string `json:"late,omitempty"`  // zone: recipient, whose time is over at the start: send (default) or skip
}

// Defaults of Definition.Expires.
const (
	ExpiresMarketing     = 24 * time.Hour
	ExpiresTransactional = 4 * 24 * time.Hour
)

// expiry is how long after its due time a delivery may still leave.
func expiry(d channels.Duration, class channels.Class) time.Duration {
	if class == channels.Transactional {
		return d.Or(ExpiresTransactional)
	}
	return d.Or(ExpiresMarketing)
}

// Frozen is the audience of a run as it was when the run began: the conditions
// themselves, not the names of segments that may change.
type Frozen struct {
	Where     string          `json:"where,omitempty"`
	Segments  []string        `json:"segments,omitempty"`
	Exclude   []string        `json:"exclude,omitempty"`
	Recipient bool            `json:"recipient,omitempty"` // each at the run's wall time in their own zone
	SkipLate  bool            `json:"skip_late,omitempty"` // whose time was over at the start is not written to
	Data      json.RawMessage `json:"data,omitempty"`
}

// Run is one execution of a campaign, or one message to one person.
type Run struct {
	ID           int64           `json:"-"`
	UID          string          `json:"run"`
	Campaign     int64           `json:"-"`                   // 0: a single message
	Reference    string          `json:"reference,omitempty"` // of a single message
	Name         string          `json:"campaign"`            // of the campaign, or of the template of a single message
	Channel      string          `json:"channel"`
	Driver       string          `json:"-"`
	Kind         string          `json:"-"` // of address
	Topic        string          `json:"topic"`
	Class        channels.Class  `json:"-"`
	Revision     int64           `json:"-"` // of the template
	Terms        outbox.Terms    `json:"-"`
	Audience     Frozen          `json:"-"`
	State        outbox.RunState `json:"state"`
	Note         string          `json:"note,omitempty"`
	ScheduledFor time.Time       `json:"scheduled_for"` // with Audience.Recipient the wall time, written as UTC
	Expires      time.Duration   `json:"-"`
	StartedAt    time.Time       `json:"started_at"`
	PlannedAt    *time.Time      `json:"planned_at"`
	FinishedAt   *time.Time      `json:"finished_at"`
}

// Aim is an audience that was checked and can be asked for: who is meant, by
// which driver, about what.
type Aim struct {
	Where    *conditions.Condition // nil: everybody
	Segments []*conditions.Condition
	Exclude  []*conditions.Condition
	Driver   string
	Kind     string // of address
	Topic    string
	// Now is the moment the conditions mean; its location is the zone of
	// whoever has none.
	Now time.Time
	// Zones are the time zones in use, for conditions that ask which day it
	// is; see NeedsZones.
	Zones []string
	// Wall is the wall time at which each is due in their own zone; zero: all
	// are due when the run is.
	Wall time.Time
	// LateBefore: whoever was due before is not planned; zero: nobody.
	LateBefore time.Time
	// Apart is what planning remembers about receiving domains; nil: nothing.
	Apart *Apart

	due map[string]time.Time // by zone, of those that were in use
}

// DueIn is when somebody of that zone is due, if Wall is set.
func (a *Aim) DueIn(zone string) time.Time {
	if at, ok := a.due[zone]; ok {
		return at
	}
	return DueIn(a.Wall, zone, a.Now.Location())
}

// DueIn is when a wall time comes in the zone of that name, or in home when
// there is no such zone.
func DueIn(wall time.Time, zone string, home *time.Location) time.Time {
	if zone != "" {
		if z, err := time.LoadLocation(zone); err == nil {
			home = z
		}
	}
	return rapport.LocalTime(wall, home).UTC()
}

// lateGrace is how much later than its time a run may begin before people are
// late by it.
const lateGrace = 5 * time.Minute

// NeedsZones says whether a condition of the aim depends on people's zones.
func (a *Aim) NeedsZones() bool {
	all := append(append([]*conditions.Condition{a.Where}, a.Segments...), a.Exclude...)
	for _, c := range all {
		if c != nil && c.Uses().Today {
			return true
		}
	}
	return false
}

// aim checks the frozen conditions against what conditions may speak of now.
func (f Frozen) aim(schema conditions.Schema) (Aim, error) {
	var a Aim
	check := func(source string) (*conditions.Condition, error) {
		c, err := conditions.Check(source, schema)
		if err != nil {
			return nil, fmt.Errorf("a condition of the audience: %w", err)
		}
		return c, nil
	}
	var err error
	if f.Where != "" {
		if a.Where, err = check(f.Where); err != nil {
			return a, err
		}
	}
	for _, s := range f.Segments {
		c, err := check(s)
		if err != nil {
			return a, err
		}
		a.Segments = append(a.Segments, c)
	}
	for _, s := range f.Exclude {
		c, err := check(s)
		if err != nil {
			return a, err
		}
		a.Exclude = append(a.Exclude, c)
	}
	return a, nil
}
