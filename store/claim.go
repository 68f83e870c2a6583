package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/outbox"
)

const qRun query = `
SELECT r.id, r.name, r.channel, r.driver, r.kind, t.name, r.class, r.revision_id, r.terms
FROM runs r JOIN topics t ON t.id = r.topic_id WHERE r.id = $1`

// Run returns what all deliveries of a run share.
func (s *Store) Run(ctx context.Context, id int64) (outbox.Run, error) {
	r, ok, err := one(ctx, s.reader(), qRun, scanRun, id)
	if err != nil {
		return r, fmt.Errorf("read run %d: %w", id, s.classify(err))
	}
	if !ok {
		return r, rapport.NotFoundf("there is no run %d", id)
	}
	return r, nil
}

func scanRun(scan func(...any) error) (r outbox.Run, err error) {
	var class, text string
	if err = scan(&r.ID, &r.Name, &r.Channel, &r.Driver, &r.Kind, &r.Topic, &class, &r.Revision, &text); err != nil {
		return r, err
	}
	r.Class = classOf(class)
	terms, window, err := outbox.ReadTerms(text)
	r.ReplyTo, r.Tracking, r.Window, r.Test = terms.ReplyTo, terms.Tracking, window, terms.Test
	return r, err
}

func classOf(text string) channels.Class {
	if text == channels.Transactional.String() {
		return channels.Transactional
	}
	return channels.Marketing
}

// A claim picks what is due, oldest first; two claimers of one batch step
// around each other.
const qClaim query = `
WITH pick (id) AS MATERIALIZED (
  SELECT id FROM deliveries
  WHERE batch_id = $1 AND state = 'queued' AND not_before <= $2
  ORDER BY not_before, id LIMIT $3 {{skip locked}}
)
UPDATE deliveries SET state = 'claimed', reason = '', turn = turn + 1, worker_id = $4, updated_at = $2
FROM pick WHERE deliveries.id = pick.id
RETURNING deliveries.id, run_id, batch_id, contact_id, COALESCE(address, ''), turn, attempt, crashes, expires_at, COALESCE(data, ''), FALSE`

const qCountClaim query = `UPDATE batches SET queued = queued - $2, claimed = claimed + $2 WHERE id = $1`

const qPersons query = `
SELECT c.id, c.uid, COALESCE(c.external_id, ''), c.locale, c.zone, {{text c.attributes}}, COALESCE(a.kind, ''), COALESCE(a.display, '')
FROM {{each $1}} CROSS JOIN contacts c LEFT JOIN addresses a ON a.contact_id = c.id AND a.position = 0
WHERE c.id = CAST(e.value AS BIGINT)`

