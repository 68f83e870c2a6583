package outbox_test

import (
	"encoding/json"
	"testing"
	"time"

	"rapport/calendars"
	"rapport/channels"
	"rapport/outbox"
)

func calm(t testing.TB) *outbox.Calm {
	t.Helper()
	book, err := calendars.NewBook()
	if err != nil {
		t.Fatal(err)
	}
	return &outbox.Calm{
		General:  quiet(t, outbox.QuietSpec{From: "21:00", To: "08:00", Calendar: calendars.Recipient}),
		Classes:  map[channels.Class]*outbox.Quiet{channels.Transactional: quiet(t, outbox.QuietSpec{From: "23:00", To: "06:00"})},
		Channels: map[string]*outbox.Quiet{"chat": nil, "calls": quiet(t, outbox.QuietSpec{From: "20:00", To: "09:00"})},
		Topics:   map[string]bool{"alerts": false, "bills": true},
		Home:     zone(t, "America/New_York"), Country: "country", Elsewhere: "us",
		Book: func() *calendars.Book { return book },
		Zone: func(name string) *time.Location {
			z, err := time.LoadLocation(name)
			if err != nil || name == "" {
				return nil
			}
			return z
		},
	}
}

func TestCalmOpens(t *testing.T) {
	t.Parallel()
	c := calm(t)
	news := outbox.Run{Class: channels.Marketing, Topic: "news", Channel: "letters"}
	with := func(change func(r *outbox.Run)) outbox.Run { r := news; change(&r); return r }
	person := func(zone, locale, country string) *outbox.Person {
		raw, err := json.Marshal(map[string]string{"country": country})
		if err != nil {
			t.Fatal(err)
		}
		return &outbox.Person{Zone: zone, Locale: locale, Attributes: raw}
	}
	for _, test := range []struct {
		name      string
		run       outbox.Run
		person    *outbox.Person
		now, want string // want empty: now
	}{
		{"their day", news, person("Europe/Berlin", "", ""), "2026-06-03T10:00:00Z", ""},
		{"their night", news, person("Europe/Berlin", "", ""), "2026-06-03T20:00:00Z", "2026-06-04T06:00:00Z"},
		{"the night of their country", news, person("", "en", "AT"), "2026-06-03T20:00:00Z", "2026-06-05T06:00:00Z"}, // Corpus Christi follows
		{"the night of their language's country", news, person("", "pl-PL", ""), "2026-06-02T20:00:00Z", "2026-06-03T06:00:00Z"},
		{"a zone nobody knows", news, person("Europe/Atlantis", "de-DE", ""), "2026-06-03T20:00:00Z", "2026-06-04T06:00:00Z"},
		{"nobody knows where", news, person("", "en", ""), "2026-06-03T20:00:00Z", ""},
		{"nobody knows where, at night", news, person("", "en", ""), "2026-06-04T02:00:00Z", "2026-06-04T12:00:00Z"},
		{"a day off at home", news, person("", "en", ""), "2026-07-03T15:00:00Z", "2026-07-05T12:00:00Z"}, // the 4th, a Saturday, observed on Friday
		{"a day off in Bavaria", news, person("Europe/Berlin", "", "DE-BY"), "2026-01-06T10:00:00Z", "2026-01-07T07:00:00Z"},
		{"not in Berlin", news, person("Europe/Berlin", "", "DE-BE"), "2026-01-06T10:00:00Z", ""},
		{"erased", news, nil, "2026-06-04T02:00:00Z", "2026-06-04T12:00:00Z"},
		{"a bill that says so", with(func(r *outbox.Run) { r.Class, r.Topic = channels.Transactional, "bills" }), person("Europe/Berlin", "", ""), "2026-06-03T20:00:00Z", ""},
		{"a bill that says so, late", with(func(r *outbox.Run) { r.Class, r.Topic = channels.Transactional, "bills" }), person("Europe/Berlin", "", ""), "2026-06-03T22:00:00Z", "2026-06-04T04:00:00Z"},
		{"any other message of a case", with(func(r *outbox.Run) { r.Class, r.Topic = channels.Transactional, "codes" }), person("Europe/Berlin", "", ""), "2026-06-03T22:00:00Z", ""},
		{"marketing that is not held", with(func(r *outbox.Run) { r.Topic = "alerts" }), person("Europe/Berlin", "", ""), "2026-06-03T22:00:00Z", ""},
		{"a channel that is never quiet", with(func(r *outbox.Run) { r.Channel = "chat" }), person("Europe/Berlin", "", ""), "2026-06-03T22:00:00Z", ""},
		{"a channel of its own hours", with(func(r *outbox.Run) { r.Channel = "calls" }), person("Europe/Berlin", "", ""), "2026-06-03T18:30:00Z", "2026-06-04T07:00:00Z"},
		{"a window, too", with(func(r *outbox.Run) {
			r.Window = window(t, outbox.WindowSpec{Days: []string{"mon-fri"}, From: "07:00", To: "10:00"})
		}), person("Europe/Berlin", "", ""), "2026-06-05T20:00:00Z", "2026-06-08T06:00:00Z"},
		{"a window that keeps days off", with(func(r *outbox.Run) {
			r.Window = window(t, outbox.WindowSpec{From: "09:00", To: "12:00", Calendar: "de-by"})
			r.Topic = "alerts"
		}), person("Europe/Berlin", "", ""), "2026-06-04T08:00:00Z", "2026-06-05T07:00:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now, err := time.Parse(time.RFC3339, test.now)
			if err != nil {
				t.Fatal(err)
			}
			d := outbox.Delivery{ID: 4711, Person: test.person}
			got := ""
			if o := c.Opens(&test.run, &d, now); !o.At.IsZero() {
				got = o.At.UTC().Format(time.RFC3339)
			}
			if got != test.want {
				t.Errorf("opens %q, want %q", got, test.want)
			}
			told := *c
			told.Shadow = true
			if test.run.Window != nil {
				return
			}
			if o := told.Opens(&test.run, &d, now); !o.At.IsZero() || (o.Shadow == outbox.WaitQuiet) != (test.want != "") {
				t.Errorf("in shadow mode: %+v", o)
			}
		})
	}
}

