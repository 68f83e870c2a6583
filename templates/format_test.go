package templates

import (
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	view := View{Zone: berlin, Now: testNow, Contact: map[string]any{
		"born": "1990-03-07", "seen": time.Date(2026, 7, 1, 22, 30, 0, 123456000, time.UTC), "points": int64(1234567), "balance": int64(-123456), "half": 0.5, "text": "42.5",
	}}
	for _, tt := range []struct{ src, en, de string }{
		{`{{ contact.born | date }}`, "7 March 1990", "7. März 1990"},
		{`{{ contact.born | date: "%d.%m.%Y %A %a %b %j" }}`, "07.03.1990 Wednesday Wed Mar 066", "07.03.1990 Mittwoch Mi Mär 066"},
		{`{{ contact.seen | date: "%-d %B, %H:%M %Z" }}`, "2 July, 00:30 CEST", "2 Juli, 00:30 CEST"},
		{`{{ contact.seen | date: "%e|%_m|%I %p|%y|%F %T|%%|%s" }}`, " 2| 7|12 AM|26|2026-07-02 00:30:00|%|1782945000", " 2| 7|12 AM|26|2026-07-02 00:30:00|%|1782945000"},
		{`{{ now | date: "%A, %R" | upcase }}`, "THURSDAY, 18:30", "DONNERSTAG, 18:30"},
		{`{{ "now" | date: "%Y" }} {{ 0 | date: "%Y-%m-%d %H" }} {{ "2026-05-01T10:00:00Z" | date: "%R" }}{{ contact.none | date }}`, "2026 1970-01-01 01 12:00", "2026 1970-01-01 01 12:00"},
		{`{% if contact.none == nil and contact.born %}{{ contact.born | date: "%Y" }}{% endif %}`, "1990", "1990"},
		{`{{ now }}`, "2026-12-24 18:30:00 +0100", "2026-12-24 18:30:00 +0100"},
		{`{{ contact.points | number }} {{ contact.half | number: 2 }} {{ contact.text | number }} {{ 999 | number }} {{ -1000 | number }}`, "1,234,567 0.50 42.5 999 −1,000", "1.234.567 0,50 42,5 999 −1.000"},
		{`{{ contact.balance | money: "EUR" }} {{ 5 | money: "EUR" }}`, "−€1,234.56 €0.05", "−1.234,56\u00A0€ 0,05\u00A0€"},
		{`{{ 1200 | money: "JPY" }} {{ 1200 | money: "CHF" }} {{ 1234 | money: "KWD" }}`, "¥1,200 CHF\u00A012.00 KWD\u00A01.234", "1.200\u00A0¥ 12,00\u00A0CHF 1,234\u00A0KWD"},
		{`{{ "aGk=" | base64_decode }} {{ "hi" | base64_encode }}`, "hi aGk=", "hi aGk="},
		{`{% increment a %}{% increment a %}{% decrement b %}{% echo "x" | upcase %}{% # note %}`, "01-1X", "01-1X"},
		{`{% for i in contact.none %}{% else %}none{% endfor %}`, "none", "none"},
	} {
		t.Run(tt.src, func(t *testing.T) {
			c := Content{Locale: "en", Sources: map[string]map[string]string{
				"en": {"subject": "s", "html": "h", "text": "|" + tt.src}, "de": {"subject": "s", "html": "h", "text": "|" + tt.src},
			}}
			l := mustCompile(t, c, letterDriver())
			for locale, want := range map[string]string{"en-GB": tt.en, "de_AT": tt.de, "fr": tt.en} {
				view.Locale = locale
				if got := mustRender(t, l, view).Content["text"]; got != "|"+want {
					t.Errorf("%s: got %q, want %q", locale, got, want)
				}
			}
		})
	}
}

func TestListFilters(t *testing.T) {
	items := []any{map[string]any{"k": "a", "n": int64(1)}, map[string]any{"k": "b", "n": int64(2)}, map[string]any{"k": "a", "n": int64(1)}}
	c := textLetter(`{% assign b = data.items | find: "k", "b" %}{{ b.n }} {{ data.items | has: "k", "z" }} {{ data.items | reject: "k", "a" | size }} {{ data.items | uniq | size }} {{ data.items | map: "k" | uniq | join: "" }}`)
	got := mustRender(t, mustCompile(t, c, letterDriver()), View{Data: map[string]any{"items": items}})
	if want := "2 false 1 2 ab"; got.Content["text"] != want {
		t.Errorf("got %q, want %q", got.Content["text"], want)
	}
}

func TestVariants(t *testing.T) {
	c := Content{Locale: "en", Sources: map[string]map[string]string{}}
	for _, locale := range []string{"en", "de", "de-CH", "pt-BR"} {
		c.Sources[locale] = map[string]string{"subject": locale, "html": "x"}
	}
	l := mustCompile(t, c, letterDriver())
	for locale, want := range map[string]string{"": "en", "de": "de", "de-AT": "de", "de-CH": "de-CH", "DE_ch": "de-CH", "de-CH-1996": "de-CH", "fr-FR": "en", "pt": "en", "pt-br": "pt-BR"} {
		if got := l.LocaleFor(locale); got != want {
			t.Errorf("%q gets %q, want %q", locale, got, want)
		}
	}
}
