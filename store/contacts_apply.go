package store

import (
	"context"
	"fmt"

	"rapport/consent"
	"rapport/contacts"
)

const qFindByExternal query = qContactColumns + `
JOIN {{each $1}} ON c.external_id = e.value ->> 0`

const qFindByAddress query = `
SELECT a.contact_id FROM {{each $1}} JOIN addresses a ON a.kind = e.value ->> 0 AND a.value = e.value ->> 1`

const qFindByID query = qContactColumns + `
JOIN {{each $1}} ON c.id = CAST(e.value AS BIGINT)`

const qAddContacts query = `
INSERT INTO contacts (uid, external_id, locale, zone, attributes, created_at, updated_at)
SELECT e.value ->> 0, NULLIF(e.value ->> 1, ''), e.value ->> 2, e.value ->> 3, {{json e.value -> 4}}, CAST($2 AS BIGINT), CAST($2 AS BIGINT)
FROM {{each $1}}
RETURNING id, uid`

const qChangeContacts query = `
UPDATE contacts SET external_id = NULLIF(v.external_id, ''), locale = v.locale, zone = v.zone, attributes = v.attributes, updated_at = $2
FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS id, e.value ->> 1 AS external_id, e.value ->> 2 AS locale, e.value ->> 3 AS zone,
    {{json e.value -> 4}} AS attributes, CAST(e.value ->> 5 AS BIGINT) AS before
  FROM {{each $1}}
) AS v
WHERE contacts.id = v.id AND contacts.updated_at = v.before`

const qDropAddresses query = `
DELETE FROM addresses WHERE (kind, value) IN (SELECT e.value ->> 0, e.value ->> 1 FROM {{each $1}})`

const qAddAddresses query = `
INSERT INTO addresses (contact_id, kind, value, display, hash, position)
SELECT CAST(e.value ->> 0 AS BIGINT), e.value ->> 1, e.value ->> 2, e.value ->> 3, e.value ->> 4, CAST(e.value ->> 5 AS SMALLINT)
FROM {{each $1}}`

// Apply implements contacts.Store.
func (s *Store) Apply(ctx context.Context, c contacts.Chunk) (contacts.Applied, error) {
	if c.Replay || c.DryRun {
		return s.rehearse(ctx, c)
	}
	l := bulk
	if c.Durable {
		l = durable
	}
	var out contacts.Applied
	err := s.insist(ctx, l, func(t tx) error {
		a, err := judgeRows(ctx, t, c)
		if err != nil {
			return err
		}
		if err := t.writePeople(ctx, &a); err != nil {
			return err
		}
		if err := t.writePermissions(ctx, &a); err != nil {
			return err
		}
		out = a.out
		if c.Advance == nil {
			return nil
		}
		return t.advance(ctx, c.Import, c.From, c.Advance(out))
	})
	if err != nil {
		return out, err
	}
	for _, o := range out.Outcomes {
		if o.ID != 0 {
			c.Seen.Add(o.ID)
		}
	}
	return out, nil
}

// rehearse judges rows without writing anything.
func (s *Store) rehearse(ctx context.Context, c contacts.Chunk) (contacts.Applied, error) {
	var a application
	err := s.view(ctx, func(r runner) (err error) {
		a, err = judgeRows(ctx, r, c)
		if err != nil || c.Replay {
			return err
		}
		return a.rehearsePermissions(ctx, s, r)
	})
	if err != nil {
		return a.out, s.classify(err)
	}
	for _, w := range a.who {
		if w != nil && w.ID != 0 {
			c.Seen.Add(w.ID)
		}
	}
	return a.out, nil
}

// application is a chunk on its way into the tables.
type application struct {
	chunk     contacts.Chunk
	decisions []contacts.Decision
	who       []*contacts.Entry // by row; nil: refused
	out       contacts.Applied

	historic bool   // some of the entries are of before
	history  []bool // by entry: it is of before
	kept     []bool // by entry that is recorded
	past     past
	apart    map[*contacts.Entry]int64 // who is not made in a rehearsal
}

// judgeRows reads whom the rows may mean and asks the book about each.
func judgeRows(ctx context.Context, r runner, c contacts.Chunk) (application, error) {
	a := application{chunk: c, out: contacts.Applied{Outcomes: make([]contacts.Outcome, len(c.Rows)), Consents: map[string]int{}, History: map[string]int{}, People: map[string]int{}}}
	people, err := whomRowsMean(ctx, r, c)
	if err != nil {
		return a, err
	}
	book := contacts.NewBook(people)
	a.decisions, a.who = make([]contacts.Decision, len(c.Rows)), make([]*contacts.Entry, len(c.Rows))
	for i, row := range c.Rows {
		if c.Replay {
			a.who[i] = book.Who(row)
			continue
		}
		d := book.Decide(row)
		a.decisions[i], a.who[i] = d, d.Who
		a.out.Outcomes[i] = contacts.Outcome{Status: d.Status, Reason: d.Reason}
		if d.Who != nil {
			a.out.Outcomes[i].ID, a.out.Outcomes[i].UID = d.Who.ID, d.Who.UID
		}
	}
	return a, nil
}

