package campaigns

import (
	"errors"
	"testing"
	"time"

	"rapport"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

func calendar(t testing.TB, s Schedule, zones ...*time.Location) Calendar {
	t.Helper()
	c, err := s.Calendar(time.UTC, zones)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNextTimesOfCron(t *testing.T) {
	for _, c := range []struct {
		name, cron, zone, after string
		want                    []string
	}{
		{"Mondays at nine", "0 9 * * 1", "Europe/Berlin", "2026-03-26T00:00:00Z", []string{"2026-03-30T07:00:00Z", "2026-04-06T07:00:00Z"}},
		{"in winter and summer", "0 9 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", []string{"2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z"}},
		{"in the gap: first moment after it", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{"several in the gap are one", "*/15 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		{"in the overlap: the first, once", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"from between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", []string{"2026-10-26T01:30:00Z"}},
		{"from after the second", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:45:00Z", []string{"2026-10-26T01:30:00Z"}},
		{"every half hour over the overlap", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"}},
		{"New York gap", "15 2 8 3 *", "America/New_York", "2026-03-01T00:00:00Z", []string{"2026-03-08T07:00:00Z"}},
		{"half an hour back", "45 1 * * *", "Australia/Lord_Howe", "2026-04-03T15:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
		{"midnight that does not exist", "0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", []string{"2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"}},
		{"a day that never was", "0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", []string{"2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"}},
		{"leap day", "0 9 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"2028-02-29T09:00:00Z"}},
		{"@monthly", "@monthly", "UTC", "2026-01-01T00:00:00Z", []string{"2026-02-01T00:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cal := calendar(t, Schedule{Cron: c.cron, Zone: c.zone})
			o := Occurrence{For: moment(t, c.after)}
			for _, want := range c.want {
				o = cal.After(o)
				if got := o.For.Format(time.RFC3339); got != want {
					t.Fatalf("next is %s, want %s", got, want)
				}
			}
		})
	}
}

// TestDailyInEveryZone walks through two years of a daily campaign in many
// zones: once each calendar day, never twice, at the stated moment.
func TestDailyInEveryZone(t *testing.T) {
	zones := []string{
		"Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Santiago", "America/Havana", "America/Asuncion",
		"Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Gaza", "Australia/Sydney", "Australia/Lord_Howe",
		"Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Apia", "America/St_Johns", "Atlantic/Azores", "Antarctica/Troll",
	}
	walls := []struct {
		cron string
		at   time.Duration
	}{{"0 0 * * *", 0}, {"30 0 * * *", 30 * time.Minute}, {"30 1 * * *", 90 * time.Minute}, {"30 2 * * *", 150 * time.Minute}, {"0 3 * * *", 3 * time.Hour}, {"0 9 * * *", 9 * time.Hour}}
	for _, name := range zones {
		z := zone(t, name)
		for _, w := range walls {
			cal := calendar(t, Schedule{Cron: w.cron, Zone: name})
			o := Occurrence{For: rapport.LocalTime(time.Date(2025, 12, 31, 12, 0, 0, 0, time.UTC), z).UTC()}
			for day := range 730 {
				o = cal.After(o)
				want := rapport.LocalTime(time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC).Add(w.at), z).UTC()
				if !o.For.Equal(want) {
					t.Fatalf("%s %s: day %d is due at %s, want %s", name, w.cron, day, o.For, want)
				}
			}
		}
	}
}

func TestCronThatCannotBe(t *testing.T) {
	for _, text := range []string{"", "TZ=UTC", "CRON_TZ=UTC", "TZ=Europe/Berlin 0 9 * * *", "0 9 30 2 *", "@every 5m", "@reboot", "61 * * * *", "* * * *", "* * * * * *", "0 9 * * mon-", "🙂", "1-0 * * * *", "*/0 * * * *"} {
		if spec, err := parseCron(text); err == nil {
			t.Errorf("%q became %+v", text, spec)
		}
	}
}

func TestScheduleFields(t *testing.T) {
	for _, c := range []struct {
		s     Schedule
		field string
	}{
		{Schedule{Now: true, Zone: "Europe/Berlim"}, "zone"},
		{Schedule{Now: true, Zone: "Local"}, "zone"},
		{Schedule{At: "tomorrow"}, "at"},
		{Schedule{At: "2026-12-01T09:00:00+01:00", Zone: Recipient}, "at"},
		{Schedule{Cron: "0 9 * * *", Until: "never"}, "until"},
		{Schedule{Cron: "nine"}, "cron"},
	} {
		_, err := c.s.Calendar(time.UTC, nil)
		if f, ok := errors.AsType[*FieldError](err); !ok || f.Field != c.field {
			t.Errorf("%+v: error %v, want one about %s", c.s, err, c.field)
		}
	}
}

func TestOneTime(t *testing.T) {
	now := moment(t, "2026-06-01T00:00:00Z")
	for _, c := range []struct {
		s    Schedule
		want string
	}{
		{Schedule{At: "2026-12-01T09:00"}, "2026-12-01T09:00:00Z"},
		{Schedule{At: "2026-12-01T09:00", Zone: "Europe/Berlin"}, "2026-12-01T08:00:00Z"},
		{Schedule{At: "2026-12-01 09:00", Zone: "America/New_York"}, "2026-12-01T14:00:00Z"},
		{Schedule{At: "2026-12-01T09:00:00+02:00", Zone: "America/New_York"}, "2026-12-01T07:00:00Z"},
		{Schedule{At: "2026-03-29T02:30", Zone: "Europe/Berlin"}, "2026-03-29T01:00:00Z"}, // past, and in the gap
	} {
		o := calendar(t, c.s).First(now)
		if got := o.For.Format(time.RFC3339); got != c.want || !o.Begin.Equal(o.For) {
			t.Errorf("%+v: %s begins %s, want %s", c.s, got, o.Begin, c.want)
		}
		if next := calendar(t, c.s).After(o); !next.IsZero() {
			t.Errorf("%+v comes again at %s", c.s, next.For)
		}
	}
}

func TestRecipientZoneBeginsWithTheEasternmost(t *testing.T) {
	berlin, tokyo, hawaii := zone(t, "Europe/Berlin"), zone(t, "Asia/Tokyo"), zone(t, "Pacific/Honolulu")
	c := calendar(t, Schedule{At: "2026-12-01T09:00", Zone: Recipient}, berlin, tokyo, hawaii)
	o := c.First(moment(t, "2026-06-01T00:00:00Z"))
	if o.For != moment(t, "2026-12-01T09:00:00Z") || o.Begin != moment(t, "2026-12-01T00:00:00Z") || c.Ends(o) != moment(t, "2026-12-01T19:00:00Z") {
		t.Errorf("occurrence %+v ends %s", o, c.Ends(o))
	}
	daily := calendar(t, Schedule{Cron: "0 9 * * *", Zone: Recipient}, berlin, tokyo, hawaii)
	for _, c := range []struct{ now, want string }{
		{"2026-11-30T23:59:59Z", "2026-12-01T09:00:00Z"}, // nine in Tokyo on the first is midnight UTC
		{"2026-12-01T00:00:00Z", "2026-12-02T09:00:00Z"},
	} {
		if o := daily.First(moment(t, c.now)); o.For != moment(t, c.want) {
			t.Errorf("from %s the next is %s, want %s", c.now, o.For, c.want)
		}
	}
}

func TestMissedTimes(t *testing.T) {
	hourly := calendar(t, Schedule{Cron: "0 * * * *"})
	until := calendar(t, Schedule{Cron: "0 * * * *", Until: "2026-06-01T12:00"})
	weekly := calendar(t, Schedule{Cron: "0 9 * * 1"})
	first := moment(t, "2026-06-01T09:00:00Z") // a Monday
	for _, c := range []struct {
		name           string
		c              Calendar
		now, run, next string
		skipped        bool
	}{
		{"in time", hourly, "2026-06-01T09:00:01Z", "2026-06-01T09:00:00Z", "2026-06-01T10:00:00Z", false},
		{"a little late", hourly, "2026-06-01T09:29:59Z", "2026-06-01T09:00:00Z", "2026-06-01T10:00:00Z", false},
		{"half a period late", hourly, "2026-06-01T09:30:00Z", "", "2026-06-01T10:00:00Z", true},
		{"several missed, newest young", hourly, "2026-06-01T15:10:00Z", "2026-06-01T15:00:00Z", "2026-06-01T16:00:00Z", true},
		{"several missed, newest old", hourly, "2026-06-01T15:40:00Z", "", "2026-06-01T16:00:00Z", true},
		{"down for a year", hourly, "2027-06-01T15:10:00Z", "2027-06-01T15:00:00Z", "2027-06-01T16:00:00Z", true},
		{"after until", until, "2026-06-01T12:10:00Z", "2026-06-01T12:00:00Z", "", true},
		{"long after until", until, "2026-06-02T12:10:00Z", "", "", true},
		{"weekly, three days late", weekly, "2026-06-04T09:00:00Z", "2026-06-01T09:00:00Z", "2026-06-08T09:00:00Z", false},
		{"weekly, four days late", weekly, "2026-06-05T09:00:00Z", "", "2026-06-08T09:00:00Z", true},
		{"weekly, down for two months", weekly, "2026-08-04T09:00:00Z", "2026-08-03T09:00:00Z", "2026-08-10T09:00:00Z", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.c.Due(Occurrence{first, first}, moment(t, c.now))
			show := func(o Occurrence) string {
				if o.IsZero() {
					return ""
				}
				return o.For.Format(time.RFC3339)
			}
			if show(m.Run) != c.run || show(m.Next) != c.next || m.Skipped != c.skipped {
				t.Errorf("runs %q, next %q, skipped %v; want %q, %q, %v", show(m.Run), show(m.Next), m.Skipped, c.run, c.next, c.skipped)
			}
		})
	}
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"0 9 * * 1", "TZ=UTC", "*/5 0-4,22 1 jan,dec sun", "@daily", "@every 1h", "0 0 31 2 *"} {
		f.Add(s)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := parseCron(text)
		if err != nil {
			return
		}
		c := Calendar{spec: spec, zone: berlin}
		at := Occurrence{For: time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC)}
		for range 5 {
			next := c.After(at)
			if next.IsZero() {
				return
			}
			if !next.For.After(at.For) {
				t.Fatalf("%q: %s comes after %s", text, next.For, at.For)
			}
			at = next
		}
	})
}
