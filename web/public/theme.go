package public

import (
	"fmt"
	"strings"

	"rapport"
)

// Theme is how the pages of an installation look.
type Theme struct {
	Logo, LogoDark *Picture // nil: the name in words; the logo
	Colour         string   // of buttons and links, #rrggbb
	Background     string   // around the page, #rrggbb
	Imprint        string   // addresses of pages elsewhere; empty: none
	Privacy        string
}

// The colours of an installation that names none.
const (
	houseColour     = "#0b6b5d"
	houseBackground = "#f6f5f2"
)

// Contrast of WCAG 2.2: criterion 1.4.3 for text, 1.4.11 for controls.
const (
	textContrast    = 4.5
	controlContrast = 3.0
)

// palette is the colours of one mode.
type palette struct {
	paper, onPaper rgb // around the page, and words on it
	card           rgb // what words stand on
	ink, quiet     rgb // words
	line, edge     rgb // what divides, and what bounds a control
	accent, on     rgb // buttons and links, and words on a button
	tint, tintEdge rgb // ground of what is said first
	danger         rgb // words about what went wrong
	dangerTint     rgb
}

// light is the palette for a bright screen, dark for a dim one. Every colour
// that words or controls have is moved until it can be read.
func light(colour, background rgb) palette {
	p := palette{paper: background, card: white()}
	p.tint = mix(colour, white(), 0.10)
	p.ink = readable(mustColour("#1d2129"), 2*textContrast, p.card)
	return p.finish(colour, mustColour("#5b6472"), mustColour("#85807a"), mustColour("#b3261e"))
}

func dark(colour, background rgb) palette {
	p := palette{paper: toward(background, 0.008), card: toward(background, 0.0145)}
	p.tint = mix(colour, p.card, 0.18)
	p.ink = readable(mustColour("#e8eaee"), 2*textContrast, p.card)
	return p.finish(colour, mustColour("#a0a9b8"), mustColour("#7c8698"), mustColour("#ffb4ab"))
}

func (p palette) finish(colour, quiet, edge, danger rgb) palette {
	p.tint = calm(p.tint, p.card, p.ink)
	p.dangerTint = calm(mix(danger, p.card, 0.10), p.card, p.ink)
	p.onPaper = readable(quiet, textContrast, p.paper)
	p.quiet = readable(quiet, textContrast, p.card, p.tint)
	p.line = mix(p.ink, p.card, 0.14)
	p.edge = readable(edge, controlContrast, p.card, p.tint)
	p.accent = readable(colour, textContrast, p.card, p.tint)
	p.on = readable(white(), textContrast, p.accent)
	if contrast(p.accent, white()) < textContrast {
		p.on = readable(mustColour("#0d1714"), textContrast, p.accent)
	}
	p.tintEdge = readable(p.accent, controlContrast, p.tint)
	p.danger = readable(danger, textContrast, p.card, p.dangerTint)
	return p
}

// calm keeps a tint so near to the card that one accent can be read on both.
func calm(tint, card, ink rgb) rgb {
	for part := 1.0; part > 0; part -= 0.1 {
		c := mix(tint, card, part)
		if contrast(c, card) <= 1.35 && contrast(c, ink) >= 1.5*textContrast {
			return c
		}
	}
	return card
}

// mustColour reads a colour of ours.
func mustColour(text string) rgb {
	c, err := parseColour(text)
	if err != nil {
		panic(err) // a slip in this file; every test sees it
	}
	return c
}

// css writes the palette as custom properties.
func (p palette) css() string {
	var b strings.Builder
	for _, v := range []struct {
		name string
		c    rgb
	}{
		{"paper", p.paper},
		{"on-paper", p.onPaper},
		{"card", p.card},
		{"ink", p.ink},
		{"quiet", p.quiet},
		{"line", p.line},
		{"edge", p.edge},
		{"accent", p.accent},
		{"on-accent", p.on},
		{"tint", p.tint},
		{"tint-edge", p.tintEdge},
		{"danger", p.danger},
		{"danger-tint", p.dangerTint},
	} {
		fmt.Fprintf(&b, " --%s: %s;", v.name, v.c)
	}
	return b.String()
}

// style is the sheet with the colours of a theme before it.
func (t Theme) style(sheet []byte) ([]byte, error) {
	colour, err := colourOr(t.Colour, houseColour, "pages.colour")
	if err != nil {
		return nil, err
	}
	background, err := colourOr(t.Background, houseBackground, "pages.background")
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf(":root {%s }\n@media (prefers-color-scheme: dark) {\n  :root {%s }\n}\n", light(colour, background).css(), dark(colour, background).css())
	return append([]byte(head), sheet...), nil
}

func colourOr(text, or, field string) (rgb, error) {
	if text == "" {
		text = or
	}
	c, err := parseColour(text)
	if err != nil {
		return rgb{}, rapport.Invalidf(field, "%v", err)
	}
	return c, nil
}