// whomRowsMean finds the people with the external IDs of the rows, and then
// those with addresses that none of them has. On a second import of a file
// that is one look-up a row.
func whomRowsMean(ctx context.Context, r runner, c contacts.Chunk) ([]*contacts.Entry, error) {
	var external rowsJSON
	for _, row := range c.Rows {
		if row.ExternalID != "" {
			external.begin()
			external.string(row.ExternalID)
			external.end()
		}
	}
	list, err := collect(ctx, r, qFindByExternal, scanContact, external.text())
	if err != nil {
		return nil, fmt.Errorf("find contacts by external ID: %w", err)
	}
	if err := withAddresses(ctx, r, list); err != nil {
		return nil, err
	}
	places, ids := placesToFind(c.Rows, list)
	owners, err := collect(ctx, r, qFindByAddress, scalar[int64], places)
	if err != nil {
		return nil, fmt.Errorf("find contacts by address: %w", err)
	}
	var more rowsJSON
	for _, row := range c.Rows {
		if row.Contact != 0 {
			owners = append(owners, row.Contact)
		}
	}
	for _, id := range owners {
		if !ids[id] {
			ids[id] = true
			more.number(id)
		}
	}
	if len(more.b) > 0 {
		others, err := collect(ctx, r, qFindByID, scanContact, more.text())
		if err != nil {
			return nil, fmt.Errorf("read contacts: %w", err)
		}
		if err := withAddresses(ctx, r, others); err != nil {
			return nil, err
		}
		list = append(list, others...)
	}
	people := make([]*contacts.Entry, len(list))
	for i := range list {
		people[i] = &contacts.Entry{Contact: list[i], Touched: c.Seen.Has(list[i].ID)}
	}
	return people, nil
}

// placesToFind are the addresses of rows that nobody of the list has, with the
// implied ones of rows that may make somebody, and the numbers of the list.
func placesToFind(rows []contacts.Row, list []contacts.Contact) (places string, ids map[int64]bool) {
	type place struct{ kind, value string }
	known := make(map[place]bool, 2*len(list))
	external := make(map[string]bool, len(list))
	ids = make(map[int64]bool, len(list))
	for _, c := range list {
		ids[c.ID] = true
		external[c.ExternalID] = true
		for _, a := range c.Addresses {
			known[place{a.Kind, a.Value}] = true
		}
	}
	var out rowsJSON
	find := func(list []contacts.Address, fresh string) {
		for _, a := range list {
			if a.Value == fresh || known[place{a.Kind, a.Value}] {
				continue // made just now, or found
			}
			out.begin()
			out.string(a.Kind)
			out.string(a.Value)
			out.end()
		}
	}
	for _, row := range rows {
		find(row.Addresses, row.UID)
		if row.ExternalID == "" || !external[row.ExternalID] {
			find(row.Implied, row.UID)
		}
	}
	return out.text(), ids
}

// writePeople writes contacts and addresses that are new or changed.
func (t tx) writePeople(ctx context.Context, a *application) error {
	now := micros(t.s.now())
	var fresh, changed, gone rowsJSON
	var nChanged int
	for _, d := range a.decisions {
		switch d.Status {
		case contacts.Created:
			fresh.begin()
			fresh.string(d.Who.UID)
			person(&fresh, &d.Who.Contact)
			fresh.end()
		case contacts.Changed:
			nChanged++
			changed.begin()
			changed.number(d.Who.ID)
			person(&changed, &d.Who.Contact)
			changed.number(micros(d.Before.UpdatedAt))
			changed.end()
			for _, x := range d.Gone {
				gone.begin()
				gone.string(x.Kind)
				gone.string(x.Value)
				gone.end()
			}
		case contacts.Unchanged, contacts.Duplicate, contacts.Refused:
		}
	}
	if err := t.addContacts(ctx, a, &fresh, now); err != nil {
		return err
	}
	if err := t.carrySuppressions(ctx, a.decisions); err != nil {
		return err
	}
	if nChanged > 0 {
		n, err := t.exec(ctx, qChangeContacts, changed.text(), now)
		if err := exactly(nChanged, n, err); err != nil {
			return fmt.Errorf("change contacts: %w", err)
		}
	}
	if len(gone.b) > 0 {
		if _, err := t.exec(ctx, qDropAddresses, gone.text()); err != nil {
			return fmt.Errorf("take addresses away: %w", err)
		}
	}
	return t.addAddresses(ctx, a.decisions)
}

func person(rows *rowsJSON, c *contacts.Contact) {
	rows.string(c.ExternalID)
	rows.string(c.Locale)
	rows.string(c.Zone)
	rows.raw(c.Attributes)
}

