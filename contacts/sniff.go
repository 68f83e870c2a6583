package contacts

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"rapport"
	"rapport/internal/csvtext"
)

// The encodings a file may have.
const (
	UTF8        = "utf-8"
	UTF16LE     = "utf-16le"
	UTF16BE     = "utf-16be"
	Windows1252 = "windows-1252"
)

// Form is how a file is written.
type Form struct {
	Encoding  string `json:"encoding"`
	Delimiter string `json:"delimiter"`
	// Lines is "cr" where lines end with a carriage return alone.
	Lines string `json:"lines,omitempty"`
}

const oldLines = "cr"

// scout reads a whole file once: its digest, its size and its encoding.
type scout struct {
	hash    hash.Hash
	head    []byte // the first bytes
	size    int64
	tail    []byte // an unfinished UTF-8 sequence
	wide    int    // complete sequences of several bytes
	invalid int    // bytes that are no UTF-8
	unused  int    // bytes that Windows-1252 does not have, control characters
}

const headBytes = 64 << 10

func newScout() *scout { return &scout{hash: sha256.New()} }

// Write implements io.Writer; it never fails.
func (s *scout) Write(p []byte) (int, error) {
	s.hash.Write(p)
	s.size += int64(len(p))
	if room := headBytes - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	n := len(p)
	if len(s.tail) > 0 {
		p = append(slices.Clone(s.tail), p...)
		s.tail = s.tail[:0]
	}
	for i := 0; i < len(p); {
		c := p[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
				s.unused++
			}
			i++
			continue
		}
		if !utf8.FullRune(p[i:]) {
			s.tail = append(s.tail, p[i:]...)
			break
		}
		r, size := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && size == 1 {
			s.invalid++
			switch c {
			case 0x81, 0x8d, 0x8f, 0x90, 0x9d:
				s.unused++
			}
		} else {
			s.wide++
		}
		i += size
	}
	return n, nil
}

// encoding says how the file is most likely written: a byte order mark
// decides, else zero bytes in every other place, else whether it is UTF-8. A
// file of UTF-8 with a few broken places stays UTF-8, and its broken rows are
// listed.
func (s *scout) encoding() string {
	switch {
	case bytes.HasPrefix(s.head, []byte{0xef, 0xbb, 0xbf}):
		return UTF8
	case bytes.HasPrefix(s.head, []byte{0xff, 0xfe}):
		return UTF16LE
	case bytes.HasPrefix(s.head, []byte{0xfe, 0xff}):
		return UTF16BE
	}
	if wide, ok := zeros(s.head); ok {
		return wide
	}
	if s.invalid > 0 && s.wide <= s.invalid && s.unused == 0 {
		return Windows1252
	}
	return UTF8
}

// zeros recognises UTF-16 without a mark by the zero bytes of Latin letters.
func zeros(head []byte) (string, bool) {
	var at [2]int
	for i, c := range head {
		if c == 0 {
			at[i%2]++
		}
	}
	half := len(head) / 2
	switch {
	case half >= 2 && at[1] > half/2 && at[0] < at[1]/8+1:
		return UTF16LE, true
	case half >= 2 && at[0] > half/2 && at[1] < at[0]/8+1:
		return UTF16BE, true
	}
	return "", false
}

// decoded returns the file as UTF-8 without a byte order mark.
func decoded(r io.Reader, name string) (io.Reader, error) {
	switch strings.ToLower(name) {
	case UTF8, "utf8":
		b := bufio.NewReaderSize(r, headBytes)
		if mark, err := b.Peek(3); err == nil && bytes.Equal(mark, []byte{0xef, 0xbb, 0xbf}) {
			_, _ = b.Discard(3)
		}
		return b, nil
	case UTF16LE:
		return unmarked(r, unicode.LittleEndian), nil
	case UTF16BE:
		return unmarked(r, unicode.BigEndian), nil
	case Windows1252, "cp1252", "iso-8859-1", "latin1":
		return charmap.Windows1252.NewDecoder().Reader(r), nil
	}
	return nil, rapport.Invalidf("encoding", "%q is not an encoding Rapport reads; known: %s, %s, %s, %s", name, UTF8, UTF16LE, UTF16BE, Windows1252)
}

// unmarked reads UTF-16, leaving out its mark if there is one.
func unmarked(r io.Reader, order unicode.Endianness) io.Reader {
	d := bufio.NewReaderSize(unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder().Reader(r), headBytes)
	if mark, err := d.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = d.Discard(3)
	}
	return d
}

// delimiters are tried in this order.
const delimiters = ",;\t|"

// delimiter finds what separates the cells of a file from its beginning. The
// one that divides the first line most often wins; quoted cells do not count.
func delimiter(text string) rune {
	if first, _, _ := strings.Cut(text, "\n"); len(first) <= 6 && strings.HasPrefix(strings.ToLower(first), "sep=") {
		if d := strings.TrimRight(first[4:], "\r"); len(d) == 1 && strings.Contains(delimiters, d) {
			return rune(d[0])
		}
	}
	counts := map[rune]int{}
	quoted := false
	for _, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '\n' || r == '\r':
			if len(counts) > 0 {
				return most(counts)
			}
		case strings.ContainsRune(delimiters, r):
			counts[r]++
		}
	}
	return most(counts)
}

func most(counts map[rune]int) rune {
	best := ','
	for _, d := range delimiters {
		if counts[d] > counts[best] {
			best = d
		}
	}
	return best
}

// Sniff reads a file to its end and says how it is written, its digest and its
// size. Given words in want count instead of the guess.
func Sniff(r io.Reader, want Form) (form Form, digest []byte, size int64, err error) {
	s := newScout()
	if _, err := io.Copy(s, r); err != nil {
		return form, nil, 0, fmt.Errorf("read the file: %w", err)
	}
	form = want
	if form.Encoding == "" {
		form.Encoding = s.encoding()
	}
	text, err := decoded(bytes.NewReader(s.head), form.Encoding)
	if err != nil {
		return form, nil, 0, err
	}
	head, err := io.ReadAll(text)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return form, nil, 0, fmt.Errorf("read the beginning of the file: %w", err)
	}
	if csvtext.OldLines(string(head)) {
		form.Lines = oldLines
	}
	if form.Delimiter == "" {
		form.Delimiter = string(delimiter(string(head)))
	}
	if form.Delimiter == `\t` || strings.EqualFold(form.Delimiter, "tab") {
		form.Delimiter = "\t"
	}
	if len(form.Delimiter) != 1 || strings.ContainsAny(form.Delimiter, "\"\r\n") {
		return form, nil, 0, rapport.Invalidf("delimiter", "%q cannot separate cells; use , ; | or tab", form.Delimiter)
	}
	return form, s.hash.Sum(nil), s.size, nil
}
