package templates

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/osteele/liquid/expressions"

	"rapport/channels"
)

// The limits of one render.
const (
	maxSteps  = 100_000                // what one part may do; a loop of a thousand rounds with ten places each fits
	maxOutput = 1 << 20                // bytes of one part whose driver sets no limit
	sizeStep  = 256                    // bytes that cost one step
	watchFrom = 512                    // steps before which no timer is needed: they are over at once
	maxTime   = 200 * time.Millisecond // of one part
)

// run is one render of a letter. It is used again for others of its variant.
type run struct {
	view View
	out  []byte // the parts, one after the other
	v    *variant

	// What is of the whole letter.
	fields    []value // of the contact, by slot
	person    map[string]any
	click     string // what tracked links begin with
	clickHTML string
	spans     []channels.Span

	// What is of the part that is being rendered.
	ctx       context.Context //nolint:containedctx // a run lives as long as the call it is made for
	stop      context.CancelFunc
	p         *letterPart
	part      string
	links     Links
	html      bool
	preheader string
	limit     int
	steps     int
	base      int // where the part begins in out
	first     int // its first span
	prose     bool
	derived   bool
	controls  bool // a value had control characters
	gap       gap
	slots     []value // variables
	loops     [maxLoops]loopState
	depth     int
	counts    map[string]int
	eval      expressions.Context
	bindings  map[string]any // what the library sees
}

func (r *run) nodes(list []node) error {
	for _, n := range list {
		if err := n.render(r); err != nil {
			return err
		}
	}
	return nil
}

// spend counts a step and the bytes it handled, and ends a render that takes
// too many or whose time is over.
func (r *run) spend(size int) error {
	r.steps += 1 + size/sizeStep
	if r.steps < watchFrom && len(r.out)-r.base <= r.limit {
		return nil
	}
	return r.overspent()
}

func (r *run) overspent() error {
	switch {
	case len(r.out)-r.base > r.limit:
		return problemf(r.part, 0, "the result is longer than %d bytes; make it shorter", r.limit)
	case r.steps > maxSteps:
		return problemf(r.part, 0, "the template does more than %d steps; use fewer or shorter loops", maxSteps)
	}
	if r.stop == nil {
		r.ctx, r.stop = context.WithTimeout(r.ctx, maxTime)
	}
	if err := r.ctx.Err(); err != nil {
		if errors.Is(context.Cause(r.ctx), context.DeadlineExceeded) {
			return problemf(r.part, 0, "the template takes longer than %s; use fewer or shorter loops", maxTime)
		}
		return err
	}
	return nil
}

func (r *run) count(name string, step int) int {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	r.counts[name] += step
	return r.counts[name]
}

// value evaluates an expression; what is missing is nil.
func (r *run) value(e *expr) (value, error) {
	if e.way != nil {
		return r.look(e.way), nil
	}
	if e.quick != nil {
		if v, ok := r.calculate(e.quick); ok {
			return v, nil
		}
	}
	return r.evaluate(e.part, e.line, e.eval, e.roots)
}

// evaluate asks the Liquid library. Its own errors quote values, so they are
// not repeated: nothing personal may stand in an error.
func (r *run) evaluate(part string, line int, e expressions.Expression, roots []string) (value, error) {
	v, err := e.Evaluate(r.bind(roots))
	if err == nil {
		r.steps += sizeOf(v) / sizeStep
		return valueOf(v), nil
	}
	if f, ok := errors.AsType[expressions.FilterError](err); ok {
		if p, ok := errors.AsType[*Problem](f.Err); ok {
			return value{}, problemf(part, line, "the filter %q: %s", f.FilterName, p.Msg)
		}
		return value{}, problemf(part, line, "the filter %q cannot work with this value; check its type, or give a default before it", f.FilterName)
	}
	return value{}, problemf(part, line, "cannot work with this value; check its type, or give a default")
}

// bind shows the library the names that an expression reads.
func (r *run) bind(roots []string) expressions.Context {
	if r.eval == nil {
		if r.bindings == nil {
			r.bindings = map[string]any{}
		}
		clear(r.bindings)
		r.bindings[hiddenNow] = r.now()
		r.eval = newEval(r.bindings, r.p.filters)
	}
	for _, name := range roots {
		r.bindings[name] = r.root(name)
	}
	return r.eval
}

func newEval(vars map[string]any, filters *filterSet) expressions.Context {
	return expressions.NewContext(vars, filters.config)
}

