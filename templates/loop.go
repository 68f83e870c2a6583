package templates

import (
	"errors"

	"github.com/osteele/liquid/expressions"
)

type forNode struct {
	part     string
	line     int
	slot     int  // of the variable
	quick    *way // what is gone over, when it is a plain path; else over
	over     expressions.Expression
	roots    []string // of all three expressions
	limit    loopNumber
	offset   loopNumber
	reversed bool
	body     []node
	other    []node
}

// loopNumber is the limit or offset of a loop.
type loopNumber struct {
	fixed int
	eval  expressions.Expression // nil: fixed
}

// loopState is where a loop stands.
type loopState struct{ index, length int }

func (n *forNode) render(r *run) error {
	items, err := n.items(r)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return r.nodes(n.other)
	}
	before := r.slots[n.slot]
	r.loops[r.depth] = loopState{length: len(items)}
	r.depth++
	for i, item := range items {
		r.slots[n.slot] = valueOf(item)
		r.loops[r.depth-1].index = i
		if err = r.spend(1); err != nil {
			break
		}
		if err = r.nodes(n.body); err != nil && !errors.Is(err, errContinue) {
			break
		}
		err = nil
	}
	r.depth--
	r.slots[n.slot] = before
	if errors.Is(err, errBreak) {
		return nil
	}
	return err
}

func (n *forNode) items(r *run) ([]any, error) {
	v, err := n.list(r)
	if err != nil {
		return nil, err
	}
	offset, err := n.number(r, n.offset)
	if err != nil {
		return nil, err
	}
	limit, err := n.number(r, n.limit)
	if err != nil {
		return nil, err
	}
	items, ok := v.([]any)
	if !ok || n.reversed {
		items = itemsOf(v, max(offset, 0)+min(max(limit, 0), maxItems), n.reversed)
	}
	items = items[min(max(offset, 0), len(items)):]
	return items[:min(len(items), max(limit, 0), maxItems)], nil
}

func (n *forNode) list(r *run) (any, error) {
	if n.quick != nil {
		return r.look(n.quick).any(), nil
	}
	v, err := r.evaluate(n.part, n.line, n.over, n.roots)
	return v.any(), err
}

func (n *forNode) number(r *run, number loopNumber) (int, error) {
	if number.eval == nil {
		return number.fixed, nil
	}
	v, err := r.evaluate(n.part, n.line, number.eval, n.roots)
	if err != nil {
		return 0, err
	}
	switch v := v.other.(type) {
	case int:
		return v, nil
	case int64:
		return int(v), nil
	case float64:
		return int(v), nil
	}
	return 0, problemf(n.part, n.line, "the limit or offset of the loop is not a number")
}

// loopField is a field of forloop, of the innermost loop.
func (r *run) loopField(name string) value {
	if r.depth == 0 {
		return value{}
	}
	at := r.loops[r.depth-1]
	switch name {
	case "index":
		return value{other: at.index + 1}
	case "index0":
		return value{other: at.index}
	case "rindex":
		return value{other: at.length - at.index}
	case "rindex0":
		return value{other: at.length - at.index - 1}
	case "first":
		return value{other: at.index == 0}
	case "last":
		return value{other: at.index == at.length-1}
	case "length":
		return value{other: at.length}
	}
	return value{}
}

// forloop is the innermost loop as an object, with those around it.
func (r *run) forloop() any {
	var out any
	depth := r.depth
	for r.depth = 1; r.depth <= depth; r.depth++ {
		loop := map[string]any{"parentloop": out}
		for _, name := range []string{"index", "index0", "rindex", "rindex0", "first", "last", "length"} {
			loop[name] = r.loopField(name).other
		}
		out = loop
	}
	r.depth = depth
	return out
}
