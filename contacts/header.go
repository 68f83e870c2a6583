package contacts

import (
	"fmt"
	"slices"
	"strings"

	"rapport"
	"rapport/channels"
)

// role is what a column of a file is.
type role uint8

const (
	roleIgnored role = iota
	roleExternal
	roleLocale
	roleZone
	roleAddress
	roleConsent
	roleConsentAt
	roleConsentSource
	roleConsentIP
	roleAttribute
	roleObject  // an object whose members are attributes
	roleEvent   // a field of an event
	roleStatus  // a word that means an event
	roleHistory // a field of the one event of a row
)

// column is one column of a file.
type column struct {
	role    role
	name    string           // as people wrote it, or the attribute's
	address channels.Address // of an address column
	grant   Grant            // of a consent column
	kind    string           // kind of address of a consent column
	typ     Type             // of an attribute, once known
	learner learner
	event   Event             // of an event column
	field   string            // of an event column
	words   map[string]string // of a status column
	lenient bool              // a cell that cannot be read is left out
}

// layout is what a header row means.
type layout struct {
	columns []column
	ignored []string
	unread  []string // of them those of a status that is not verified
	events  bool     // rows tell what happened before
}

// headerRules is what a header is read against.
type headerRules struct {
	rename  map[string]string // header → column; "-" leaves it out
	kinds   []channels.Address
	types   map[string]Type // attributes that exist or were declared
	topics  []string
	drivers *channels.Registry
	preset  map[string]presetColumn // what another tool calls its columns; may be nil
}

// readHeader says what each column is; all complaints come together.
func readHeader(head []string, rules headerRules) (layout, error) {
	var l layout
	var complaints []string
	if len(head) > MaxColumns {
		return l, rapport.Invalidf("header", "the file has %d columns and a contact at most %d", len(head), MaxColumns)
	}
	rename := map[string]string{}
	for from, to := range rules.rename {
		rename[fold(from)] = to
	}
	used := map[string]bool{}
	first := map[string]int{}
	for i, h := range head {
		name := strings.TrimSpace(unprotect(h))
		if to, ok := rename[fold(name)]; ok {
			used[fold(name)] = true
			name = strings.TrimSpace(to)
		}
		if p, ok := rules.preset[fold(name)]; ok && !used[fold(h)] {
			c, why, err := rules.presetColumn(p)
			if why != "" {
				l.ignored = append(l.ignored, why)
				if strings.HasPrefix(p.is, presetStatus) {
					l.unread = append(l.unread, p.header)
				}
			}
			if err != nil {
				complaints = append(complaints, fmt.Sprintf("column %d: %v", i+1, err))
			}
			l.columns = append(l.columns, c)
			l.events = l.events || c.role == roleEvent || c.role == roleStatus
			continue
		}
		if name == "" || name == "-" {
			if name == "" {
				l.ignored = append(l.ignored, fmt.Sprintf("column %d, which has no name", i+1))
			}
			l.columns = append(l.columns, column{})
			continue
		}
		c, err := rules.column(name)
		if err != nil {
			complaints = append(complaints, fmt.Sprintf("column %d: %v", i+1, err))
		}
		if at, twice := first[fold(c.name)]; twice && err == nil {
			complaints = append(complaints, fmt.Sprintf("columns %d and %d are both named %q", at, i+1, c.name))
		}
		first[fold(c.name)] = i + 1
		l.columns = append(l.columns, c)
		l.events = l.events || c.role == roleEvent
	}
	for from := range rules.rename {
		if !used[fold(from)] {
			complaints = append(complaints, fmt.Sprintf("there is no column %q to map; the header is: %s", from, quote(strings.Join(head, ", "))))
		}
	}
	if len(complaints) > 0 {
		slices.Sort(complaints)
		return l, rapport.Invalidf("header", "%s", strings.Join(complaints, "; "))
	}
	if !slices.ContainsFunc(l.columns, func(c column) bool { return c.role == roleExternal || c.role == roleAddress }) {
		return l, rapport.Invalidf("header", "no column says who a row is about: name one external_id, %s, or map one", kindNames(rules.kinds))
	}
	return l, nil
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func kindNames(kinds []channels.Address) string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Kind)
	}
	return strings.Join(names, ", ")
}

func (r headerRules) column(name string) (column, error) {
	low := fold(name)
	switch low {
	case columnExternal:
		return column{role: roleExternal, name: low}, nil
	case columnLocale:
		return column{role: roleLocale, name: low}, nil
	case columnZone:
		return column{role: roleZone, name: low}, nil
	case columnConsentAt:
		return column{role: roleConsentAt, name: low}, nil
	case columnConsentSource:
		return column{role: roleConsentSource, name: low}, nil
	case columnConsentIP:
		return column{role: roleConsentIP, name: low}, nil
	}
	for _, k := range r.kinds {
		if k.Kind == low {
			return column{role: roleAddress, name: low, address: k}, nil
		}
	}
	if rest, ok := strings.CutPrefix(low, consentPrefix); ok {
		return r.consent(low, rest)
	}
	if rest, ok := strings.CutPrefix(low, eventPrefix); ok {
		return r.event(low, rest)
	}
	for known, t := range r.types {
		if fold(known) == low {
			return column{role: roleAttribute, name: known, typ: t}, nil
		}
	}
	if err := CheckAttributeName(name); err != nil {
		return column{name: name}, fmt.Errorf("%w; give it another name with --map", err)
	}
	return column{role: roleAttribute, name: name}, nil
}

func (r headerRules) consent(name, rest string) (column, error) {
	driver, topic, ok := strings.Cut(rest, ":")
	if !ok {
		return column{name: name}, fmt.Errorf("%q names no topic; consent columns look like consent:DRIVER:TOPIC", name)
	}
	kind, err := r.permission(driver, topic)
	return column{role: roleConsent, name: name, grant: Grant{Driver: driver, Topic: topic}, kind: kind}, err
}

// event reads "event:EVENT.FIELD", a column of our own for what happened
// before: event:granted.at, event:withdrawn.at, event:bounced.detail.
func (r headerRules) event(name, rest string) (column, error) {
	word, field, ok := strings.Cut(rest, ".")
	e, err := parseEvent(word)
	if err != nil {
		return column{name: name}, err
	}
	if !ok || !slices.Contains(eventFields(), field) {
		return column{name: name}, fmt.Errorf("%q names no field; event columns look like event:granted.at, fields are %s", name, strings.Join(eventFields(), ", "))
	}
	return column{role: roleEvent, name: name, event: e, field: field}, nil
}

// permission checks the names of a driver and a topic and returns the kind of
// address the driver reaches.
func (r headerRules) permission(driver, topic string) (kind string, err error) {
	d, err := r.drivers.Driver(driver)
	if err != nil {
		return "", err
	}
	if !slices.Contains(r.topics, topic) {
		return "", rapport.Unknown("topic", topic, r.topics)
	}
	return d.Address.Kind, nil
}
