package calendars_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/calendars"
)

func book(t testing.TB, own ...*calendars.Calendar) *calendars.Book {
	t.Helper()
	b, err := calendars.NewBook(own...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEaster compares with the dates the churches of the West kept, among them
// the earliest and the latest there are (22 March, 25 April).
func TestEaster(t *testing.T) {
	t.Parallel()
	for want := range strings.FieldsSeq(`1818-03-22 1886-04-25 1943-04-25 1961-04-02 1981-04-19 2000-04-23 2005-03-27 2008-03-23 2011-04-24
		2015-04-05 2016-03-27 2017-04-16 2018-04-01 2019-04-21 2020-04-12 2021-04-04 2022-04-17 2023-04-09 2024-03-31 2025-04-20
		2026-04-05 2027-03-28 2028-04-16 2029-04-01 2030-04-21 2038-04-25 2049-04-18 2076-04-19 2285-03-22`) {
		at, err := time.Parse(time.DateOnly, want)
		if err != nil {
			t.Fatal(err)
		}
		if got := calendars.Easter(at.Year()).Format(time.DateOnly); got != want {
			t.Errorf("Easter is %s, want %s", got, want)
		}
	}
	for year := 1583; year < 4100; year++ {
		d := calendars.Easter(year)
		if day := d.Format("01-02"); d.Weekday() != time.Sunday || day < "03-22" || day > "04-25" {
			t.Fatalf("Easter of %d is %s", year, d)
		}
	}
}

// TestKnownTables compares with what authorities published: all days off of a
// year that are no Saturday or Sunday.
func TestKnownTables(t *testing.T) {
	t.Parallel()
	b := book(t)
	for _, test := range []struct{ name, source, days string }{
		// U.S. Office of Personnel Management, federal holidays.
		{"us", "OPM 2021", "2021-01-01 2021-01-18 2021-02-15 2021-05-31 2021-06-18 2021-07-05 2021-09-06 2021-10-11 2021-11-11 2021-11-25 2021-12-24 2021-12-31"},
		{"us", "OPM 2022", "2022-01-17 2022-02-21 2022-05-30 2022-06-20 2022-07-04 2022-09-05 2022-10-10 2022-11-11 2022-11-24 2022-12-26"},
		{"us", "OPM 2023", "2023-01-02 2023-01-16 2023-02-20 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-10-09 2023-11-10 2023-11-23 2023-12-25"},
		{"us", "OPM 2026", "2026-01-01 2026-01-19 2026-02-16 2026-05-25 2026-06-19 2026-07-03 2026-09-07 2026-10-12 2026-11-11 2026-11-26 2026-12-25"},
		// gov.uk, bank holidays.
		{"gb-eng", "gov.uk 2020", "2020-01-01 2020-04-10 2020-04-13 2020-05-08 2020-05-25 2020-08-31 2020-12-25 2020-12-28"},
		{"gb-eng", "gov.uk 2021", "2021-01-01 2021-04-02 2021-04-05 2021-05-03 2021-05-31 2021-08-30 2021-12-27 2021-12-28"},
		{"gb-wls", "gov.uk 2022", "2022-01-03 2022-04-15 2022-04-18 2022-05-02 2022-06-02 2022-06-03 2022-08-29 2022-09-19 2022-12-26 2022-12-27"},
		{"gb-eng", "gov.uk 2023", "2023-01-02 2023-04-07 2023-04-10 2023-05-01 2023-05-08 2023-05-29 2023-08-28 2023-12-25 2023-12-26"},
		{"gb-eng", "gov.uk 2025", "2025-01-01 2025-04-18 2025-04-21 2025-05-05 2025-05-26 2025-08-25 2025-12-25 2025-12-26"},
		{"gb-sct", "gov.uk 2022", "2022-01-03 2022-01-04 2022-04-15 2022-05-02 2022-06-02 2022-06-03 2022-08-01 2022-09-19 2022-11-30 2022-12-26 2022-12-27"},
		{"gb-sct", "gov.uk 2024", "2024-01-01 2024-01-02 2024-03-29 2024-05-06 2024-05-27 2024-08-05 2024-12-02 2024-12-25 2024-12-26"},
		{"gb-nir", "gov.uk 2024", "2024-01-01 2024-03-18 2024-03-29 2024-04-01 2024-05-06 2024-05-27 2024-07-12 2024-08-26 2024-12-25 2024-12-26"},
		{"gb-nir", "gov.uk 2025", "2025-01-01 2025-03-17 2025-04-18 2025-04-21 2025-05-05 2025-05-26 2025-07-14 2025-08-25 2025-12-25 2025-12-26"},
		// Holiday laws of the Länder, written out by their ministries.
		{"de-by", "Bavaria 2026", "2026-01-01 2026-01-06 2026-04-03 2026-04-06 2026-05-01 2026-05-14 2026-05-25 2026-06-04 2026-12-25"},
		{"de-sn", "Saxony 2025", "2025-01-01 2025-04-18 2025-04-21 2025-05-01 2025-05-29 2025-06-09 2025-10-03 2025-10-31 2025-11-19 2025-12-25 2025-12-26"},
		{"de-be", "Berlin 2025", "2025-01-01 2025-04-18 2025-04-21 2025-05-01 2025-05-08 2025-05-29 2025-06-09 2025-10-03 2025-12-25 2025-12-26"},
		{"de-nw", "North Rhine-Westphalia 2024", "2024-01-01 2024-03-29 2024-04-01 2024-05-01 2024-05-09 2024-05-20 2024-05-30 2024-10-03 2024-11-01 2024-12-25 2024-12-26"},
		// Others, by their laws.
		{"at", "ARG § 7, 2025", "2025-01-01 2025-01-06 2025-04-21 2025-05-01 2025-05-29 2025-06-09 2025-06-19 2025-08-15 2025-12-08 2025-12-25 2025-12-26"},
		{"fr", "L3133-1, 2025", "2025-01-01 2025-04-21 2025-05-01 2025-05-08 2025-05-29 2025-06-09 2025-07-14 2025-08-15 2025-11-11 2025-12-25"},
		{"nl", "Rijksoverheid 2025, King's Day on a Saturday since the 27th is a Sunday", "2025-01-01 2025-04-21 2025-05-05 2025-05-29 2025-06-09 2025-12-25 2025-12-26"},
		{"pl", "2025, the first Christmas Eve off", "2025-01-01 2025-01-06 2025-04-21 2025-05-01 2025-06-19 2025-08-15 2025-11-11 2025-12-24 2025-12-25 2025-12-26"},
		{"pl", "2024", "2024-01-01 2024-04-01 2024-05-01 2024-05-03 2024-05-30 2024-08-15 2024-11-01 2024-11-11 2024-12-25 2024-12-26"},
		{"it", "2027, with San Francesco", "2027-01-01 2027-01-06 2027-03-29 2027-06-02 2027-10-04 2027-11-01 2027-12-08"},
		{"se", "lag 1989:253, 2026", "2026-01-01 2026-01-06 2026-04-03 2026-04-06 2026-05-01 2026-05-14 2026-12-25"},
		{"ie", "2030, 1 February is a Friday", "2030-01-01 2030-02-01 2030-04-22 2030-05-06 2030-06-03 2030-08-05 2030-10-28 2030-12-25 2030-12-26"},
	} {
		c, err := b.Calendar(test.name)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(test.days)
		var got []string
		year, err := time.Parse("2006", want[0][:4])
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range c.Holidays(year.Year()) {
			if d := h.Date.Weekday(); d != time.Saturday && d != time.Sunday {
				got = append(got, h.Date.Format(time.DateOnly))
			}
			if !c.Off(h.Date) || h.Name == "" {
				t.Errorf("%s: %+v is not off", test.name, h)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s by %s:\n got %v\nwant %v", test.name, test.source, got, want)
		}
	}
}

// TestEveryDayNamesItsSource: what comes with the program can be checked.
func TestEveryDayNamesItsSource(t *testing.T) {
	t.Parallel()
	b := book(t)
	for _, name := range b.Names() {
		c, err := b.Look(name)
		if err != nil || !b.BuiltIn(name) || len(c.Title) == 0 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		for year := 2020; year < 2040; year++ {
			for _, h := range c.Holidays(year) {
				if h.Source == "" {
					t.Errorf("%s: %s names no source", name, h.Name)
				}
			}
		}
	}
	if _, err := b.Calendar("ch-zh"); rapport.KindOf(err) != rapport.Invalid {
		t.Errorf("what nobody has checked is in force: %v", err)
	}
	if _, err := b.Calendar("atlantis"); rapport.KindOf(err) != rapport.NotFound {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestOwnCalendars(t *testing.T) {
	t.Parallel()
	list, err := calendars.Parse("own.yaml", []byte(`
name: shop
include: [de-by, weekdays]
days:
  - {date: "12-24", name: Closed early}
  - {date: 2027-06-15, name: Works outing}
  - {date: "5th mon of mar", name: Stocktaking}
  - {date: "fri after 11-22", name: Not today, moves: {fri: 3}}
`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := book(t, list...).Calendar("shop")
	if err != nil {
		t.Fatal(err)
	}
	for day, off := range map[string]bool{
		"2026-12-24": true, "2027-06-15": true, "2026-06-15": false, "2026-01-06": true, "2026-01-10": true, "2026-01-12": false,
		"2027-03-29": true, "2026-03-30": true, "2025-03-31": true, "2026-11-27": false, "2026-11-30": true,
	} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if c.Off(at) != off {
			t.Errorf("%s: off is %v", day, !off)
		}
	}
	for _, text := range []string{
		"{}", "name: Shop\nrest: [sun]", "name: shop", "name: recipient\nrest: [sun]", "name: shop\nrest: [sunday]",
		"name: shop\nrest: [mon, tue, wed, thu, fri, sat, sun]", "name: shop\ndays: [{date: 13-01, name: x}]",
		"name: shop\ndays: [{date: 2027-02-29, name: x}]", "name: shop\ndays: [{date: some day, name: x}]", "name: shop\ndays: [{date: 01-01}]",
		"name: shop\ndays: [{date: 01-01, name: x, moves: {sun: 9}}]", "name: shop\ndays: [{date: 01-01, name: x, from: 2027, to: 2026}]",
		"name: shop\nholidays: []", "calendars: [{name: a, rest: [sun]}, {name: B}]",
	} {
		if list, err := calendars.Parse("own.yaml", []byte(text)); rapport.KindOf(err) != rapport.Invalid {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
	for _, text := range []string{"calendars: [{name: a, include: [b]}, {name: b, include: [a]}]", "name: a\ninclude: [nobody]"} {
		list, err := calendars.Parse("own.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := calendars.NewBook(list...); rapport.KindOf(err) != rapport.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	b := book(t)
	for _, test := range []struct {
		attributes, locale string
		place, zone, name  string
	}{
		{`{"country":"de-by"}`, "en", "DE-BY", "Europe/Berlin", "de-by"},
		{`{"country":" AT "}`, "de-DE", "AT", "Europe/Vienna", "at"},
		{`{"country":"Germany"}`, "de-CH", "CH", "Europe/Zurich", "ch"},
		{`{"country":7}`, "en_US", "US", "", "us"},
		{`{"country":"CH-ZH"}`, "", "CH-ZH", "Europe/Zurich", "ch"},
		{`{}`, "en", "", "", ""},
		{``, "zh-Hant-TW", "TW", "Asia/Taipei", ""},
	} {
		p := calendars.PlaceOf([]byte(test.attributes), "country", test.locale)
		name := ""
		if c := b.For(p); c != nil {
			name = c.Name
		}
		if string(p) != test.place || p.Zone() != test.zone || name != test.name {
			t.Errorf("%s %s: %q %q %q", test.attributes, test.locale, p, p.Zone(), name)
		}
	}
}
