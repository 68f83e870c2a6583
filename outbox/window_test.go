package outbox_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/outbox"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func window(t testing.TB, s outbox.WindowSpec) *outbox.Window {
	t.Helper()
	w, err := s.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// turn is a moment, and the next one at which something may leave.
type turn[S any] struct {
	name      string
	spec      S
	recipient string // zone
	now, want string
}

// follow compares the moments that next computes with those that are wanted.
func follow[S any](t *testing.T, turns []turn[S], next func(t *testing.T, spec S, now time.Time, recipient *time.Location) time.Time) {
	t.Helper()
	for _, x := range turns {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			now, err := time.Parse(time.RFC3339, x.now)
			if err != nil {
				t.Fatal(err)
			}
			if got := next(t, x.spec, now, zone(t, x.recipient)).UTC().Format(time.RFC3339); got != x.want {
				t.Errorf("%s, want %s", got, x.want)
			}
		})
	}
}

func TestWindowOpens(t *testing.T) {
	t.Parallel()
	work := outbox.WindowSpec{Days: []string{"mon-fri"}, From: "09:00", To: "18:00"}
	night := outbox.WindowSpec{From: "02:15", To: "02:45"}
	follow(t, []turn[outbox.WindowSpec]{
		{"open", work, "UTC", "2026-05-04T12:00:00Z", "2026-05-04T12:00:00Z"},
		{"opens now", work, "UTC", "2026-05-04T09:00:00Z", "2026-05-04T09:00:00Z"},
		{"too early", work, "UTC", "2026-05-04T08:59:59Z", "2026-05-04T09:00:00Z"},
		{"closes now", work, "UTC", "2026-05-04T18:00:00Z", "2026-05-05T09:00:00Z"},
		{"Friday evening", work, "UTC", "2026-05-08T19:00:00Z", "2026-05-11T09:00:00Z"},
		{"the recipient's morning", work, "America/New_York", "2026-05-04T12:59:00Z", "2026-05-04T13:00:00Z"},
		{"the recipient's day is another", work, "Pacific/Kiritimati", "2026-05-10T18:00:00Z", "2026-05-10T19:00:00Z"},
		{"a zone of its own", outbox.WindowSpec{Days: []string{"mon"}, From: "09:00", To: "10:00", Zone: "Europe/Berlin"}, "UTC", "2026-05-04T06:00:00Z", "2026-05-04T07:00:00Z"},
		{"until midnight", outbox.WindowSpec{From: "20:00", To: "24:00"}, "UTC", "2026-05-04T23:59:59Z", "2026-05-04T23:59:59Z"},
		{"gap: the window lies in it", night, "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-30T00:15:00Z"},
		{"gap: it begins in it", outbox.WindowSpec{From: "02:30", To: "04:00"}, "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		{"overlap: the first of the two", night, "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:15:00Z"},
		{"overlap: not again", night, "Europe/Berlin", "2026-10-25T01:20:00Z", "2026-10-26T01:15:00Z"},
		{"one day a week, just over", outbox.WindowSpec{Days: []string{"sun"}, From: "10:00", To: "11:00"}, "UTC", "2026-05-10T11:00:00Z", "2026-05-17T10:00:00Z"},
	}, func(t *testing.T, spec outbox.WindowSpec, now time.Time, recipient *time.Location) time.Time {
		return window(t, spec).Opens(now, recipient)
	})
}

// Whenever it says that it opens it is open, never in the past, and within two
// weeks.
func TestWindowIsOpenWhenItSaysSo(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC, zone(t, "Europe/Berlin"), zone(t, "America/New_York"), zone(t, "Australia/Lord_Howe"), zone(t, "Asia/Kathmandu"), zone(t, "Pacific/Apia"), zone(t, "Africa/Casablanca")}
	rapid.Check(t, func(t *rapid.T) {
		var w outbox.Window
		w.Days[rapid.IntRange(0, 6).Draw(t, "day")] = true
		w.Days[rapid.IntRange(0, 6).Draw(t, "another")] = true
		from := rapid.IntRange(0, 22*60).Draw(t, "from")
		w.From = time.Duration(from) * time.Minute
		w.To = time.Duration(rapid.IntRange(from+61, 24*60).Draw(t, "to")) * time.Minute
		z := rapid.SampledFrom(zones).Draw(t, "zone")
		now := time.Unix(rapid.Int64Range(1_500_000_000, 1_900_000_000).Draw(t, "now"), 0)
		at := w.Opens(now, z)
		if at.Before(now) || at.Sub(now) > 15*24*time.Hour {
			t.Fatalf("opens %s, now %s", at, now)
		}
		if again := w.Opens(at, z); !again.Equal(at) {
			t.Fatalf("at %s it says that it opens at %s", at, again)
		}
		if day := at.In(z).Weekday(); !w.Days[day] {
			t.Fatalf("opens on a %s", day)
		}
	})
}

func TestParseWindow(t *testing.T) {
	t.Parallel()
	for _, bad := range []outbox.WindowSpec{
		{From: "", To: "18:00"},
		{From: "9", To: "18:00"},
		{From: "09:00", To: "25:00"},
		{From: "18:00", To: "09:00"},
		{From: "09:00", To: "09:00"},
		{From: "09:00", To: "18:00", Days: []string{"monday"}},
		{From: "09:00", To: "18:00", Days: []string{"mon-"}},
		{From: "09:00", To: "18:00", Days: []string{""}},
		{From: "09:00", To: "18:00", Zone: "Mars/Olympus"},
		{From: "24:00", To: "24:00"},
	} {
		if w, err := bad.Parse(); err == nil {
			t.Errorf("%+v is taken as %+v", bad, w)
		}
	}
	w := window(t, outbox.WindowSpec{From: "00:00", To: "24:00", Zone: "recipient"})
	if w.Zone != nil || w.To != 24*time.Hour || w.Days != [7]bool{true, true, true, true, true, true, true} {
		t.Errorf("got %+v", w)
	}
	w = window(t, outbox.WindowSpec{Days: []string{" Fri-Mon", "wed"}, From: "09:00", To: "18:00"})
	if want := [7]bool{true, true, false, true, false, true, true}; w.Days != want {
		t.Errorf("days %v, want %v", w.Days, want)
	}
}

func TestReadTerms(t *testing.T) {
	t.Parallel()
	terms, w, err := outbox.ReadTerms(`{"reply_to":"a@example.com","tracking":"off","test":true,"window":{"from":"09:00","to":"18:00"}}`)
	if err != nil || terms.ReplyTo != "a@example.com" || terms.Tracking != "off" || !terms.Test || w == nil || w.From != 9*time.Hour {
		t.Errorf("got %+v %+v %v", terms, w, err)
	}
	if terms, w, err := outbox.ReadTerms(`{}`); err != nil || w != nil || terms.Test {
		t.Errorf("got %+v %+v %v", terms, w, err)
	}
	for _, bad := range []string{``, `[]`, `{"window":{"from":"18:00","to":"09:00"}}`} {
		if _, _, err := outbox.ReadTerms(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
