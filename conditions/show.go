package conditions

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Show writes a part of a condition in the language of conditions, so that
// people can be told which part did not hold. What it writes means the same;
// spaces, brackets and numbers may look otherwise than they were typed.
func Show(n Node) string { return show(n, 0) }

// How strongly parts hold together; a weaker one in a stronger gets brackets.
const (
	holdsOr = iota + 1
	holdsAnd
	holdsRelation
	holdsSum
	holdsProduct
	holdsUnary
)

func show(n Node, around int) string {
	text, holds := spell(n)
	if holds != 0 && holds < around {
		return "(" + text + ")"
	}
	return text
}

// plainName is what may stand behind the dot.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// spell writes a node, and says how strongly it holds together; 0: it needs no
// brackets anywhere.
func spell(n Node) (text string, holds int) {
	switch n := n.(type) {
	case Text:
		return strconv.Quote(n.Value), 0
	case Number:
		text := strconv.FormatFloat(n.Value, 'f', -1, 64)
		if n.Value <= -LimitedMax || n.Value >= LimitedMax {
			text += ".0" // a whole number cannot be written so large
		}
		return text, 0
	case Bool:
		return strconv.FormatBool(n.Value), 0
	case Date:
		return fmt.Sprintf("date(%q)", n.Day.String()), 0
	case Time:
		return fmt.Sprintf("timestamp(%q)", time.UnixMicro(n.Micros).UTC().Format(time.RFC3339Nano)), 0
	case Duration:
		return fmt.Sprintf("duration(%q)", (time.Duration(n.Micros) * time.Microsecond).String()), 0
	case Now:
		return "now", 0
	case Field:
		if !plainName.MatchString(n.Name) || n.Name == "in" {
			return "contact[" + strconv.Quote(n.Name) + "]", 0
		}
		return "contact." + n.Name, 0
	case Limited:
		return show(n.Of, 0), 0
	case Has:
		return "has(" + show(n.Of, 0) + ")", 0
	case Not:
		return "!" + show(n.X, holdsUnary), holdsUnary
	case And:
		return show(n.L, holdsAnd) + " && " + show(n.R, holdsAnd), holdsAnd
	case Or:
		return show(n.L, holdsOr) + " || " + show(n.R, holdsOr), holdsOr
	case Compare:
		return relation(n.L, n.Op, n.R), holdsRelation
	case CompareDay:
		return relation(n.Day, n.Op, n.At), holdsRelation
	case In:
		list := make([]string, len(n.List))
		for i, x := range n.List {
			list[i] = Show(x)
		}
		return show(n.X, holdsSum) + " in [" + strings.Join(list, ", ") + "]", holdsRelation
	case Choose:
		return show(n.If, holdsOr) + " ? " + show(n.Then, holdsOr) + " : " + show(n.Else, holdsOr), holdsOr
	}
	return spellCall(n)
}

// spellCall writes calculations and calls.
func spellCall(n Node) (text string, holds int) {
	switch n := n.(type) {
	case Calc:
		holds = holdsSum
		if n.Op == Multiply || n.Op == Divide {
			holds = holdsProduct
		}
		return show(n.L, holds) + " " + string(n.Op) + " " + show(n.R, holds+1), holds
	case Test:
		return fmt.Sprintf("%s.%s(%s)", show(n.X, holdsUnary), n.Op, Show(n.Part)), 0
	case Lower:
		return show(n.X, holdsUnary) + ".lowerAscii()", 0
	case Size:
		return "size(" + Show(n.X) + ")", 0
	case Consent:
		return fmt.Sprintf("consent(%q, %q)", n.Driver, n.Topic), 0
	case ConsentEnds:
		return fmt.Sprintf("consent_expires(%q, %q, %s)", n.Driver, n.Topic, Show(Duration{n.Within})), 0
	case Past:
		if n.Within > 0 {
			return fmt.Sprintf("%s(%q, %s)", n.Kind, n.Campaign, Show(Duration{n.Within})), 0
		}
		return fmt.Sprintf("%s(%q)", n.Kind, n.Campaign), 0
	case Happened:
		if n.Within > 0 {
			return fmt.Sprintf("event(%q, %s)", n.Event, Show(Duration{n.Within})), 0
		}
		return fmt.Sprintf("event(%q)", n.Event), 0
	case Anniversary:
		return calendar("anniversary", n.Of, n.Zone), 0
	case DaysUntil:
		return calendar("days_until", n.Of, n.Zone), 0
	}
	panic(fmt.Sprintf("conditions: no spelling for %T", n)) // the set is closed; a test writes each
}

func calendar(name string, of Field, zone string) string {
	if zone == "" {
		return name + "(" + Show(of) + ")"
	}
	return name + "(" + Show(of) + ", " + strconv.Quote(zone) + ")"
}

func relation(l Node, op Op, r Node) string {
	word := string(op)
	switch op {
	case Equal:
		word = "=="
	case NotEqual:
		word = "!="
	default:
	}
	return show(l, holdsSum) + " " + word + " " + show(r, holdsSum)
}

// Parts takes a condition apart where it is joined by && and ||, in the order
// in which it was written; what is joined by neither is its own only part.
func Parts(n Node) []Node {
	switch n := n.(type) {
	case And:
		return append(Parts(n.L), Parts(n.R)...)
	case Or:
		return append(Parts(n.L), Parts(n.R)...)
	}
	return []Node{n}
}

// Fields lists the fields of the contact that a part reads, each once, by name.
func Fields(n Node) []Field {
	var out []Field
	var walk func(Node)
	walk = func(n Node) {
		switch n := n.(type) {
		case Field:
			out = append(out, n)
		case Limited:
			walk(n.Of)
		case Has:
			walk(n.Of)
		case Not:
			walk(n.X)
		case And:
			walk(n.L)
			walk(n.R)
		case Or:
			walk(n.L)
			walk(n.R)
		case Compare:
			walk(n.L)
			walk(n.R)
		case CompareDay:
			walk(n.Day)
			walk(n.At)
		case In:
			walk(n.X)
		case Calc:
			walk(n.L)
			walk(n.R)
		case Choose:
			walk(n.If)
			walk(n.Then)
			walk(n.Else)
		case Test:
			walk(n.X)
			walk(n.Part)
		case Lower:
			walk(n.X)
		case Size:
			walk(n.X)
		case Anniversary:
			walk(n.Of)
		case DaysUntil:
			walk(n.Of)
		}
	}
	walk(n)
	slices.SortFunc(out, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b Field) bool { return a.Name == b.Name })
}
