package conditions

import "time"

// Node is a part of a checked condition. The set of types is closed: those of
// this file. Types have been checked and names resolved; a node that is missing
// a value yields NULL, and everything but Has, And, Or, Choose, Consent, Past and
// Happened yields NULL when one of its parts does.
type Node interface{ node() }

// Text is a text value. It holds no NUL and is valid UTF-8.
type Text struct{ Value string }

// Number is a finite number.
type Number struct{ Value float64 }

// Bool is yes or no.
type Bool struct{ Value bool }

// Date is a day of the calendar, without a zone.
type Date struct{ Day Day }

// Time is a moment in microseconds since 1970 UTC.
type Time struct{ Micros int64 }

// Duration is a length of time in microseconds.
type Duration struct{ Micros int64 }

// Now is the moment of evaluation in whole microseconds; it has type time.
type Now struct{}

// Source says where a field of a contact is kept.
type Source uint8

// The sources of fields.
const (
	Attribute Source = iota // a typed attribute
	Address                 // the value of the primary address of a kind
	Reserved                // a field every contact has; see the Field constants
)

// Field is contact.<Name>. A field of type json stands only under Has.
type Field struct {
	Source Source
	Name   string
	Type   Type
}

// Limited is a number attribute as an operand of Calc: NULL when its size is
// above 2^53, or below 2^-40 and not zero.
type Limited struct{ Of Field }

// The bounds of Limited: the largest size, and the smallest that is not zero.
const (
	LimitedMax = 1 << 53
	LimitedMin = 1.0 / (1 << 40)
)

// Has is true when the field has a value, else false; it is never NULL.
type Has struct{ Of Field }

// Not is negation; the negation of NULL is NULL.
type Not struct{ X Node }

// And is false when one side is false, else NULL when one is NULL.
type And struct{ L, R Node }

// Or is true when one side is true, else NULL when one is NULL.
type Or struct{ L, R Node }

// Op is a comparison, a calculation or a test of text.
type Op string

// The comparisons (Compare, CompareDay), calculations (Calc) and tests (Test).
const (
	Equal        Op = "="
	NotEqual     Op = "<>"
	Less         Op = "<"
	LessEqual    Op = "<="
	Greater      Op = ">"
	GreaterEqual Op = ">="

	Add      Op = "+"
	Subtract Op = "-"
	Multiply Op = "*"
	Divide   Op = "/"

	Contains   Op = "contains"
	StartsWith Op = "startsWith"
	EndsWith   Op = "endsWith"
)

// Compare compares two values of one type: text by code point, numbers as
// doubles, dates, times and durations by their order; bools only for equality.
type Compare struct {
	Op   Op
	Type Type
	L, R Node
}

// CompareDay compares a date, as midnight UTC of its day, with a moment that
// does not depend on the contact (see Moment).
type CompareDay struct {
	Op  Op
	Day Node
	At  Node
}

// In is true when X equals a value of the list, which holds at least one and
// only Text, Number, Bool, Date, Time or Duration of X's type.
type In struct {
	X    Node
	Type Type
	List []Node
}

// Calc is a calculation. Type is its result: number (on numbers, as doubles;
// a division by zero is NULL and no result can leave the range of doubles),
// time (time and duration) or duration (two durations, or the difference of
// two times); the latter in whole microseconds that fit 62 bits.
type Calc struct {
	Op   Op
	Type Type
	L, R Node
}

// Choose is Then when If is true, Else when it is false and NULL when If is
// NULL; the other branch does not count.
type Choose struct {
	Type           Type
	If, Then, Else Node
}

// Test is a test of text: does X contain, begin with or end with Part, octet
// for octet. Every text contains, begins and ends with the empty one.
type Test struct {
	Op      Op
	X, Part Node
}

// Lower is text with A to Z in lower case and nothing else changed.
type Lower struct{ X Node }

// Size is the number of code points of a text.
type Size struct{ X Node }

// Consent is true when the current answer of the contact for that driver and
// topic is granted and has not come to its end; it is never NULL.
type Consent struct{ Driver, Topic string }

// ConsentEnds is true when such an answer has an end, and that lies at now +
// Within or earlier; it is never NULL.
type ConsentEnds struct {
	Driver, Topic string
	Within        int64 // microseconds
}

// PastKind says which kind of past is asked for.
type PastKind string

// The kinds of past: a human open, a human click, a delivery in state sent.
const (
	Opened   PastKind = "opened"
	Clicked  PastKind = "clicked"
	Received PastKind = "received"
)

// Past is true when the contact opened, clicked or received the campaign, at
// any time, or when Within is not zero at now - Within or later. It is never
// NULL.
type Past struct {
	Kind     PastKind
	Campaign string
	Within   int64 // microseconds; 0: ever
}

// Happened is how often an event happened to the contact up to now, at any time,
// or when Within is not zero at now - Within or later: a whole number, 0 before
// anything happened; it is never NULL.
type Happened struct {
	Event  string
	Within int64 // microseconds; 0: ever
}

// Anniversary is true when today is the anniversary of the date (see
// Day.Celebrates). Zone is an IANA name, or empty for the contact's own.
type Anniversary struct {
	Of   Field
	Zone string
}

// DaysUntil is the number of days from today to the date, negative when past.
// Zone is an IANA name, or empty for the contact's own.
type DaysUntil struct {
	Of   Field
	Zone string
}

func (Text) node()        {}
func (Number) node()      {}
func (Bool) node()        {}
func (Date) node()        {}
func (Time) node()        {}
func (Duration) node()    {}
func (Now) node()         {}
func (Field) node()       {}
func (Limited) node()     {}
func (Has) node()         {}
func (Not) node()         {}
func (And) node()         {}
func (Or) node()          {}
func (Compare) node()     {}
func (CompareDay) node()  {}
func (In) node()          {}
func (Calc) node()        {}
func (Choose) node()      {}
func (Test) node()        {}
func (Lower) node()       {}
func (Size) node()        {}
func (Consent) node()     {}
func (ConsentEnds) node() {}
func (Past) node()        {}
func (Happened) node()    {}
func (Anniversary) node() {}
func (DaysUntil) node()   {}

// Moment computes a time or duration that does not depend on the contact, in
// microseconds; ok is false when it does.
func Moment(n Node, now time.Time) (micros int64, ok bool) {
	switch n := n.(type) {
	case Now:
		return now.UnixMicro(), true
	case Time:
		return n.Micros, true
	case Duration:
		return n.Micros, true
	case Calc:
		l, okL := Moment(n.L, now)
		r, okR := Moment(n.R, now)
		if n.Op == Subtract {
			r = -r
		}
		return l + r, okL && okR
	}
	return 0, false
}
