package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"rapport/consent"
	"rapport/contacts"
)

const qLinesOf query = qLedgerColumns + `
JOIN {{each $1}} ON n.contact_id = CAST(e.value AS BIGINT) ORDER BY n.id`

// pastAct is one act about a topic at its own time: what tells two imports of the
// same act apart from two acts.
type pastAct struct {
	contact       int64
	driver, topic string
	state         consent.State
	at            int64
}

// past is what the ledger says already about the people of a chunk.
type past struct {
	known map[pastAct]bool
	last  map[slot]consent.Record
	lines map[int64][]consent.Record // by contact
}

func pastOf(ctx context.Context, r runner, entries []consent.Entry) (past, error) {
	p := past{known: map[pastAct]bool{}, last: map[slot]consent.Record{}, lines: map[int64][]consent.Record{}}
	lines, err := collect(ctx, r, qLinesOf, scanRecord, contactsOf(entries))
	if err != nil {
		return p, fmt.Errorf("read what the ledger has: %w", err)
	}
	for _, l := range lines {
		p.known[pastAct{l.Contact, l.Driver, l.Topic, l.State, micros(l.At)}] = true
		p.last[slot{l.Contact, l.Driver, l.Topic}] = l
		p.lines[l.Contact] = append(p.lines[l.Contact], l)
	}
	return p, nil
}

// settleHistory puts what happened before into the order in which it happened,
// and leaves out what the ledger has, and a "no" that a later dated "yes" of
// the person has overturned already. So the answer that stands afterwards is
// that of the newest act, in whatever order and in how many files they come.
func (a *application) settleHistory(ctx context.Context, r runner, list []consent.Entry, from []int) ([]consent.Entry, []int, error) {
	if !a.historic {
		return list, from, nil
	}
	p, err := pastOf(ctx, r, list)
	if err != nil {
		return nil, nil, err
	}
	a.past = p
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if c := list[i].At.Compare(list[j].At); c != 0 {
			return c
		}
		return cmp.Compare(no(list[i]), no(list[j])) // of the same moment a "no" comes last
	})
	out, rows := make([]consent.Entry, 0, len(list)), make([]int, 0, len(list))
	for _, i := range order {
		e := list[i]
		if a.history[i] {
			key := pastAct{e.Contact, e.Driver, e.Topic, e.State, e.At.UTC().Truncate(time.Microsecond).UnixMicro()}
			switch {
			case p.known[key]:
				a.out.History["known"]++
				continue
			case e.State.Answer() == consent.No && p.overturned(e):
				a.out.History["older"]++
				continue
			}
			p.known[key] = true
		}
		out, rows = append(out, e), append(rows, from[i])
		a.kept = append(a.kept, a.history[i])
	}
	return out, rows, nil
}

func no(e consent.Entry) int {
	if e.State.Answer() == consent.No {
		return 1
	}
	return 0
}

// overturned says whether a "no" is older than the "yes" that stands and is
// known to have been said when the ledger says so.
func (p past) overturned(e consent.Entry) bool {
	l, ok := p.last[slot{e.Contact, e.Driver, e.Topic}]
	return ok && !e.Undated && l.State.Answer() == consent.Yes && l.Dated() && e.At.Before(l.At)
}

// confirmedSince says whether a person confirmed from an address after
// something happened to it.
func (p past) confirmedSince(contact int64, address string, at time.Time) bool {
	return slices.ContainsFunc(p.lines[contact], func(l consent.Record) bool {
		ev, ok := l.Proof()
		return l.State == consent.Confirmed && l.At.After(at) && ok && ev.Address == address
	})
}

// number is the number of the person a row is about, or what stands for it
// while nobody is made; 0: nobody.
func (a *application) number(row int) int64 {
	who := a.who[row]
	switch {
	case who == nil:
		return 0
	case who.ID != 0:
		return who.ID
	}
	return a.apart[who]
}

// suppressing are the suppressions that rows bring, less those that their
// owners took back by confirming later.
func (a *application) suppressing(list []consent.Entry, now time.Time) []consent.Suppression {
	var out []consent.Suppression
	for i, row := range a.chunk.Rows {
		who := a.number(i)
		if who == 0 {
			continue
		}
		for _, x := range row.Suppressions {
			later := slices.ContainsFunc(list, func(e consent.Entry) bool {
				return e.Contact == who && e.State == consent.Confirmed && !e.Undated && e.Address == x.Address.Value && e.At.After(x.At)
			})
			if !x.Undated && (later || a.past.confirmedSince(who, x.Address.Value, x.At)) {
				a.out.History["older"]++
				continue
			}
			out = append(out, consent.Suppression{
				Kind: x.Address.Kind, Hash: x.Address.Hash, Value: x.Address.Value, Reason: x.Reason, Detail: x.Detail,
				Actor: a.chunk.Actor, At: x.At, Reference: x.Reference, RecordedAt: now,
			})
		}
	}
	return out
}

