package templates

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// quick is an expression that needs no library: what nearly all letters are
// made of, so it is read when the letter is compiled and calculated without
// reflection. It may pass on unusual values; the library then decides, whose
// meaning it has.
type quick struct {
	rels []relation
	and  []bool // how each relation but the first is joined to those before it
}

// relation is an operand with filters, or two that are compared.
type relation struct {
	a, b    operand
	op      string // empty: a alone
	filters []quickFilter
}

// operand is a path or a literal.
type operand struct {
	path    *way
	literal value
}

// quickFilter changes a value; false: the library must.
type quickFilter func(r *run, v value) (value, bool)

func (r *run) operand(o *operand) value {
	if o.path != nil {
		return r.look(o.path)
	}
	return o.literal
}

// calculate returns the value of a quick expression; false: unusual.
func (r *run) calculate(q *quick) (value, bool) {
	v, ok := r.relate(&q.rels[0])
	if !ok || len(q.rels) == 1 {
		return v, ok
	}
	truth := v.truth()
	for i := range q.and {
		if v, ok = r.relate(&q.rels[i+1]); !ok {
			return v, false
		}
		if q.and[i] {
			truth = truth && v.truth()
		} else {
			truth = truth || v.truth()
		}
	}
	return value{other: truth}, true
}

func (r *run) relate(rel *relation) (value, bool) {
	a := r.operand(&rel.a)
	if rel.op == "" {
		for _, filter := range rel.filters {
			var ok bool
			if a, ok = filter(r, a); !ok {
				return a, false
			}
			r.steps += len(a.text) / sizeStep
		}
		return a, true
	}
	b := r.operand(&rel.b)
	found, ok := false, true
	switch rel.op {
	case "==":
		found = equal(a, b)
	case "!=":
		found = !equal(a, b)
	case "<":
		found = less(a, b)
	case ">":
		found = less(b, a)
	case "<=":
		found = less(a, b) || equal(a, b)
	case ">=":
		found = less(b, a) || equal(a, b)
	case "contains":
		found, ok = contains(a, b)
	}
	return value{other: found}, ok
}

// isWay returns the way of an expression that only reads: it never needs the
// library.
func (q *quick) isWay() *way {
	if q == nil || len(q.rels) > 1 || q.rels[0].op != "" || len(q.rels[0].filters) > 0 {
		return nil
	}
	return q.rels[0].a.path
}

// quicken reads an expression; nil when it is not of the usual kind.
func (c *compiler) quicken(ts []token) *quick {
	q := &quick{}
	for {
		rel, rest, ok := c.relation(ts)
		if !ok {
			return nil
		}
		q.rels = append(q.rels, rel)
		if len(rest) == 0 {
			return q
		}
		if rest[0].kind != 'w' || rest[0].text != "and" && rest[0].text != "or" {
			return nil
		}
		q.and = append(q.and, rest[0].text == "and")
		ts = rest[1:]
	}
}

func (c *compiler) relation(ts []token) (rel relation, rest []token, ok bool) {
	if rel.a, rest, ok = c.operand(ts); !ok || len(rest) == 0 {
		return rel, rest, ok
	}
	switch t := rest[0]; {
	case t.kind == 'o' && slices.Contains([]string{"==", "!=", "<", ">", "<=", ">="}, t.text), t.kind == 'w' && t.text == "contains":
		rel.op = t.text
		rel.b, rest, ok = c.operand(rest[1:])
		return rel, rest, ok
	}
	for len(rest) > 0 && rest[0].kind == 'o' && rest[0].text == "|" {
		var filter quickFilter
		if filter, rest = c.quickFilter(rest[1:]); filter == nil {
			return rel, rest, false
		}
		rel.filters = append(rel.filters, filter)
	}
	return rel, rest, true
}

