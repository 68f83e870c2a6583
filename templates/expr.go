package templates

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/osteele/liquid/expressions"
)

// The names a template finds without making them.
const (
	rootContact  = "contact"
	rootData     = "data"
	rootCampaign = "campaign"
	rootLinks    = "links"
	rootNow      = "now"
	rootForloop  = "forloop"
	hiddenNow    = "rapport_now" // the render's time in the recipient's zone, handed to the date filter
)

func isRoot(name string) bool {
	switch name {
	case rootContact, rootData, rootCampaign, rootLinks, rootNow, rootForloop:
		return true
	}
	return strings.HasPrefix(name, "rapport_")
}

// token is a word of the expression language. kind is one of: i identifier,
// p property (without its dot), s string, n number, k keyword (without its
// colon), w reserved word, o operator.
type token struct {
	kind     byte
	text     string
	pos, end int
}

var tokenPattern = regexp.MustCompile(
	`^(?:("(?:[^"\\]|\\.)*"|'[^']*')|(-?\d+(?:\.\d+)?)|(\.\.)|\.([\pL_][\pL\pM\pN_-]*\??)|([\pL_][\pL\pM\pN_-]*\??)(:)?|(==|!=|<>|>=|<=|.))`)

func tokens(src string) []token {
	var out []token
	for pos := 0; pos < len(src); {
		if strings.IndexByte(" \t\r\n", src[pos]) >= 0 {
			pos++
			continue
		}
		m := tokenPattern.FindStringSubmatchIndex(src[pos:])
		if m == nil {
			break
		}
		group := func(n int) string { return src[pos+m[2*n] : pos+m[2*n+1]] }
		t := token{pos: pos, end: pos + m[1]}
		switch {
		case m[2] >= 0:
			t.kind, t.text = 's', group(1)
		case m[4] >= 0:
			t.kind, t.text = 'n', group(2)
		case m[6] >= 0:
			t.kind, t.text = 'o', ".."
		case m[8] >= 0:
			t.kind, t.text = 'p', group(4)
		case m[12] >= 0:
			t.kind, t.text = 'k', group(5)
		case m[10] >= 0:
			t.kind, t.text = 'i', group(5)
			switch t.text {
			case "true", "false", "nil", "and", "or", "contains", "in":
				t.kind = 'w'
			}
		default:
			t.kind, t.text = 'o', group(7)
		}
		out = append(out, t)
		pos = t.end
	}
	return out
}

// use is a filter in an expression.
type use struct {
	name string
	last bool // no filter follows
}

// facts is what an expression reads and does, found without evaluating it.
type facts struct {
	paths   [][]string
	filters []use
}

// inspect reads the facts of an expression.
func inspect(ts []token) facts {
	var f facts
	for i := range ts {
		afterPipe := i > 0 && ts[i-1].kind == 'o' && ts[i-1].text == "|"
		switch {
		case afterPipe && (ts[i].kind == 'i' || ts[i].kind == 'k'):
			for j := range f.filters {
				f.filters[j].last = false
			}
			f.filters = append(f.filters, use{ts[i].text, true})
		case ts[i].kind == 'i':
			f.paths = append(f.paths, pathAt(ts[i:]))
		}
	}
	return f
}

// pathAt reads the path that begins at the first token, as far as it is fixed.
func pathAt(ts []token) []string {
	path := []string{ts[0].text}
	for i := 1; i < len(ts); i++ {
		switch {
		case ts[i].kind == 'p':
			path = append(path, ts[i].text)
		case i+2 < len(ts) && ts[i].text == "[" && ts[i+1].kind == 's' && ts[i+2].text == "]" && !strings.ContainsRune(ts[i+1].text, '\\'):
			path = append(path, ts[i+1].text[1:len(ts[i+1].text)-1])
			i += 2
		default:
			return path
		}
	}
	return path
}

// names lists what a library must find bound to evaluate an expression.
func (f facts) names() []string {
	var out []string
	for _, p := range f.paths {
		if !slices.Contains(out, p[0]) {
			out = append(out, p[0])
		}
	}
	return out
}

// expr is an expression ready to be evaluated.
type expr struct {
	facts
	part  string
	line  int
	src   string                 // as the library gets it
	way   *way                   // an expression that only reads
	quick *quick                 // nil: only the library can
	eval  expressions.Expression // nil: the library is never needed
	roots []string
}

// checkExpression refuses what no template may ask for.
func (c *compiler) checkExpression(part string, line int, src string, ts []token) error {
	if len(src) > maxExpression {
		return problemf(part, line, "has an expression of %d bytes; at most %d, split it with {%% assign %%}", len(src), maxExpression)
	}
	for i, t := range ts {
		if t.text == ".." && t.kind == 'o' {
			if err := checkRange(part, line, ts, i); err != nil {
				return err
			}
		}
		if t.kind == 'i' && strings.HasPrefix(t.text, "rapport_") {
			return problemf(part, line, "reads %q, which is no name of a template's; see the names in the documentation", t.text)
		}
	}
	return nil
}

func checkRange(part string, line int, ts []token, i int) error {
	if i == 0 || i+1 >= len(ts) || ts[i-1].kind != 'n' || ts[i+1].kind != 'n' {
		return problemf(part, line, "has a range with a value that is not a number; write both ends as numbers, like (1..5)")
	}
	from, errA := strconv.Atoi(ts[i-1].text)
	to, errB := strconv.Atoi(ts[i+1].text)
	if errA != nil || errB != nil || to-from >= maxItems {
		return problemf(part, line, "has a range of more than %d numbers; make it shorter", maxItems)
	}
	return nil
}

