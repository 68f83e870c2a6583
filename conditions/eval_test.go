package conditions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rapport/conditions"
)

var now = time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC)

type past struct {
	consents map[string]bool
	ends     map[string]time.Time
	last     map[string]time.Time
	events   map[string][]time.Time
	err      error
}

func (p past) Consented(_ context.Context, driver, topic string) (bool, time.Time, error) {
	return p.consents[driver+":"+topic], p.ends[driver+":"+topic], p.err
}

func (p past) Last(_ context.Context, kind conditions.PastKind, campaign string) (time.Time, error) {
	return p.last[string(kind)+":"+campaign], p.err
}

func (p past) Happened(_ context.Context, event string, from, to time.Time) (n int64, err error) {
	for _, at := range p.events[event] {
		if !at.Before(from) && !at.After(to) {
			n++
		}
	}
	return n, p.err
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func anna(t *testing.T) *conditions.Person {
	t.Helper()
	return &conditions.Person{
		ID: "u1", ExternalID: "A-1", Locale: "de-CH", TimeZone: "Europe/Zurich", CreatedAt: now.Add(-time.Hour),
		Zone:      zone(t, "Europe/Zurich"),
		Addresses: map[string]string{"email": "anna@example.com"},
		Attributes: map[string]any{
			"city": "Zürich", "points": 500.0, "vip": true, "birthday": "1990-11-25", "voucher_until": "2026-11-30",
			"last_order": now.Add(-800 * time.Hour), "prefs": map[string]any{}, "first-name": "Anna", "größe": 42.0, "tier": 7.0, "spent": 1e300,
		},
		History: past{
			consents: map[string]bool{"email:offers": true, "slack:offers": true},
			ends:     map[string]time.Time{"email:offers": now.Add(720 * time.Hour), "slack:offers": now},
			last:     map[string]time.Time{"opened:spring": now.Add(-2 * time.Hour), "received:spring": now.Add(-30 * time.Hour)},
			events:   map[string][]time.Time{"order.placed": {now, now.Add(-2 * time.Hour), now.Add(-30 * time.Hour), now.Add(time.Microsecond)}},
		},
	}
}

func TestEval(t *testing.T) {
	for source, want := range map[string]bool{
		`contact.city == "Zürich" && contact.points >= 500`: true,
		`contact.city < "a"`: true,
		`size(contact.city) == 6 && contact.city.size() < 7`:           true,
		`contact.city.lowerAscii() == "zürich"`:                        true,
		`contact.city.startsWith("Zü") && contact.city.endsWith("ch")`: true,
		`contact.city.contains("") && !contact.city.contains("ZÜ")`:    true,
		`contact.last_order < now - duration("720h")`:                  true,
		`now - contact.last_order > duration("720h") + duration("1h")`: true,
		`contact.last_order > date("2026-10-01")`:                      true,
		`contact.birthday < now && now > contact.birthday`:             true,
		`date("2026-11-24") < now && date("2026-11-25") > now`:         true,
		`date("2026-11-24") == timestamp("2026-11-24T00:00:00Z")`:      true,
		`timestamp("2026-11-24T01:00:00+01:00") == date("2026-11-24")`: true,
		`contact.created_at == now - duration("1h")`:                   true,
		`contact.email.endsWith("@example.com")`:                       true,
		`contact.id == "u1" && contact.external_id in ["A-1", "B"]`:    true,
		`contact.locale == "de-CH" && contact.time_zone != "x"`:        true,
		"contact.`first-name` == \"Anna\"":                             true,
		`has(contact.prefs) && !has(contact.seen) && has(contact.id)`:  true,
		`-contact.points < -499.5 && contact.points / 3 > 166.6`:       true,
		`contact.vip ? contact.points == 500 : contact.seen < now`:     true,

		`contact["first-name"] == "Anna" && has(contact["größe"])`: true,
		`contact["größe"] + 1 == 43`:                               true,

		// What is missing is neither true nor false.
		`contact.seen < now`:                                            false,
		`!(contact.seen < now)`:                                         false,
		`contact.seen < now || true`:                                    true,
		`contact.seen < now || contact.vip`:                             true,
		`!(contact.seen < now && false)`:                                true,
		`contact.phone == "" || contact.phone != ""`:                    false,
		`contact.phone in ["1"] || !(contact.phone in ["1"])`:           false,
		`contact.seen < now ? true : true`:                              false,
		`contact.tier == "7" || contact.tier != "7"`:                    false, // not the declared type
		`contact.points / 0 > 1 || contact.points / 0 <= 1`:             false,
		`contact.spent + 1 > 0`:                                         false, // too large to calculate with
		`contact.spent > 0`:                                             true,
		`days_until(contact.seen_on) == 1 || contact.vip`:               true,
		`anniversary(contact.seen_on) || anniversary(contact.birthday)`: true,

		// The past is never missing.
		`consent("email", "offers") && !consent("email", "newsletter")`:                                    true,
		`consent_expires("email", "offers", duration("720h"))`:                                             true,
		`consent_expires("email", "offers", duration("719h"))`:                                             false,
		`consent_expires("email", "newsletter", duration("720h")) || consent("slack", "offers")`:           false,
		`opened("spring") && !clicked("spring") && !opened("autumn-offers")`:                               true,
		`opened("spring", duration("2h")) && !opened("spring", duration("119m"))`:                          true,
		`received("spring", duration("30h")) && !received("spring", duration("29h"))`:                      true,
		`event("order.placed") == 3 && event("points.earned") == 0`:                                        true, // what lies ahead does not count yet
		`event("order.placed", duration("2h")) == 2 && event("order.placed", duration("119m")) == 1`:       true,
		`event("order.placed", duration("30h")) >= 3 || event("points.earned") > 0`:                        true,
		`event("order.placed") / event("points.earned") > 0 || event("order.placed") / 2 == 1.5`:           true,
		`event("points.earned") * contact.points == 0 && !(event("points.earned") >= 1)`:                   true,
		`anniversary(contact.birthday)`:                                                                    true, // 25 November in Zurich
		`anniversary(contact.birthday, "UTC")`:                                                             false,
		`days_until(contact.voucher_until) == 5 && days_until(contact.voucher_until, "America/Lima") == 6`: true,
		`days_until(contact.birthday) < 0`:                                                                 true,
	} {
		s := schema()
		s.Attributes["seen_on"] = conditions.TypeDate
		c, err := conditions.Check(source, s)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got, err := c.Eval(t.Context(), anna(t), now)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", source, got, err)
		}
	}
}

