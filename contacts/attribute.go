package contacts

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Columns of a contacts file that are not attributes, besides the kinds of
// address.
const (
	columnExternal      = "external_id"
	columnLocale        = "locale"
	columnZone          = "time_zone"
	columnConsentAt     = "consent_at"
	columnConsentSource = "consent_source"
	columnConsentIP     = "consent_ip"
	consentPrefix       = "consent:"
	eventPrefix         = "event:"
)

// numberPattern is what looks like a number to everybody: a leading zero or
// plus, a comma or an exponent makes it text.
var numberPattern = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// maxDigits is how many digits a number may have before it must be a code
// (an account, a card): a float64 keeps 15.
const maxDigits = 15

// CheckAttributeName refuses a name that could not be used in conditions and
// templates, where it stands in brackets and quotes if need be.
func CheckAttributeName(name string) error {
	if name == "" || utf8.RuneCountInString(name) > 64 || strings.TrimSpace(name) != name || name[0] == '$' {
		return fmt.Errorf("%q is not a name for an attribute: it has 1 to 64 characters", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune("\"'`\\{}[]%|", r) {
			return fmt.Errorf("%q is not a name for an attribute: %q may not be in it", name, r)
		}
	}
	switch name {
	case "id", "created_at", columnExternal, columnLocale, columnZone:
		return fmt.Errorf("%q is a word of Rapport's own and cannot name an attribute", name)
	}
	return nil
}

// learner finds the type of a column from its cells.
type learner struct {
	seen  bool
	mixed bool
	kind  Type
}

// see takes one cell into account; empty cells say nothing.
func (l *learner) see(cell string) {
	if cell == "" || l.mixed {
		return
	}
	kind := guess(cell)
	switch {
	case !l.seen:
		l.seen, l.kind = true, kind
	case l.kind != kind:
		l.mixed, l.kind = true, Text
	}
}

// learned returns the type; ok is false while only empty cells were seen.
func (l *learner) learned() (Type, bool) { return l.kind, l.seen }

// guess is the type one cell looks like.
func guess(cell string) Type {
	c := cell[0]
	switch {
	case c == '{' || c == '[':
		if json.Valid([]byte(cell)) {
			return JSON
		}
	case c == '-' || c >= '0' && c <= '9':
		if isNumber(cell) {
			return Number
		}
		if _, ok := parseDate(cell); ok {
			return Date
		}
		if _, ok := parseTime(cell); ok {
			return Time
		}
	case c == 't' || c == 'f' || c == 'T' || c == 'F':
		if _, ok := parseBool(cell); ok {
			return Bool
		}
	}
	return Text
}

func isNumber(cell string) bool {
	if !numberPattern.MatchString(cell) {
		return false
	}
	digits := 0
	for i := range len(cell) {
		if cell[i] >= '0' && cell[i] <= '9' {
			digits++
		}
	}
	return digits <= maxDigits
}

func parseDate(cell string) (string, bool) {
	if len(cell) != len(time.DateOnly) {
		return "", false
	}
	t, err := time.Parse(time.DateOnly, cell)
	return cell, err == nil && t.Year() > 0
}

// parseTime reads RFC 3339, with a blank for the T, without seconds or zone
// (then UTC).
func parseTime(cell string) (time.Time, bool) {
	if len(cell) < len("2006-01-02T15:04") || cell[4] != '-' {
		return time.Time{}, false
	}
	text := cell[:10] + "T" + cell[11:]
	if cell[10] != 'T' && cell[10] != ' ' {
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Microsecond), t.Year() > 0
		}
	}
	return time.Time{}, false
}

func parseBool(cell string) (value, ok bool) {
	switch {
	case strings.EqualFold(cell, "true"):
		return true, true
	case strings.EqualFold(cell, "false"):
		return false, true
	}
	return false, false
}

// convert turns a cell into the JSON that is stored for a type.
func convert(cell string, t Type) (json.RawMessage, error) {
	switch t {
	case Text:
		return appendString(nil, cell), nil
	case Number:
		if !numberPattern.MatchString(cell) {
			return nil, fmt.Errorf("%s is not a number; write it like 1234.5", quote(cell))
		}
		if !fits(cell) {
			return nil, fmt.Errorf("%s is larger, or nearer to zero, than a number can be; keep it as text", quote(cell))
		}
		return json.RawMessage(trimNumber(cell)), nil
	case Bool:
		v, ok := parseBool(cell)
		if !ok {
			return nil, fmt.Errorf("%s is not true or false", quote(cell))
		}
		return strconv.AppendBool(nil, v), nil
	case Date:
		d, ok := parseDate(cell)
		if !ok {
			return nil, fmt.Errorf("%s is not a date; write it like 2026-01-31", quote(cell))
		}
		return appendString(nil, d), nil
	case Time:
		at, ok := parseTime(cell)
		if d, isDate := parseDate(cell); !ok && isDate {
			at, ok = parseTime(d + "T00:00")
		}
		if !ok {
			return nil, fmt.Errorf("%s is not a time; write it like 2026-01-31T09:00:00Z", quote(cell))
		}
		return strconv.AppendInt(nil, at.UnixMicro(), 10), nil
	case JSON:
		if err := portable(cell); err != nil {
			return nil, err
		}
		return json.RawMessage(cell), nil
	}
	return nil, fmt.Errorf("there is no type %q", t)
}

// trimNumber writes a number in one way: 1.50 and 1.5 are the same.
func trimNumber(n string) string {
	if strings.Contains(n, ".") {
		n = strings.TrimRight(strings.TrimRight(n, "0"), ".")
	}
	if n == "-0" {
		return "0"
	}
	return n
}

// show turns a stored value back into a cell.
func show(raw json.RawMessage, t Type) string {
	switch t {
	case Text, Date:
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	case Time:
		if us, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
		}
	case Number, Bool, JSON:
	}
	return string(raw)
}

// quote shows a cell in a sentence, cut to a glance.
func quote(cell string) string {
	const most = 40
	if utf8.RuneCountInString(cell) > most {
		cell = string([]rune(cell)[:most]) + "…"
	}
	return strconv.Quote(cell)
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
