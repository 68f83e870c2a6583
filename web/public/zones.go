package public

import (
	_ "embed" // for the list of zones
	"slices"
	"strings"
)

// zoneList names a zone for every place of the IANA time zone database
// (zone.tab), one a line, by name.
//
//go:embed zones.txt
var zoneList string

// region is the zones of a part of the world.
type region struct {
	Name  string
	Zones []zoneOption
}

type zoneOption struct{ Name, Place string }

// regions lists the zones to choose from, by region, so that typing the first
// letters of a city finds it in the list. One that a person has already and
// that is an older name is added.
func regions(current string) []region {
	names := strings.Fields(zoneList)
	if current != "" && !slices.Contains(names, current) {
		names = append(names, current)
	}
	var out []region
	for _, name := range names {
		part, place, ok := strings.Cut(name, "/")
		if !ok {
			part, place = name, name
		}
		i := slices.IndexFunc(out, func(r region) bool { return r.Name == part })
		if i < 0 {
			i = len(out)
			out = append(out, region{Name: part})
		}
		place = strings.ReplaceAll(strings.ReplaceAll(place, "_", " "), "/", " / ")
		out[i].Zones = append(out[i].Zones, zoneOption{Name: name, Place: place})
	}
	for i := range out {
		slices.SortFunc(out[i].Zones, func(a, b zoneOption) int { return strings.Compare(a.Place, b.Place) })
	}
	return out
}