func TestLeapDay(t *testing.T) {
	p := &conditions.Person{Attributes: map[string]any{"birthday": "2000-02-29"}}
	c, err := conditions.Check(`anniversary(contact.birthday)`, schema())
	if err != nil {
		t.Fatal(err)
	}
	for day, want := range map[string]bool{
		"2024-02-28": false, "2024-02-29": true, "2024-03-01": false,
		"2026-02-28": true, "2026-03-01": false, "2026-02-27": false,
	} {
		at, err := time.Parse("2006-01-02", day)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Eval(t.Context(), p, at); got != want || err != nil {
			t.Errorf("%s: got %v, %v", day, got, err)
		}
	}
}

// TestBrokenHistory: an answer that could not be had is no answer, even where
// || or && could do without it.
func TestBrokenHistory(t *testing.T) {
	broken := errors.New("the database is away")
	for _, source := range []string{
		`opened("spring")`, `opened("spring") || contact.vip`, `event("order.placed") == 0 || contact.vip`, `!consent("email", "offers") && !contact.vip`,
	} {
		c, err := conditions.Check(source, schema())
		if err != nil {
			t.Fatal(err)
		}
		p := anna(t)
		p.History = past{err: broken}
		if got, err := c.Eval(t.Context(), p, now); got || !errors.Is(err, broken) {
			t.Errorf("%s: got %v, %v", source, got, err)
		}
	}
}

func TestEvalStopsWithItsContext(t *testing.T) {
	c, err := conditions.Check(strings.Repeat(`contact.vip && `, 20)+`true`, schema())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := c.Eval(ctx, anna(t), now); got || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	c, err := conditions.Check(`contact.city == "Zürich" && opened("spring", duration("3h")) && anniversary(contact.birthday)`, schema())
	if err != nil {
		t.Fatal(err)
	}
	p := anna(t)
	t.Run("group", func(t *testing.T) {
		for range 4 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for range 100 {
					if ok, err := c.Eval(t.Context(), p, now); !ok || err != nil {
						t.Error(ok, err)
					}
				}
			})
		}
	})
}

func BenchmarkEval(b *testing.B) {
	c, err := conditions.Check(`contact.city == "Zürich" && contact.points > 100`, schema())
	if err != nil {
		b.Fatal(err)
	}
	p := &conditions.Person{Attributes: map[string]any{"city": "Zürich", "points": 500.0}}
	for b.Loop() {
		if ok, err := c.Eval(b.Context(), p, now); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
