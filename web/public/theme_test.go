package public

import (
	"testing"

	"pgregory.net/rapid"
)

// pairs lists what stands on what, and how well it has to be told apart.
func (p palette) pairs() map[string]struct {
	a, b rgb
	need float64
} {
	type pair = struct {
		a, b rgb
		need float64
	}
	return map[string]pair{
		"words on the card":         {p.ink, p.card, textContrast},
		"words on a tint":           {p.ink, p.tint, textContrast},
		"words on a warning":        {p.ink, p.dangerTint, textContrast},
		"quiet words on the card":   {p.quiet, p.card, textContrast},
		"quiet words on a tint":     {p.quiet, p.tint, textContrast},
		"words around the card":     {p.onPaper, p.paper, textContrast},
		"links on the card":         {p.accent, p.card, textContrast},
		"links on a tint":           {p.accent, p.tint, textContrast},
		"words on a button":         {p.on, p.accent, textContrast},
		"warnings on the card":      {p.danger, p.card, textContrast},
		"warnings on their tint":    {p.danger, p.dangerTint, textContrast},
		"a control's edge":          {p.edge, p.card, controlContrast},
		"a control's edge on tint":  {p.edge, p.tint, controlContrast},
		"a button against the card": {p.accent, p.card, controlContrast},
		"focus around the card":     {p.onPaper, p.paper, controlContrast},
		"the edge of a tint":        {p.tintEdge, p.tint, controlContrast},
	}
}

type complains interface {
	Errorf(format string, args ...any)
}

// TestContrastNeverFalls draws any two colours and measures what people would
// have to read, as it is rounded for the screen.
func TestContrastNeverFalls(t *testing.T) {
	draw := func(t *rapid.T, name string) rgb {
		octets := rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, name)
		return rgb{linear(octets[0]), linear(octets[1]), linear(octets[2])}
	}
	check := func(t complains, colour, background rgb) {
		for mode, p := range map[string]palette{"light": light(colour, background), "dark": dark(colour, background)} {
			for what, c := range p.pairs() {
				if got := contrast(c.a.rounded(), c.b.rounded()); got < c.need {
					t.Errorf("%s, colour %s, background %s: %s (%s on %s) has %.2f, needs %.1f", mode, colour, background, what, c.a, c.b, got, c.need)
				}
			}
		}
	}
	corners := []rgb{black(), white(), {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, mustColour("#767676"), mustColour("#777777")}
	for _, a := range corners {
		for _, b := range corners {
			check(t, a, b)
		}
	}
	rapid.Check(t, func(t *rapid.T) { check(t, draw(t, "colour"), draw(t, "background")) })
}

// TestColourOfTheHouseStays: what can be read is not touched.
func TestColourOfTheHouseStays(t *testing.T) {
	p := light(mustColour(houseColour), mustColour(houseBackground))
	if p.accent.String() != houseColour || p.paper.String() != houseBackground || p.on != white() {
		t.Errorf("accent %s, paper %s, on %s", p.accent, p.paper, p.on)
	}
	for text, want := range map[string]string{"#abc": "#aabbcc", "#0b6b5d": "#0b6b5d", "#FFFFFF": "#ffffff", "abc": "", "#ab": "", "#gggggg": "", "#1234567": "", "": ""} {
		c, err := parseColour(text)
		if (err == nil) != (want != "") || err == nil && c.String() != want {
			t.Errorf("%q is read as %s, %v", text, c, err)
		}
	}
}
