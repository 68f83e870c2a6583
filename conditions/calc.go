package conditions

import (
	"errors"
	"fmt"
	"math"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// compareOp is the comparison that an operator of CEL stands for.
func compareOp(operator string) (op Op, ok bool) {
	switch operator {
	case operators.Equals:
		return Equal, true
	case operators.NotEquals:
		return NotEqual, true
	case operators.Less:
		return Less, true
	case operators.LessEquals:
		return LessEqual, true
	case operators.Greater:
		return Greater, true
	case operators.GreaterEquals:
		return GreaterEqual, true
	}
	return "", false
}

// calcOp is the calculation that an operator of CEL stands for.
func calcOp(operator string) (op Op, ok bool) {
	switch operator {
	case operators.Add:
		return Add, true
	case operators.Subtract, operators.Negate:
		return Subtract, true
	case operators.Multiply:
		return Multiply, true
	case operators.Divide:
		return Divide, true
	}
	return "", false
}

func (b *builder) compare(e ast.Expr, op Op, depth int) (Node, Type, error) {
	args := e.AsCall().Args()
	l, lt, err := b.build(args[0], depth+1)
	if err != nil {
		return nil, "", err
	}
	r, rt, err := b.build(args[1], depth+1)
	if err != nil {
		return nil, "", err
	}
	switch {
	case lt == TypeDate && rt == TypeTime:
		return b.compareDay(e, op, l, r)
	case lt == TypeTime && rt == TypeDate:
		return b.compareDay(e, mirror(op), r, l)
	case lt != rt:
		return nil, "", b.fail(e, "%s cannot be compared with %s%s", lt.phrase(), rt.phrase(), hint(lt, rt))
	case lt == TypeBool && op != Equal && op != NotEqual:
		return nil, "", b.fail(e, "a yes or no can only be compared with == and !=")
	}
	return Compare{op, lt, l, r}, TypeBool, nil
}

// hint is what the author of a wrong comparison probably wanted.
func hint(a, b Type) string {
	has := func(t Type) bool { return a == t || b == t }
	switch {
	case has(TypeText) && has(TypeDate):
		return `; write date("2026-01-31")`
	case has(TypeText) && has(TypeTime):
		return `; write timestamp("2026-01-31T09:00:00Z")`
	case has(TypeText) && has(TypeDuration):
		return `; write duration("720h")`
	case has(TypeText) && has(TypeNumber):
		return "; text stands in quotes, numbers do not"
	case has(TypeText) && has(TypeBool):
		return "; true and false stand without quotes"
	case has(TypeDuration) && has(TypeTime), has(TypeDuration) && has(TypeDate):
		return `; write now - duration("720h")`
	}
	return ""
}

// mirror is the comparison with its sides exchanged.
func mirror(op Op) Op {
	switch op {
	case Less:
		return Greater
	case LessEqual:
		return GreaterEqual
	case Greater:
		return Less
	case GreaterEqual:
		return LessEqual
	default:
		return op
	}
}

func (b *builder) compareDay(e ast.Expr, op Op, day, at Node) (Node, Type, error) {
	if d, ok := day.(Date); ok {
		return Compare{op, TypeTime, Time{d.Day.Midnight()}, at}, TypeBool, nil
	}
	if !timeless(at) {
		return nil, "", b.fail(e, "a date of the contact cannot be compared with a moment of the contact; compare each with now, or use days_until")
	}
	return CompareDay{op, day, at}, TypeBool, nil
}

// timeless reports whether a moment is the same for every contact.
func timeless(n Node) bool {
	switch n := n.(type) {
	case Now, Time, Duration:
		return true
	case Calc:
		return timeless(n.L) && timeless(n.R)
	}
	return false
}

func (b *builder) calc(e ast.Expr, op Op, depth int) (Node, Type, error) {
	args := e.AsCall().Args()
	nodes, kinds := make([]Node, 2), make([]Type, 2)
	for i, arg := range args {
		at := i + 2 - len(args) // a sign has one operand, the right one
		n, t, err := b.build(arg, depth+1)
		if err != nil {
			return nil, "", err
		}
		if f, ok := n.(Field); ok && t == TypeNumber {
			n = Limited{f}
			b.wrap(arg)
		}
		nodes[at], kinds[at] = n, t
	}
	if len(args) == 1 {
		kinds[0] = kinds[1]
		nodes[0] = Number{0}
		if kinds[1] == TypeDuration {
			nodes[0] = Duration{0}
		}
	}
	result, ok := resultOf(op, kinds[0], kinds[1])
	if !ok || len(args) == 1 && result == TypeDuration && kinds[1] == TypeTime {
		return nil, "", b.fail(e, "%s", cannotCalc(op, kinds, len(args) == 1))
	}
	n := Calc{op, result, nodes[0], nodes[1]}
	if err := inRange(n); err != nil {
		return nil, "", b.fail(e, "%v", err)
	}
	return n, result, nil
}

// wrap puts the check of Limited around an operand for cel-go.
func (b *builder) wrap(e ast.Expr) {
	inner := b.fac.CopyExpr(e)
	inner.RenumberIDs(func(int64) int64 { return b.newID() })
	e.SetKindCase(b.fac.NewCall(e.ID(), fnLimited, inner))
}

func resultOf(op Op, l, r Type) (Type, bool) {
	switch {
	case l == TypeNumber && r == TypeNumber:
		return TypeNumber, true
	case op != Add && op != Subtract:
		return "", false
	case l == TypeTime && r == TypeDuration, l == TypeDuration && r == TypeTime && op == Add:
		return TypeTime, true
	case l == TypeDuration && r == TypeDuration, l == TypeTime && r == TypeTime && op == Subtract:
		return TypeDuration, true
	}
	return "", false
}

func cannotCalc(op Op, kinds []Type, sign bool) string {
	switch {
	case sign:
		return fmt.Sprintf("%s has no sign", kinds[1].phrase())
	case kinds[0] == TypeDate || kinds[1] == TypeDate:
		return `a date is not calculated with; compare it with now - duration("720h"), or use days_until`
	case kinds[0] == TypeText || kinds[1] == TypeText:
		return "text is not calculated with; numbers, moments and durations are"
	}
	return fmt.Sprintf("%s %s %s is no calculation", kinds[0].phrase(), op, kinds[1].phrase())
}

// reach bounds the values of a number expression: zero, or a size below 2^top
// and a whole multiple of 2^grain. Sums, differences and products of doubles
// keep to the grain of exact arithmetic, because rounding only coarsens.
type reach struct{ top, grain int }

// Bounds of reach far enough inside the range of doubles (2^-1022 to 2^1024),
// and of whole microseconds inside 64 bits.
const (
	reachMax     = 1000
	microsBits   = 61
	momentBits   = 58 // years 1 to 9999
	mantissaBits = 53
	textBits     = 31 // the size of the longest text
)

// inRange refuses a calculation that could overflow or underflow for some
// contact: PostgreSQL would end the whole statement there.
func inRange(c Calc) error {
	if c.Type != TypeNumber {
		if magnitude(c) >= 1<<microsBits {
			return errors.New("this calculation has too many moments and durations; simplify it")
		}
		return nil
	}
	r := reachOf(c)
	if r.top > reachMax || r.grain < -reachMax {
		return errors.New("this calculation could leave the range of numbers; multiply and divide less in one go")
	}
	return nil
}

func reachOf(n Node) reach {
	switch n := n.(type) {
	case Number:
		if n.Value == 0 {
			return reach{0, 0}
		}
		_, exp := math.Frexp(n.Value)
		return reach{exp, exp - mantissaBits}
	case Limited:
		return reach{mantissaBits + 1, -40 - mantissaBits + 1}
	case Size, DaysUntil:
		return reach{textBits, 0}
	case Happened:
		return reach{mantissaBits, 0}
	case Choose:
		a, b := reachOf(n.Then), reachOf(n.Else)
		return reach{max(a.top, b.top), min(a.grain, b.grain)}
	case Calc:
		return n.reach()
	}
	return reach{math.MaxInt16, -math.MaxInt16} // not limited: refused in a calculation
}

func (c Calc) reach() reach {
	a, b := reachOf(c.L), reachOf(c.R)
	switch c.Op {
	case Multiply:
		return reach{a.top + b.top, a.grain + b.grain}
	case Divide:
		return reach{a.top - b.grain, a.grain - b.top - mantissaBits}
	default:
		return reach{max(a.top, b.top) + 1, min(a.grain, b.grain)}
	}
}

// magnitude bounds the size of a moment or duration in microseconds.
func magnitude(n Node) float64 {
	switch n := n.(type) {
	case Duration:
		return math.Abs(float64(n.Micros))
	case Calc:
		return magnitude(n.L) + magnitude(n.R)
	case Choose:
		return max(magnitude(n.Then), magnitude(n.Else))
	}
	return 1 << momentBits
}
