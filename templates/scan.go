package templates

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pieceKind says what a piece of a template is.
type pieceKind uint8

const (
	textPiece    pieceKind = iota // text that stands for itself
	outputPiece                   // {{ expression }}
	tagPiece                      // {% name args %}
	clickPiece                    // a tracked link: number and plain target
	pixelPiece                    // the open pixel, when the letter is tracked
	preheadPiece                  // the hidden preheader
)

// piece is one stretch of a template's source. A template is a list of pieces
// until its blocks are built.
type piece struct {
	kind pieceKind
	text string // text, expression, tag arguments or link target
	name string // tag name
	line int
	esc  escape // how an output is escaped
	n    int    // link number
}

// The limits on what a writer may write.
const (
	maxSource     = 1 << 20 // bytes of one part
	maxPieces     = 60_000  // pieces of one part; each has its own mark, see mark
	maxExpression = 2_000   // bytes of one expression: it is evaluated recursively
	maxFilters    = 20      // filters of one expression
	maxDepth      = 20      // blocks within blocks
	maxLoops      = 2       // loops within loops
	maxItems      = 1_000   // rounds of one loop, and length of a literal range
)

var (
	endRaw     = regexp.MustCompile(`\{%-?\s*endraw\s*-?%\}`)
	endComment = regexp.MustCompile(`\{%-?\s*end(?:comment|doc)\s*-?%\}`)
	tagName    = regexp.MustCompile(`^(#|\w+)\s*`)
)

// scanner cuts a source into pieces and applies whitespace control.
type scanner struct {
	part   string
	src    string
	pos    int
	line   int
	trim   bool // the text that follows loses its leading whitespace
	pieces []piece
}

// scan cuts the source of a part into pieces. The error is a *Problem.
func scan(part, src string) ([]piece, error) {
	if len(src) > maxSource {
		return nil, problemf(part, 1, "is %d bytes long; a part may have at most %d", len(src), maxSource)
	}
	if !utf8.ValidString(src) {
		return nil, problemf(part, 1, "is not UTF-8 text; save the file as UTF-8")
	}
	if at := strings.IndexFunc(src, isMark); at >= 0 {
		return nil, problemf(part, 1+strings.Count(src[:at], "\n"), "has a character of the private-use planes 15 and 16, which is not available in templates; remove it")
	}
	s := &scanner{part: part, src: strings.TrimPrefix(src, "\uFEFF"), line: 1}
	for s.pos < len(s.src) {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	if len(s.pieces) > maxPieces {
		return nil, problemf(part, 1, "has more than %d places with {{ }} or {%% %%}; split the template", maxPieces)
	}
	return s.pieces, nil
}

func (s *scanner) next() error {
	rest := s.src[s.pos:]
	at := openAt(rest)
	if at < 0 {
		s.text(rest)
		s.pos = len(s.src)
		return nil
	}
	left := at+2 < len(rest) && rest[at+2] == '-'
	text := rest[:at]
	s.text(text)
	if left {
		s.trimLast()
	}
	s.pos += at
	return s.markup(left)
}

// openAt finds the next {{ or {%.
func openAt(s string) int {
	for i := 0; ; i++ {
		j := strings.IndexByte(s[i:], '{')
		if j < 0 || i+j+1 >= len(s) {
			return -1
		}
		i += j
		if s[i+1] == '{' || s[i+1] == '%' {
			return i
		}
	}
}

func (s *scanner) markup(left bool) error {
	rest := s.src[s.pos:]
	end := "}}"
	if rest[1] == '%' {
		end = "%}"
	}
	at := closeAt(rest[2:], end)
	if at < 0 {
		return problemf(s.part, s.line, "has %s without its %s; close it", rest[:2], end)
	}
	inner := rest[2 : 2+at]
	line := s.line
	s.advance(2 + at + 2)
	if left {
		inner = inner[1:]
	}
	if strings.HasSuffix(inner, "-") {
		inner = inner[:len(inner)-1]
		s.trim = true
	} else {
		s.trim = false
	}
	inner = strings.TrimSpace(inner)
	if end == "}}" {
		if inner == "" {
			return problemf(s.part, line, "has an empty {{ }}; name a value in it or remove it")
		}
		s.pieces = append(s.pieces, piece{kind: outputPiece, text: inner, line: line})
		return nil
	}
	return s.tag(inner, line)
}

func (s *scanner) tag(inner string, line int) error {
	m := tagName.FindStringSubmatch(inner)
	if m == nil {
		return problemf(s.part, line, "has {%% %%} without the name of a tag; write for example {%% if contact.first_name %%}")
	}
	name, args := m[1], strings.TrimSpace(inner[len(m[0]):])
	switch name {
	case "#":
		return nil
	case "raw":
		return s.until(endRaw, name, line, true)
	case "comment", "doc":
		return s.until(endComment, name, line, false)
	}
	if strings.HasPrefix(args, ":") {
		return problemf(s.part, line, "has a colon after the tag %q; remove it", name)
	}
	if name == "echo" {
		s.pieces = append(s.pieces, piece{kind: outputPiece, text: args, line: line})
		return nil
	}
	s.pieces = append(s.pieces, piece{kind: tagPiece, name: name, text: args, line: line})
	return nil
}

// until takes everything up to an end tag, as text or not at all.
func (s *scanner) until(end *regexp.Regexp, name string, line int, keep bool) error {
	rest := s.src[s.pos:]
	m := end.FindStringIndex(rest)
	if m == nil {
		return problemf(s.part, line, "has {%% %s %%} without {%% end%s %%}; close it", name, name)
	}
	if keep {
		s.text(rest[:m[0]])
	}
	s.trim = strings.HasSuffix(rest[:m[1]], "-%}")
	s.advance(m[1])
	return nil
}

func (s *scanner) advance(n int) {
	s.line += strings.Count(s.src[s.pos:s.pos+n], "\n")
	s.pos += n
}

func (s *scanner) text(t string) {
	line := s.line
	s.line += strings.Count(t, "\n")
	if s.trim {
		short := strings.TrimLeftFunc(t, unicode.IsSpace)
		line += strings.Count(t[:len(t)-len(short)], "\n")
		t = short
		s.trim = t == ""
	}
	if t != "" {
		s.pieces = append(s.pieces, piece{kind: textPiece, text: t, line: line})
	}
}

func (s *scanner) trimLast() {
	if n := len(s.pieces); n > 0 && s.pieces[n-1].kind == textPiece {
		s.pieces[n-1].text = strings.TrimRightFunc(s.pieces[n-1].text, unicode.IsSpace)
	}
}

// closeAt finds the closing braces outside of quotes. When quotes do not
// match, as in a text with an apostrophe, the first closing braces count.
func closeAt(s, end string) int {
	var quote byte
	for i := 0; i+1 < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			switch {
			case c == quote:
				quote = 0
			case c == '\\' && quote == '"':
				i++
			}
		case c == '"' || c == '\'':
			quote = c
		case s[i:i+2] == end:
			return i
		case s[i:i+2] == "{{" || s[i:i+2] == "{%":
			return -1
		}
	}
	return strings.Index(s, end)
}

