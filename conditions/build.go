package conditions

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// builder walks the parsed tree once: it makes our own tree of it with types,
// and rewrites the parsed one where cel-go needs to be told more (whole numbers
// become doubles; what depends on the contact gets it as a first argument).
type builder struct {
	schema Schema
	info   *ast.SourceInfo
	lines  [][]rune
	fac    ast.ExprFactory
	lastID int64
	parts  int
	uses   Uses
}

// fail is a problem at an expression.
func (b *builder) fail(e ast.Expr, format string, args ...any) error {
	line, column := b.place(e)
	return &problem{line, column, fmt.Sprintf(format, args...)}
}

// place is where an expression stands. cel-go's place of a field is the dot
// before it, and that of a call the bracket behind its name; people look for
// the name.
func (b *builder) place(e ast.Expr) (line, column int) {
	at := b.info.GetStartLocation(e.ID())
	line, column = at.Line(), at.Column()
	if line < 1 || line > len(b.lines) || column > len(b.lines[line-1]) {
		return line, column
	}
	text := b.lines[line-1]
	switch e.Kind() {
	case ast.SelectKind:
		if ahead := strings.Index(string(text[column:]), e.AsSelect().FieldName()); ahead >= 0 {
			column += utf8.RuneCountInString(string(text[column:])[:ahead])
		}
	case ast.CallKind:
		name := []rune(e.AsCall().FunctionName())
		if from := column - len(name); from >= 0 && string(text[from:column]) == string(name) {
			column = from
		}
	case ast.IdentKind, ast.LiteralKind, ast.ListKind, ast.MapKind, ast.StructKind, ast.ComprehensionKind, ast.UnspecifiedExprKind:
	}
	return line, column
}

func (b *builder) newID() int64 {
	b.lastID++
	return b.lastID
}

// build translates one expression.
func (b *builder) build(e ast.Expr, depth int) (Node, Type, error) {
	if b.parts++; b.parts > maxParts {
		return nil, "", b.fail(e, "the condition has more than %d parts; split it into several segments", maxParts)
	}
	if depth > maxDepth {
		return nil, "", b.fail(e, "the condition is nested more than %d levels deep; split it into several segments", maxDepth)
	}
	switch e.Kind() {
	case ast.LiteralKind:
		return b.literal(e)
	case ast.IdentKind:
		return b.ident(e)
	case ast.SelectKind:
		return b.selection(e)
	case ast.CallKind:
		return b.call(e, depth)
	case ast.ListKind:
		return nil, "", b.fail(e, "a list stands only after in: contact.tier in [\"gold\", \"silver\"]")
	case ast.MapKind, ast.StructKind, ast.ComprehensionKind, ast.UnspecifiedExprKind:
	}
	return nil, "", b.fail(e, "maps and loops are not part of conditions")
}

func (b *builder) literal(e ast.Expr) (Node, Type, error) {
	switch v := e.AsLiteral().(type) {
	case types.Bool:
		return Bool{bool(v)}, TypeBool, nil
	case types.String:
		if strings.ContainsRune(string(v), 0) {
			return nil, "", b.fail(e, "text cannot contain the character U+0000")
		}
		return Text{string(v)}, TypeText, nil
	case types.Double:
		return b.number(e, float64(v), true)
	case types.Int:
		f := float64(v)
		return b.number(e, f, v > -LimitedMax && v < LimitedMax)
	case types.Uint:
		return b.number(e, float64(v), v < LimitedMax)
	case types.Null:
		return nil, "", b.fail(e, "there is no null; has(contact.x) asks whether there is a value")
	}
	return nil, "", b.fail(e, "this kind of value is not part of conditions; there are texts, numbers, true and false")
}

// number makes a double of every number.
func (b *builder) number(e ast.Expr, f float64, exact bool) (Node, Type, error) {
	if !exact || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, "", b.fail(e, "whole numbers are exact up to 9007199254740991; beyond, write the number with a decimal point")
	}
	e.SetKindCase(b.fac.NewLiteral(e.ID(), types.Double(f)))
	return Number{f}, TypeNumber, nil
}

func (b *builder) ident(e ast.Expr) (Node, Type, error) {
	switch name := e.AsIdent(); name {
	case "now":
		return Now{}, TypeTime, nil
	case "contact":
		return nil, "", b.fail(e, "contact needs a field: contact.locale")
	case "data", "campaign", "event":
		return nil, "", b.fail(e, "%q cannot be used here: a condition of a segment knows the contact only", name)
	default:
		guess := ""
		if _, ok := b.schema.field(name); ok {
			guess = fmt.Sprintf("did you mean contact.%s? ", name)
		}
		return nil, "", b.fail(e, "there is no name %q; %sa condition knows contact and now, and text stands in quotes", name, guess)
	}
}

// selection is contact.<name> or contact["<name>"] as a value.
func (b *builder) selection(e ast.Expr) (Node, Type, error) {
	f, err := b.field(e)
	if err != nil {
		return nil, "", err
	}
	if f.Type == TypeJSON {
		return nil, "", b.fail(e, "contact.%s is a JSON structure; a condition can only ask has(contact.%s)", f.Name, f.Name)
	}
	e.SetKindCase(b.fac.NewSelect(e.ID(), b.fac.NewIdent(b.newID(), "contact"), f.Name))
	return f, f.Type, nil
}

// isField reports whether an expression looks like a field of something.
func isField(e ast.Expr) bool {
	return e.Kind() == ast.SelectKind || e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index
}

