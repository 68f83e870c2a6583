package store

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rapport/conditions"
)

// This file makes random people and random conditions for the property that
// both readings of a condition agree. Values come from small pools full of
// borders, so that comparisons are often equal and often off by one.

func conditionSchema() conditions.Schema {
	return conditions.Schema{
		Attributes: map[string]conditions.Type{
			"city": "text", "tier": "text", "größe 2": "text", "points": "number", "spent": "number",
			"vip": "bool", "hot": "bool", "birthday": "date", "until": "date", "seen": "time", "ordered": "time", "prefs": "json",
		},
		Addresses: []string{"email", "phone"}, Drivers: []string{"email", "slack"},
		Topics: []string{"news", "offers"}, Campaigns: []string{"spring", "autumn"}, Events: []string{"order.placed", "points.earned"},
	}
}

var (
	somePoints = []float64{0, 1, -1, 2, 0.1, 0.2, 0.3, 0.30000000000000004, 100, 99.99, 1e15 + 0.5, 9007199254740991, 9007199254740992, 9007199254740994, 1e300, -1e300, 5e-324, math.MaxFloat64, 1e-13, 1.0 / (1 << 40), 1.0 / (1 << 41), -12345.678}
	someTexts  = []string{"", "a", "A", "ab", "b", "B", "Z", "ä", "Ä", "a\u0308", "ß", "ss", "🙂", "🙂a", "\uFFFD", "\uE000", "\U0010FFFF", "%", "_", "a_b", "\\", "'", "\"", "a'b", "\n", " ", "a ", "\u200B", "İ", "1", "true"}
	someDays   = []string{"0001-01-01", "9999-12-31", "1969-12-31", "1970-01-01", "2000-02-29", "2000-02-28", "1999-03-01", "2024-02-29", "2026-02-28", "2026-02-27", "2026-03-01", "2026-11-24", "2026-11-25", "2026-11-23", "1990-11-24", "1990-11-25"}
	someZones  = []string{"", "UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "Asia/Kathmandu", "Local", "No/Such"}
	someNows   = []time.Time{
		time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC), // three days at once
		time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC),
		time.Date(2026, 2, 28, 12, 0, 0, 123456789, time.UTC),
		time.Date(2024, 2, 28, 23, 59, 59, 999999999, time.UTC),
		time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 1, 0, 0, 0, 1000, time.UTC),
	}
	someDurations = []string{"0s", "1us", "1h", "24h", "720h", "-1h", "1h30m0.000001s", "2000000h"}
)

func pick[T any](t *rapid.T, from []T) T { return from[rapid.IntRange(0, len(from)-1).Draw(t, "pick")] }

// chance is true in n of 10 cases.
func chance(t *rapid.T, n int) bool { return rapid.IntRange(0, 9).Draw(t, "chance") < n }

func randomText(t *rapid.T) string {
	if chance(t, 8) {
		return pick(t, someTexts)
	}
	return strings.ReplaceAll(rapid.StringN(0, 6, 24).Draw(t, "text"), "\x00", "")
}

func randomNumber(t *rapid.T) float64 {
	if chance(t, 8) {
		return pick(t, somePoints)
	}
	return rapid.Float64Range(-1e18, 1e18).Draw(t, "number")
}

func randomDay(t *rapid.T) string {
	if chance(t, 8) {
		return pick(t, someDays)
	}
	return conditions.Day(rapid.IntRange(-200_000, 200_000).Draw(t, "day")).String()
}

// randomTime is a whole microsecond near now, at a border or anywhere.
func randomTime(t *rapid.T, now time.Time) time.Time {
	now = now.Truncate(time.Microsecond)
	switch rapid.IntRange(0, 5).Draw(t, "when") {
	case 0:
		return now
	case 1:
		return now.Add(-720 * time.Hour).Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "off")) * time.Microsecond)
	case 2:
		return now.Truncate(24 * time.Hour)
	case 3:
		return pick(t, []time.Time{time.Unix(0, 0), time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)})
	default:
		return time.UnixMicro(rapid.Int64Range(-5e15, 5e15).Draw(t, "micros"))
	}
}

// soul is a random person with everything the store keeps about them.
type soul struct {
	person     conditions.Person
	attributes map[string]any // as they stand in JSON
	consents   map[string]string
	ends       map[string]time.Time
	last       []happening
	events     []told
}

// told is an event.
type told struct {
	name string
	at   time.Time
}

type happening struct {
	kind     conditions.PastKind
	campaign string
	at       time.Time
	counts   bool // else by a machine, or a delivery that is not sent
}

