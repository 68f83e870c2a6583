package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport"
	"rapport/events"
	"rapport/rights"
)

// DeclareEvents implements events.Store.
func (s *Store) DeclareEvents(ctx context.Context, names []string) error {
	rows := make([][]string, len(names))
	for i, n := range names {
		rows[i] = []string{n}
	}
	return s.update(ctx, durable, func(t tx) error {
		if _, err := t.exec(ctx, qLearnEventNames, asJSON(rows), micros(s.now())); err != nil {
			return fmt.Errorf("add names of events: %w", err)
		}
		n, _, err := one(ctx, t, qCountEventNames, scalar[int64])
		if err == nil && n > events.MaxNames {
			return rapport.Conflictf("with these there would be %d names of events; %d are possible", n, events.MaxNames)
		}
		return err
	})
}

const qEventNames query = `SELECT n.name FROM event_names n ORDER BY n.name`

// EventNames implements events.Store.
func (s *Store) EventNames(ctx context.Context) ([]string, error) {
	list, err := collect(ctx, s.reader(), qEventNames, scalar[string])
	return list, s.classify(err)
}

const qEventCounts query = `
SELECT n.name, n.created_at, COALESCE(k.n, 0) FROM event_names n
LEFT JOIN (SELECT v.name_id, COUNT(*) AS n FROM events v GROUP BY v.name_id) k ON k.name_id = n.id ORDER BY n.name`

// EventCounts implements events.Store.
func (s *Store) EventCounts(ctx context.Context) ([]events.Name, error) {
	list, err := collect(ctx, s.reader(), qEventCounts, func(scan func(...any) error) (n events.Name, err error) {
		var at int64
		err = scan(&n.Name, &at, &n.Events)
		n.CreatedAt = when(at)
		return n, err
	})
	return list, s.classify(err)
}

const eventColumns = `
SELECT v.id, v.key, n.name, c.uid, COALESCE(c.external_id, ''), v.at, v.recorded_at, COALESCE(v.data, '')
FROM events v JOIN event_names n ON n.id = v.name_id JOIN contacts c ON c.id = v.contact_id`

func scanEvent(scan func(...any) error) (e events.Event, err error) {
	var at, recorded int64
	var data string
	err = scan(&e.Number, &e.ID, &e.Name, &e.Contact, &e.ExternalID, &at, &recorded, &data)
	e.At, e.RecordedAt = when(at), when(recorded)
	if data != "" {
		e.Data = json.RawMessage(data)
	}
	return e, err
}

// Events implements events.Store.
func (s *Store) Events(ctx context.Context, f events.Filter) ([]events.Event, error) {
	args := &binds{}
	text := eventColumns + " WHERE true"
	if f.Contact > 0 {
		text += " AND v.contact_id = " + args.whole(f.Contact)
	}
	if f.Name != "" {
		text += " AND v.name_id = (SELECT x.id FROM event_names x WHERE x.name = " + args.text(f.Name) + ")"
	}
	if !f.Since.IsZero() {
		text += " AND v.at >= " + args.whole(micros(f.Since))
	}
	if f.Before.Number > 0 {
		text += " AND (v.at, v.id) < (" + args.whole(micros(f.Before.At)) + ", " + args.whole(f.Before.Number) + ")"
	}
	text += " ORDER BY v.at DESC, v.id DESC LIMIT " + args.whole(int64(f.Limit))
	list, err := built(ctx, s.pools.read, text, args, scanEvent)
	return list, s.classify(err)
}

const qEventsOf query = eventColumns + ` WHERE v.contact_id = $1 AND v.id > $2 ORDER BY v.id LIMIT $3`

// EventsOf implements rights.CopyStore.
func (s *Store) EventsOf(ctx context.Context, contact, after int64, limit int) ([]events.Event, error) {
	list, err := collect(ctx, s.reader(), qEventsOf, scanEvent, contact, after, limit)
	return list, s.classify(err)
}

// Events go in the order of their times: they are looked for outside the writer.
const (
	qOldEvents query = `
SELECT v.at, v.id FROM events v WHERE v.at < $1 AND (v.at, v.id) > ($2, $3) AND v.contact_id NOT IN ` + spared + ` ORDER BY v.at, v.id LIMIT $4`

	qDropEvents query = `DELETE FROM events WHERE id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $1}})`
)

// pruneEvents removes old events, from a time and number on, which Place holds.
func (p pruning) events(ctx context.Context, before time.Time, from rights.Place) (rights.Pruned, error) {
	out := rights.Pruned{Next: from}
	ids, err := collect(ctx, p.s.reader(), qOldEvents, func(scan func(...any) error) (id int64, err error) {
		err = scan(&out.Next.Run, &out.Next.ID)
		return out.Next.ID, err
	}, micros(before), from.Run, from.ID, prunePage)
	if out.Done = len(ids) < prunePage; err != nil || len(ids) == 0 {
		return out, err
	}
	out.N, err = p.remove(ctx, func(t tx) (int64, error) { return t.exec(ctx, qDropEvents, idsJSON(ids)) })
	return out, err
}
