package templates

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/values"
)

// The limits of one render.
const (
	maxSteps  = 100_000                // what one part may do; a loop of a thousand rounds with ten places each fits
	maxOutput = 1 << 20                // bytes of one part whose driver sets no limit
	sizeStep  = 256                    // bytes that cost one step
	watchFrom = 512                    // steps before which no timer is needed: they are over at once
	maxTime   = 200 * time.Millisecond // of one part
)

// run is one render of one part.
type run struct {
	ctx       context.Context //nolint:containedctx // a run lives as long as the call it is made for
	stop      context.CancelFunc
	part      string
	view      *View
	html      bool
	preheader string
	limit     int
	steps     int
	out       []byte
	vars      map[string]any
	counts    map[string]int
	eval      expressions.Context
}

func (r *run) tracked() bool { return r.view.Track && r.view.Links != nil }

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
	switch {
	case len(r.out) > r.limit:
		return problemf(r.part, 0, "the result is longer than %d bytes; make it shorter", r.limit)
	case r.steps > maxSteps:
		return problemf(r.part, 0, "the template does more than %d steps; use fewer or shorter loops", maxSteps)
	case r.steps < watchFrom:
		return nil
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
func (r *run) value(e *expr) (any, error) {
	if e.quick == nil {
		return r.evaluate(e.part, e.line, e.eval)
	}
	v := r.vars[e.quick[0]]
	for _, name := range e.quick[1:] {
		switch m := v.(type) {
		case nil:
		case map[string]any:
			v = m[name]
			continue
		case Links:
			v = linkOf(m, name)
			continue
		}
		v = nil
		break
	}
	if e.deflt != nil && isBlank(v) {
		return e.deflt, nil
	}
	return v, nil
}

func isBlank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	}
	return values.IsEmpty(v)
}

// evaluate asks the Liquid library. Its own errors quote values, so they are
// not repeated: nothing personal may stand in an error.
func (r *run) evaluate(part string, line int, e expressions.Expression) (any, error) {
	v, err := e.Evaluate(r.eval)
	if err == nil {
		r.steps += sizeOf(v) / sizeStep
		return v, nil
	}
	if f, ok := errors.AsType[expressions.FilterError](err); ok {
		if p, ok := errors.AsType[*Problem](f.Err); ok {
			return nil, problemf(part, line, "the filter %q: %s", f.FilterName, p.Msg)
		}
		return nil, problemf(part, line, "the filter %q cannot work with this value; check its type, or give a default before it", f.FilterName)
	}
	return nil, problemf(part, line, "cannot work with this value; check its type, or give a default")
}

// sizeOf estimates what a value weighs, for the account of steps.
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

// write escapes a value for its place.
func (r *run) write(n outputNode, v any) error {
	start := len(r.out)
	var err error
	if s, ok := v.(string); ok {
		r.out, err = n.esc.append(r.out, s, false)
	} else {
		err = r.writeValue(n.esc, v)
	}
	if err != nil {
		return problemf(n.part, n.line, "%s", err.Error())
	}
	return r.spend(len(r.out) - start)
}

func (r *run) writeValue(esc escape, v any) (err error) {
	if esc == escJSONValue {
		r.out, err = appendJSON(r.out, v, r.view.zone())
		return err
	}
	if m, ok := v.(markup); ok {
		r.out, err = esc.append(r.out, string(m), true)
		return err
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
