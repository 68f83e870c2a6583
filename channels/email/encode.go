package email

import (
	"bytes"
	"encoding/base64"
	"math/bits"
	"slices"
	"strings"

	"rapport/channels"
)

const (
	bodyLine = 76 // RFC 2045 section 6.7, rule 5, and section 6.8
	soft     = "=\r\n"
)

// plainQP tells which octets quoted-printable leaves alone. Blanks are among
// them; those at the end of a line are mended when the line ends.
func plainQP(c byte) bool { return c >= ' ' && c <= '~' && c != '=' || c == '\t' }

// plainRun is where the run of plain octets that begins at i ends, at most end.
// It looks at eight octets at once: a letter is nearly all plain.
func plainRun(s string, i, end int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for i+8 <= end {
		o := s[i : i+8]
		v := uint64(o[0]) | uint64(o[1])<<8 | uint64(o[2])<<16 | uint64(o[3])<<24 |
			uint64(o[4])<<32 | uint64(o[5])<<40 | uint64(o[6])<<48 | uint64(o[7])<<56
		equal := v ^ '='*ones
		// The lowest mark is right; those above it may come from a borrow or carry.
		marks := ((v-' '*ones)&^v | v | (v + ones) | (equal-ones)&^equal) & high
		if marks == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(marks) / 8
		if s[i] != '\t' {
			return i
		}
		i++
	}
	for i < end && plainQP(s[i]) {
		i++
	}
	return i
}

// appendQP writes text in quoted-printable (RFC 2045 section 6.7). CR LF and a
// bare LF are line breaks; a bare CR, NUL and everything else that is not
// plain is encoded, so that what is decoded is what was given. A dot at the
// beginning of a line is encoded too, so nothing is left to stuff, and so is
// the F of "From ", which some mailboxes would alter.
//
// Spans of the text that are the same in many letters are encoded once and
// then only copied. What is decoded is the same; lines may break elsewhere.
func appendQP(dst []byte, s string, spans []channels.Span) []byte {
	col, at := 0, 0
	for _, f := range spans {
		if f.From < at || f.To > len(s) || f.From >= f.To || f.Text == nil || s[f.From:f.To] != f.Text.String() ||
			s[f.To-1] == '\r' || f.From > 0 && s[f.From-1] == '\r' { // a CR LF is one thing, wherever it is cut
			continue
		}
		dst, col = encodeQP(dst, col, s, at, f.From, false)
		dst, col = appendFixed(dst, col, f.Text.Encoded(encodeFixed))
		at = f.To
	}
	dst, col = encodeQP(dst, col, s, at, len(s), false)
	return endLine(dst, col)
}

// encodeFixed encodes a text that stands somewhere in a letter, beginning with
// a line of its own. Its last line goes on.
func encodeFixed(text string) []byte {
	dst, _ := encodeQP(make([]byte, 0, len(text)+len(text)/16), 0, text, 0, len(text), true)
	return slices.Clip(dst)
}

// appendFixed goes on at column col with an encoded text, and returns the
// column after it.
func appendFixed(dst []byte, col int, text []byte) ([]byte, int) {
	first := bytes.IndexByte(text, '\n')
	switch {
	case first < 0 && col+len(text) <= bodyLine-1:
		return append(dst, text...), col + len(text)
	case first < 0:
		return append(append(dst, soft...), text...), len(text)
	case first == 1: // a line break ends the line before
		dst = endLine(dst, col)
	case col+first-1 > bodyLine:
		dst = append(dst, soft...)
	}
	return append(dst, text...), len(text) - 1 - bytes.LastIndexByte(text, '\n')
}

// encodeQP encodes s[i:to], going on at column col, and returns the column
// after it, at most 75. What comes behind to is looked at and not encoded; with
// open, something unknown comes behind the end of s.
func encodeQP(dst []byte, col int, s string, i, to int, open bool) ([]byte, int) {
	for i < to {
		if col == 0 && (s[i] == '.' || isFrom(s[i:], open)) {
			dst = append(dst, '=', upperHex[s[i]>>4], upperHex[s[i]&15])
			col, i = 3, i+1
			continue
		}
		run := i
		i = plainRun(s, i, min(to, i+bodyLine-1-col))
		dst = append(dst, s[run:i]...)
		col += i - run
		switch {
		case i == to:
		case s[i] == '\n' || s[i] == '\r' && i+1 < len(s) && s[i+1] == '\n':
			dst = append(endLine(dst, col), '\r', '\n')
			if s[i] == '\r' {
				i++
			}
			col, i = 0, i+1
		case plainQP(s[i]) || col+3 > bodyLine-1:
			dst = append(dst, soft...)
			col = 0
		default:
			dst = append(dst, '=', upperHex[s[i]>>4], upperHex[s[i]&15])
			col, i = col+3, i+1
		}
	}
	return dst, col
}

// isFrom says whether a line that begins with s begins with "From ", or may do
// so with what is not known yet.
func isFrom(s string, open bool) bool {
	const from = "From "
	return strings.HasPrefix(s, from) || open && len(s) < len(from) && strings.HasPrefix(from, s)
}

// endLine encodes the blank that a line of col octets ends with, if it does.
func endLine(dst []byte, col int) []byte {
	if col == 0 {
		return dst
	}
	last := dst[len(dst)-1]
	if last != ' ' && last != '\t' {
		return dst
	}
	dst = dst[:len(dst)-1]
	if col+2 > bodyLine {
		dst = append(dst, soft...)
	}
	return append(dst, '=', upperHex[last>>4], upperHex[last&15])
}

// appendBase64 writes data in lines of 76 characters (RFC 2045 section 6.8).
func appendBase64(dst, data []byte) []byte {
	const perLine = bodyLine / 4 * 3
	for len(data) > 0 {
		n := min(perLine, len(data))
		dst = base64.StdEncoding.AppendEncode(dst, data[:n])
		dst = append(dst, '\r', '\n')
		data = data[n:]
	}
	return dst
}