// suppressRows writes the suppressions of a chunk.
func (t tx) suppressRows(ctx context.Context, a *application, list []consent.Entry) error {
	out := a.suppressing(list, t.s.now().UTC().Truncate(time.Microsecond))
	if len(out) == 0 {
		return nil
	}
	rows := suppressionRows(out)
	if _, err := t.exec(ctx, qTouchAnswers, rows); err != nil {
		return fmt.Errorf("wait for the gate: %w", err)
	}
	n, err := t.suppress(ctx, rows)
	if err != nil {
		return fmt.Errorf("suppress addresses: %w", err)
	}
	a.out.History["suppressed"] += n
	a.out.History["known"] += len(out) - n
	return nil
}

// toldOf is what became of an event from before.
func toldOf(o consent.Outcome) string {
	switch {
	case o.Err != nil:
		return "refused"
	case !o.Written:
		return "older"
	}
	return "recorded"
}

// What suppresses the addresses of rows, if anything does.
const qAnySuppression query = `
SELECT CASE WHEN EXISTS (SELECT 1 FROM suppressions) OR EXISTS (SELECT 1 FROM suppressed_domains) THEN 1 ELSE 0 END`

const qSuppressedRows query = `
SELECT DISTINCT a.row FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS row, e.value ->> 1 AS kind, e.value ->> 2 AS value, e.value ->> 3 AS hash FROM {{each $1}}
) a LEFT JOIN suppressions s ON s.kind = a.kind AND s.hash = a.hash
WHERE s.reason IS NOT NULL OR ` + domainReason + ` <> ''`

// countPeople counts the people of rows by what may be written to them.
func (a *application) countPeople(ctx context.Context, r runner, list []consent.Entry, from []int, outcomes []consent.Outcome) error {
	suppressed, err := a.suppressedRows(ctx, r)
	if err != nil {
		return err
	}
	yes, refused := make([]bool, len(a.chunk.Rows)), make([]bool, len(a.chunk.Rows))
	type place struct {
		row           int
		driver, topic string
	}
	var done map[place]bool
	if a.historic {
		done = map[place]bool{}
	}
	for i, o := range slices.Backward(outcomes) {
		if a.historic { // of several acts about one topic the last one decides
			at := place{from[i], list[i].Driver, list[i].Topic}
			if done[at] {
				continue
			}
			done[at] = true
		}
		switch {
		case o.Err == nil && o.Answer == consent.Yes:
			yes[from[i]] = true
		case o.Answer == consent.No:
			refused[from[i]] = true
		}
	}
	for i, row := range a.chunk.Rows {
		status := a.decisions[i].Status
		if row.Again || status == contacts.Refused || status == contacts.Duplicate {
			continue
		}
		what := "as_before"
		switch {
		case suppressed[i]:
			what = "suppressed"
		case yes[i]:
			what = "permitted"
		case refused[i]:
			what = "refused"
		case status == contacts.Created:
			what = "not_permitted"
		}
		a.out.People[what]++
	}
	return nil
}

func (a *application) suppressedRows(ctx context.Context, r runner) (map[int]bool, error) {
	if any, _, err := one(ctx, r, qAnySuppression, scalar[int64]); err != nil || any == 0 {
		return nil, err
	}
	var rows rowsJSON
	for i, row := range a.chunk.Rows {
		for _, x := range row.Addresses {
			rows.begin()
			rows.number(int64(i))
			rows.string(x.Kind)
			rows.string(x.Value)
			rows.string(x.Hash)
			rows.end()
		}
	}
	list, err := collect(ctx, r, qSuppressedRows, scalar[int64], rows.text())
	if err != nil {
		return nil, fmt.Errorf("look for suppressed addresses: %w", err)
	}
	out := make(map[int]bool, len(list))
	for _, i := range list {
		out[int(i)] = true
	}
	return out, nil
}

// A suppression that lies in what a person said, or in what was decided about
// them, goes with them to another address.
const qCarrySuppressions query = `
INSERT INTO suppressions (kind, hash, value, reason, detail, actor, at, reference, recorded_at)
SELECT s.kind, e.value ->> 2, e.value ->> 3, s.reason, 'from an earlier address', s.actor, s.at, s.reference, s.recorded_at
FROM {{each $1}} CROSS JOIN suppressions s
WHERE s.kind = e.value ->> 0 AND s.hash = e.value ->> 1 AND s.reason IN ('complaint', 'unsubscribed_all', 'manual', 'legal')
ON CONFLICT (kind, hash) DO NOTHING`

// carrySuppressions lets suppressions follow people to their new addresses.
// Nobody leaves for an old one any more once the change is answered.
func (t tx) carrySuppressions(ctx context.Context, decisions []contacts.Decision) error {
	var people, rows rowsJSON
	for _, d := range decisions {
		if len(d.Gone) > 0 {
			people.number(d.Who.ID)
		}
		for _, old := range d.Gone {
			for _, fresh := range d.Fresh {
				if old.Kind != fresh.Kind || old.Hash == fresh.Hash {
					continue
				}
				rows.begin()
				rows.string(old.Kind)
				rows.string(old.Hash)
				rows.string(fresh.Hash)
				rows.string(fresh.Value)
				rows.end()
			}
		}
	}
	if len(people.b) > 0 {
		if err := t.waitForGate(ctx, people.text()); err != nil {
			return err
		}
	}
	if len(rows.b) == 0 {
		return nil
	}
	if _, err := t.exec(ctx, qCarrySuppressions, rows.text()); err != nil {
		return fmt.Errorf("carry suppressions to new addresses: %w", err)
	}
	return nil
}