// field resolves contact.<name> and contact["<name>"].
func (b *builder) field(e ast.Expr) (Field, error) {
	var of ast.Expr
	var name string
	if e.Kind() == ast.SelectKind {
		of, name = e.AsSelect().Operand(), e.AsSelect().FieldName()
	} else {
		of = e.AsCall().Args()[0]
		text, err := b.text(e.AsCall().Args()[1], `contact["city"]`)
		if err != nil {
			return Field{}, err
		}
		name = text
	}
	switch {
	case of.Kind() == ast.IdentKind && of.AsIdent() == "contact":
	case of.Kind() == ast.IdentKind:
		_, _, err := b.ident(of)
		if err == nil {
			err = b.fail(e, "%s has no fields", of.AsIdent())
		}
		return Field{}, err
	default:
		return Field{}, b.fail(e, "only contact has fields; of a JSON structure a condition can only ask whether it is there")
	}
	f, ok := b.schema.field(name)
	switch {
	case !ok:
		return Field{}, b.fail(e, "%s", unknown("attribute", name, b.schema.fieldNames()))
	case !spellable(name):
		return Field{}, b.fail(e, "the attribute %q cannot be used in conditions because of its name; import it under another one", name)
	}
	b.uses.add(f)
	return f, nil
}

// spellable reports whether the store can use the name as a label inside JSON
// on both engines, whatever stands around it.
func spellable(name string) bool {
	if name == "" || strings.ContainsAny(name[:1], "$[") || strings.ContainsAny(name, `"'\`) {
		return false
	}
	return !strings.ContainsFunc(name, unicode.IsControl)
}

// call translates operators here and functions in functions.go.
func (b *builder) call(e ast.Expr, depth int) (Node, Type, error) {
	c := e.AsCall()
	switch c.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr:
		return b.logic(e, depth)
	case operators.LogicalNot:
		x, err := b.want(c.Args()[0], depth, TypeBool, "what follows ! must be a yes or no")
		return Not{x}, TypeBool, err
	case operators.Conditional:
		return b.choose(e, depth)
	case operators.In:
		return b.in(e, depth)
	case operators.Index:
		return b.selection(e)
	case operators.Modulo:
		return nil, "", b.fail(e, "%% is not part of conditions")
	}
	if op, ok := compareOp(c.FunctionName()); ok {
		return b.compare(e, op, depth)
	}
	if op, ok := calcOp(c.FunctionName()); ok {
		return b.calc(e, op, depth)
	}
	return b.function(e, depth)
}

// want builds an expression that must be of a type.
func (b *builder) want(e ast.Expr, depth int, t Type, otherwise string) (Node, error) {
	n, got, err := b.build(e, depth+1)
	if err != nil {
		return nil, err
	}
	if got != t {
		return nil, b.fail(e, "%s, and this is %s", otherwise, got.phrase())
	}
	return n, nil
}

func (b *builder) logic(e ast.Expr, depth int) (Node, Type, error) {
	c := e.AsCall()
	sign := "&&"
	if c.FunctionName() == operators.LogicalOr {
		sign = "||"
	}
	l, err := b.want(c.Args()[0], depth, TypeBool, "both sides of "+sign+" must be a yes or no")
	if err != nil {
		return nil, "", err
	}
	r, err := b.want(c.Args()[1], depth, TypeBool, "both sides of "+sign+" must be a yes or no")
	if err != nil {
		return nil, "", err
	}
	if sign == "&&" {
		return And{l, r}, TypeBool, nil
	}
	return Or{l, r}, TypeBool, nil
}

func (b *builder) choose(e ast.Expr, depth int) (Node, Type, error) {
	args := e.AsCall().Args()
	question, err := b.want(args[0], depth, TypeBool, "what stands before ? must be a yes or no")
	if err != nil {
		return nil, "", err
	}
	yes, t, err := b.build(args[1], depth+1)
	if err != nil {
		return nil, "", err
	}
	no, err := b.want(args[2], depth, t, "both sides of : must be of one type; the first is "+t.phrase())
	if err != nil {
		return nil, "", err
	}
	return Choose{t, question, yes, no}, t, nil
}

func (b *builder) in(e ast.Expr, depth int) (Node, Type, error) {
	args := e.AsCall().Args()
	x, t, err := b.build(args[0], depth+1)
	if err != nil {
		return nil, "", err
	}
	if args[1].Kind() != ast.ListKind {
		return nil, "", b.fail(args[1], "in needs a list of values: contact.tier in [\"gold\", \"silver\"]; for a part of a text use contains")
	}
	list := args[1].AsList()
	switch {
	case list.Size() == 0:
		return nil, "", b.fail(args[1], "the list is empty: nobody could match; write at least one value")
	case list.Size() > maxList:
		return nil, "", b.fail(args[1], "the list has more than %d values; import an attribute and ask for that", maxList)
	case len(list.OptionalIndices()) > 0:
		return nil, "", b.fail(args[1], "a list holds plain values only")
	}
	values := make([]Node, 0, list.Size())
	for _, item := range list.Elements() {
		b.parts-- // a list counts as one part, whatever it holds
		v, err := b.want(item, depth, t, "the values of a list must be of the type of what stands before in, "+t.phrase())
		if err != nil {
			return nil, "", err
		}
		switch v.(type) {
		case Text, Number, Bool, Date, Time, Duration:
		default:
			return nil, "", b.fail(item, "a list holds plain values only")
		}
		values = append(values, v)
	}
	return In{x, t, values}, TypeBool, nil
}