// expression compiles an expression.
func (c *compiler) expression(part string, line int, src string) (*expr, error) {
	ts := tokens(src)
	if err := c.checkExpression(part, line, src, ts); err != nil {
		return nil, err
	}
	e := &expr{facts: inspect(ts), part: part, line: line}
	if err := c.checkFilters(e); err != nil {
		return nil, err
	}
	e.src, e.roots, e.quick = withNow(src, ts), e.names(), c.quicken(ts)
	if e.way = e.quick.isWay(); e.way != nil {
		return e, nil
	}
	eval, err := parse(e.src)
	if err != nil {
		return nil, problemf(part, line, "cannot read %q; write it like contact.first_name | default: \"friend\"", shorten(src))
	}
	e.eval = eval
	return e, nil
}

var errSyntax = errors.New("syntax error")

// parse and parseStatement ask the Liquid library, which panics on some texts
// that it cannot read, such as a number with twenty digits.
func parse(src string) (e expressions.Expression, err error) {
	defer func() {
		if recover() != nil {
			err = errSyntax
		}
	}()
	return expressions.Parse(src)
}

func parseStatement(selector, src string) (s *expressions.Statement, err error) {
	defer func() {
		if recover() != nil {
			err = errSyntax
		}
	}()
	return expressions.ParseStatement(selector, src)
}

func (c *compiler) checkFilters(e *expr) error {
	if len(e.filters) > maxFilters {
		return problemf(e.part, e.line, "has %d filters in one expression; at most %d, split it with {%% assign %%}", len(e.filters), maxFilters)
	}
	for _, f := range e.filters {
		if _, ok := c.filters.known[f.name]; !ok {
			hint := suggestion("", f.name, c.filters.names)
			if hint == "" {
				hint = "; known: " + strings.Join(c.filters.names, ", ")
			}
			return problemf(e.part, e.line, "there is no filter %q%s", f.name, hint)
		}
		if f.name == "safe" && !f.last {
			return problemf(e.part, e.line, "\"safe\" must be the last filter; move it to the end")
		}
	}
	return nil
}

// withNow hands the render's time to every date filter, as its last argument.
func withNow(src string, ts []token) string {
	var b strings.Builder
	done := 0
	for i, t := range ts {
		if i == 0 || ts[i-1].text != "|" || ts[i-1].kind != 'o' || t.text != "date" {
			continue
		}
		b.WriteString(src[done:t.end])
		done = t.end
		if t.kind == 'i' {
			b.WriteString(`: "", ` + hiddenNow)
			continue
		}
		end := argsEnd(ts[i+1:], len(src))
		b.WriteString(src[done:end] + ", " + hiddenNow + " ")
		done = end
	}
	return b.String() + src[done:]
}

// argsEnd is where a filter's arguments end.
func argsEnd(ts []token, end int) int {
	depth := 0
	for _, t := range ts {
		switch {
		case t.kind == 'o' && (t.text == "(" || t.text == "["):
			depth++
		case t.kind == 'o' && (t.text == ")" || t.text == "]"):
			depth--
		}
		if depth < 0 || depth == 0 && (t.kind == 'o' && t.text == "|" || t.kind == 'w' && (t.text == "and" || t.text == "or")) {
			return t.pos
		}
	}
	return end
}

// shorten keeps complaints readable.
func shorten(s string) string {
	const most = 60
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// origins finds what every made variable was made of, down to the roots, so
// that a contact's field is recognised under another name.
type origins map[string][]string

var loopHead = regexp.MustCompile(`^([\pL_][\pL\pM\pN_-]*)\s+in\s+(.+)$`)

func findOrigins(pieces []piece) origins {
	o := origins{}
	for range maxDepth { // a chain of assignments settles in as many rounds as it is long
		if !o.round(pieces) {
			break
		}
	}
	return o
}

func (o origins) round(pieces []piece) bool {
	changed := false
	var capturing []string
	for _, p := range pieces {
		switch {
		case p.kind == outputPiece:
			for _, name := range capturing {
				changed = o.add(name, p.text) || changed
			}
		case p.name == "assign":
			name, value, _ := strings.Cut(p.text, "=")
			changed = o.add(strings.TrimSpace(name), value) || changed
		case p.name == "for":
			if m := loopHead.FindStringSubmatch(p.text); m != nil {
				changed = o.add(m[1], m[2]) || changed
			}
		case p.name == "capture":
			capturing = append(capturing, p.text)
			changed = o.add(p.text, "") || changed
		case p.name == "endcapture" && len(capturing) > 0:
			capturing = capturing[:len(capturing)-1]
		}
	}
	return changed
}

func (o origins) add(name, src string) bool {
	have, known := o[name]
	if !known {
		have = []string{}
	}
	n := len(have)
	for _, root := range o.roots(inspect(tokens(src))) {
		if !slices.Contains(have, root) {
			have = append(have, root)
		}
	}
	o[name] = have
	return !known || len(have) != n
}

// roots returns the roots of everything an expression reads.
func (o origins) roots(f facts) []string {
	var out []string
	for _, p := range f.paths {
		if made, ok := o[p[0]]; ok && !isRoot(p[0]) {
			out = append(out, made...)
			continue
		}
		out = append(out, p[0])
	}
	return out
}
