package public

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // so that logos may be one
	_ "image/jpeg" // so that logos may be one
	_ "image/png"  // so that logos may be one
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"rapport"
)

// Picture is a logo.
type Picture struct {
	Type string // of its content, like image/png
	Data []byte
}

// The largest side of a logo and how much of one is read.
const (
	maxSide    = 4000
	maxPicture = 512 << 10
)

const svgType = "image/svg+xml"

// ReadPicture looks at what a file holds, whatever its name says: PNG, JPEG or
// GIF, or SVG that cannot run or load anything. The error is a sentence about
// the field.
func ReadPicture(field string, data []byte) (*Picture, error) {
	if len(data) > maxPicture {
		return nil, rapport.Invalidf(field, "the picture is larger than %d KB", maxPicture>>10)
	}
	if c, format, err := image.DecodeConfig(bytes.NewReader(data)); err == nil {
		if c.Width > maxSide || c.Height > maxSide {
			return nil, rapport.Invalidf(field, "the picture has %d × %d pixels; a logo has at most %d a side", c.Width, c.Height, maxSide)
		}
		return &Picture{Type: "image/" + format, Data: data}, nil
	}
	if err := checkSVG(data); err != nil {
		return nil, rapport.Invalidf(field, "the file is no picture for a page (PNG, JPEG, GIF or SVG): %v", err)
	}
	return &Picture{Type: svgType, Data: data}, nil
}

// drawing lists the elements of a drawing that only draw.
func drawing() []string {
	return []string{
		"svg", "g", "defs", "title", "desc", "metadata", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan",
		"textPath", "use", "symbol", "clipPath", "mask", "pattern", "marker", "linearGradient", "radialGradient", "stop", "filter", "style",
		"feBlend", "feColorMatrix", "feComponentTransfer", "feComposite", "feDropShadow", "feFlood", "feFuncA", "feFuncB", "feFuncG", "feFuncR",
		"feGaussianBlur", "feMerge", "feMergeNode", "feMorphology", "feOffset", "feTile", "view", "switch",
	}
}

// checkSVG refuses a drawing with anything that could run or load.
func checkSVG(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	root, skip := false, 0
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && root:
			return nil
		case err != nil:
			return errors.New("it is none of these kinds")
		}
		switch t := token.(type) {
		case xml.Directive:
			if strings.Contains(strings.ToUpper(string(t)), "ENTITY") {
				return errors.New("it declares entities")
			}
		case xml.ProcInst:
			if t.Target != "xml" {
				return fmt.Errorf("it asks for a style sheet or program (<?%s)", t.Target)
			}
		case xml.CharData:
			if loads(string(t)) {
				return errors.New("its style loads something")
			}
		case xml.StartElement:
			if !root && t.Name.Local != "svg" {
				return errors.New("it is none of these kinds")
			}
			root = true
			if foreignElement(t.Name) {
				skip++ // of a drawing program; browsers do not know it
				continue
			}
			if !slices.Contains(drawing(), t.Name.Local) {
				return fmt.Errorf("<%s> may run or load something", t.Name.Local)
			}
			if err := checkAttributes(t.Attr); err != nil {
				return err
			}
		case xml.EndElement:
			if foreignElement(t.Name) {
				skip--
			}
		}
	}
}

const svgSpace = "http://www.w3.org/2000/svg"

// foreignElement says whether an element belongs to another language than SVG
// and HTML, which no browser draws.
func foreignElement(n xml.Name) bool {
	return n.Space != "" && n.Space != svgSpace && n.Space != "http://www.w3.org/1999/xhtml"
}

func checkAttributes(list []xml.Attr) error {
	for _, a := range list {
		name := strings.ToLower(a.Name.Local)
		value := strings.ToLower(strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || unicode.IsControl(r) {
				return -1
			}
			return r
		}, a.Value))
		switch {
		case strings.HasPrefix(name, "on"):
			return fmt.Errorf("the attribute %s may run something", a.Name.Local)
		case name == "href" && !strings.HasPrefix(value, "#"), name == "base", name == "src":
			return fmt.Errorf("the attribute %s leads elsewhere", a.Name.Local)
		case loads(value):
			return fmt.Errorf("the attribute %s loads something", a.Name.Local)
		}
	}
	return nil
}

// loads says whether a piece of style names anything outside the drawing.
func loads(css string) bool {
	css = strings.ToLower(css)
	if strings.Contains(css, "@import") || strings.Contains(css, `\`) && strings.Contains(css, "{") {
		return true
	}
	for rest := css; ; {
		_, after, found := strings.Cut(rest, "url(")
		if !found {
			return false
		}
		if !strings.HasPrefix(strings.TrimLeft(after, ` "'`), "#") {
			return true
		}
		rest = after
	}
}

// picture serves a logo. Opened by itself it may do as little as in a page.
func (p *Pages) picture(pic *Picture) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", pic.Type)
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
		_, _ = w.Write(pic.Data) // the reader has gone
	}
}