func randomSoul(t *rapid.T, id int, now time.Time) soul {
	s := soul{attributes: map[string]any{}, consents: map[string]string{}, ends: map[string]time.Time{}}
	s.person = conditions.Person{
		ID: fmt.Sprintf("u%d", id), Locale: pick(t, []string{"", "de", "de-CH", "en"}), TimeZone: pick(t, someZones),
		CreatedAt: randomTime(t, now), Attributes: map[string]any{}, Addresses: map[string]string{},
	}
	if chance(t, 5) {
		s.person.ExternalID = fmt.Sprintf("%d#%s", id, randomText(t)) // nobody else's
	}
	types := conditionSchema().Attributes
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if chance(t, 4) {
			if chance(t, 3) {
				s.attributes[name] = nil
			}
			continue
		}
		s.set(t, name, types[name], now)
	}
	for _, kind := range []string{"email", "phone"} {
		if chance(t, 6) {
			s.person.Addresses[kind] = fmt.Sprintf("%s#%d", randomText(t), id) // nobody else's
		}
	}
	for _, at := range []string{"email:news", "email:offers", "slack:news"} {
		if chance(t, 6) {
			s.consents[at] = pick(t, []string{"granted", "withdrawn", "pending"})
			if after := pick(t, []time.Duration{0, 0, -time.Microsecond, time.Microsecond, time.Hour, time.Hour + time.Microsecond, 720 * time.Hour}); after != 0 {
				s.ends[at] = now.Add(after)
			}
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "happenings") {
		s.last = append(s.last, happening{
			pick(t, []conditions.PastKind{conditions.Opened, conditions.Clicked, conditions.Received}),
			pick(t, conditionSchema().Campaigns), randomTime(t, now), chance(t, 7),
		})
	}
	for range rapid.IntRange(0, 4).Draw(t, "events") {
		s.events = append(s.events, told{pick(t, conditionSchema().Events), randomTime(t, now)})
	}
	return s
}

func (s *soul) set(t *rapid.T, name string, typ conditions.Type, now time.Time) {
	var v any
	switch typ {
	case conditions.TypeNumber:
		v = randomNumber(t)
	case conditions.TypeBool:
		v = rapid.Bool().Draw(t, "bool")
	case conditions.TypeDate:
		v = randomDay(t)
	case conditions.TypeTime:
		at := randomTime(t, now)
		s.person.Attributes[name], s.attributes[name] = at, at.UnixMicro()
		return
	case conditions.TypeJSON:
		v = pick(t, []any{map[string]any{"a": 1.0}, []any{}, "x", false, 0.0})
	default:
		v = randomText(t)
	}
	s.person.Attributes[name], s.attributes[name] = v, v
}

// grammar writes random conditions that are well typed.
type grammar struct {
	*rapid.T
	now time.Time
}

func (g grammar) quote(s string) string { return strconv.QuoteToASCII(s) }

func (g grammar) one(of ...func() string) string { return pick(g.T, of)() }

func (g grammar) op() string { return pick(g.T, []string{"==", "!=", "<", "<=", ">", ">="}) }

func (g grammar) boolean(depth int) string {
	if depth <= 0 {
		return g.atom(0)
	}
	sub := func() string { return g.boolean(depth - 1) }
	return g.one(
		func() string { return "(" + sub() + " && " + sub() + ")" },
		func() string { return "(" + sub() + " || " + sub() + ")" },
		func() string { return "!(" + sub() + ")" },
		func() string { return "(" + sub() + " ? " + sub() + " : " + sub() + ")" },
		func() string { return "((" + sub() + ") " + pick(g.T, []string{"==", "!="}) + " (" + sub() + "))" },
		func() string { return g.atom(depth) },
		func() string { return g.atom(depth) },
	)
}

func (g grammar) atom(depth int) string {
	return g.one(
		func() string { return pick(g.T, []string{"true", "false", "contact.vip", "contact.hot"}) },
		func() string { return g.text(depth) + " " + g.op() + " " + g.text(depth) },
		func() string { return g.number(depth) + " " + g.op() + " " + g.number(depth) },
		func() string { return g.moment(depth) + " " + g.op() + " " + g.moment(depth) },
		func() string { return g.duration(depth) + " " + g.op() + " " + g.duration(depth) },
		func() string { return g.date() + " " + g.op() + " " + g.date() },
		func() string { return g.date() + " " + g.op() + " " + g.sameForAll() },
		func() string { return g.sameForAll() + " " + g.op() + " " + g.date() },
		func() string { return g.moment(depth) + " " + g.op() + " " + g.constantDate() },
		func() string {
			return g.text(depth) + "." + pick(g.T, []string{"contains", "startsWith", "endsWith"}) + "(" + g.text(depth) + ")"
		},
		func() string {
			return g.text(depth) + " in [" + g.several(func() string { return g.quote(randomText(g.T)) }) + "]"
		},
		func() string { return g.number(depth) + " in [" + g.several(g.constant) + "]" },
		func() string { return g.date() + " in [" + g.several(g.constantDate) + "]" },
		func() string {
			return "has(" + pick(g.T, []string{"contact.city", "contact.points", "contact.prefs", "contact.seen", "contact.vip", "contact.email", "contact.external_id", "contact.locale", "contact.id", `contact["größe 2"]`}) + ")"
		},
		func() string {
			return `consent("` + pick(g.T, []string{"email", "slack"}) + `", "` + pick(g.T, []string{"news", "offers"}) + `")`
		},
		func() string {
			return `consent_expires("` + pick(g.T, []string{"email", "slack"}) + `", "` + pick(g.T, []string{"news", "offers"}) + `", duration("` + pick(g.T, []string{"1h", "719h", "720h"}) + `"))`
		},
		g.past, g.past,
		func() string { return "anniversary(" + g.dateField() + g.zone() + ")" },
		func() string { return "anniversary(" + g.dateField() + ")" },
	)
}

