package public

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// rgb is a colour in linear light, 0 to 1.
type rgb struct{ r, g, b float64 }

// parseColour reads #rgb or #rrggbb.
func parseColour(text string) (rgb, error) {
	digits := strings.TrimPrefix(text, "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	n, err := strconv.ParseUint(digits, 16, 24)
	if err != nil || len(digits) != 6 || len(text) == len(strings.TrimPrefix(text, "#")) {
		return rgb{}, fmt.Errorf("%q is not a colour; write it like #0b6b5d", text)
	}
	return rgb{linear(uint8(n >> 16)), linear(uint8(n >> 8)), linear(uint8(n))}, nil //nolint:gosec // the low octet is meant
}

// linear and its inverse are the transfer function of sRGB (IEC 61966-2-1).
func linear(octet uint8) float64 {
	c := float64(octet) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func octet(c float64) uint8 {
	c = min(max(c, 0), 1)
	if c <= 0.0031308 {
		c *= 12.92
	} else {
		c = 1.055*math.Pow(c, 1/2.4) - 0.055
	}
	return uint8(math.Round(c * 255))
}

// String writes the colour as #rrggbb.
func (c rgb) String() string {
	return fmt.Sprintf("#%02x%02x%02x", octet(c.r), octet(c.g), octet(c.b))
}

// rounded is the colour that a screen gets.
func (c rgb) rounded() rgb { return rgb{linear(octet(c.r)), linear(octet(c.g)), linear(octet(c.b))} }

// luminance and contrast are those of WCAG 2.2 ("relative luminance",
// "contrast ratio").
func (c rgb) luminance() float64 { return 0.2126*c.r + 0.7152*c.g + 0.0722*c.b }

func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// mix is a part of a and the rest of b, as a screen would lay one over the
// other.
func mix(a, b rgb, part float64) rgb {
	blend := func(x, y float64) float64 {
		return linear(uint8(math.Round(part*float64(octet(x)) + (1-part)*float64(octet(y)))))
	}
	return rgb{blend(a.r, b.r), blend(a.g, b.g), blend(a.b, b.b)}
}

// white and black are the ends of the scale.
func white() rgb { return rgb{1, 1, 1} }
func black() rgb { return rgb{} }

// readable returns the colour nearest to want, on the way to black or white,
// whose contrast with each of the grounds is at least ratio; the shorter way
// wins. Where neither way leads there it is the end that fares better.
func readable(want rgb, ratio float64, grounds ...rgb) rgb {
	const steps = 100
	worst := func(c rgb) float64 {
		least := math.Inf(1)
		for _, g := range grounds {
			least = min(least, contrast(c, g))
		}
		return least
	}
	for i := range steps + 1 {
		part := float64(i) / steps
		best, found := want, 0.0
		for _, end := range []rgb{black(), white()} {
			if c := mix(end, want, part); worst(c) >= ratio && worst(c) > found {
				best, found = c, worst(c)
			}
		}
		if found > 0 {
			return best
		}
	}
	if worst(black()) > worst(white()) {
		return black()
	}
	return white()
}

// toward makes a colour as light or dark as lum, keeping its hue.
func toward(c rgb, lum float64) rgb {
	end := black()
	if c.luminance() < lum {
		end = white()
	}
	best := c
	for i := range 201 {
		m := mix(end, c, float64(i)/200)
		if math.Abs(m.luminance()-lum) < math.Abs(best.luminance()-lum) {
			best = m
		}
	}
	return best
}