// root is a name as the library sees it.
func (r *run) root(name string) any {
	switch name {
	case rootContact:
		return r.contact()
	case rootData:
		return r.view.Data
	case rootCampaign:
		return map[string]any{"name": r.view.Campaign}
	case rootLinks:
		return map[string]any{"unsubscribe": r.links.Unsubscribe(), "preferences": r.links.Preferences(), "view": r.links.View(), "renew": renew(r.links)}
	case rootNow:
		return r.now()
	case rootForloop:
		return r.forloop()
	}
	if i, ok := r.p.slots[name]; ok {
		return r.slots[i].any()
	}
	return nil
}

// contact is the person as an object: whole when the letter asks for that,
// else with the fields that it reads.
func (r *run) contact() map[string]any {
	switch {
	case r.view.Contact != nil:
		return r.view.Contact
	case r.person != nil:
		return r.person
	}
	r.person = make(map[string]any, len(r.fields))
	for i, v := range r.fields {
		if x := v.any(); x != nil {
			r.person[r.v.fields.names[i]] = x
		}
	}
	return r.person
}

// size estimates what a value weighs, for the account of steps.
func (v value) size() int {
	if v.isText {
		return len(v.text)
	}
	return sizeOf(v.other)
}

func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case markup:
		return len(v)
	case []any:
		return 16 * len(v)
	case nil, bool, int, int64, float64, time.Time, map[string]any:
		return 1
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Slice || rv.Kind() == reflect.String {
		return 16 * rv.Len()
	}
	return 1
}

// append writes a text as it is.
func (r *run) append(s string) {
	if r.derived {
		r.settled(s)
		return
	}
	r.out = append(r.out, s...)
}

// write escapes a value for its place.
func (r *run) write(n *outputNode, v *value) error {
	start := len(r.out)
	var err error
	switch {
	case r.derived:
		err = r.writeSettled(v)
	case v.isText:
		r.out, err = n.esc.append(r.out, v.text, false)
	default:
		err = r.writeValue(n.esc, v.other)
	}
	if err != nil {
		return problemf(n.part, n.line, "%s", err.Error())
	}
	if r.prose && !r.controls {
		r.controls = hasControls(r.out[start:])
	}
	return r.spend(len(r.out) - start)
}

// writeSettled writes a value into the text that is made from HTML.
func (r *run) writeSettled(v *value) error {
	if v.isText {
		r.settled(v.text)
		return nil
	}
	var buf [64]byte
	text, err := appendText(buf[:0], v.other, r.view.zone(), 0)
	if err == nil {
		r.settled(string(text))
	}
	return err
}

func (r *run) writeValue(esc escape, v any) (err error) {
	if esc == escJSONValue {
		r.out, err = appendJSON(r.out, v, r.view.zone())
		return err
	}
	switch v := v.(type) {
	case nil:
		return nil
	case markup:
		r.out, err = esc.append(r.out, string(v), true)
		return err
	case bool, int, int64, float64:
		if esc.harmless() {
			r.out, err = appendText(r.out, v, time.UTC, 0)
			return err
		}
	}
	var buf [64]byte
	text, err := appendText(buf[:0], v, r.view.zone(), 0)
	if err != nil {
		return err
	}
	r.out, err = esc.append(r.out, string(text), false)
	return err
}

// appendText writes a value as Liquid shows it.
func appendText(b []byte, v any, zone *time.Location, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return b, nil
	case string:
		return append(b, v...), nil
	case markup:
		return append(b, v...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64), nil
	case time.Time:
		return v.In(zone).AppendFormat(b, "2006-01-02 15:04:05 -0700"), nil
	case []any:
		if depth > maxDepth {
			return b, errors.New("the value has too many lists within lists")
		}
		var err error
		for _, item := range v {
			if b, err = appendText(b, item, zone, depth+1); err != nil || len(b) > maxOutput {
				return b, err
			}
		}
		return b, nil
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Slice, reflect.Array:
		list := make([]any, rv.Len())
		for i := range list {
			list[i] = rv.Index(i).Interface()
		}
		return appendText(b, list, zone, depth+1)
	case reflect.Map, reflect.Struct, reflect.Pointer, reflect.Func, reflect.Chan:
		return b, nil // a whole object has no text; its fields do
	default:
		return fmt.Append(b, v), nil
	}
}
