package templates

import (
	"regexp"
	"strings"
)

var urlKey = regexp.MustCompile(`"(?:\w*_)?url"\s*:\s*$`)

// placeJSON finds for every value of a JSON part whether it stands inside of
// a string or is a value of its own, so that neither can break the document.
// marked: strings are mark-up to the receiver. What is captured or assigned is
// escaped where it is used.
func placeJSON(part string, pieces []piece, marked bool) error {
	inside, escaped := false, false
	capturing := 0
	var before strings.Builder // the text of the line so far, to see a key before a string
	prefix := ""               // the fixed beginning of the current string
	var link mrkdwnPlace
	opened := 0
	for i := range pieces {
		p := &pieces[i]
		switch {
		case p.kind == tagPiece && p.name == "capture":
			capturing++
		case p.kind == tagPiece && p.name == "endcapture":
			capturing--
		case capturing > 0:
			p.esc = escNone
		case p.kind == outputPiece:
			p.esc = jsonPlace(inside, prefix, before.String())
			if marked && p.esc == escJSONString {
				p.esc = link.value().inString()
			}
			if prefix == "" {
				prefix = string(firstMark)
			}
		case p.kind == textPiece:
			for j := range len(p.text) {
				c := p.text[j]
				switch {
				case escaped:
					escaped = false
				case inside && c == '\\':
					escaped = true
				case c == '"':
					inside = !inside
					if inside {
						opened = p.line + strings.Count(p.text[:j], "\n")
						prefix = ""
						link = mrkdwnPlace{}
						before.Reset()
						before.WriteString(p.text[max(0, strings.LastIndexByte(p.text[:j], '\n')):j])
						continue
					}
				}
				if inside && !escaped {
					link.see(p.text[j : j+1])
				}
				if inside && len(prefix) < len("https://") {
					prefix += string(rune(c))
				}
			}
		}
	}
	if inside {
		return problemf(part, opened, "has a JSON string that is not closed; end it with a quote")
	}
	return nil
}

func jsonPlace(inside bool, prefix, before string) escape {
	switch {
	case !inside:
		return escJSONValue
	case prefix == "" && urlKey.MatchString(before):
		return escJSONStart
	case isWeb(prefix):
		return escJSONPart
	}
	return escJSONString
}
