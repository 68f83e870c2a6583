package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rapport/conditions"
)

// borders are conditions at which the readings could part: they are compared
// over people made for them, and their SQL is a golden file.
func borders() []string {
	return []string{
		`contact.city == "a"`, `contact.city < "b"`, `contact.city > contact.tier`, `contact["größe 2"].lowerAscii() == "ä"`,
		`contact.city.startsWith(contact.tier)`, `contact.city.endsWith(contact.tier)`, `contact.city.contains(contact.tier)`,
		`contact.city in ["a", "ä", "'"]`, `size(contact.city) == 2`,
		`contact.points == 0.1`, `contact.points / contact.spent > 0.4`, `contact.points + 1 > 0 || contact.points + 1 <= 0`,
		`contact.points + 0.2 == 0.30000000000000004`, `-contact.points * contact.spent < 0`, `contact.points in [0, 0.1, 9007199254740992.0]`,
		`contact.points > 9007199254740991`, `contact.vip == contact.hot`, `contact.vip ? contact.hot : contact.points > 1`,
		`contact.birthday < now`, `contact.birthday <= now`, `contact.birthday > now`, `contact.birthday >= now`, `contact.birthday == now`, `contact.birthday != now`,
		`contact.birthday < timestamp("2026-11-24T00:00:00Z")`, `contact.birthday >= timestamp("2026-11-24T00:00:00Z")`, `contact.birthday == timestamp("2026-11-24T00:00:00Z")`,
		`contact.birthday > date("2026-11-23")`, `contact.birthday in [date("2026-11-24")]`, `contact.seen > date("2026-11-24")`,
		`contact.seen <= now - duration("720h")`, `now - contact.seen >= duration("720h")`, `contact.seen == contact.created_at`,
		`anniversary(contact.birthday)`, `anniversary(contact.birthday, "UTC")`,
		`days_until(contact.birthday) == 0`, `days_until(contact.birthday) >= 1`, `days_until(contact.birthday, "UTC") == -1`,
		`has(contact.prefs) && !has(contact.city)`, `has(contact.email) || has(contact.external_id)`,
		`contact.email != contact.id`, `contact.locale == "de" || contact.time_zone == "UTC"`,
		`consent("email", "offers")`, `consent_expires("email", "offers", duration("1h"))`, `opened("spring", duration("1h")) && !clicked("autumn")`, `received("spring", duration("720h"))`,
		`event("order.placed") == 2`, `event("order.placed", duration("1h")) >= 1`, `event("points.earned") / event("order.placed") == 0.5`, `event("points.earned", duration("720h")) == 0`,
	}
}

// deepest are conditions as deep and long as they may be: no engine's parser
// may give up before Check does.
func deepest() []string {
	inner := "contact.hot"
	for range 18 {
		inner = "((" + inner + ") ? false : contact.vip)"
	}
	return []string{
		strings.Repeat("!", 39) + "contact.vip",
		strings.Repeat("contact.vip ? contact.hot : (", 19) + "true" + strings.Repeat(")", 19),
		inner,
		"(" + strings.Repeat("1 + ", 37) + "1) / contact.points > 0",
		"contact.points in [" + strings.Repeat("2,", 999) + "1]",
		strings.Repeat("contact.vip || ", 200) + "contact.hot",
	}
}

func TestConditionsAgreeAtBorders(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		furnish(t, s)
		var all [][2]*conditions.Condition
		for _, source := range append(borders(), deepest()...) {
			all = append(all, [2]*conditions.Condition{checked(t, source), checked(t, "!("+source+")")})
		}
		moments := []time.Time{someNows[0], someNows[2], someNows[4]}
		if testing.Short() {
			moments = moments[:1]
		}
		for _, now := range moments {
			people := cornerPeople(now)
			if err := settle(t.Context(), s, people); err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				if agree(t, s, c[0], people, now)+agree(t, s, c[1], people, now) == 0 {
					t.Errorf("%s: nobody matches this nor its negation: these people prove nothing", c[0].Source())
				}
			}
		}
	})
}

func checked(t *testing.T, source string) *conditions.Condition {
	t.Helper()
	c, err := conditions.Check(source, conditionSchema())
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return c
}

// cornerPeople hold one value at a border each, with the values near it.
func cornerPeople(now time.Time) []soul {
	now = now.Truncate(time.Microsecond)
	var people []soul
	add := func(zone string, attributes map[string]any) {
		people = append(people, cornerPerson(len(people)+1, now, zone, attributes))
	}
	for i, text := range someTexts {
		add("", map[string]any{"city": text, "tier": someTexts[(i*7+3)%len(someTexts)], "größe 2": text})
		add("", map[string]any{"city": text + "ab", "tier": "ab"})
		add("", map[string]any{"city": "b", "tier": "b" + text})
	}
	for i, n := range somePoints {
		add("", map[string]any{"points": n, "spent": somePoints[(i*5+3)%len(somePoints)], "vip": i%2 == 0, "hot": i%3 == 0})
		add("", map[string]any{"points": n, "spent": 2.0, "vip": i%2 == 1})
	}
	for _, zone := range someZones {
		for off := -2; off <= 2; off++ {
			day := conditions.DayOf(now, time.UTC) + conditions.Day(off)
			add(zone, map[string]any{"birthday": day.String()})
		}
		add(zone, map[string]any{"birthday": "2000-02-29"})
	}
	for _, off := range []time.Duration{0, -time.Microsecond, time.Microsecond, -720 * time.Hour, -720*time.Hour - time.Microsecond} {
		add("UTC", map[string]any{"seen": now.Add(off), "prefs": []any{}})
	}
	return people
}

