package conditions

import (
	"errors"
	"math"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// environment is CEL with exactly our functions and operators: none of its
// standard library and no macros.
func environment(s Schema) (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	options := []cel.EnvOption{
		cel.CustomTypeProvider(provider{registry, s}),
		cel.EnableIdentifierEscapeSyntax(),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ParserRecursionLimit(parserDepth),
		cel.Variable("contact", celContact),
		cel.Variable("now", celTime),
	}
	options = append(options, logicFunctions()...)
	options = append(options, calcFunctions()...)
	options = append(options, textFunctions()...)
	options = append(options, contactFunctions()...)
	return cel.NewCustomEnv(options...)
}

func binary(id string, l, r, result *cel.Type, do func(l, r ref.Val) ref.Val) cel.FunctionOpt {
	return cel.Overload(id, []*cel.Type{l, r}, result, cel.BinaryBinding(do))
}

func unary(id string, x, result *cel.Type, do func(x ref.Val) ref.Val) cel.FunctionOpt {
	return cel.Overload(id, []*cel.Type{x}, result, cel.UnaryBinding(do))
}

// logicFunctions are !, &&, ||, ?:, in and the comparisons. Those without a
// binding are built into cel-go's planner.
func logicFunctions() []cel.EnvOption {
	a := cel.TypeParamType("A")
	pair := []*cel.Type{cel.BoolType, cel.BoolType}
	out := []cel.EnvOption{
		cel.Function(operators.LogicalAnd, cel.Overload("and", pair, cel.BoolType)),
		cel.Function(operators.LogicalOr, cel.Overload("or", pair, cel.BoolType)),
		cel.Function(operators.Conditional, cel.Overload("choose", []*cel.Type{cel.BoolType, a, a}, a)),
		cel.Function(operators.LogicalNot, unary("not", cel.BoolType, cel.BoolType, func(x ref.Val) ref.Val {
			return types.Bool(x == types.False)
		})),
		cel.Function(operators.In, binary("in", a, cel.ListType(a), cel.BoolType, func(x, list ref.Val) ref.Val {
			return list.(traits.Container).Contains(x)
		})),
	}
	for _, op := range []string{operators.Equals, operators.NotEquals} {
		out = append(out, cel.Function(op, equalities(op)...))
	}
	orders := map[string]func(int) bool{
		operators.Less:          func(c int) bool { return c < 0 },
		operators.LessEquals:    func(c int) bool { return c <= 0 },
		operators.Greater:       func(c int) bool { return c > 0 },
		operators.GreaterEquals: func(c int) bool { return c >= 0 },
	}
	for op, holds := range orders {
		out = append(out, cel.Function(op, orderings(op, holds)...))
	}
	return out
}

func equalities(op string) []cel.FunctionOpt {
	var out []cel.FunctionOpt
	for _, t := range append(comparable2(), [2]*cel.Type{cel.BoolType, cel.BoolType}) {
		out = append(out, cel.Overload(op+t[0].String()+t[1].String(), t[:], cel.BoolType))
	}
	return out
}

func orderings(op string, holds func(int) bool) []cel.FunctionOpt {
	var out []cel.FunctionOpt
	for _, t := range comparable2() {
		out = append(out, binary(op+t[0].String()+t[1].String(), t[0], t[1], cel.BoolType, func(l, r ref.Val) ref.Val {
			return types.Bool(holds(order(l, r)))
		}))
	}
	return out
}

// comparable2 are the pairs of types that have an order.
func comparable2() [][2]*cel.Type {
	return [][2]*cel.Type{
		{cel.StringType, cel.StringType},
		{cel.DoubleType, cel.DoubleType},
		{celDate, celDate},
		{celTime, celTime},
		{celDuration, celDuration},
		{celDate, celTime},
		{celTime, celDate},
	}
}

// order compares two values that the checker allowed to meet.
func order(l, r ref.Val) int {
	switch l := l.(type) {
	case types.String:
		if r, ok := r.(types.String); ok {
			return strings.Compare(string(l), string(r))
		}
	case types.Double:
		if r, ok := r.(types.Double); ok {
			return compare(float64(l), float64(r))
		}
	case span:
		if r, ok := r.(span); ok {
			return compare(l.micros(), r.micros())
		}
	}
	return 0
}

func compare[T int64 | float64](l, r T) int {
	switch {
	case l < r:
		return -1
	case l > r:
		return 1
	}
	return 0
}

func calcFunctions() []cel.EnvOption {
	numbers := func(id string, do func(l, r float64) float64) cel.FunctionOpt {
		return binary(id, cel.DoubleType, cel.DoubleType, cel.DoubleType, func(l, r ref.Val) ref.Val {
			return types.Double(do(float64(l.(types.Double)), float64(r.(types.Double))))
		})
	}
	spans := func(id string, l, r, result *cel.Type, sign int64) cel.FunctionOpt {
		return binary(id, l, r, result, func(l, r ref.Val) ref.Val {
			return span{result, l.(span).n + sign*r.(span).n}
		})
	}
	return []cel.EnvOption{
		cel.Function(operators.Add,
			numbers("add", func(l, r float64) float64 { return l + r }),
			spans("add_time_duration", celTime, celDuration, celTime, 1),
			spans("add_duration_time", celDuration, celTime, celTime, 1),
			spans("add_durations", celDuration, celDuration, celDuration, 1)),
		cel.Function(operators.Subtract,
			numbers("subtract", func(l, r float64) float64 { return l - r }),
			spans("subtract_time_duration", celTime, celDuration, celTime, -1),
			spans("subtract_times", celTime, celTime, celDuration, -1),
			spans("subtract_durations", celDuration, celDuration, celDuration, -1)),
		cel.Function(operators.Multiply,
			numbers("multiply", func(l, r float64) float64 { return l * r })),
		cel.Function(operators.Divide, binary("divide", cel.DoubleType, cel.DoubleType, cel.DoubleType, divide)),
		cel.Function(operators.Negate,
			unary("negate", cel.DoubleType, cel.DoubleType, func(x ref.Val) ref.Val { return -x.(types.Double) }),
			unary("negate_duration", celDuration, celDuration, func(x ref.Val) ref.Val { return durationValue(-x.(span).n) })),
		cel.Function(fnLimited, unary("limited_number", cel.DoubleType, cel.DoubleType, limited)),
	}
}

func divide(l, r ref.Val) ref.Val {
	if r.(types.Double) == 0 {
		return missing()
	}
	return l.(types.Double) / r.(types.Double)
}

// limited is the Limited node.
func limited(x ref.Val) ref.Val {
	size := math.Abs(float64(x.(types.Double)))
	if size > LimitedMax || size < LimitedMin && size != 0 {
		return missing()
	}
	return x
}

func textFunctions() []cel.EnvOption {
	test := func(op Op, holds func(x, part string) bool) cel.EnvOption {
		return cel.Function(string(op), cel.MemberOverload(string(op)+"_text", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(func(x, part ref.Val) ref.Val {
				return types.Bool(holds(string(x.(types.String)), string(part.(types.String))))
			})))
	}
	size := cel.UnaryBinding(func(x ref.Val) ref.Val {
		return types.Double(len([]rune(string(x.(types.String)))))
	})
	lower := cel.UnaryBinding(func(x ref.Val) ref.Val {
		return types.String(lowerASCII(string(x.(types.String))))
	})
	text := []*cel.Type{cel.StringType}
	return []cel.EnvOption{
		test(Contains, strings.Contains),
		test(StartsWith, strings.HasPrefix),
		test(EndsWith, strings.HasSuffix),
		cel.Function(fnSize, cel.Overload("size_text", text, cel.DoubleType, size), cel.MemberOverload("text_size", text, cel.DoubleType, size)),
		cel.Function(fnLower, cel.MemberOverload("lower_text", text, cel.StringType, lower)),
	}
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

// errUnchecked cannot happen: the builder has read the same text before.
var errUnchecked = errors.New("a value was not checked")

func contactFunctions() []cel.EnvOption {
	constant := func(name string, result *cel.Type, read func(string) (int64, bool)) cel.EnvOption {
		return cel.Function(name, unary(name+"_text", cel.StringType, result, func(x ref.Val) ref.Val {
			n, ok := read(string(x.(types.String)))
			if !ok {
				return types.WrapErr(errUnchecked)
			}
			return span{result, n}
		}))
	}
	return []cel.EnvOption{
		constant(fnDate, celDate, func(s string) (int64, bool) { d, err := ParseDay(s); return int64(d), err == nil }),
		constant(fnTimestamp, celTime, parseTime),
		constant(fnDuration, celDuration, parseDuration),
		cel.Function(fnConsent, cel.Overload(fnConsent+"_of", []*cel.Type{celContact, cel.StringType, cel.StringType}, cel.BoolType,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				return args[0].(*evaluation).happened(consented, textOf(args[1]), textOf(args[2]), 0)
			}))),
		cel.Function(fnConsentEnds, cel.Overload(fnConsentEnds+"_of", []*cel.Type{celContact, cel.StringType, cel.StringType, celDuration}, cel.BoolType,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				return args[0].(*evaluation).ends(textOf(args[1]), textOf(args[2]), args[3].(span).n)
			}))),
		pastFunction(Opened), pastFunction(Clicked), pastFunction(Received),
		eventFunction(),
		calendarFunction(fnAnniversary, cel.BoolType, func(d, today Day) ref.Val { return types.Bool(celebrated(d, today)) }),
		calendarFunction(fnDaysUntil, cel.DoubleType, func(d, today Day) ref.Val { return types.Double(d - today) }),
	}
}

