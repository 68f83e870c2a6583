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

// TestKnownTables compares with published tables: all days off of a year that
// are no Saturday or Sunday. Each names where the table was read; those of laws
// are counted from the list of days there.
func TestKnownTables(t *testing.T) {
	t.Parallel()
	b := book(t)
	const govUK = "https://www.gov.uk/bank-holidays (github.com/alphagov/frontend, lib/data/bank-holidays.json)"
	for _, test := range []struct{ name, source, days string }{
		{"us", "https://www.opm.gov/policy-data-oversight/pay-leave/federal-holidays/", "2021-01-01 2021-01-18 2021-02-15 2021-05-31 2021-06-18 2021-07-05 2021-09-06 2021-10-11 2021-11-11 2021-11-25 2021-12-24 2021-12-31"},
		{"us", "https://www.opm.gov/policy-data-oversight/pay-leave/federal-holidays/", "2022-01-17 2022-02-21 2022-05-30 2022-06-20 2022-07-04 2022-09-05 2022-10-10 2022-11-11 2022-11-24 2022-12-26"},
		{"us", "https://www.opm.gov/policy-data-oversight/pay-leave/federal-holidays/", "2023-01-02 2023-01-16 2023-02-20 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-10-09 2023-11-10 2023-11-23 2023-12-25"},
		{"us", "https://www.okwb.uscourts.gov/holidays", "2026-01-01 2026-01-19 2026-02-16 2026-05-25 2026-06-19 2026-07-03 2026-09-07 2026-10-12 2026-11-11 2026-11-26 2026-12-25"},
		{"gb-eng", govUK, "2020-01-01 2020-04-10 2020-04-13 2020-05-08 2020-05-25 2020-08-31 2020-12-25 2020-12-28"},
		{"gb-eng", govUK, "2021-01-01 2021-04-02 2021-04-05 2021-05-03 2021-05-31 2021-08-30 2021-12-27 2021-12-28"},
		{"gb-wls", govUK, "2022-01-03 2022-04-15 2022-04-18 2022-05-02 2022-06-02 2022-06-03 2022-08-29 2022-09-19 2022-12-26 2022-12-27"},
		{"gb-eng", govUK, "2023-01-02 2023-04-07 2023-04-10 2023-05-01 2023-05-08 2023-05-29 2023-08-28 2023-12-25 2023-12-26"},
		{"gb-eng", "https://bedfordstreetsurgery.co.uk/news/public-holiday-closed-dates", "2025-01-01 2025-04-18 2025-04-21 2025-05-05 2025-05-26 2025-08-25 2025-12-25 2025-12-26"},
		{"gb-sct", govUK, "2022-01-03 2022-01-04 2022-04-15 2022-05-02 2022-06-02 2022-06-03 2022-08-01 2022-09-19 2022-11-30 2022-12-26 2022-12-27"},
		{"gb-sct", "https://www.gov.uk/bank-holidays", "2024-01-01 2024-01-02 2024-03-29 2024-05-06 2024-05-27 2024-08-05 2024-12-02 2024-12-25 2024-12-26"},
		{"gb-nir", govUK, "2020-01-01 2020-03-17 2020-04-10 2020-04-13 2020-05-08 2020-05-25 2020-07-13 2020-08-31 2020-12-25 2020-12-28"},
		{"gb-nir", govUK, "2022-01-03 2022-03-17 2022-04-15 2022-04-18 2022-05-02 2022-06-02 2022-06-03 2022-07-12 2022-08-29 2022-09-19 2022-12-26 2022-12-27"},
		{"gb-nir", "https://www.gov.uk/bank-holidays", "2024-01-01 2024-03-18 2024-03-29 2024-04-01 2024-05-06 2024-05-27 2024-07-12 2024-08-26 2024-12-25 2024-12-26"},
		{"gb-nir", "https://www.mountainviewsurgery.co.uk/page1.aspx?p=3&t=3", "2026-01-01 2026-03-17 2026-04-03 2026-04-06 2026-05-04 2026-05-25 2026-07-13 2026-08-31 2026-12-25 2026-12-28"},
		{"de-by", "https://www.gesetze-bayern.de/Content/Document/BayFTG-1", "2026-01-01 2026-01-06 2026-04-03 2026-04-06 2026-05-01 2026-05-14 2026-05-25 2026-06-04 2026-12-25"},
		{"de-sn", "https://justiz-nrw.wolterskluwer-online.de/browse/document/1f7d3b14-2e0b-3b5d-b2a6-5af8dfb32abc", "2025-01-01 2025-04-18 2025-04-21 2025-05-01 2025-05-29 2025-06-09 2025-10-03 2025-10-31 2025-11-19 2025-12-25 2025-12-26"},
		{"de-be", "https://www.berlin.de/tourismus/infos/1887651-1721039-feiertage-schulferien.html", "2024-01-01 2024-03-08 2024-03-29 2024-04-01 2024-05-01 2024-05-09 2024-05-20 2024-10-03 2024-12-25 2024-12-26"},
		{"de-be", "https://www.berlin.de/tourismus/infos/1887651-1721039-feiertage-schulferien.html", "2025-01-01 2025-04-18 2025-04-21 2025-05-01 2025-05-08 2025-05-29 2025-06-09 2025-10-03 2025-12-25 2025-12-26"},
		{"de-hh", "https://ferien-deutschland.com/feiertage-hh-hamburg/", "2024-01-01 2024-03-29 2024-04-01 2024-05-01 2024-05-09 2024-05-20 2024-10-03 2024-10-31 2024-12-25 2024-12-26"},
		{"de-hh", "https://ferien-deutschland.com/feiertage-hh-hamburg/", "2025-01-01 2025-04-18 2025-04-21 2025-05-01 2025-05-29 2025-06-09 2025-10-03 2025-10-31 2025-12-25 2025-12-26"},
		{"de-hh", "https://ferien-deutschland.com/feiertage-hh-hamburg/", "2026-01-01 2026-04-03 2026-04-06 2026-05-01 2026-05-14 2026-05-25 2026-12-25"},
		{"de-hh", "https://ferien-deutschland.com/feiertage-hh-hamburg/", "2027-01-01 2027-03-26 2027-03-29 2027-05-06 2027-05-17"},
		{"de-hh", "https://ferien-deutschland.com/feiertage-hh-hamburg/", "2028-04-14 2028-04-17 2028-05-01 2028-05-25 2028-06-05 2028-10-03 2028-10-31 2028-12-25 2028-12-26"},
		{"de-mv", "https://ferien-deutschland.com/feiertage-mv-mecklenburg-vorpommern/", "2024-01-01 2024-03-08 2024-03-29 2024-04-01 2024-05-01 2024-05-09 2024-05-20 2024-10-03 2024-10-31 2024-12-25 2024-12-26"},
		{"de-mv", "https://ferien-deutschland.com/feiertage-mv-mecklenburg-vorpommern/", "2027-01-01 2027-03-08 2027-03-26 2027-03-29 2027-05-06 2027-05-17"},
		{"de-nw", "https://www.lexsoft.de, § 2 FeiertG NW", "2024-01-01 2024-03-29 2024-04-01 2024-05-01 2024-05-09 2024-05-20 2024-05-30 2024-10-03 2024-11-01 2024-12-25 2024-12-26"},
		{"at", "https://www.arbeitsinspektion.gv.at/Arbeitszeit-_Arbeitsruhe/Arbeitsruhe/Feiertagsruhe.html", "2025-01-01 2025-01-06 2025-04-21 2025-05-01 2025-05-29 2025-06-09 2025-06-19 2025-08-15 2025-12-08 2025-12-25 2025-12-26"},
		{"ch-zh", "http://www2.zhlex.zh.ch/Appl/zhlex_r.nsf/WebRT/C1256C610039641BC12569990033674B", "2025-01-01 2025-04-18 2025-04-21 2025-05-01 2025-05-29 2025-06-09 2025-08-01 2025-12-25 2025-12-26"},
		{"fr", "https://www.legifrance.gouv.fr/codes/id/LEGISCTA000033008129/", "2025-01-01 2025-04-21 2025-05-01 2025-05-08 2025-05-29 2025-06-09 2025-07-14 2025-08-15 2025-11-11 2025-12-25"},
		{"be", "http://www.schoolvakantieinbelgie.be/feestdagen-2026/", "2026-01-01 2026-04-06 2026-05-01 2026-05-14 2026-05-25 2026-07-21 2026-11-11 2026-12-25"},
		{"nl", "https://gemeente.groningen.nl/koningsdag-2025: King's Day on Saturday 26 April", "2025-01-01 2025-04-21 2025-05-05 2025-05-29 2025-06-09 2025-12-25 2025-12-26"},
		{"nl", "http://www.alle-feestdagen.be/nederland/feestdagen-2026.html, without Good Friday", "2026-01-01 2026-04-06 2026-04-27 2026-05-05 2026-05-14 2026-05-25 2026-12-25"},
		{"lu", "https://date.nager.at, without Good Friday", "2024-01-01 2024-04-01 2024-05-01 2024-05-09 2024-05-20 2024-08-15 2024-11-01 2024-12-25 2024-12-26"},
		{"lu", "https://date.nager.at, without Good Friday", "2026-01-01 2026-04-06 2026-05-01 2026-05-14 2026-05-25 2026-06-23 2026-12-25"},
		{"pt", "https://date.nager.at, without Carnival and the islands' days", "2025-01-01 2025-04-18 2025-04-25 2025-05-01 2025-06-10 2025-06-19 2025-08-15 2025-12-01 2025-12-08 2025-12-25"},
		{"pt", "https://date.nager.at, without Carnival and the islands' days", "2026-01-01 2026-04-03 2026-05-01 2026-06-04 2026-06-10 2026-10-05 2026-12-01 2026-12-08 2026-12-25"},
		{"es", "BOE-A-2024-21316 (https://prime.tirant.com, 18 October 2024), without what regions may replace", "2025-01-01 2025-04-18 2025-05-01 2025-08-15 2025-12-08 2025-12-25"},
		{"pl", "https://www.rp.pl/spoleczenstwo/art43562581: the first Christmas Eve off", "2025-01-01 2025-01-06 2025-04-21 2025-05-01 2025-06-19 2025-08-15 2025-11-11 2025-12-24 2025-12-25 2025-12-26"},
		{"pl", "https://sip.lex.pl/akty-prawne/dzu-dziennik-ustaw/dni-wolne-od-pracy-16781384/art-1", "2024-01-01 2024-04-01 2024-05-01 2024-05-03 2024-05-30 2024-08-15 2024-11-01 2024-11-11 2024-12-25 2024-12-26"},
		{"it", "https://www.normattiva.it/uri-res/N2Ls?urn:nir:stato:legge:2025-10-08;151", "2027-01-01 2027-01-06 2027-03-29 2027-06-02 2027-10-04 2027-11-01 2027-12-08"},
		{"cz", "https://cs.wikipedia.org/wiki/Státní_svátky_Česka", "2025-01-01 2025-04-18 2025-04-21 2025-05-01 2025-05-08 2025-10-28 2025-11-17 2025-12-24 2025-12-25 2025-12-26"},
		{"se", "http://www.riksdagen.se, lag 1989:253", "2026-01-01 2026-01-06 2026-04-03 2026-04-06 2026-05-01 2026-05-14 2026-12-25"},
		{"ie", "https://thoughts.maples.com/post/102hipo/new-public-holidays-announced-for-ireland: one day more, once", "2022-03-17 2022-03-18 2022-04-18 2022-05-02 2022-06-06 2022-08-01 2022-10-31 2022-12-26"},
		{"ie", "https://www.csna.ie/extra-public-holiday/: 1 February is a Friday", "2030-01-01 2030-02-01 2030-04-22 2030-05-06 2030-06-03 2030-08-05 2030-10-28 2030-12-25 2030-12-26"},
		{"ie", "https://www.csna.ie/extra-public-holiday/: so it is in each such year", "2047-01-01 2047-02-01 2047-04-15 2047-05-06 2047-06-03 2047-08-05 2047-10-28 2047-12-25 2047-12-26"},
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
				if h.Source == "" || !c.Unverified && !strings.Contains(h.Seen, "http") {
					t.Errorf("%s: %s names %q, read at %q", name, h.Name, h.Source, h.Seen)
				}
			}
		}
	}
	if _, err := b.Calendar("atlantis"); rapport.KindOf(err) != rapport.NotFound {
		t.Errorf("an unknown one: %v", err)
	}
}

