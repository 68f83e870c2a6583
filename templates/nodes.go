package templates

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/values"
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

type textNode string

func (n textNode) render(r *run) error {
	r.out = append(r.out, n...)
	return r.spend(len(n))
}

type outputNode struct {
	*expr
	esc escape
}

func (n outputNode) render(r *run) error {
	v, err := r.value(n.expr)
	if err != nil {
		return err
	}
	return r.write(n, v)
}

// clickNode writes a tracked link, or its plain target.
type clickNode struct {
	n      int
	target string // plain
	html   string // the target, escaped for an attribute
}

func (n clickNode) render(r *run) error {
	text := n.html
	if r.tracked() {
		text = r.view.Links.Click(n.n)
		if r.html {
			r.out = appendHTML(r.out, text)
			return r.spend(len(text))
		}
	} else if !r.html {
		text = n.target
	}
	r.out = append(r.out, text...)
	return r.spend(len(text))
}

// pixelNode writes the image that tells of an opened letter.
type pixelNode struct{}

func (pixelNode) render(r *run) error {
	if !r.tracked() {
		return nil
	}
	r.out = append(r.out, `<img src="`...)
	r.out = appendHTML(r.out, r.view.Links.Open())
	r.out = append(r.out, `" width="1" height="1" alt="" style="display:block;width:1px;height:1px;border:0" />`...)
	return r.spend(1)
}

// preheadNode writes the preheader where mail programs look for it and people
// do not. The filler keeps the letter's first words out of the preview line.
type preheadNode struct{}

func (preheadNode) render(r *run) error {
	if r.preheader == "" {
		return nil
	}
	r.out = append(r.out, `<div style="display:none;max-height:0;overflow:hidden;mso-hide:all" aria-hidden="true">`...)
	r.out = appendHTML(r.out, r.preheader)
	r.out = append(r.out, preheadFiller...)
	r.out = append(r.out, `</div>`...)
	return r.spend(len(r.preheader))
}

var preheadFiller = strings.Repeat("&#847;&zwnj;&nbsp;", 60)

type ifNode struct {
	branches []branch
}

type branch struct {
	cond   *expr // nil: otherwise
	negate bool
	body   []node
}

func (n ifNode) render(r *run) error {
	for _, b := range n.branches {
		if b.cond == nil {
			return r.nodes(b.body)
		}
		v, err := r.value(b.cond)
		if err != nil {
			return err
		}
		if (v != nil && v != false) != b.negate {
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
	values []expressions.Expression
	body   []node
}

func (n caseNode) render(r *run) error {
	subject, err := r.value(n.subject)
	if err != nil {
		return err
	}
	for _, w := range n.whens {
		for _, e := range w.values {
			v, err := r.evaluate(w.part, w.line, e)
			if err != nil {
				return err
			}
			if values.Equal(subject, v) {
				return r.nodes(w.body)
			}
		}
	}
	return r.nodes(n.other)
}

type assignNode struct {
	name  string
	value *expr
}

func (n assignNode) render(r *run) error {
	v, err := r.value(n.value)
	if err != nil {
		return err
	}
	r.vars[n.name] = v
	return r.spend(sizeOf(v))
}

type captureNode struct {
	name   string
	markup bool // what is caught is already escaped
	body   []node
}

func (n captureNode) render(r *run) error {
	start := len(r.out)
	err := r.nodes(n.body)
	text := string(r.out[start:])
	r.out = r.out[:start]
	if n.markup {
		r.vars[n.name] = markup(text)
	} else {
		r.vars[n.name] = text
	}
	return err
}

type breakNode struct{ err error }

func (n breakNode) render(*run) error { return n.err }

type cycleNode struct {
	group  string
	values []string
}

func (n cycleNode) render(r *run) error {
	i := r.count(n.group, 1) - 1
	r.out = append(r.out, n.values[i%len(n.values)]...)
	return r.spend(1)
}

// countNode is increment and decrement.
type countNode struct {
	name string
	step int
}

func (n countNode) render(r *run) error {
	v := r.count("count "+n.name, n.step)
	if n.step > 0 {
		v-- // increment shows the value before, decrement the one after
	}
	r.out = strconv.AppendInt(r.out, int64(v), 10)
	return r.spend(1)
}

type forNode struct {
	part     string
	line     int
	name     string
	quick    *expr // what is gone over, when it is a plain path; else over
	over     expressions.Expression
	limit    expressions.Expression
	offset   expressions.Expression
	reversed bool
	body     []node
	other    []node
}

func (n forNode) render(r *run) error {
	items, err := n.items(r)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return r.nodes(n.other)
	}
	defer func(loop, item any) { r.vars[rootForloop], r.vars[n.name] = loop, item }(r.vars[rootForloop], r.vars[n.name])
	loop := map[string]any{"length": len(items), "parentloop": r.vars[rootForloop]}
	r.vars[rootForloop] = loop
	for i, item := range items {
		r.vars[n.name] = item
		loop["first"], loop["last"] = i == 0, i == len(items)-1
		loop["index"], loop["index0"] = i+1, i
		loop["rindex"], loop["rindex0"] = len(items)-i, len(items)-i-1
		if err := r.spend(1); err != nil {
			return err
		}
		switch err := r.nodes(n.body); {
		case errors.Is(err, errBreak):
			return nil
		case err != nil && !errors.Is(err, errContinue):
			return err
		}
	}
	return nil
}

func (n forNode) items(r *run) ([]any, error) {
	v, err := n.list(r)
	if err != nil {
		return nil, err
	}
	offset, err := n.number(r, n.offset, 0)
	if err != nil {
		return nil, err
	}
	limit, err := n.number(r, n.limit, maxItems)
	if err != nil {
		return nil, err
	}
	items := itemsOf(v, max(offset, 0)+min(max(limit, 0), maxItems), n.reversed)
	items = items[min(max(offset, 0), len(items)):]
	return items[:min(len(items), max(limit, 0), maxItems)], nil
}

func (n forNode) list(r *run) (any, error) {
	if n.quick != nil {
		return r.value(n.quick)
	}
	return r.evaluate(n.part, n.line, n.over)
}

func (n forNode) number(r *run, e expressions.Expression, or int) (int, error) {
	if e == nil {
		return or, nil
	}
	v, err := r.evaluate(n.part, n.line, e)
	if err != nil {
		return 0, err
	}
	switch v := v.(type) {
	case int:
		return v, nil
	case int64:
		return int(v), nil
	case float64:
		return int(v), nil
	}
	return 0, problemf(n.part, n.line, "the limit or offset of the loop is not a number")
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
