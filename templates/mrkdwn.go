package templates

import "strings"

// mrkdwnPlace follows the text of Slack's mark-up and says how a value is
// escaped there: in <address|words> a value must not become a mention of
// everybody, another address or the end of the address.
type mrkdwnPlace struct {
	inside bool   // after <, before | and >
	text   []byte // what stands there so far
}

// see takes fixed text into account.
func (m *mrkdwnPlace) see(text string) {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '<':
			m.inside, m.text = true, nil
		case c == '>' || c == '|':
			m.inside = false
		case m.inside:
			m.text = append(m.text, c)
		}
	}
}

// value returns the escaping of a value that stands here.
func (m *mrkdwnPlace) value() escape {
	if !m.inside {
		return escMrkdwn
	}
	before := string(m.text)
	m.text = append(m.text, string(firstMark)...)
	switch {
	case before == "":
		return escMrkdwnStart
	case strings.ContainsRune("@#!", rune(before[0])):
		return escMrkdwnName
	case strings.HasPrefix(before, string(firstMark)), fixedHost.MatchString(before), fixedOther.MatchString(before):
	case isWeb(before):
		return escMrkdwnName // in the host
	default:
		return escMrkdwn // a < of the text
	}
	switch {
	case strings.ContainsAny(before, "?#"):
		return escURLQuery
	default:
		return escURLPart
	}
}

// placeMrkdwn says how every value of a part in Slack's mark-up is escaped.
func placeMrkdwn(pieces []piece) {
	var at mrkdwnPlace
	for i := range pieces {
		switch p := &pieces[i]; p.kind {
		case textPiece:
			at.see(p.text)
		case outputPiece:
			p.esc = at.value()
		default:
			p.esc = escMrkdwn
		}
	}
}

// inString is the same place inside of a JSON string.
func (e escape) inString() escape {
	switch e {
	case escMrkdwn:
		return escJSONMrkdwn
	case escMrkdwnStart:
		return escJSONMrkdwnStart
	default:
		return e // nothing that JSON would read
	}
}

// appendMrkdwnStart writes an address at the beginning of <address|words>.
func appendMrkdwnStart(b []byte, s string) ([]byte, error) {
	address, err := safeURL(s)
	return appendMrkdwn(b, strings.ReplaceAll(address, "|", "%7C")), err
}

// appendMrkdwnName keeps what the ID of a person or conversation needs.
func appendMrkdwnName(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b = append(b, c)
		}
	}
	return b
}
