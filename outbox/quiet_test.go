package outbox_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"rapport/outbox"
)

func quiet(t testing.TB, s outbox.QuietSpec) *outbox.Quiet {
	t.Helper()
	q, err := s.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQuietEnds(t *testing.T) {
	t.Parallel()
	night := outbox.QuietSpec{From: "21:00", To: "08:00"}
	feast := func(date time.Time) bool { return date.Month() == time.December && date.Day() == 25 }
	follow(t, []turn[outbox.QuietSpec]{
		{"by day", night, "UTC", "2026-05-04T12:00:00Z", "2026-05-04T12:00:00Z"},
		{"it begins now", night, "UTC", "2026-05-04T21:00:00Z", "2026-05-05T08:00:00Z"},
		{"just before", night, "UTC", "2026-05-04T20:59:59Z", "2026-05-04T20:59:59Z"},
		{"after midnight", night, "UTC", "2026-05-05T03:00:00Z", "2026-05-05T08:00:00Z"},
		{"it ends now", night, "UTC", "2026-05-05T08:00:00Z", "2026-05-05T08:00:00Z"},
		{"the recipient's night", night, "America/New_York", "2026-05-05T02:00:00Z", "2026-05-05T12:00:00Z"},
		{"a zone of its own", outbox.QuietSpec{From: "21:00", To: "08:00", Zone: "Europe/Berlin"}, "America/New_York", "2026-05-05T02:00:00Z", "2026-05-05T06:00:00Z"},
		{"at noon", outbox.QuietSpec{From: "12:00", To: "14:00"}, "UTC", "2026-05-05T13:00:00Z", "2026-05-05T14:00:00Z"},
		{"a night that belongs to Friday", outbox.QuietSpec{From: "21:00", To: "08:00", Days: []string{"fri"}}, "UTC", "2026-05-09T03:00:00Z", "2026-05-09T08:00:00Z"},
		{"a night that belongs to no such day", outbox.QuietSpec{From: "21:00", To: "08:00", Days: []string{"fri"}}, "UTC", "2026-05-08T03:00:00Z", "2026-05-08T03:00:00Z"},
		{"Sunday is quiet, and the night after it", outbox.QuietSpec{From: "21:00", To: "08:00", AllDay: []string{"sun"}}, "UTC", "2026-05-09T22:00:00Z", "2026-05-11T08:00:00Z"},
		{"whole days without hours", outbox.QuietSpec{AllDay: []string{"sat-sun"}}, "UTC", "2026-05-09T10:00:00Z", "2026-05-11T00:00:00Z"},
		{"a day off", outbox.QuietSpec{From: "21:00", To: "08:00", Calendar: "x"}, "UTC", "2026-12-25T12:00:00Z", "2026-12-26T08:00:00Z"},
		{"the end lies in a gap", outbox.QuietSpec{From: "21:00", To: "02:30"}, "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{"the end comes twice: the first of the two", outbox.QuietSpec{From: "21:00", To: "02:30"}, "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z"},
		{"the second of the two is quiet, too", outbox.QuietSpec{From: "21:00", To: "02:30"}, "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"},
		{"a midnight that does not exist", outbox.QuietSpec{AllDay: []string{"sat"}}, "Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-24T12:00:00Z"},
	}, func(t *testing.T, spec outbox.QuietSpec, now time.Time, recipient *time.Location) time.Time {
		end := quiet(t, spec).Ends(now, recipient, feast)
		if without := quiet(t, spec).Ends(now, recipient, nil); spec.Calendar == "" && !without.Equal(end) {
			t.Errorf("ends %s without a calendar, %s beside one", without, end)
		}
		return end
	})
}

func TestQuietSpecRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []outbox.QuietSpec{
		{},
		{From: "21:00"},
		{To: "08:00"},
		{From: "21:00", To: "21:00"},
		{From: "9 pm", To: "08:00"},
		{From: "21:00", To: "8"},
		{From: "21:00", To: "08:00", Zone: "Berlin"},
		{AllDay: []string{"mon-sun"}},
		{AllDay: []string{"day"}},
		{From: "21:00", To: "08:00", Days: []string{"x"}},
	} {
		if _, err := s.Parse(); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

// zones lists every zone of the machine's data with more than one offset in
// 2026, or of a handful where there is none.
func changing(t *testing.T) map[string][]time.Time {
	t.Helper()
	out := map[string][]time.Time{}
	names := []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Asia/Beirut", "Africa/Casablanca", "Pacific/Chatham", "America/Havana", "Atlantic/Azores"}
	if f, err := os.Open("/usr/share/zoneinfo/tzdata.zi"); err == nil {
		defer func() { _ = f.Close() }()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if word := strings.Fields(lines.Text()); len(word) > 2 && (word[0] == "Z" || word[0] == "L") {
				names = append(names, word[len(word)-1], word[1])
			}
		}
	}
	for _, name := range names {
		z, err := time.LoadLocation(name)
		if err != nil {
			continue
		}
		var list []time.Time
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).In(z)
		for {
			_, end := at.ZoneBounds()
			if end.IsZero() || end.UTC().Year() > 2026 {
				break
			}
			list, at = append(list, end), end
		}
		out[name] = list
	}
	return out
}

// TestQuietInEveryZone walks minute by minute through the days around each
// change of clocks of each zone: what Ends says is the first minute after which
// the clock on the wall shows no quiet time.
func TestQuietInEveryZone(t *testing.T) {
	t.Parallel()
	specs := map[*outbox.Quiet]func(local time.Time) bool{
		quiet(t, outbox.QuietSpec{From: "21:00", To: "08:00"}): func(l time.Time) bool { return l.Hour() >= 21 || l.Hour() < 8 },
		quiet(t, outbox.QuietSpec{From: "22:30", To: "02:30"}): func(l time.Time) bool {
			m := l.Hour()*60 + l.Minute()
			return m >= 22*60+30 || m < 2*60+30
		},
		quiet(t, outbox.QuietSpec{From: "00:30", To: "01:45"}): func(l time.Time) bool {
			m := l.Hour()*60 + l.Minute()
			return m >= 30 && m < 105
		},
		quiet(t, outbox.QuietSpec{AllDay: []string{"sun"}}): func(l time.Time) bool { return l.Weekday() == time.Sunday },
	}
	walked, seen := 0, map[string]bool{}
	for name, changes := range changing(t) {
		z := zone(t, name)
		for _, change := range changes {
			_, before := change.Add(-time.Second).In(z).Zone()
			_, after := change.In(z).Zone()
			key := change.UTC().String() + time.Duration(before).String() + time.Duration(after).String()
			if seen[key] {
				continue // the same clocks under another name
			}
			seen[key] = true
			for q, shown := range specs {
				begin := change.Add(-24 * time.Hour).Truncate(time.Minute)
				free := time.Time{} // the first free minute at or after the one that is looked at
				for at := begin.Add(72 * time.Hour); !at.Before(begin); at = at.Add(-time.Minute) {
					if !shown(at.In(z)) {
						free = at
					}
					if free.IsZero() || at.After(begin.Add(48*time.Hour)) {
						continue
					}
					walked++
					if got := q.Ends(at, z, nil); !got.Equal(free) {
						t.Fatalf("%s at %s: ends %s, want %s", name, at.In(z), got.In(z), free.In(z))
					}
				}
			}
		}
	}
	if walked < 40_000 {
		t.Errorf("only %d minutes were walked", walked)
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	const within = 10 * time.Minute
	slots := make([]int, 10)
	for id := range int64(10_000) {
		d := outbox.Spread(id, within)
		if d < 0 || d >= within || d != outbox.Spread(id, within) {
			t.Fatalf("delivery %d: %s", id, d)
		}
		slots[d/time.Minute]++
	}
	for minute, n := range slots {
		if n < 800 || n > 1200 {
			t.Errorf("minute %d has %d of 10000", minute, n)
		}
	}
	if outbox.Spread(7, 0) != 0 {
		t.Error("spread over nothing")
	}
}