func (t tx) addContacts(ctx context.Context, a *application, fresh *rowsJSON, now int64) error {
	if len(fresh.b) == 0 {
		return nil
	}
	ids := map[string]int64{}
	_, err := collect(ctx, t, qAddContacts, func(scan func(...any) error) (struct{}, error) {
		var id int64
		var uid string
		err := scan(&id, &uid)
		ids[uid] = id
		return struct{}{}, err
	}, fresh.text(), now)
	if err != nil {
		return fmt.Errorf("add contacts: %w", err)
	}
	for i, d := range a.decisions {
		if d.Who != nil && d.Who.ID == 0 {
			d.Who.ID = ids[d.Who.UID]
		}
		if d.Who != nil {
			a.out.Outcomes[i].ID = d.Who.ID
		}
	}
	return nil
}

func (t tx) addAddresses(ctx context.Context, decisions []contacts.Decision) error {
	var rows rowsJSON
	for _, d := range decisions {
		list := d.Fresh
		if d.Status == contacts.Created {
			list = d.Who.Addresses
		}
		for _, x := range list {
			rows.begin()
			rows.number(d.Who.ID)
			rows.string(x.Kind)
			rows.string(x.Value)
			rows.string(x.Display)
			rows.string(x.Hash)
			rows.number(int64(x.Position))
			rows.end()
		}
	}
	if len(rows.b) == 0 {
		return nil
	}
	if _, err := t.exec(ctx, qAddAddresses, rows.text()); err != nil {
		return fmt.Errorf("add addresses: %w", err)
	}
	return nil
}

// entries turns what rows say about permission into entries for the ledger,
// and remembers the row of each.
func (a *application) entries() (list []consent.Entry, from []int) {
	for i, row := range a.chunk.Rows {
		d := a.decisions[i]
		if d.Who == nil {
			continue
		}
		for _, c := range row.Consents {
			e := consent.Entry{
				Contact: d.Who.ID, Driver: c.Driver, Kind: c.Kind, Topic: c.Topic, Basis: consent.Basis(c.Basis), At: c.At, Undated: c.Undated,
				Resubscribe: a.chunk.Resubscribe, Source: c.Source, IP: c.IP, Actor: a.chunk.Actor, Salt: c.Salt, Method: consent.ByImport,
				Reference: c.Reference, Address: c.Address, Given: c.Given, Wording: c.Wording, Agent: c.Agent, Channel: c.Channel,
			}
			if c.History { // dated acts of the person; the newest decides
				e.Resubscribe = !c.Undated
			}
			if e.Basis == "" {
				e.Basis = consent.ByConsent
			}
			switch c.State {
			case "granted":
				e.State = consent.Granted
			case "pending", "requested":
				e.State = consent.Requested
			case "confirmed":
				e.State = consent.Confirmed
			case "objected":
				e.State = consent.Objected
			default:
				e.State = consent.Withdrawn
			}
			if d.Status == contacts.Duplicate && e.State.Answer() != consent.No {
				continue // of a row that is left out, a "no" is heard all the same
			}
			if x, ok := d.Who.Primary(c.Kind); ok && e.Address == "" {
				e.Address = x.Value
			}
			list = append(list, e)
			from = append(from, i)
			a.history, a.historic = append(a.history, c.History), a.historic || c.History
		}
	}
	return list, from
}

func (t tx) writePermissions(ctx context.Context, a *application) error {
	list, from := a.entries()
	list, from, err := a.settleHistory(ctx, t, list, from)
	if err != nil {
		return err
	}
	var outcomes []consent.Outcome
	if len(list) > 0 {
		if outcomes, err = t.record(ctx, list); err != nil {
			return err
		}
		a.told(list, from, outcomes)
	}
	if err := t.suppressRows(ctx, a, list); err != nil {
		return err
	}
	return a.countPeople(ctx, t, list, from, outcomes)
}

// rehearsePermissions judges permissions without writing; people who are not
// made yet have no answers.
func (a *application) rehearsePermissions(ctx context.Context, s *Store, r runner) error {
	list, from := a.entries()
	a.apart = map[*contacts.Entry]int64{}
	for i, who := range a.who {
		if who != nil && who.ID == 0 && a.apart[who] == 0 {
			a.apart[who] = -1 - int64(i) // apart from everybody
		}
	}
	for i := range list {
		list[i].Contact = a.number(from[i])
	}
	list, from, err := a.settleHistory(ctx, r, list, from)
	if err != nil {
		return err
	}
	j, err := s.judge(ctx, r, list)
	if err != nil {
		return err
	}
	a.told(list, from, j.out)
	if n := len(a.suppressing(list, s.now())); n > 0 {
		a.out.History["suppressed"] += n
	}
	return a.countPeople(ctx, r, list, from, j.out)
}

// told counts what became of permissions.
func (a *application) told(list []consent.Entry, from []int, outcomes []consent.Outcome) {
	for i, o := range outcomes {
		if a.historic && a.kept[i] {
			a.out.History[toldOf(o)]++
		}
		switch {
		case o.Err != nil:
			a.out.Consents["skipped"]++
			out := &a.out.Outcomes[from[i]]
			out.Skipped = append(out.Skipped, list[i].Driver+" "+list[i].Topic+": "+o.Err.Error())
		case !o.Written:
			a.out.Consents["unchanged"]++
		default:
			a.out.Consents[string(o.Answer)]++
		}
	}
}