// TestOneDayOfBerlin: a Saturday that no table of working days shows.
func TestOneDayOfBerlin(t *testing.T) {
	t.Parallel()
	c, err := book(t).Calendar("de-be")
	if err != nil {
		t.Fatal(err)
	}
	for day, off := range map[string]bool{"2028-06-17": true, "2027-06-17": false, "2030-05-08": false} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if c.Off(at) != off {
			t.Errorf("%s: off is %v", day, !off)
		}
	}
}

// TestUncheckedIsOff: what nobody has checked holds for nobody, neither by its
// name nor by way of a calendar that includes it, until somebody vouches for it
// by a file of their own.
func TestUncheckedIsOff(t *testing.T) {
	t.Parallel()
	const doubt = "name: li\nunverified: true\ndays: [{date: 08-15, name: Staatsfeiertag}]\n"
	b := book(t, parsed(t, doubt)...)
	if _, err := b.Calendar("li"); rapport.KindOf(err) != rapport.Invalid {
		t.Errorf("by its name: %v", err)
	}
	if c := b.For("LI"); c != nil {
		t.Errorf("by the place: %s", c.Name)
	}
	if _, err := calendars.NewBook(parsed(t, "calendars: [{name: li, unverified: true, rest: [sun]}, {name: shop, include: [li]}]")...); rapport.KindOf(err) != rapport.Invalid {
		t.Errorf("by way of another: %v", err)
	}
	if _, err := calendars.NewBook(parsed(t, "calendars: [{name: li, unverified: true, rest: [sun]}, {name: li-x, unverified: true, include: [li]}]")...); err != nil {
		t.Errorf("both off: %v", err)
	}
	if c, err := book(t, parsed(t, strings.Replace(doubt, "unverified: true\n", "", 1))...).Calendar("li"); err != nil || len(c.Holidays(2027)) != 1 {
		t.Errorf("vouched for: %v, %v", c, err)
	}
}

func parsed(t *testing.T, text string) []*calendars.Calendar {
	t.Helper()
	list, err := calendars.Parse("own.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
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
		{`{"country":"CH-ZH"}`, "", "CH-ZH", "Europe/Zurich", "ch-zh"},
		{`{"country":"CH-BE"}`, "", "CH-BE", "Europe/Zurich", "ch"},
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
