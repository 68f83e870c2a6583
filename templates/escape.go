package templates

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rapport/channels"
)

// escape says how a value is written at its place.
type escape uint8

const (
	escNone            escape = iota
	escHTML                   // text between tags
	escAttr                   // inside a quoted attribute
	escURLStart               // the beginning of an address: must be a harmless one
	escURLPart                // inside the path of an address
	escURLQuery               // inside the query or fragment of an address
	escStyle                  // inside CSS
	escComment                // inside a comment
	escMrkdwn                 // Slack's mark-up
	escMrkdwnStart            // the beginning of an address in Slack's mark-up
	escMrkdwnName             // an ID in Slack's mark-up
	escJSONString             // inside a JSON string
	escJSONMrkdwn             // inside a JSON string that the receiver reads as mark-up
	escJSONMrkdwnStart        // the beginning of an address there
	escJSONValue              // a JSON value of its own
	escJSONStart              // the beginning of an address inside a JSON string
	escJSONPart               // further inside an address inside a JSON string
)

// markup is text that is already escaped for its part.
type markup string

// append writes s, escaped. safe: s is markup.
func (e escape) append(b []byte, s string, safe bool) ([]byte, error) {
	switch e {
	case escHTML:
		if safe {
			return append(b, s...), nil
		}
		return appendHTML(b, s), nil
	case escAttr:
		if safe {
			s = html.UnescapeString(s)
		}
		return appendHTML(b, s), nil
	case escURLStart:
		address, err := safeURL(s)
		return appendHTML(b, address), err
	case escURLPart:
		return appendURL(b, s, "/"), nil
	case escURLQuery:
		return appendURL(b, s, ""), nil
	case escStyle:
		return appendStyle(b, s), nil
	case escComment:
		return appendHTML(b, strings.ReplaceAll(s, "-", "\u2010")), nil
	case escMrkdwn:
		if safe {
			return append(b, s...), nil
		}
		return appendMrkdwn(b, s), nil
	case escMrkdwnStart:
		return appendMrkdwnStart(b, s)
	case escMrkdwnName:
		return appendMrkdwnName(b, s), nil
	case escJSONMrkdwnStart:
		address, err := appendMrkdwnStart(nil, s)
		return appendJSONString(b, string(address)), err
	case escJSONString:
		return appendJSONString(b, s), nil
	case escJSONMrkdwn:
		return appendJSONString(b, string(appendMrkdwn(nil, s))), nil
	case escJSONStart:
		address, err := safeURL(s)
		return appendJSONString(b, address), err
	case escJSONPart:
		return appendURL(b, s, "/"), nil
	case escJSONValue:
		return appendJSON(b, s, time.UTC)
	case escNone:
	}
	return append(b, s...), nil
}

// appendHTML escapes text so that it cannot leave a text or a quoted
// attribute. Control characters that HTML forbids are dropped.
func appendHTML(b []byte, s string) []byte {
	start := 0
	for i := range len(s) {
		var rep string
		switch c := s[i]; c {
		case '&':
			rep = "&amp;"
		case '<':
			rep = "&lt;"
		case '>':
			rep = "&gt;"
		case '"':
			rep = "&#34;"
		case '\'':
			rep = "&#39;"
		default:
			if c >= ' ' && c != 0x7F || c == '\n' || c == '\t' || c == '\r' {
				continue
			}
		}
		b = append(b, s[start:i]...)
		b = append(b, rep...)
		start = i + 1
	}
	return append(b, s[start:]...)
}

// escapedHTML is appendHTML for a text that most often needs nothing.
func escapedHTML(s string) string {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7F || strings.IndexByte(`&<>"'`, c) >= 0 {
			return string(appendHTML(nil, s))
		}
	}
	return s
}

// harmless says whether digits, signs and letters stand for themselves here.
func (e escape) harmless() bool {
	switch e {
	case escNone, escHTML, escAttr, escMrkdwn, escJSONString, escJSONMrkdwn:
		return true
	default:
		return false
	}
}

// appendMrkdwn escapes the three characters that Slack's mark-up reserves.
func appendMrkdwn(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		default:
			b = append(b, s[i])
		}
	}
	return b
}