// TestCalmSpreads: what waits for the morning begins within the spread, each at
// a moment of its own, never when it is shut again, and the same each time.
func TestCalmSpreads(t *testing.T) {
	t.Parallel()
	c := calm(t)
	c.Spread = 20 * time.Minute
	now := time.Date(2026, 6, 2, 22, 0, 0, 0, time.UTC)
	p := &outbox.Person{Zone: "UTC"}
	for _, w := range []*outbox.Window{nil, window(t, outbox.WindowSpec{From: "07:00", To: "08:10"})} {
		r := outbox.Run{Class: channels.Marketing, Topic: "news", Channel: "letters", Window: w}
		begins := time.Date(2026, 6, 3, 8, 0, 0, 0, time.UTC)
		ends := begins.Add(c.Spread)
		if w != nil {
			ends = begins.Add(10 * time.Minute)
		}
		moments := map[time.Time]bool{}
		for id := range int64(400) {
			d := outbox.Delivery{ID: id, Person: p}
			at := c.Opens(&r, &d, now).At
			if at.Before(begins) || !at.Before(ends) || !at.Equal(c.Opens(&r, &d, now.Add(time.Hour)).At) {
				t.Fatalf("delivery %d begins at %s", id, at)
			}
			moments[at] = true
		}
		if len(moments) < 190 {
			t.Errorf("400 begin at %d moments", len(moments))
		}
	}
}

func TestMeets(t *testing.T) {
	t.Parallel()
	c := calm(t)
	for _, test := range []struct {
		window outbox.WindowSpec
		meets  bool
	}{
		{outbox.WindowSpec{From: "09:00", To: "18:00"}, true},
		{outbox.WindowSpec{From: "22:00", To: "23:00"}, false},
		{outbox.WindowSpec{From: "07:00", To: "08:01"}, true},
		{outbox.WindowSpec{From: "07:00", To: "08:00"}, false},
	} {
		if got := c.Meets(window(t, test.window), c.General, capNow(), time.UTC); got != test.meets {
			t.Errorf("%+v: %v", test.window, got)
		}
	}
}
