package conditions

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"rapport"
)

// Limits of a condition; parserDepth is above maxDepth because the parser
// counts brackets too.
const (
	maxSource   = 16 << 10 // bytes
	maxParts    = 500
	maxDepth    = 40
	maxList     = 1000
	parserDepth = 100
	maxCost     = 1_000_000 // in cel-go's units, far above what the limits allow
)

// Condition is a checked condition. It is safe for concurrent use.
type Condition struct {
	source  string
	tree    Node
	uses    Uses
	program cel.Program
}

// Source is the condition as it was written.
func (c *Condition) Source() string { return c.source }

// Tree is the condition as a tree from which the store makes SQL. It is shared
// and must not be changed.
func (c *Condition) Tree() Node { return c.tree }

// Uses says what the condition speaks of.
func (c *Condition) Uses() Uses { return c.uses }

// Uses are the names that a condition speaks of, each once, sorted.
type Uses struct {
	Attributes []string
	Addresses  []string
	Topics     []string
	Campaigns  []string
	Events     []string
	// Today: it needs to know which day it is in the contact's own zone.
	Today bool
}

func (u *Uses) add(f Field) {
	switch f.Source {
	case Attribute:
		u.Attributes = include(u.Attributes, f.Name)
	case Address:
		u.Addresses = include(u.Addresses, f.Name)
	case Reserved:
	}
}

func (u *Uses) topic(name string)    { u.Topics = include(u.Topics, name) }
func (u *Uses) campaign(name string) { u.Campaigns = include(u.Campaigns, name) }
func (u *Uses) event(name string)    { u.Events = include(u.Events, name) }

func include(names []string, name string) []string {
	at, found := slices.BinarySearch(names, name)
	if found {
		return names
	}
	return slices.Insert(names, at, name)
}

// Check parses a condition and checks names, types and limits. A mistake is an
// Invalid rapport.Error: one sentence, the place as line and column (counted
// from 1 in code points), the line and a caret under the place. The first
// mistake is told.
func Check(source string, schema Schema) (*Condition, error) {
	if len(source) > maxSource {
		return nil, rapport.Invalidf("", "the condition is longer than %d KiB; split it into several segments", maxSource>>10)
	}
	if !utf8.ValidString(source) {
		return nil, rapport.Invalidf("", "the condition is not UTF-8 text; save the file as UTF-8")
	}
	schema.Attributes = maps.Clone(schema.Attributes) // the condition outlives the call
	env, err := environment(schema)
	if err != nil {
		return nil, fmt.Errorf("make the language of conditions: %w", err)
	}
	c, err := check(env, source, schema)
	if p, ok := errors.AsType[*problem](err); ok {
		return nil, p.show(source)
	}
	return c, err
}

func check(env *cel.Env, source string, schema Schema) (*Condition, error) {
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, syntax(source, issues)
	}
	tree := parsed.NativeRep()
	b := &builder{schema: schema, info: tree.SourceInfo(), lines: runes(source), fac: ast.NewExprFactory(), lastID: ast.MaxID(tree)}
	node, t, err := b.build(tree.Expr(), 0)
	if err != nil {
		return nil, err
	}
	if t != TypeBool {
		return nil, b.fail(tree.Expr(), "a condition answers yes or no, and this is %s", t.phrase())
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, syntax(source, issues)
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, fmt.Errorf("plan a condition: %w", err)
	}
	return &Condition{source: source, tree: node, uses: b.uses, program: program}, nil
}

func runes(source string) [][]rune {
	var lines [][]rune
	for line := range strings.SplitSeq(source, "\n") {
		lines = append(lines, []rune(line))
	}
	return lines
}
