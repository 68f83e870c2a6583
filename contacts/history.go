package contacts

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rapport"
	"rapport/channels"
)

// The columns of a file of history, beside those that say who it is about.
func historyFields() []string {
	return []string{"event", "at", "driver", "topic", "channel", "source", "basis", "wording", "ip", "agent", "reference", "detail"}
}

// readHistoryHeader says what each column of a file of history is.
func readHistoryHeader(head []string, rules headerRules) (layout, error) {
	var l layout
	rename := map[string]string{}
	for from, to := range rules.rename {
		rename[fold(from)] = to
	}
	have := map[string]bool{}
	for i, h := range head {
		name := fold(unprotect(h))
		if to, ok := rename[name]; ok {
			name = fold(to)
		}
		c := column{}
		kind := slices.IndexFunc(rules.kinds, func(a channels.Address) bool { return a.Kind == name })
		switch {
		case name == "-":
		case name == columnExternal:
			c = column{role: roleExternal, name: name}
		case kind >= 0:
			c = column{role: roleAddress, name: name, address: rules.kinds[kind]}
		case slices.Contains(historyFields(), name):
			c = column{role: roleHistory, name: name}
		default:
			l.ignored = append(l.ignored, fmt.Sprintf("column %d, %s", i+1, quote(h)))
		}
		if c.name != "" && have[c.name] {
			return l, rapport.Invalidf("header", "two columns are named %q", c.name)
		}
		have[c.name] = true
		l.columns = append(l.columns, c)
	}
	if !have["event"] {
		return l, rapport.Invalidf("header", "no column is named event; a file of history has the columns %s, and external_id or an address", strings.Join(historyFields(), ", "))
	}
	if !slices.ContainsFunc(l.columns, func(c column) bool { return c.role == roleExternal || c.role == roleAddress }) {
		return l, rapport.Invalidf("header", "no column says who a row is about: name one external_id, %s, or map one", kindNames(rules.kinds))
	}
	return l, nil
}

// Bases lists the grounds in law as people write them; the ledger knows the
// same words.
func Bases() []string {
	return []string{"consent", "contract", "soft_opt_in", "legitimate_interest", "legal_duty"}
}

// historyRow turns the cells of a row into one event. The first error is a
// fault of the record, the second one of ours.
func (m *rowMaker) historyRow(r *Row, cells map[string]string) (bad, err error) {
	r.Again = true
	e, bad := parseEvent(cells["event"])
	if bad != nil {
		return fmt.Errorf("column event: %w", bad), nil
	}
	x := told{
		on: true, ip: cells["ip"], agent: cells["agent"], wording: cells["wording"], detail: cells["detail"], source: cells["source"],
		reference: cells["reference"], channel: cells["channel"], basis: cells["basis"], driver: cells["driver"], topic: cells["topic"],
	}
	if at := cells["at"]; at != "" {
		if x.at, bad = past(at, m.now); bad != nil {
			return fmt.Errorf("column at: %w", bad), nil
		}
	}
	if bad := m.aim(e, &x, r); bad != nil {
		return bad, nil
	}
	return nil, m.event(r, e, &x)
}

// aim checks what an event is about, and completes it from what the file is
// about.
func (m *rowMaker) aim(e Event, x *told, r *Row) error {
	if x.driver == "" && x.topic == "" {
		if len(m.about) == 0 && e.answers() {
			return errNoTopic
		}
		if len(m.about) == 0 { // about the addresses that the row names
			return m.aimAtAddress(x, r)
		}
		return nil
	}
	if x.driver == "" {
		if len(m.about) != 1 {
			return errors.New("the row names a topic and no driver")
		}
		x.driver = m.about[0].Driver
	}
	if _, known := m.kindOf[x.driver]; !known {
		return fmt.Errorf("column driver: there is no driver %s", quote(x.driver))
	}
	if x.topic == "" && e.answers() {
		return errNoTopic
	}
	if x.topic != "" && !slices.Contains(m.topics, x.topic) {
		return fmt.Errorf("column topic: there is no topic %s; known: %s", quote(x.topic), strings.Join(m.topics, ", "))
	}
	if x.basis != "" && !slices.Contains(Bases(), x.basis) {
		return fmt.Errorf("column basis: %s is not a ground in law", quote(x.basis))
	}
	return nil
}

// aimAtAddress finds a driver for an event that is about an address alone.
func (m *rowMaker) aimAtAddress(x *told, r *Row) error {
	if len(r.Addresses) == 0 {
		return errors.New("the event is about an address and the row names none")
	}
	for driver, kind := range m.kindOf {
		if kind == r.Addresses[0].Kind && (x.driver == "" || driver < x.driver) {
			x.driver = driver
		}
	}
	return nil
}
