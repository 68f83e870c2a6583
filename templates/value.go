package templates

import (
	"strings"

	"github.com/osteele/liquid/values"
)

// value is what a template works with. Texts are kept apart from everything
// else, so that a text of the person needs no memory of its own on the way
// into the letter.
type value struct {
	text   string
	isText bool
	other  any // when it is no text; nil: missing
}

func textOf(s string) value { return value{text: s, isText: true} }

func valueOf(v any) value {
	if s, ok := v.(string); ok {
		return textOf(s)
	}
	return value{other: v}
}

// any is the value as the library knows it.
func (v value) any() any {
	if v.isText {
		return v.text
	}
	return v.other
}

// truth is false of what is missing and of false, as Liquid has it.
func (v value) truth() bool { return v.isText || v.other != nil && v.other != false }

// blank says whether the filter default gives another value.
func (v value) blank() bool {
	if v.isText {
		return v.text == ""
	}
	switch other := v.other.(type) {
	case nil:
		return true
	case bool:
		return !other
	}
	return values.IsEmpty(v.other)
}

// numeric reads the two kinds of numbers, which compare with each other.
func (v value) numeric() (whole int64, broken float64, isWhole, ok bool) {
	switch n := v.other.(type) {
	case int64:
		return n, float64(n), true, true
	case int:
		return int64(n), float64(n), true, true
	case float64:
		return 0, n, false, true
	}
	return 0, 0, false, false
}

// equal compares as the library does; what is unusual it decides itself.
func equal(a, b value) bool {
	if a.isText && b.isText {
		return a.text == b.text
	}
	if wholeA, brokenA, isA, ok := a.numeric(); ok {
		if wholeB, brokenB, isB, ok := b.numeric(); ok {
			if isA && isB {
				return wholeA == wholeB
			}
			return brokenA == brokenB
		}
	}
	return values.Equal(a.any(), b.any())
}

func less(a, b value) bool {
	if a.isText && b.isText {
		return a.text < b.text
	}
	if wholeA, brokenA, isA, ok := a.numeric(); ok {
		if wholeB, brokenB, isB, ok := b.numeric(); ok {
			if isA && isB {
				return wholeA < wholeB
			}
			return brokenA < brokenB
		}
	}
	return values.Less(a.any(), b.any())
}

// contains answers the usual questions; ok is false when the library must.
func contains(a, b value) (found, ok bool) {
	switch {
	case a.isText && b.isText:
		return strings.Contains(a.text, b.text), true
	case a.isText:
		return false, false
	}
	switch list := a.other.(type) {
	case nil, bool, int, int64, float64:
		return false, true
	case []any:
		for _, item := range list {
			if equal(valueOf(item), b) {
				return true, true
			}
		}
		return false, true
	}
	return false, false
}

// source says where a path begins.
type source uint8

const (
	fromVariable source = iota // made by the template; what nobody makes is missing
	fromContact                // a field of the contact
	fromPerson                 // the whole contact
	fromData
	fromCampaign
	fromLinks
	fromNow
	fromLoop
)

// way leads to a value by names: a.b.c.
type way struct {
	from source
	slot int // of the variable or the contact's field
	rest []string
}

// resolve finds where a path leads; nil when only the library knows.
func (c *compiler) resolve(names []string) *way {
	rest := names[1:]
	switch names[0] {
	case rootContact:
		if len(rest) == 0 {
			return &way{from: fromPerson}
		}
		return &way{from: fromContact, slot: c.fields.slot(rest[0]), rest: rest[1:]}
	case rootData:
		return &way{from: fromData, rest: rest}
	case rootNow:
		return &way{from: fromNow, rest: rest}
	case rootCampaign, rootLinks, rootForloop:
		if len(rest) == 0 || names[0] == rootForloop && rest[0] == "parentloop" {
			return nil
		}
		from := map[string]source{rootCampaign: fromCampaign, rootLinks: fromLinks, rootForloop: fromLoop}[names[0]]
		return &way{from: from, rest: rest}
	}
	return &way{from: fromVariable, slot: c.slot(names[0]), rest: rest}
}

// slot is the place of a variable in a run.
func (c *compiler) slot(name string) int {
	i, ok := c.slots[name]
	if !ok {
		if c.slots == nil {
			c.slots = map[string]int{}
		}
		i = len(c.slots)
		c.slots[name] = i
	}
	return i
}

// look follows a path; what is missing is nil.
func (r *run) look(p *way) value {
	var v value
	rest := p.rest
	switch p.from {
	case fromVariable:
		v = r.slots[p.slot]
	case fromContact:
		v = r.fields[p.slot]
	case fromPerson:
		v = value{other: r.contact()}
	case fromData:
		v = value{other: r.view.Data}
	case fromNow:
		v = value{other: r.now()}
	case fromCampaign:
		v, rest = value{}, rest[1:]
		if p.rest[0] == "name" {
			v = textOf(r.view.Campaign)
		}
	case fromLinks:
		v, rest = linkOf(r.links, rest[0]), rest[1:]
	case fromLoop:
		v, rest = r.loopField(rest[0]), rest[1:]
	}
	for _, name := range rest {
		object, ok := v.other.(map[string]any)
		if !ok {
			return value{}
		}
		v = valueOf(object[name])
	}
	return v
}