// Claim reserves up to n due deliveries of a batch for a worker and returns
// them with their persons, in the order of their numbers. After an error rows
// may stand as claimed.
//
// The one writer of SQLite is not kept for reading persons: they are read after
// the commit. Whoever is erased or changed meanwhile meets the gate, which
// reads everything again.
func (s *Store) Claim(ctx context.Context, batch, worker int64, n int, now time.Time) ([]outbox.Delivery, error) {
	var out []outbox.Delivery
	var found people
	q, named := s.claiming()
	err := s.update(ctx, quick, func(t tx) (err error) {
		out, err = collectInto(ctx, t, make([]outbox.Delivery, 0, n), q, scanClaimed, batch, micros(now), n, worker)
		if err != nil || len(out) == 0 {
			return err
		}
		steps := []step{{qCountClaim, []any{batch, len(out)}, nil}}
		if t.w == nil { // a journey costs more than a read
			var read step
			found, read = persons(out)
			steps = append(steps, read)
		}
		return t.together(ctx, steps...)
	})
	if err == nil && found == nil && len(out) > 0 {
		var read step
		found, read = persons(out)
		err = s.classify(read.run(ctx, s.reader()))
	}
	if err != nil {
		return nil, fmt.Errorf("claim from batch %d: %w", batch, err)
	}
	found.join(out)
	for i := range out {
		out[i].Named = out[i].Named || named
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

func scanClaimed(scan func(...any) error) (d outbox.Delivery, err error) {
	var expires int64
	var data string
	err = scan(&d.ID, &d.Run, &d.Batch, &d.Contact, &d.Address, &d.Turn, &d.Attempt, &d.Crashes, &expires, &data, &d.Named)
	d.ExpiresAt = when(expires)
	if data != "" {
		d.Data = json.RawMessage(data)
	}
	return d, err
}

// people are whom deliveries are for, by number.
type people map[int64]*outbox.Person

// persons returns the statement that reads whom deliveries are for.
func persons(list []outbox.Delivery) (people, step) {
	ids := make([]int64, len(list))
	for i, d := range list {
		ids[i] = d.Contact
	}
	found := make(people, len(list))
	return found, step{qPersons, []any{idsJSON(ids)}, found.take}
}

// take takes in a person with one of their addresses: a row for each kind.
func (p people) take(scan func(...any) error) error {
	var id int64
	var attributes, kind, shown string
	row := outbox.Person{}
	if err := scan(&id, &row.UID, &row.ExternalID, &row.Locale, &row.Zone, &attributes, &kind, &shown); err != nil {
		return err
	}
	one := p[id]
	if one == nil {
		one = &row
		one.Attributes, one.Addresses = json.RawMessage(attributes), make(map[string]string, 1)
		p[id] = one
	}
	if kind != "" {
		one.Addresses[kind] = shown
	}
	return nil
}

// join gives each delivery its person. Whoever was erased meanwhile has none;
// the gate will say so.
func (p people) join(list []outbox.Delivery) {
	for i := range list {
		list[i].Person = p[list[i].Contact]
	}
}

const qRest query = `
UPDATE batches SET armed_until = 0,
  next_at = (SELECT MIN(not_before) FROM deliveries WHERE batch_id = $1 AND state = 'queued')
WHERE id = $1`

// On PostgreSQL whoever queues rows of the batch, or plans more of them, holds
// it until the commit. The rows are looked at after that: a statement that had
// to wait would still see them as they were before.
const qBatchAlone query = `SELECT b.id FROM batches b WHERE b.id = $1 {{lock b}}`

// Rest says that nobody works on the batch any more and recomputes when it is
// due next.
func (s *Store) Rest(ctx context.Context, batch int64) error {
	err := s.update(ctx, quick, func(t tx) error {
		if t.s.d == &postgresDialect {
			if _, _, err := one(ctx, t, qBatchAlone, scalar[int64], batch); err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, qRest, batch)
		return err
	})
	if err != nil {
		return fmt.Errorf("let batch %d rest: %w", batch, err)
	}
	return nil
}

const qDelivered query = `
SELECT id, run_id, batch_id, contact_id, COALESCE(address, ''), turn, attempt, crashes, expires_at, COALESCE(data, ''), FALSE
FROM deliveries WHERE run_id = $1 AND contact_id = $2`

// Delivered returns the delivery of a run to a contact with its person, for
// showing it again. A person who was erased is NotFound.
func (s *Store) Delivered(ctx context.Context, run, contact int64) (outbox.Delivery, error) {
	d, ok, err := one(ctx, s.reader(), qDelivered, scanClaimed, run, contact)
	if err != nil {
		return d, fmt.Errorf("read delivery %s: %w", rapport.DeliveryID(run, contact), s.classify(err))
	}
	list := []outbox.Delivery{d}
	if ok {
		people, read := persons(list)
		if err := read.run(ctx, s.reader()); err != nil {
			return d, fmt.Errorf("read the person of delivery %s: %w", rapport.DeliveryID(run, contact), s.classify(err))
		}
		people.join(list)
		if list[0].Named, err = s.namedNow(ctx, run, contact); err != nil {
			return d, fmt.Errorf("ask whether delivery %s may lead to its person: %w", rapport.DeliveryID(run, contact), s.classify(err))
		}
	}
	if !ok || list[0].Person == nil {
		return d, rapport.NotFoundf("there is no delivery %s", rapport.DeliveryID(run, contact))
	}
	return list[0], nil
}