// A mark is one rune of the private-use planes 15 and 16 that stands for a
// piece while markup around it is read. There are 131,072 of them, more than a
// part of maxSource can have pieces and links.
const firstMark = '\U000F0000'

func isMark(r rune) bool { return r >= firstMark }

// masked is a list of pieces as one text, in which every piece that is not
// text is one rune.
type masked struct {
	text  string
	table []piece // by mark
	lines []place // where each piece begins in text
}

type place struct {
	offset, line int
}

func mask(pieces []piece) *masked {
	m := &masked{}
	var b strings.Builder
	for _, p := range pieces {
		m.lines = append(m.lines, place{b.Len(), p.line})
		if p.kind == textPiece {
			b.WriteString(p.text)
			continue
		}
		b.WriteString(m.add(p))
	}
	m.text = b.String()
	return m
}

// add gives a piece its mark.
func (m *masked) add(p piece) string {
	m.table = append(m.table, p)
	return string(firstMark + rune(len(m.table)-1)) //nolint:gosec // see firstMark: there are never so many
}

// piece returns the piece that a mark stands for.
func (m *masked) piece(r rune) *piece { return &m.table[r-firstMark] }

// line returns the source line of an offset in the masked text.
func (m *masked) line(offset int) int {
	line := 1
	lo, hi := 0, len(m.lines)
	for lo < hi {
		mid := (lo + hi) / 2
		if m.lines[mid].offset <= offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo > 0 {
		p := m.lines[lo-1]
		line = p.line + strings.Count(m.text[p.offset:min(offset, len(m.text))], "\n")
	}
	return line
}

// unmask turns a text with marks back into pieces.
func (m *masked) unmask(text string) []piece {
	var out []piece
	start := 0
	flush := func(to int) {
		if start < to {
			out = append(out, piece{kind: textPiece, text: text[start:to]})
		}
	}
	for i, r := range text {
		if !isMark(r) {
			continue
		}
		flush(i)
		out = append(out, *m.piece(r))
		start = i + utf8.RuneLen(r)
	}
	flush(len(text))
	return out
}
