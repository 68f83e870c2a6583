package calendars

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
)

//go:embed data/zones.txt
var zoneLines string

// zones is the time zone of each country that has one only, by ISO 3166 code.
var zones = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(zoneLines) {
		if country, zone, ok := strings.Cut(strings.TrimSpace(line), " "); ok && country != "#" {
			out[country] = zone
		}
	}
	return out
})

var placeRule = regexp.MustCompile(`^[A-Z]{2}(-[A-Z0-9-]{1,16})?$`)

// Place is where a person is: a country by its ISO 3166 code, maybe with a
// region, as calendars are named; "" when nobody knows.
type Place string

// PlaceOf reads the place of a person: the attribute of that name, written like
// DE or DE-BY, or else the region of the language (de-AT).
func PlaceOf(attributes json.RawMessage, attribute, locale string) Place {
	if attribute != "" && len(attributes) > 0 {
		var all map[string]json.RawMessage
		var said string
		if json.Unmarshal(attributes, &all) == nil && json.Unmarshal(all[attribute], &said) == nil {
			if code := strings.ToUpper(strings.TrimSpace(said)); placeRule.MatchString(code) {
				return Place(code)
			}
		}
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(locale, "_", "-"), "-") {
		if code := strings.ToUpper(part); len(part) == 2 && part == code {
			return Place(code)
		}
	}
	return ""
}

// Country is the place without its region.
func (p Place) Country() string {
	country, _, _ := strings.Cut(string(p), "-")
	return country
}

// Zone is the time zone of the place; "" where the country has several.
func (p Place) Zone() string { return zones()[p.Country()] }

// For finds the calendar of a place: of the region, else of the country; nil
// when there is none in force.
func (b *Book) For(p Place) *Calendar {
	for _, name := range []string{string(p), p.Country()} {
		if c, ok := b.byName[strings.ToLower(name)]; ok && !c.Unverified {
			return c
		}
	}
	return nil
}