func cornerPerson(n int, now time.Time, zone string, attributes map[string]any) soul {
	s := soul{attributes: map[string]any{}, consents: map[string]string{}, ends: map[string]time.Time{}}
	s.person = conditions.Person{ID: fmt.Sprintf("u%d", n), TimeZone: zone, CreatedAt: now, Attributes: attributes}
	for name, v := range attributes {
		if at, ok := v.(time.Time); ok {
			v = at.UnixMicro()
		}
		s.attributes[name] = v
	}
	switch n % 4 {
	case 0:
		s.consents["email:offers"] = "granted"
		if n%8 == 0 {
			s.ends["email:offers"] = now.Add(time.Hour)
		}
		s.person.Addresses = map[string]string{"email": s.person.ID}
		s.events = []told{{"order.placed", now}, {"order.placed", now.Add(-time.Hour)}, {"order.placed", now.Add(time.Microsecond)}, {"points.earned", now.Add(-720 * time.Hour)}}
	case 1:
		s.events = []told{{"order.placed", now.Add(-time.Hour - time.Microsecond)}, {"points.earned", now.Add(-720*time.Hour - time.Microsecond)}}
		s.consents["email:offers"] = "withdrawn"
		s.last = []happening{{conditions.Opened, "spring", now.Add(-time.Hour), true}, {conditions.Clicked, "autumn", now, false}}
	case 2:
		s.last = []happening{{conditions.Opened, "spring", now.Add(-time.Hour - time.Microsecond), true}, {conditions.Received, "spring", now, true}}
	default:
		s.person.Locale, s.person.ExternalID = "de", s.person.ID
		s.last = []happening{{conditions.Received, "spring", now, false}, {conditions.Clicked, "autumn", now, true}}
	}
	return s
}

// TestConditionSQL compares the SQL of the borders with a golden file; it
// shows at a glance what is bound and what is text. UPDATE=1 writes it.
func TestConditionSQL(t *testing.T) {
	var got strings.Builder
	for _, source := range borders() {
		fmt.Fprintln(&got, source)
		var args binds
		for _, d := range []*dialect{&sqliteDialect, &postgresDialect} {
			args = binds{}
			where := compileCondition(d, checked(t, source).Tree(), clock{now: someNows[0], zones: []string{"Pacific/Kiritimati", "Europe/Berlin", "Pacific/Pago_Pago"}}, &args)
			fmt.Fprintf(&got, "  %s: %s\n", d.name, where)
		}
		fmt.Fprintf(&got, "  %q\n\n", args.args)
	}
	path := filepath.Join("testdata", "conditions", "sql.txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Error("the SQL of conditions changed; run with UPDATE=1 and read the difference of testdata/conditions/sql.txt")
	}
}

// TestConditionUsesAnIndex: an index over attributeSQL serves the conditions
// that ask for that attribute.
func TestConditionUsesAnIndex(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for name, typ := range map[string]conditions.Type{"city": "text", "points": "number", "seen": "time", "birthday": "date"} {
			s.do(t, fmt.Sprintf("CREATE INDEX by_%s ON contacts ((%s))", name, attributeSQL(s.d, "", name, typ)))
		}
		for name, source := range map[string]string{
			"by_city": `contact.city == "a"`, "by_points": `contact.points > 100`,
			"by_seen": `contact.seen > now - duration("1h")`, "by_birthday": `contact.birthday < now`,
		} {
			var args binds
			where := compileCondition(s.d, checked(t, source).Tree(), clock{now: someNows[0]}, &args)
			if plan := conditionPlan(t, s, "SELECT c.id FROM contacts c WHERE "+where, args); !strings.Contains(plan, name) {
				t.Errorf("%s: the index is not used:\n%s", source, plan)
			}
		}
	})
}

// conditionPlan asks the engine how it would run a statement; PostgreSQL is
// told that reading the whole (empty) table is dear.
func conditionPlan(t *testing.T, s *Store, sql string, args binds) string {
	t.Helper()
	tx, err := s.pools.durable.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SELECT id FROM topics"); err != nil { // EXPLAIN alone does not see that the schema has changed
		t.Fatal(err)
	}
	explain := "EXPLAIN QUERY PLAN "
	if s.d == &postgresDialect {
		explain = "EXPLAIN "
		if _, err := tx.ExecContext(t.Context(), "SET LOCAL enable_seqscan = off"); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := tx.QueryContext(t.Context(), explain+sql, args.args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	cells, to := make([]any, len(columns)), make([]any, len(columns))
	for i := range cells {
		to[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&plan, cells[len(cells)-1])
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
