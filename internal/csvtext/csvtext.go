package csvtext

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"
)

// Protect puts an apostrophe before what a spreadsheet would read as a
// formula, and before what Unprotect would shorten.
func Protect(cell string) string {
	if formula(cell) {
		return "'" + cell
	}
	return cell
}

// Unprotect takes away what Protect put there.
func Unprotect(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && formula(cell) {
		return cell[1:]
	}
	return cell
}

// formula says whether a cell, less its leading apostrophes, begins like one:
// with a sign, one of the full-width signs that some languages' spreadsheets
// take for the same, or white space that they skip.
func formula(cell string) bool {
	rest := strings.TrimLeft(cell, "'")
	if rest == "" {
		return false
	}
	if rest[0] < utf8.RuneSelf {
		return strings.IndexByte("=+-@\t\r\n", rest[0]) >= 0
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return strings.ContainsRune("＝＋－＠", r)
}

// OldLines says whether lines end with a carriage return alone, as very old
// spreadsheets write them: the first end of a line outside of quotes decides.
func OldLines(head string) bool {
	quoted := false
	for i := range len(head) {
		switch head[i] {
		case '"':
			quoted = !quoted
		case '\n':
			if !quoted {
				return false
			}
		case '\r':
			if !quoted {
				return i+1 < len(head) && head[i+1] != '\n'
			}
		}
	}
	return false
}

// NewLines turns carriage returns that stand alone into line feeds.
func NewLines(r io.Reader) io.Reader { return &newLines{r: bufio.NewReader(r)} }

type newLines struct{ r *bufio.Reader }

func (n *newLines) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	for i := range k {
		if p[i] != '\r' {
			continue
		}
		if i+1 < k {
			if p[i+1] != '\n' {
				p[i] = '\n'
			}
			continue
		}
		if next, err := n.r.Peek(1); err != nil || next[0] != '\n' {
			p[i] = '\n'
		}
	}
	return k, err //nolint:wrapcheck // a reader hands errors on
}
