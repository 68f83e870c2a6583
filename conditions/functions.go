package conditions

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// The functions by name; their signatures for cel-go are in env.go.
const (
	fnHas         = "has"
	fnDuration    = "duration"
	fnTimestamp   = "timestamp"
	fnDate        = "date"
	fnSize        = "size"
	fnLower       = "lowerAscii"
	fnConsent     = "consent"
	fnConsentEnds = "consent_expires"
	fnEvent       = "event"
	fnAnniversary = "anniversary"
	fnDaysUntil   = "days_until"
	fnLimited     = "@limited" // no source can spell it
)

// known is what people are told about when they call something else.
const known = "known: has, consent, consent_expires, opened, clicked, received, event, anniversary, days_until, date, timestamp, duration, size, contains, startsWith, endsWith, lowerAscii"

func (b *builder) function(e ast.Expr, depth int) (Node, Type, error) {
	switch name := e.AsCall().FunctionName(); name {
	case fnDuration, fnTimestamp, fnDate:
		return b.moment(e)
	case fnSize, fnLower:
		return b.ofText(e, depth)
	case string(Contains), string(StartsWith), string(EndsWith):
		return b.test(e, depth)
	case fnConsent:
		return b.consent(e)
	case fnConsentEnds:
		return b.consentEnds(e, depth)
	case string(Opened), string(Clicked), string(Received):
		return b.past(e, depth)
	case fnAnniversary, fnDaysUntil:
		return b.calendar(e)
	case fnEvent:
		return b.event(e, depth)
	case "matches":
		return nil, "", b.fail(e, "regular expressions are not part of conditions, because databases differ about them; use contains, startsWith or endsWith")
	case fnHas:
		return b.has(e)
	case "exists", "all", "exists_one", "map", "filter":
		return nil, "", b.fail(e, "loops are not part of conditions; use in with a list of values")
	default:
		return nil, "", b.fail(e, "there is no function %q; %s", name, known)
	}
}

// has is has(contact.x), which becomes CEL's own test of presence.
func (b *builder) has(e ast.Expr) (Node, Type, error) {
	c := e.AsCall()
	if c.IsMemberFunction() || len(c.Args()) != 1 || !isField(c.Args()[0]) {
		return nil, "", b.fail(e, "has asks for one field: %s", example(fnHas))
	}
	f, err := b.field(c.Args()[0])
	if err != nil {
		return nil, "", err
	}
	e.SetKindCase(b.fac.NewPresenceTest(e.ID(), b.fac.NewIdent(b.newID(), "contact"), f.Name))
	return Has{f}, TypeBool, nil
}

// moment is date("…"), timestamp("…") or duration("…").
func (b *builder) moment(e ast.Expr) (Node, Type, error) {
	name := e.AsCall().FunctionName()
	text, err := b.texts(e, 1, example(name))
	if err != nil {
		return nil, "", err
	}
	arg := e.AsCall().Args()[0]
	switch name {
	case fnDate:
		d, err := ParseDay(text[0])
		if err != nil {
			return nil, "", b.fail(arg, "%q is not a date; they look like date(\"2026-01-31\")", text[0])
		}
		return Date{d}, TypeDate, nil
	case fnTimestamp:
		us, ok := parseTime(text[0])
		if !ok {
			return nil, "", b.fail(arg, "%q is not a moment; they look like timestamp(\"2026-01-31T09:00:00Z\")", text[0])
		}
		return Time{us}, TypeTime, nil
	default:
		us, ok := parseDuration(text[0])
		if !ok {
			return nil, "", b.fail(arg, "%q is not a duration; they have hours, minutes and seconds: duration(\"720h\") is 30 days", text[0])
		}
		return Duration{us}, TypeDuration, nil
	}
}

// parseTime reads RFC 3339 with years from 1 to 9999, in whole microseconds.
func parseTime(text string) (micros int64, ok bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return 0, false
	}
	return t.UnixMicro(), true
}

// parseDuration reads Go's spelling; what is finer than a microsecond is cut.
func parseDuration(text string) (micros int64, ok bool) {
	d, err := time.ParseDuration(text)
	return d.Microseconds(), err == nil
}

