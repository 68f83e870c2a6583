package store

import (
	"context"
	"fmt"

	"rapport/events"
)

// Whom events mean. Where something is written, the people are kept from being
// erased until it is.
const (
	ofUID      = `SELECT 0, '', e.value ->> 0, c.id FROM {{each $1}} JOIN contacts c ON c.uid = e.value ->> 0`
	ofExternal = `SELECT 1, '', e.value ->> 0, c.id FROM {{each $1}} JOIN contacts c ON c.external_id = e.value ->> 0`
	ofAddress  = `
SELECT 2, e.value ->> 0, e.value ->> 1, c.id FROM {{each $1}} JOIN addresses a ON a.kind = e.value ->> 0 AND a.value = e.value ->> 1
JOIN contacts c ON c.id = a.contact_id`
	keptAlive = ` {{keep c}}`

	qOfUID      query = ofUID
	qOfExternal query = ofExternal
	qOfAddress  query = ofAddress

	qOfUIDKept      query = ofUID + keptAlive
	qOfExternalKept query = ofExternal + keptAlive
	qOfAddressKept  query = ofAddress + keptAlive
)

const qEventNamesOf query = `SELECT n.id, n.name FROM {{each $1}} JOIN event_names n ON n.name = e.value ->> 0`

const qCountEventNames query = `SELECT COUNT(*) FROM event_names`

const qLearnEventNames query = `
INSERT INTO event_names (name, created_at) SELECT e.value ->> 0, CAST($2 AS BIGINT) FROM {{each $1}} WHERE true
ON CONFLICT (name) DO NOTHING`

const qAddEvents query = `
INSERT INTO events (key, contact_id, name_id, at, recorded_at, data, digest)
SELECT e.value ->> 0, CAST(e.value ->> 1 AS BIGINT), CAST(e.value ->> 2 AS BIGINT), CAST(e.value ->> 3 AS BIGINT), CAST($2 AS BIGINT),
  NULLIF(e.value ->> 4, ''), CAST(e.value ->> 5 AS BIGINT)
FROM {{each $1}} WHERE true
ON CONFLICT (key) DO NOTHING
RETURNING key`

const qKnownEvents query = `
SELECT v.key, v.contact_id, v.digest FROM {{each $1}} JOIN events v ON v.key = e.value ->> 0`

// AddEvents implements events.Store.
func (s *Store) AddEvents(ctx context.Context, b events.Batch) (out []events.Outcome, err error) {
	if b.DryRun {
		err = s.view(ctx, func(r runner) (err error) {
			a := &eventBatch{Batch: b}
			out, err = a.judge(ctx, r)
			return err
		})
		return out, s.classify(err)
	}
	l := bulk
	if b.Durable {
		l = durable
	}
	err = s.update(ctx, l, func(t tx) (err error) {
		a := &eventBatch{Batch: b}
		out, err = a.store(ctx, t)
		return err
	})
	return out, err
}

// eventBatch is a batch on its way into the tables.
type eventBatch struct {
	events.Batch
	people map[events.Ref]int64
	names  map[string]int64
	out    []events.Outcome
	fresh  map[string]int // by key: the first event of the batch that has it, and might be stored
}

// knownEvent is what tells one event with a key from another.
type knownEvent struct{ contact, digest int64 }

func (a *eventBatch) is(i int) knownEvent {
	return knownEvent{a.people[a.Events[i].Contact], a.Events[i].Digest}
}

// sort finds the people and refuses what is about nobody, and what says twice
// otherwise.
func (a *eventBatch) sort(ctx context.Context, r runner, keep bool) error {
	if err := a.find(ctx, r, keep); err != nil {
		return err
	}
	a.out, a.fresh = make([]events.Outcome, len(a.Events)), make(map[string]int, len(a.Events))
	for i, e := range a.Events {
		if a.people[e.Contact] == 0 {
			a.refuse(i, "contact: there is no contact with "+refWords(e.Contact))
			continue
		}
		first, twice := a.fresh[e.ID]
		switch {
		case !twice:
			a.fresh[e.ID] = i
		case a.is(first) == a.is(i):
			a.out[i].Status = events.Known
		default:
			a.refuse(i, events.OtherContent(e.ID))
		}
	}
	return nil
}

func (a *eventBatch) refuse(i int, why string) {
	a.out[i] = events.Outcome{Status: events.Refused, Reason: why}
}

func refWords(r events.Ref) string {
	switch {
	case r.ID != "":
		return fmt.Sprintf("the ID %q", r.ID)
	case r.ExternalID != "":
		return fmt.Sprintf("the external ID %q", r.ExternalID)
	}
	return fmt.Sprintf("the %s %q", r.Kind, r.Value)
}

// find resolves whom events are about.
func (a *eventBatch) find(ctx context.Context, r runner, keep bool) error {
	a.people = make(map[events.Ref]int64, len(a.Events))
	var lists [3]rowsJSON
	for _, e := range a.Events {
		if _, asked := a.people[e.Contact]; asked {
			continue
		}
		a.people[e.Contact] = 0
		at := &lists[0]
		switch {
		case e.Contact.ExternalID != "":
			at = &lists[1]
		case e.Contact.Kind != "":
			at = &lists[2]
		}
		at.begin()
		if e.Contact.Kind != "" {
			at.string(e.Contact.Kind)
			at.string(e.Contact.Value)
		} else {
			at.string(e.Contact.ID + e.Contact.ExternalID)
		}
		at.end()
	}
	ask := [3]query{qOfUID, qOfExternal, qOfAddress}
	if keep {
		ask = [3]query{qOfUIDKept, qOfExternalKept, qOfAddressKept}
	}
	for i, q := range ask {
		if len(lists[i].b) == 0 {
			continue
		}
		if _, err := collect(ctx, r, q, a.scanOwner, lists[i].text()); err != nil {
			return fmt.Errorf("find whom events are about: %w", err)
		}
	}
	return nil
}

