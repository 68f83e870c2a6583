package email

import "encoding/base64"

const (
	bodyLine = 76 // RFC 2045 section 6.7, rule 5, and section 6.8
	soft     = "=\r\n"
)

// plainQP tells which octets quoted-printable leaves alone. Blanks are among
// them; those at the end of a line are mended when the line ends.
func plainQP(c byte) bool { return c >= ' ' && c <= '~' && c != '=' || c == '\t' }

// appendQP writes text in quoted-printable (RFC 2045 section 6.7). CR LF and a
// bare LF are line breaks; a bare CR, NUL and everything else that is not
// plain is encoded, so that what is decoded is what was given. A dot at the
// beginning of a line is encoded too, so nothing is left to stuff, and so is
// the F of "From ", which some mailboxes would alter.
func appendQP(dst []byte, s string) []byte {
	col := 0
	for i := 0; i < len(s); {
		if col == 0 && (s[i] == '.' || len(s)-i >= 5 && s[i:i+5] == "From ") {
			dst = append(dst, '=', upperHex[s[i]>>4], upperHex[s[i]&15])
			col, i = 3, i+1
			continue
		}
		run, end := i, min(len(s), i+bodyLine-1-col)
		for i < end && plainQP(s[i]) {
			i++
		}
		dst = append(dst, s[run:i]...)
		col += i - run
		switch {
		case i == len(s):
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
	return endLine(dst, col)
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