func pastFunction(kind PastKind) cel.EnvOption {
	name := string(kind)
	do := cel.FunctionBinding(func(args ...ref.Val) ref.Val {
		e := args[0].(*evaluation)
		since := int64(math.MinInt64)
		if len(args) == 3 {
			since = e.now - args[2].(span).n
		}
		return e.happened(kind, textOf(args[1]), "", since)
	})
	return cel.Function(name,
		cel.Overload(name+"_ever", []*cel.Type{celContact, cel.StringType}, cel.BoolType, do),
		cel.Overload(name+"_within", []*cel.Type{celContact, cel.StringType, celDuration}, cel.BoolType, do))
}

func eventFunction() cel.EnvOption {
	do := cel.FunctionBinding(func(args ...ref.Val) ref.Val {
		within := int64(0)
		if len(args) == 3 {
			within = args[2].(span).n
		}
		return args[0].(*evaluation).happenings(textOf(args[1]), within)
	})
	return cel.Function(fnEvent,
		cel.Overload(fnEvent+"_ever", []*cel.Type{celContact, cel.StringType}, cel.DoubleType, do),
		cel.Overload(fnEvent+"_within", []*cel.Type{celContact, cel.StringType, celDuration}, cel.DoubleType, do))
}

func calendarFunction(name string, result *cel.Type, answer func(d, today Day) ref.Val) cel.EnvOption {
	do := cel.FunctionBinding(func(args ...ref.Val) ref.Val {
		zone := ""
		if len(args) == 3 {
			zone = textOf(args[2])
		}
		return answer(Day(args[1].(span).n), args[0].(*evaluation).today(zone))
	})
	return cel.Function(name,
		cel.Overload(name+"_here", []*cel.Type{celContact, celDate}, result, do),
		cel.Overload(name+"_there", []*cel.Type{celContact, celDate, cel.StringType}, result, do))
}

func textOf(v ref.Val) string {
	s, _ := v.(types.String)
	return string(s)
}
