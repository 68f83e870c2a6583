package email

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	lineFold  = 78  // RFC 5322 section 2.1.1, where lines should end
	wordMax   = 64  // an encoded word: RFC 2047 section 2 allows 75, and the first stands behind a name
	tokenMax  = 900 // longest text without a blank that a header line takes (998 less its name)
	localMax  = 64  // RFC 5321 section 4.5.3.1.1
	domainMax = 253
)

// appendHeader writes a header field, folded at blanks so that no line is
// longer than 78 octets where that is possible. The value has no line breaks:
// oneLine, encodeText or a check has seen to that.
func appendHeader(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ':')
	col := len(name) + 1
	first := true
	for value != "" {
		word := value
		if i := strings.IndexByte(value[1:], ' '); i >= 0 {
			word = value[:i+1]
		}
		value = value[len(word):]
		if word[0] != ' ' { // the very first word has no blank before it
			dst = append(dst, ' ')
			col++
		}
		if !first && col+len(word) > lineFold && strings.Trim(word, " ") != "" {
			dst = append(dst, '\r', '\n')
			col = 0
		}
		dst = append(dst, word...)
		col += len(word)
		first = false
	}
	return append(dst, '\r', '\n')
}

// oneLine replaces line breaks, control and formatting characters that could
// end a line or hide one by single blanks, and trims.
func oneLine(text string) string {
	plain := true
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return strings.TrimSpace(text)
	}
	var b strings.Builder
	b.Grow(len(text))
	gap := false
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			gap = true
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// encodeText makes a line of text fit for a header: as it is when it is plain
// ASCII, else as encoded words (RFC 2047). Text that looks like an encoded
// word, or is too long to be folded, is encoded too, so that it arrives as it
// was written.
func encodeText(text string) string {
	text = oneLine(text)
	if isASCII(text) && !strings.Contains(text, "=?") && longestWord(text) <= tokenMax/2 {
		return text
	}
	return encodeWords(text)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func longestWord(text string) int {
	most := 0
	for word := range strings.SplitSeq(text, " ") {
		most = max(most, len(word))
	}
	return most
}

// encodeWords writes text as encoded words that never split a character: with
// Q where most of it is readable so, else with B.
func encodeWords(text string) string {
	const room = wordMax - len("=?utf-8?Q?") - len("?=") - 3 // B rounds up to groups of four
	foreign := 0
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			foreign++
		}
	}
	write, cost := appendWordQ, costQ
	if foreign*3 > len(text) {
		write, cost = appendWordB, costB
	}
	out := make([]byte, 0, 3*len(text)+wordMax) // enough for all but much that is foreign
	start, used := 0, 0
	for i, r := range text {
		c := cost(text[i : i+utf8.RuneLen(r)])
		if used > 0 && used+c > room {
			out = append(write(out, text[start:i]), ' ')
			start, used = i, 0
		}
		used += c
	}
	return string(write(out, text[start:]))
}

// appendWordB is the B encoding of RFC 2047 section 4.1.
func appendWordB(dst []byte, s string) []byte {
	dst = append(dst, "=?utf-8?B?"...)
	return append(base64.StdEncoding.AppendEncode(dst, []byte(s)), "?="...)
}

func costB(s string) int { return (len(s)*4 + 2) / 3 }

const upperHex = "0123456789ABCDEF"

// appendWordQ is the Q encoding of RFC 2047 section 4.2.
func appendWordQ(dst []byte, s string) []byte {
	dst = append(dst, "=?utf-8?Q?"...)
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			dst = append(dst, '_')
		case readableQ(c):
			dst = append(dst, c)
		default:
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		}
	}
	return append(dst, "?="...)
}

func costQ(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] == ' ' || readableQ(s[i]) {
			n++
		} else {
			n += len("=C3")
		}
	}
	return n
}

// readableQ leaves alone only what may stand in a display name too (section
// 5, rule 3).
func readableQ(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!*+-/", c) >= 0
}

// formatAddress writes an address with its display name, if it has one.
func formatAddress(a *mail.Address) string {
	name := oneLine(a.Name)
	switch {
	case name == "":
		return a.Address
	case !isASCII(name), strings.Contains(name, "=?"), longestWord(name) > tokenMax/2:
		return encodeWords(name) + " <" + a.Address + ">"
	case strings.ContainsAny(name, `()<>[]:;@\,."`):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" <` + a.Address + ">"
	}
	return name + " <" + a.Address + ">"
}

// checkAddress refuses whatever could leave the place where an address stands
// in a command or a header. The error does not repeat the address.
func checkAddress(address string) error {
	at := strings.LastIndexByte(address, '@')
	if at <= 0 || at > localMax || !validDomain(address[at+1:]) {
		return errors.New("the address is not of the form local@domain")
	}
	if isToken(address[:at], localMax) {
		return nil // nearly every address
	}
	for _, r := range address[:at] {
		if r <= ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`"(),:;<>[\]@`, r) || unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return fmt.Errorf("the address holds %q before the @", r)
		}
	}
	return nil
}

// validDomain accepts host names of letters, digits, dots and hyphens.
func validDomain(d string) bool {
	if d == "" || len(d) > domainMax || d[0] == '.' || d[0] == '-' || d[len(d)-1] == '-' || d[len(d)-1] == '.' {
		return false
	}
	for i := range len(d) {
		c := d[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// isToken says whether text has only letters, digits and . _ - = and no more
// than most octets: what may stand in a local part, an ID or a boundary.
func isToken(text string, most int) bool {
	if text == "" || len(text) > most || text[0] == '.' || text[len(text)-1] == '.' || strings.Contains(text, "..") {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("._-=", c) < 0 {
			return false
		}
	}
	return true
}