func (a *eventBatch) scanOwner(scan func(...any) error) (struct{}, error) {
	var how, id int64
	var kind, value string
	err := scan(&how, &kind, &value, &id)
	ref := events.Ref{Kind: kind, Value: value}
	switch how {
	case 0:
		ref = events.Ref{ID: value}
	case 1:
		ref = events.Ref{ExternalID: value}
	}
	a.people[ref] = id
	return struct{}{}, err
}

// judge says what would become of events.
func (a *eventBatch) judge(ctx context.Context, r runner) ([]events.Outcome, error) {
	if err := a.sort(ctx, r, false); err != nil {
		return nil, err
	}
	if err := a.known(ctx, r, nil); err != nil {
		return nil, err
	}
	missing, err := a.named(ctx, r)
	if err != nil || len(missing) == 0 {
		return a.out, err
	}
	return a.out, a.room(ctx, r, missing)
}

// store writes what is not there yet.
func (a *eventBatch) store(ctx context.Context, t tx) ([]events.Outcome, error) {
	if err := a.sort(ctx, t, true); err != nil {
		return nil, err
	}
	if err := a.learn(ctx, t); err != nil {
		return nil, err
	}
	var rows rowsJSON
	n := 0
	for i, e := range a.Events {
		if at, ok := a.fresh[e.ID]; !ok || at != i || a.out[i].Status == events.Refused {
			continue
		}
		n++
		rows.begin()
		rows.string(e.ID)
		rows.number(a.people[e.Contact])
		rows.number(a.names[e.Name])
		rows.number(micros(e.At))
		rows.string(string(e.Data))
		rows.number(e.Digest)
		rows.end()
	}
	if n == 0 {
		return a.out, nil
	}
	added, err := collect(ctx, t, qAddEvents, scalar[string], rows.text(), micros(t.s.now()))
	if err != nil {
		return nil, fmt.Errorf("add events: %w", err)
	}
	if len(added) == n {
		return a.out, nil
	}
	return a.out, a.known(ctx, t, added)
}

// known compares events with what is stored under their keys, but for those
// that were added just now.
func (a *eventBatch) known(ctx context.Context, r runner, added []string) error {
	for _, key := range added {
		delete(a.fresh, key)
	}
	var keys rowsJSON
	for i, e := range a.Events {
		if at, ok := a.fresh[e.ID]; ok && at == i {
			keys.begin()
			keys.string(e.ID)
			keys.end()
		}
	}
	if len(keys.b) == 0 {
		return nil
	}
	is := map[string]knownEvent{}
	if _, err := collect(ctx, r, qKnownEvents, func(scan func(...any) error) (struct{}, error) {
		var key string
		var k knownEvent
		err := scan(&key, &k.contact, &k.digest)
		is[key] = k
		return struct{}{}, err
	}, keys.text()); err != nil {
		return fmt.Errorf("look up events: %w", err)
	}
	for i, e := range a.Events {
		k, there := is[e.ID]
		switch {
		case !there || a.out[i].Status == events.Refused:
		case k == a.is(i):
			a.out[i].Status = events.Known
		default:
			a.refuse(i, events.OtherContent(e.ID))
		}
	}
	return nil
}

// named finds the numbers of names and returns those that have none.
func (a *eventBatch) named(ctx context.Context, r runner) (missing []string, err error) {
	a.names = map[string]int64{}
	var list rowsJSON
	var all []string
	for i, e := range a.Events {
		if _, asked := a.names[e.Name]; asked || a.out[i].Status != events.Added {
			continue
		}
		a.names[e.Name] = 0
		all = append(all, e.Name)
		list.begin()
		list.string(e.Name)
		list.end()
	}
	if _, err := collect(ctx, r, qEventNamesOf, func(scan func(...any) error) (struct{}, error) {
		var id int64
		var name string
		err := scan(&id, &name)
		a.names[name] = id
		return struct{}{}, err
	}, list.text()); err != nil {
		return nil, fmt.Errorf("look up names of events: %w", err)
	}
	for _, name := range all {
		if a.names[name] == 0 {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// room refuses events with names that are too many.
func (a *eventBatch) room(ctx context.Context, r runner, missing []string) error {
	n, _, err := one(ctx, r, qCountEventNames, scalar[int64])
	if err != nil {
		return fmt.Errorf("count names of events: %w", err)
	}
	left := max(0, events.MaxNames-int(n))
	if len(missing) <= left {
		return nil
	}
	over := map[string]bool{}
	for _, name := range missing[left:] {
		over[name] = true
	}
	for i, e := range a.Events {
		if over[e.Name] && a.out[i].Status == events.Added {
			a.refuse(i, events.TooManyNames(e.Name))
		}
	}
	return nil
}

// learn adds names that are new.
func (a *eventBatch) learn(ctx context.Context, t tx) error {
	missing, err := a.named(ctx, t)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := a.room(ctx, t, missing); err != nil {
		return err
	}
	var list rowsJSON
	wanted := map[string]bool{}
	for i, e := range a.Events {
		if a.names[e.Name] == 0 && a.out[i].Status == events.Added && !wanted[e.Name] {
			wanted[e.Name] = true
			list.begin()
			list.string(e.Name)
			list.end()
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	if _, err := t.exec(ctx, qLearnEventNames, list.text(), micros(t.s.now())); err != nil {
		return fmt.Errorf("learn names of events: %w", err)
	}
	_, err = a.named(ctx, t)
	return err
}
