package conditions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Person is the contact a condition is evaluated about. An empty string, a
// zero time and an absent key mean that there is no value.
type Person struct {
	ID, ExternalID, Locale, TimeZone string
	CreatedAt                        time.Time
	// Attributes by name: string for text, float64, bool, time.Time (whole
	// microseconds), for a date the string "2026-01-31", for JSON anything.
	// A value that does not fit its declared type counts as missing.
	Attributes map[string]any
	// Addresses are the primary addresses by kind, normalised.
	Addresses map[string]string
	// Zone is what TimeZone names, or the installation's zone when it names
	// nothing (see Zone); nil is UTC.
	Zone *time.Location
	// History answers about the past; nil when there is none.
	History History
}

// History is the past of one contact. It is asked only for what a condition
// needs, while it is evaluated.
type History interface {
	// Consented reports whether the current answer is granted, and when it ends
	// or has ended; the zero time when it does not.
	Consented(ctx context.Context, driver, topic string) (yes bool, ends time.Time, err error)
	// Last is the latest moment at which the contact opened or clicked (as a
	// human) or received the campaign; the zero time when never.
	Last(ctx context.Context, kind PastKind, campaign string) (time.Time, error)
	// Happened counts the events of that name from the first moment to the last,
	// both included; a first one of zero is the beginning.
	Happened(ctx context.Context, event string, from, to time.Time) (int64, error)
}

// Eval reports whether the person matches. It is false when the condition is
// unknown about them (see the package comment). The error is one of the
// context or of History; the answer is then false and means nothing.
func (c *Condition) Eval(ctx context.Context, p *Person, now time.Time) (bool, error) {
	e := &evaluation{person: p, now: now.UnixMicro()}
	e.lookup = func(kind PastKind, a, b string) (bool, int64, error) { return ask(ctx, p.History, kind, a, b) }
	e.count = func(event string, from, to time.Time) (int64, error) {
		if p.History == nil {
			return 0, nil
		}
		return p.History.Happened(ctx, event, from, to)
	}
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("evaluate a condition: %w", err)
	}
	out, _, err := c.program.ContextEval(ctx, e)
	if cause := cmp.Or(e.broken, ctx.Err()); cause != nil {
		err = cause
	}
	if err != nil && !errors.Is(err, errMissing) {
		return false, fmt.Errorf("evaluate a condition: %w", err)
	}
	return err == nil && out == types.True, nil
}

// consented is the question for Consented, beside the kinds of past.
const consented PastKind = "consented"

func ask(ctx context.Context, h History, kind PastKind, a, b string) (bool, int64, error) {
	if h == nil {
		return false, 0, nil
	}
	if kind == consented {
		ok, ends, err := h.Consented(ctx, a, b)
		if ends.IsZero() {
			return ok, endless, err
		}
		return ok, ends.UnixMicro(), err
	}
	at, err := h.Last(ctx, kind, a)
	return !at.IsZero(), at.UnixMicro(), err
}

// evaluation is one run of a program: the variables of the activation and at
// the same time the value of the variable contact.
type evaluation struct {
	person *Person
	now    int64
	lookup func(kind PastKind, a, b string) (yes bool, at int64, err error)
	count  func(event string, from, to time.Time) (int64, error)
	broken error // what History failed with; CEL's || could swallow it
}

// ResolveName implements cel.Activation.
func (e *evaluation) ResolveName(name string) (any, bool) {
	switch name {
	case "contact":
		return e, true
	case "now":
		return timeValue(e.now), true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (e *evaluation) Parent() cel.Activation { return nil }

func (e *evaluation) Type() ref.Type { return celContact }
func (e *evaluation) Value() any     { return e }
func (e *evaluation) Equal(o ref.Val) ref.Val {
	return types.Bool(ref.Val(e) == o)
}

func (e *evaluation) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a contact has no native form %v", t)
}

func (e *evaluation) ConvertToType(ref.Type) ref.Val { return types.NewErr("no conversion") }

// happened answers a question to History; a failure is remembered.
func (e *evaluation) happened(kind PastKind, a, b string, since int64) ref.Val {
	yes, at, err := e.lookup(kind, a, b)
	if err != nil {
		e.broken = err
		return types.WrapErr(err)
	}
	if kind == consented {
		return types.Bool(yes && at > e.now)
	}
	return types.Bool(yes && at >= since)
}

// happenings counts an event, ever or within so many microseconds before now.
func (e *evaluation) happenings(event string, within int64) ref.Val {
	var from time.Time
	if within > 0 {
		from = time.UnixMicro(e.now - within)
	}
	n, err := e.count(event, from, time.UnixMicro(e.now))
	if err != nil {
		e.broken = err
		return types.WrapErr(err)
	}
	return types.Double(n)
}

// endless is the end of an answer that has none.
const endless = math.MaxInt64

// ends says whether the answer that stands ends within so many microseconds.
func (e *evaluation) ends(driver, topic string, within int64) ref.Val {
	yes, at, err := e.lookup(consented, driver, topic)
	if err != nil {
		e.broken = err
		return types.WrapErr(err)
	}
	return types.Bool(yes && at > e.now && at <= e.now+within)
}

// today is the day in the named zone, or in the person's own.
func (e *evaluation) today(zone string) Day {
	own := e.person.Zone
	if own == nil {
		own = time.UTC
	}
	return DayOf(time.UnixMicro(e.now), Zone(zone, own))
}

// value reads a field; ok is false when it has none.
func (e *evaluation) value(f Field) (v ref.Val, ok bool) {
	switch f.Source {
	case Reserved:
		return e.reserved(f.Name)
	case Address:
		s := e.person.Addresses[f.Name]
		return types.String(s), s != ""
	case Attribute:
		return attribute(f.Type, e.person.Attributes[f.Name])
	}
	return nil, false
}

func (e *evaluation) reserved(name string) (ref.Val, bool) {
	text := ""
	switch name {
	case FieldCreatedAt:
		at := e.person.CreatedAt
		return timeValue(at.UnixMicro()), !at.IsZero()
	case FieldID:
		text = e.person.ID
	case FieldExternalID:
		text = e.person.ExternalID
	case FieldLocale:
		text = e.person.Locale
	case FieldTimeZone:
		text = e.person.TimeZone
	}
	return types.String(text), text != ""
}

func attribute(t Type, raw any) (ref.Val, bool) {
	switch v := raw.(type) {
	case string:
		if t == TypeDate {
			d, err := ParseDay(v)
			return dayValue(d), err == nil
		}
		return types.String(v), t == TypeText || t == TypeJSON
	case float64:
		return types.Double(v), (t == TypeNumber || t == TypeJSON) && !math.IsNaN(v) && !math.IsInf(v, 0)
	case bool:
		return types.Bool(v), t == TypeBool || t == TypeJSON
	case time.Time:
		return timeValue(v.UnixMicro()), t == TypeTime
	}
	return types.NullValue, t == TypeJSON && raw != nil
}