// example shows how a function is called.
func example(name string) string {
	switch name {
	case fnHas:
		return `has(contact.birthday)`
	case fnDate:
		return `date("2026-01-31")`
	case fnTimestamp:
		return `timestamp("2026-01-31T09:00:00Z")`
	case fnDuration:
		return `duration("720h")`
	case fnSize:
		return `size(contact.city)`
	case fnConsent:
		return `consent("email", "offers")`
	case fnConsentEnds:
		return `consent_expires("email", "offers", duration("1440h"))`
	case fnAnniversary, fnDaysUntil:
		return name + `(contact.birthday)`
	case string(Opened), string(Clicked), string(Received):
		return name + `("campaign", duration("720h"))`
	case fnEvent:
		return `event("order.placed", duration("2160h")) >= 2`
	case fnLower:
		return `contact.city.lowerAscii()`
	}
	return `contact.city.` + name + `("burg")`
}

// texts are the arguments of a call that takes n texts in quotes.
func (b *builder) texts(e ast.Expr, n int, how string) ([]string, error) {
	c := e.AsCall()
	if c.IsMemberFunction() || len(c.Args()) != n {
		return nil, b.fail(e, "write %s", how)
	}
	out := make([]string, n)
	for i, arg := range c.Args() {
		var err error
		if out[i], err = b.text(arg, how); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// text is an argument that must stand in quotes.
func (b *builder) text(e ast.Expr, how string) (string, error) {
	if e.Kind() == ast.LiteralKind {
		if s, ok := e.AsLiteral().(types.String); ok {
			return string(s), nil
		}
	}
	return "", b.fail(e, "this must be a text in quotes: %s", how)
}

// ofText is size(x), x.size() or x.lowerAscii().
func (b *builder) ofText(e ast.Expr, depth int) (Node, Type, error) {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	if len(args) != 1 || c.FunctionName() == fnLower && !c.IsMemberFunction() {
		return nil, "", b.fail(e, "write %s", example(c.FunctionName()))
	}
	x, err := b.want(args[0], depth, TypeText, c.FunctionName()+" is about text")
	if err != nil {
		return nil, "", err
	}
	if c.FunctionName() == fnSize {
		return Size{x}, TypeNumber, nil
	}
	return Lower{x}, TypeText, nil
}

// test is x.contains(y) and its like.
func (b *builder) test(e ast.Expr, depth int) (Node, Type, error) {
	c := e.AsCall()
	name := c.FunctionName()
	if !c.IsMemberFunction() || len(c.Args()) != 1 {
		return nil, "", b.fail(e, "write %s", example(name))
	}
	x, err := b.want(c.Target(), depth, TypeText, name+" is about text")
	if err != nil {
		return nil, "", err
	}
	part, err := b.want(c.Args()[0], depth, TypeText, name+" is about text")
	if err != nil {
		return nil, "", err
	}
	return Test{Op(name), x, part}, TypeBool, nil
}

// aboutContact gives the call the contact as its first argument.
func (b *builder) aboutContact(e ast.Expr) {
	c := e.AsCall()
	args := append([]ast.Expr{b.fac.NewIdent(b.newID(), "contact")}, c.Args()...)
	e.SetKindCase(b.fac.NewCall(e.ID(), c.FunctionName(), args...))
}

func (b *builder) consent(e ast.Expr) (Node, Type, error) {
	names, err := b.texts(e, 2, example(fnConsent))
	if err != nil {
		return nil, "", err
	}
	if err := b.permission(e.AsCall().Args(), names); err != nil {
		return nil, "", err
	}
	b.aboutContact(e)
	return Consent{names[0], names[1]}, TypeBool, nil
}

// permission checks the driver and topic that a call names.
func (b *builder) permission(args []ast.Expr, names []string) error {
	if !slices.Contains(b.schema.Drivers, names[0]) {
		return b.fail(args[0], "%s", unknown("driver", names[0], b.schema.Drivers))
	}
	if !slices.Contains(b.schema.Topics, names[1]) {
		return b.fail(args[1], "%s", unknown("topic", names[1], b.schema.Topics))
	}
	b.uses.topic(names[1])
	return nil
}

func (b *builder) consentEnds(e ast.Expr, depth int) (Node, Type, error) {
	c := e.AsCall()
	how := example(fnConsentEnds)
	if c.IsMemberFunction() || len(c.Args()) != 3 {
		return nil, "", b.fail(e, "write %s", how)
	}
	names := make([]string, 2)
	for i := range names {
		var err error
		if names[i], err = b.text(c.Args()[i], how); err != nil {
			return nil, "", err
		}
	}
	if err := b.permission(c.Args(), names); err != nil {
		return nil, "", err
	}
	within, err := b.want(c.Args()[2], depth, TypeDuration, "the third argument is how soon: "+how)
	if err != nil {
		return nil, "", err
	}
	d, ok := within.(Duration)
	if !ok || d.Micros <= 0 {
		return nil, "", b.fail(c.Args()[2], "the third argument is a duration above zero: %s", how)
	}
	b.aboutContact(e)
	return ConsentEnds{names[0], names[1], d.Micros}, TypeBool, nil
}

func (b *builder) past(e ast.Expr, depth int) (Node, Type, error) {
	c := e.AsCall()
	how := example(c.FunctionName())
	if c.IsMemberFunction() || len(c.Args()) < 1 || len(c.Args()) > 2 {
		return nil, "", b.fail(e, "write %s", how)
	}
	campaign, err := b.text(c.Args()[0], how)
	if err != nil {
		return nil, "", err
	}
	if !slices.Contains(b.schema.Campaigns, campaign) {
		return nil, "", b.fail(c.Args()[0], "%s", unknown("campaign", campaign, b.schema.Campaigns))
	}
	n := Past{Kind: PastKind(c.FunctionName()), Campaign: campaign}
	if n.Within, err = b.ago(c.Args()[1:], depth, how); err != nil {
		return nil, "", err
	}
	b.uses.campaign(campaign)
	b.aboutContact(e)
	return n, TypeBool, nil
}

// ago reads how long ago, in microseconds, from an argument that may be absent:
// then it is 0.
func (b *builder) ago(args []ast.Expr, depth int, how string) (int64, error) {
	if len(args) == 0 {
		return 0, nil
	}
	within, err := b.want(args[0], depth, TypeDuration, "the second argument is how long ago: "+how)
	if err != nil {
		return 0, err
	}
	d, ok := within.(Duration)
	if !ok || d.Micros <= 0 {
		return 0, b.fail(args[0], "the second argument is a duration above zero: %s", how)
	}
	return d.Micros, nil
}

// event is event("name") or event("name", duration): a number.
func (b *builder) event(e ast.Expr, depth int) (Node, Type, error) {
	c := e.AsCall()
	how := example(fnEvent)
	if c.IsMemberFunction() || len(c.Args()) < 1 || len(c.Args()) > 2 {
		return nil, "", b.fail(e, "write %s", how)
	}
	name, err := b.text(c.Args()[0], how)
	if err != nil {
		return nil, "", err
	}
	if !slices.Contains(b.schema.Events, name) {
		return nil, "", b.fail(c.Args()[0], "%s; a name is known from its first event on, or declared: rapport events declare NAME", unknown("event", name, b.schema.Events))
	}
	n := Happened{Event: name}
	if n.Within, err = b.ago(c.Args()[1:], depth, how); err != nil {
		return nil, "", err
	}
	b.uses.event(name)
	b.aboutContact(e)
	return n, TypeNumber, nil
}

// calendar is anniversary(date) or days_until(date), both with an optional zone.
func (b *builder) calendar(e ast.Expr) (Node, Type, error) {
	c := e.AsCall()
	name := c.FunctionName()
	if c.IsMemberFunction() || len(c.Args()) < 1 || len(c.Args()) > 2 {
		return nil, "", b.fail(e, "write %s, or add a time zone in quotes as the second argument", example(name))
	}
	of := c.Args()[0]
	if !isField(of) {
		return nil, "", b.fail(of, "%s is about a date of the contact: %s", name, example(name))
	}
	f, err := b.field(of)
	if err != nil {
		return nil, "", err
	}
	if f.Type != TypeDate {
		return nil, "", b.fail(of, "%s is about a date, and contact.%s is %s", name, f.Name, f.Type.phrase())
	}
	zone := ""
	if len(c.Args()) == 2 {
		if zone, err = b.zone(c.Args()[1]); err != nil {
			return nil, "", err
		}
	}
	b.uses.Today = b.uses.Today || zone == ""
	b.aboutContact(e)
	if name == fnAnniversary {
		return Anniversary{f, zone}, TypeBool, nil
	}
	return DaysUntil{f, zone}, TypeNumber, nil
}

func (b *builder) zone(e ast.Expr) (string, error) {
	name, err := b.text(e, `"Europe/Berlin"`)
	if err != nil {
		return "", err
	}
	if strings.ContainsRune(name, 0) || Zone(name, nil) == nil {
		return "", b.fail(e, "%q is not a time zone; they look like \"Europe/Berlin\"", name)
	}
	return name, nil
}
