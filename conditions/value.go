package conditions

import (
	"errors"
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// CEL's own timestamp and duration count nanoseconds and end at 292 years; ours
// count microseconds, as the store does.
var (
	celDate     = cel.OpaqueType("date")
	celTime     = cel.OpaqueType("moment")
	celDuration = cel.OpaqueType("duration")
	celContact  = cel.ObjectType("rapport.contact")
)

// celType is how cel-go knows the type.
func (t Type) celType() *cel.Type {
	switch t {
	case TypeText:
		return cel.StringType
	case TypeNumber:
		return cel.DoubleType
	case TypeBool:
		return cel.BoolType
	case TypeDate:
		return celDate
	case TypeTime:
		return celTime
	case TypeDuration:
		return celDuration
	case TypeJSON:
		return cel.DynType
	}
	return cel.DynType
}

// span is a value that is a whole number: the microseconds of a time or a
// duration, or the number of a day.
type span struct {
	kind *cel.Type
	n    int64
}

func timeValue(micros int64) span     { return span{celTime, micros} }
func durationValue(micros int64) span { return span{celDuration, micros} }
func dayValue(d Day) span             { return span{celDate, int64(d)} }

// micros is the value on the scale of times.
func (s span) micros() int64 {
	if s.kind == celDate {
		return Day(s.n).Midnight()
	}
	return s.n
}

// Equal compares on the scale of times, so that a date meets a moment.
func (s span) Equal(other ref.Val) ref.Val {
	o, ok := other.(span)
	return types.Bool(ok && s.micros() == o.micros())
}

func (s span) Type() ref.Type { return s.kind }
func (s span) Value() any     { return s }

func (s span) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a %s has no native form %v", s.kind, t)
}

func (s span) ConvertToType(ref.Type) ref.Val { return types.NewErr("no conversion") }

// errMissing is the third truth value in memory.
var errMissing = errors.New("missing")

// missing is the third truth value as CEL hands it on.
func missing() ref.Val { return types.WrapErr(errMissing) }