func (g grammar) several(one func() string) string {
	parts := make([]string, rapid.IntRange(1, 4).Draw(g.T, "several"))
	for i := range parts {
		parts[i] = one()
	}
	return strings.Join(parts, ", ")
}

func (g grammar) past() string {
	within := ""
	if chance(g.T, 6) {
		within = `, duration("` + pick(g.T, []string{"1us", "1h", "720h"}) + `")`
	}
	return pick(g.T, []string{"opened", "clicked", "received"}) + `("` + pick(g.T, conditionSchema().Campaigns) + `"` + within + ")"
}

func (g grammar) zone() string {
	return pick(g.T, []string{"", `, "UTC"`, `, "Pacific/Kiritimati"`, `, "Pacific/Pago_Pago"`})
}

func (g grammar) text(depth int) string {
	field := func() string {
		return pick(g.T, []string{"contact.city", "contact.tier", `contact["größe 2"]`, "contact.email", "contact.phone", "contact.id", "contact.external_id", "contact.locale", "contact.time_zone"})
	}
	if depth <= 0 {
		return field()
	}
	return g.one(field, field,
		func() string { return g.quote(randomText(g.T)) },
		func() string { return g.text(depth-1) + ".lowerAscii()" },
		func() string {
			return "(" + g.boolean(depth-2) + " ? " + g.text(depth-1) + " : " + g.text(depth-1) + ")"
		},
	)
}

// constant writes a number; with its point when it is whole and large.
func (g grammar) constant() string {
	f := pick(g.T, somePoints)
	if math.Abs(f) > 1e15 {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func (g grammar) number(depth int) string {
	field := func() string { return pick(g.T, []string{"contact.points", "contact.spent"}) }
	if depth <= 0 {
		return field()
	}
	return g.one(field, field, g.constant, g.events,
		func() string { return "size(" + g.text(depth-1) + ")" },
		func() string { return "days_until(" + g.dateField() + g.zone() + ")" },
		func() string { return "-" + field() },
		func() string {
			return "(" + g.number(depth-1) + " " + pick(g.T, []string{"+", "-", "*", "/"}) + " " + g.number(depth-1) + ")"
		},
		func() string {
			return "(" + g.boolean(depth-2) + " ? " + g.number(depth-1) + " : " + g.number(depth-1) + ")"
		},
	)
}

func (g grammar) events() string {
	within := ""
	if chance(g.T, 6) {
		within = `, duration("` + pick(g.T, []string{"1us", "1h", "720h", "2000000h"}) + `")`
	}
	return `event("` + pick(g.T, conditionSchema().Events) + `"` + within + ")"
}

func (g grammar) dateField() string { return pick(g.T, []string{"contact.birthday", "contact.until"}) }

func (g grammar) constantDate() string { return `date("` + randomDay(g.T) + `")` }

func (g grammar) date() string { return g.one(g.dateField, g.dateField, g.constantDate) }

func (g grammar) constantDuration() string { return `duration("` + pick(g.T, someDurations) + `")` }

// sameForAll is a moment that does not depend on the contact.
func (g grammar) sameForAll() string {
	return g.one(
		func() string { return "now" },
		func() string { return `timestamp("` + randomTime(g.T, g.now).UTC().Format(time.RFC3339Nano) + `")` },
		func() string { return "(now " + pick(g.T, []string{"+", "-"}) + " " + g.constantDuration() + ")" },
	)
}

func (g grammar) moment(depth int) string {
	field := func() string { return pick(g.T, []string{"contact.seen", "contact.ordered", "contact.created_at"}) }
	if depth <= 0 {
		return field()
	}
	return g.one(field, g.sameForAll,
		func() string {
			return "(" + g.moment(depth-1) + " " + pick(g.T, []string{"+", "-"}) + " " + g.duration(depth-1) + ")"
		},
		func() string {
			return "(" + g.boolean(depth-2) + " ? " + g.moment(depth-1) + " : " + g.moment(depth-1) + ")"
		},
	)
}

func (g grammar) duration(depth int) string {
	if depth <= 0 {
		return g.constantDuration()
	}
	return g.one(g.constantDuration,
		func() string { return "(" + g.moment(depth-1) + " - " + g.moment(depth-1) + ")" },
		func() string { return "-(" + g.duration(depth-1) + ")" },
		func() string {
			return "(" + g.duration(depth-1) + " " + pick(g.T, []string{"+", "-"}) + " " + g.duration(depth-1) + ")"
		},
	)
}
