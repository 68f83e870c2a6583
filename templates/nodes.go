package templates

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/osteele/liquid/expressions"
)

// node is a compiled stretch of a template. Nodes never change after they are
// made, so that many goroutines render them.
type node interface {
	render(r *run) error
}

var (
	errBreak    = errors.New("break outside of a loop")
	errContinue = errors.New("continue outside of a loop")
)

type outputNode struct {
	*expr
	esc escape
}

func (n *outputNode) render(r *run) error {
	if w := n.way; w != nil && w.from == fromContact && len(w.rest) == 0 {
		return r.write(n, &r.fields[w.slot]) // most values of most letters
	}
	v, err := r.value(n.expr)
	if err != nil {
		return err
	}
	return r.write(n, &v)
}

// clickNode writes a tracked link, or its plain target.
type clickNode struct {
	n      int
	digits string // n
	target string // plain
	html   string // the target, escaped for an attribute
}

func newClickNode(n int, target string) *clickNode {
	return &clickNode{n: n, digits: strconv.Itoa(n), target: target, html: string(appendHTML(nil, target))}
}

func (n *clickNode) render(r *run) error {
	start := len(r.out)
	switch {
	case r.view.Track && r.html:
		if r.clickHTML == "" {
			r.clickHTML = escapedHTML(r.clickPrefix())
		}
		r.out = n.append(r.out, r.clickHTML, r.links, true)
	case r.view.Track:
		r.closeGap()
		r.out = n.append(r.out, r.clickPrefix(), r.links, false)
	case r.html:
		r.out = append(r.out, n.html...)
	default:
		r.closeGap()
		r.out = append(r.out, n.target...)
	}
	return r.spend(len(r.out) - start)
}

// append writes a link by the prefix that all links of a message share.
func (n *clickNode) append(out []byte, prefix string, links Links, html bool) []byte {
	switch {
	case prefix != "":
		return append(append(out, prefix...), n.digits...)
	case html:
		return appendHTML(out, links.Click(n.n))
	}
	return append(out, links.Click(n.n)...)
}

// clickPrefix is what the links of the message begin with; empty when that is
// not known.
func (r *run) clickPrefix() string {
	if p, ok := r.links.(Prefixed); ok && r.click == "" {
		r.click = p.ClickPrefix()
	}
	return r.click
}

// pixelNode writes the image that tells of an opened letter.
type pixelNode struct{ rest *textNode }

func newPixelNode() *pixelNode {
	return &pixelNode{fixedText(`" width="1" height="1" alt="" style="display:block;width:1px;height:1px;border:0" />`)}
}

func (n *pixelNode) render(r *run) error {
	if !r.view.Track {
		return nil
	}
	r.out = append(r.out, `<img src="`...)
	r.out = appendHTML(r.out, r.links.Open())
	n.rest.write(r)
	return r.spend(1)
}

// preheadNode writes the preheader where mail programs look for it and people
// do not. The filler keeps the letter's first words out of the preview line.
type preheadNode struct{ before, after *textNode }

func newPreheadNode() *preheadNode {
	return &preheadNode{
		fixedText(`<div style="display:none;max-height:0;overflow:hidden;mso-hide:all" aria-hidden="true">`),
		fixedText(strings.Repeat("&#847;&zwnj;&nbsp;", 60) + `</div>`),
	}
}

func (n *preheadNode) render(r *run) error {
	if r.preheader == "" {
		return nil
	}
	n.before.write(r)
	r.out = appendHTML(r.out, r.preheader)
	n.after.write(r)
	return r.spend(len(r.preheader))
}

type ifNode struct {
	branches []branch
}

type branch struct {
	cond   *expr // nil: otherwise
	negate bool
	body   []node
}

func (n *ifNode) render(r *run) error {
	for i := range n.branches {
		b := &n.branches[i]
		if b.cond == nil {
			return r.nodes(b.body)
		}
		v, err := r.value(b.cond)
		if err != nil {
			return err
		}
		if v.truth() != b.negate {
			return r.nodes(b.body)
		}
	}
	return nil
}

type caseNode struct {
	subject *expr
	whens   []when
	other   []node
}

type when struct {
	part   string
	line   int
	values []whenValue
	body   []node
}

// whenValue is what a case is compared with. eval is nil when it is always the
// same.
type whenValue struct {
	fixed value
	eval  expressions.Expression
	roots []string
}

func (n *caseNode) render(r *run) error {
	subject, err := r.value(n.subject)
	if err != nil {
		return err
	}
	for _, w := range n.whens {
		for _, e := range w.values {
			v := e.fixed
			if e.eval != nil {
				if v, err = r.evaluate(w.part, w.line, e.eval, e.roots); err != nil {
					return err
				}
			}
			if equal(subject, v) {
				return r.nodes(w.body)
			}
		}
	}
	return r.nodes(n.other)
}

type assignNode struct {
	slot  int
	value *expr
}

func (n *assignNode) render(r *run) error {
	v, err := r.value(n.value)
	if err != nil {
		return err
	}
	r.slots[n.slot] = v
	return r.spend(v.size())
}

type captureNode struct {
	slot   int
	markup bool // what is caught is already escaped
	body   []node
}

func (n *captureNode) render(r *run) error {
	start, spans := len(r.out), len(r.spans)
	err := r.nodes(n.body)
	text := string(r.out[start:])
	r.out, r.spans = r.out[:start], r.spans[:spans]
	if n.markup {
		r.slots[n.slot] = value{other: markup(text)}
	} else {
		r.slots[n.slot] = textOf(text)
	}
	return err
}

type breakNode struct{ err error }

func (n *breakNode) render(*run) error { return n.err }

type cycleNode struct {
	group  string
	values []string
}

func (n *cycleNode) render(r *run) error {
	i := r.count(n.group, 1) - 1
	r.append(n.values[i%len(n.values)])
	return r.spend(1)
}

// countNode is increment and decrement.
type countNode struct {
	name string
	step int
}

func (n *countNode) render(r *run) error {
	v := r.count("count "+n.name, n.step)
	if n.step > 0 {
		v-- // increment shows the value before, decrement the one after
	}
	r.closeGap()
	r.out = strconv.AppendInt(r.out, int64(v), 10)
	return r.spend(1)
}

// itemsOf lists what a loop goes over: the items of a list, the pairs of a
// map in the order of its keys, or the numbers of a range; at most n, from
// the end when reversed.
func itemsOf(v any, n int, reversed bool) []any {
	var at func(i int) any
	var length int
	switch list := v.(type) {
	case nil:
		return nil
	case []any:
		length, at = len(list), func(i int) any { return list[i] }
	case map[string]any:
		keys := make([]string, 0, len(list))
		for k := range list {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		length, at = len(keys), func(i int) any { return []any{keys[i], list[keys[i]]} }
	case interface {
		Len() int
		Index(i int) any
	}:
		length, at = list.Len(), list.Index
	default:
		rv := reflect.ValueOf(v)
		if rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array {
			return nil
		}
		length, at = rv.Len(), func(i int) any { return rv.Index(i).Interface() }
	}
	out := make([]any, 0, min(length, n))
	for i := range min(length, n) {
		if reversed {
			i = length - 1 - i
		}
		out = append(out, at(i))
	}
	return out
}