// operand reads a path or a literal.
func (c *compiler) operand(ts []token) (operand, []token, bool) {
	if len(ts) == 0 {
		return operand{}, nil, false
	}
	switch t := ts[0]; t.kind {
	case 'i':
		names, rest := fixedPath(ts)
		if names == nil {
			return operand{}, nil, false
		}
		p := c.resolve(names)
		return operand{path: p}, rest, p != nil
	case 's':
		return operand{literal: textOf(t.text[1 : len(t.text)-1])}, ts[1:], !strings.ContainsRune(t.text, '\\')
	case 'n':
		if strings.Contains(t.text, ".") {
			f, err := strconv.ParseFloat(t.text, 64)
			return operand{literal: value{other: f}}, ts[1:], err == nil
		}
		n, err := strconv.Atoi(t.text)
		return operand{literal: value{other: n}}, ts[1:], err == nil
	case 'w':
		switch t.text {
		case "true", "false":
			return operand{literal: value{other: t.text == "true"}}, ts[1:], true
		case "nil":
			return operand{}, ts[1:], true
		}
	}
	return operand{}, nil, false
}

// fixedPath reads a.b.c. Lists and texts have properties that only the library
// knows.
func fixedPath(ts []token) (names []string, rest []token) {
	n := 1
	for n < len(ts) && ts[n].kind == 'p' {
		switch ts[n].text {
		case "size", "first", "last":
			return nil, nil
		}
		n++
	}
	if n < len(ts) && ts[n].text == "[" {
		return nil, nil
	}
	return pathAt(ts[:n]), ts[n:]
}

// quickFilter reads one filter with its arguments, after the |; nil when it is
// not of the usual kind.
func (c *compiler) quickFilter(ts []token) (quickFilter, []token) {
	if len(ts) == 0 || ts[0].kind != 'i' && ts[0].kind != 'k' {
		return nil, nil
	}
	name, takes, rest := ts[0].text, ts[0].kind == 'k', ts[1:]
	var arg operand
	if takes {
		var ok bool
		if arg, rest, ok = c.operand(rest); !ok {
			return nil, nil
		}
	}
	if len(rest) > 0 && rest[0].text != "|" && rest[0].kind != 'w' { // more arguments
		return nil, nil
	}
	if takes {
		return c.filterWith(name, arg), rest
	}
	return c.filterAlone(name), rest
}

func (c *compiler) filterAlone(name string) quickFilter {
	l := languageOf(c.locale)
	switch name {
	case "upcase":
		return ofText(strings.ToUpper)
	case "downcase":
		return ofText(strings.ToLower)
	case "date":
		return func(r *run, v value) (value, bool) { return orLibrary(l.dateOf(v.any(), "", r.now())) }
	case "number":
		return func(_ *run, v value) (value, bool) { return orLibrary(l.numberFrom(v.any(), -1)) }
	}
	return nil
}

func (c *compiler) filterWith(name string, arg operand) quickFilter {
	l := languageOf(c.locale)
	fixed := arg.path == nil && arg.literal.isText
	form := arg.literal.text
	switch {
	case name == "default":
		return func(r *run, v value) (value, bool) {
			if v.blank() {
				v = r.operand(&arg)
			}
			return v, true
		}
	case name == "append":
		return func(r *run, v value) (value, bool) { return joined(v, r.operand(&arg)) }
	case name == "prepend":
		return func(r *run, v value) (value, bool) { return joined(r.operand(&arg), v) }
	case name == "date" && fixed:
		return func(r *run, v value) (value, bool) { return orLibrary(l.dateOf(v.any(), form, r.now())) }
	case name == "money" && fixed:
		return func(_ *run, v value) (value, bool) { return orLibrary(l.moneyFrom(v.any(), form)) }
	case name == "number" && arg.path == nil:
		if places, ok := arg.literal.other.(int); ok {
			return func(_ *run, v value) (value, bool) { return orLibrary(l.numberFrom(v.any(), places)) }
		}
	}
	return nil
}

func ofText(change func(string) string) quickFilter {
	return func(_ *run, v value) (value, bool) { return textOf(change(v.text)), v.isText }
}

// joined puts two texts together; what is too long or no text is the library's.
func joined(a, b value) (value, bool) {
	if !a.isText || !b.isText || len(a.text)+len(b.text) > maxValue {
		return value{}, false
	}
	return textOf(a.text + b.text), true
}

// orLibrary leaves complaints to the library, so that there is one wording.
func orLibrary(text string, err error) (value, bool) { return textOf(text), err == nil }

// now is the render's time in the person's zone.
func (r *run) now() time.Time { return r.view.Now.In(r.view.zone()) }
