package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/conditions"
	"rapport/internal/strictyaml"
	"rapport/templates"
)

// maxData is how long the data of a campaign may be: it stands on every
// delivery.
const maxData = 4 << 10

// names is what a definition may speak of.
type names struct {
	channels  []Channel
	topics    map[string]channels.Class
	templates map[string]templates.Template
	segments  map[string]string // condition by name
	schema    conditions.Schema
	home      *time.Location
}

// reading is a file on its way to a definition.
type reading struct {
	doc   *strictyaml.Document
	found strictyaml.Complaints
	def   Definition
}

func (r *reading) complain(key, format string, args ...any) {
	for _, c := range r.found {
		if c.Key == key {
			return // the first complaint about a key explains the others
		}
	}
	r.found = append(r.found, r.doc.Complain(key, format, args...))
}

// parse reads a definition and complains about everything at once, with file,
// line and key.
func parse(file string, data []byte, known names) (Definition, error) {
	r := &reading{}
	var err error
	if r.doc, err = strictyaml.Parse(file, data); err != nil {
		return r.def, err
	}
	if err = r.doc.Decode(&r.def); err != nil {
		list, ok := errors.AsType[strictyaml.Complaints](err)
		if !ok {
			return r.def, fmt.Errorf("read %s: %w", file, err)
		}
		r.found = list
	}
	r.names(known)
	r.audience(known)
	r.schedule(known.home)
	r.rest()
	return r.def, r.found.Err()
}

func (r *reading) names(known names) {
	if err := rapport.CheckName("", r.def.Name); err != nil {
		r.complain("name", "%s", sentence(err))
	}
	r.one("topic", r.def.Topic, keysOf(known.topics))
	if why := reserved(r.def.Topic); why != "" {
		r.complain("topic", "%s", why)
	}
	r.one("template", r.def.Template, keysOf(known.templates))
	i := slices.IndexFunc(known.channels, func(c Channel) bool { return c.Name == r.def.Channel })
	if i < 0 {
		r.one("channel", r.def.Channel, channelNames(known.channels))
		return
	}
	driver := known.channels[i].Driver
	if t, ok := known.templates[r.def.Template]; ok && t.Driver != driver {
		r.complain("template", "%s is written for %s, and channel %s speaks %s", r.def.Template, t.Driver, r.def.Channel, driver)
	}
}

// one complains when a name is missing or is not among the known ones.
func (r *reading) one(key, name string, known []string) {
	switch {
	case name == "" && len(known) > 0:
		r.complain(key, "is missing; known: %s", strings.Join(known, ", "))
	case name == "":
		r.complain(key, "is missing")
	case !slices.Contains(known, name):
		r.complain(key, "%s", rapport.Unknown(key, name, known).Msg)
	}
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (r *reading) audience(known names) {
	a := r.def.Audience
	schema := known.schema
	// A campaign may ask whether somebody received it before it exists.
	schema.Campaigns = append(slices.Clone(schema.Campaigns), r.def.Name)
	if a.Where != "" {
		if _, err := conditions.Check(a.Where, schema); err != nil {
			r.complain("audience.where", "%s", sentence(err))
		}
	}
	for key, list := range map[string][]string{"audience.segments": a.Segments, "audience.exclude": a.Exclude} {
		for i, name := range list {
			at := fmt.Sprintf("%s[%d]", key, i)
			condition, ok := known.segments[name]
			if !ok {
				r.complain(at, "%s", rapport.Unknown("segment", name, keysOf(known.segments)).Msg)
				continue
			}
			if _, err := conditions.Check(condition, schema); err != nil {
				r.complain(at, "the condition of segment %s does not hold any more: %s", name, sentence(err))
			}
		}
	}
}

func (r *reading) schedule(home *time.Location) {
	s := r.def.Schedule
	var ways []string
	for way, set := range map[string]bool{"now": s.Now, "at": s.At != "", "cron": s.Cron != ""} {
		if set {
			ways = append(ways, way)
		}
	}
	slices.Sort(ways)
	switch {
	case len(ways) == 0:
		r.complain("schedule", "says no time; write now: true, at: 2026-12-01T09:00 or cron: \"0 9 * * 1\"")
	case len(ways) > 1:
		r.complain("schedule", "has %s; a campaign has one of now, at and cron", strings.Join(ways, " and "))
	}
	if _, err := s.Calendar(home, nil); err != nil {
		if f, ok := errors.AsType[*FieldError](err); ok {
			r.complain("schedule."+f.Field, "%s", f.Msg)
		}
	}
	if s.Until != "" && s.Cron == "" {
		r.complain("schedule.until", "is for a cron schedule; a campaign with one time needs none")
	}
	switch s.Late {
	case "", LateSend, LateSkip:
	default:
		r.complain("schedule.late", "is %q; write send or skip", s.Late)
	}
	if s.Late != "" && s.Zone != Recipient {
		r.complain("schedule.late", "is about people whose time is over, so it needs zone: recipient")
	}
	if s.Now && s.Zone == Recipient {
		r.complain("schedule.zone", "a campaign that starts now has no local time; leave the zone away or write at")
	}
}

// LateSend and LateSkip say what becomes of people whose local time is over
// at the start.
const (
	LateSend = "send"
	LateSkip = "skip"
)

func (r *reading) rest() {
	if w := r.def.Window; w != nil {
		if _, err := w.Parse(); err != nil {
			r.complain("window", "%s", err.Error())
		}
	}
	if r.def.Expires < 0 {
		r.complain("expires", "is negative; write how long after its time a message still makes sense, like 48h")
	}
	switch r.def.Tracking {
	case "", "person", "aggregate", "off":
	default:
		r.complain("tracking", "is %q; write person, aggregate or off", r.def.Tracking)
	}
	if strings.ContainsAny(r.def.ReplyTo, "\r\n") {
		r.complain("reply_to", "has a line break; it is one address")
	}
	if raw, err := json.Marshal(r.def.Data); err != nil || len(raw) > maxData {
		r.complain("data", "is longer than %d octets; it is kept with every message", maxData)
	}
}

// sentence is what a person reads of an error of the house.
func sentence(err error) string {
	if e, ok := errors.AsType[*rapport.Error](err); ok {
		return e.Msg
	}
	return err.Error()
}

// known reads what definitions may speak of.
func (s *Service) known(ctx context.Context) (names, error) {
	n := names{channels: s.channels, home: s.zone, topics: map[string]channels.Class{}, templates: map[string]templates.Template{}, segments: map[string]string{}}
	var err error
	if n.schema, err = s.contacts.Schema(ctx); err != nil {
		return n, err
	}
	topics, err := s.consent.Topics(ctx)
	if err != nil {
		return n, err
	}
	for _, t := range topics {
		n.topics[t.Name] = classOf(t.Kind)
	}
	segments, err := s.contacts.Segments(ctx)
	if err != nil {
		return n, err
	}
	for _, g := range segments {
		n.segments[g.Name] = g.Condition
	}
	for after := ""; ; {
		list, err := s.templates.List(ctx, after, 500)
		if err != nil {
			return n, err
		}
		for _, t := range list {
			n.templates[t.Name] = t
			after = t.Name
		}
		if len(list) < 500 {
			return n, nil
		}
	}
}

func classOf(kind string) channels.Class {
	if kind == channels.Transactional.String() {
		return channels.Transactional
	}
	return channels.Marketing
}