// appendURL percent-encodes everything but letters, digits, the marks that
// mean nothing in an address, what stands in keep, and what is percent-encoded
// already.
func appendURL(b []byte, s, keep string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0, strings.IndexByte(keep, c) >= 0:
			b = append(b, c)
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// appendStyle keeps what a colour, a length or a word needs.
func appendStyle(b []byte, s string) []byte {
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("#.%, -_", r) {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

func appendJSONString(b []byte, s string) []byte {
	if plainJSON(s) {
		return append(b, s...)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return b // a string can always be written
	}
	return append(b, text[1:len(text)-1]...)
}

// plainJSON says whether a text needs no escaping in JSON.
func plainJSON(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || strings.IndexByte(`"\<>&`, c) >= 0 {
			return false
		}
	}
	return true
}

// appendJSON writes a value as JSON; times as RFC 3339 in the zone.
func appendJSON(b []byte, v any, zone *time.Location) ([]byte, error) {
	switch m := v.(type) {
	case rawJSON:
		return append(b, m...), nil
	case markup:
		v = string(m)
	case time.Time:
		v = m.In(zone)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return b, errors.New("the value cannot be written as JSON; use one of its fields")
	}
	return append(b, text...), nil
}

// rawJSON is JSON text, made by the json filter.
type rawJSON string

// safeURL lets an address pass that opens a page, a mail or a call.
func safeURL(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	if err := checkTarget(s); err != nil {
		return "", fmt.Errorf("a value stands where an address is wanted and %w", err)
	}
	return s, nil
}

// checkTarget says what is wrong with a link's target. The sentence does not
// repeat the target.
func checkTarget(s string) error {
	if strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsFunc(s, unicode.IsSpace) {
		return errors.New("has blanks, line breaks or control characters; write the address without them")
	}
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("is not a web address; write it like https://example.com/page")
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		switch {
		case u.Hostname() == "":
			return errors.New("has no host; write it like https://example.com/page")
		case u.User != nil:
			return errors.New("carries a user name; remove it, a letter is no place for credentials")
		case strings.Contains(s, `\`):
			return errors.New(`has a \; write / instead`)
		}
	case "mailto", "tel", "sms":
	case "":
		return errors.New("is not complete; write the whole address, like https://example.com/page")
	default:
		return fmt.Errorf("begins with %s:, which mail programs must not open; use https, mailto or tel", shorten(u.Scheme))
	}
	return nil
}

// finish brings a rendered part into the form its syntax demands.
func finish(syntax channels.Syntax, b []byte) (string, error) {
	switch syntax {
	case channels.Header:
		return oneLine(string(b)), nil
	case channels.JSON:
		var out bytes.Buffer
		if err := json.Compact(&out, b); err != nil {
			return "", jsonProblem(b, err)
		}
		return out.String(), nil
	case channels.Plain, channels.Mrkdwn:
		b = bytes.TrimSpace(b)
		if !hasControls(b) {
			return string(b), nil
		}
		return strings.TrimSpace(strings.Map(printable, string(b))), nil
	case channels.HTML:
	}
	return string(b), nil
}

// oneLine makes a header of text: line breaks become blanks, control and
// direction characters go.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.Map(func(r rune) rune {
		if r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s), isBreak), " ")
}

// isBreak is every space that may be folded; the no-break spaces stay.
func isBreak(r rune) bool {
	return r != '\u00A0' && r != '\u202F' && unicode.IsSpace(r) || r == '\u2028' || r == '\u2029'
}

// hasControls says whether printable would drop something: a control
// character of one octet, or one of two (U+0080 to U+009F).
func hasControls(b []byte) bool {
	for i, c := range b {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7F || c == 0xC2 && i+1 < len(b) && b[i+1] < 0xA0 {
			return true
		}
	}
	return false
}

func printable(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

func jsonProblem(b []byte, err error) error {
	line := 0
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		line = 1 + bytes.Count(b[:min(int(s.Offset), len(b))], []byte("\n"))
	}
	return problemf("", line, "the result is not valid JSON (line of the result); look for a missing or superfluous comma, quote or bracket")
}
