package store

import (
	"context"
	"fmt"
	"math"

	"rapport/consent"
)

// A line whose topic is not there is read all the same: it is to be seen.
const qLedgerColumns = `
SELECT n.id, n.contact_id, n.driver, n.topic_id, COALESCE(t.name, ''), n.state, n.basis, n.at, n.recorded_at, n.commitment, n.schema, n.expires_at,
  COALESCE(v.salt, ''), COALESCE(v.evidence, '')
FROM consent_entries n LEFT JOIN topics t ON t.id = n.topic_id LEFT JOIN consent_evidence v ON v.entry_id = n.id`

const qLedger query = qLedgerColumns + `
WHERE n.id > $1 AND n.id <= $2 ORDER BY n.id LIMIT $3`

const qHistory query = qLedgerColumns + `
WHERE n.contact_id = $1 ORDER BY n.id`

const qLedgerPeople query = `
SELECT DISTINCT n.contact_id FROM consent_entries n WHERE n.contact_id > $1 ORDER BY n.contact_id LIMIT $2`

const qLedgerOfPeople query = qLedgerColumns + `
WHERE n.contact_id > $1 AND n.contact_id <= $2 ORDER BY n.contact_id, n.id`

// So is an answer that rests on no line.
const qStandingOfPeople query = `
SELECT k.contact_id, k.driver, COALESCE(t.name, ''), k.state, COALESCE(n.state, ''), COALESCE(n.basis, ''), k.address, k.at, k.entry_id, k.expires_at
FROM consents k LEFT JOIN consent_entries n ON n.id = k.entry_id LEFT JOIN topics t ON t.id = k.topic_id
WHERE k.contact_id > $1 AND k.contact_id <= $2 ORDER BY k.contact_id, k.driver, t.name`

const qForgetStanding query = `DELETE FROM consents WHERE contact_id = $1`

func scanRecord(scan func(...any) error) (r consent.Record, err error) {
	var at, recorded, expires int64
	err = scan(&r.ID, &r.Contact, &r.Driver, &r.TopicID, &r.Topic, &r.State, &r.Basis, &at, &recorded, &r.Commitment, &r.Schema, &expires, &r.Salt, &r.Evidence)
	r.At, r.RecordedAt, r.Expires = when(at), when(recorded), when(expires)
	return r, err
}

// Consents implements consent.Store.
func (s *Store) Consents(ctx context.Context, contact int64) ([]consent.Current, error) {
	list, err := collect(ctx, s.reader(), qStandingOfPeople, scanCurrent, contact-1, contact)
	return list, s.classify(err)
}

// History implements consent.Store.
func (s *Store) History(ctx context.Context, contact int64) ([]consent.Record, error) {
	list, err := collect(ctx, s.reader(), qHistory, scanRecord, contact)
	return list, s.classify(err)
}

// Ledger implements consent.Store.
func (s *Store) Ledger(ctx context.Context, after, upTo int64, limit int) ([]consent.Record, error) {
	if upTo == 0 {
		upTo = math.MaxInt64
	}
	list, err := collect(ctx, s.reader(), qLedger, scanRecord, after, upTo, limit)
	return list, s.classify(err)
}

// Answers implements consent.Store.
func (s *Store) Answers(ctx context.Context, after int64, people int) (lines []consent.Record, standing []consent.Current, last int64, err error) {
	err = s.view(ctx, func(r runner) error {
		ids, err := collect(ctx, r, qLedgerPeople, scalar[int64], after, people)
		if err != nil {
			return fmt.Errorf("find people in the ledger: %w", err)
		}
		last = math.MaxInt64
		if len(ids) == people {
			last = ids[len(ids)-1]
		}
		if lines, err = collect(ctx, r, qLedgerOfPeople, scanRecord, after, last); err != nil {
			return fmt.Errorf("read their lines: %w", err)
		}
		if standing, err = collect(ctx, r, qStandingOfPeople, scanCurrent, after, last); err != nil {
			return fmt.Errorf("read their answers: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, nil, 0, s.classify(err)
	}
	return lines, standing, last, nil
}

// Rebuild implements consent.Store.
func (s *Store) Rebuild(ctx context.Context, contact int64) error {
	return s.update(ctx, durable, func(t tx) error {
		// What is derived from here on must not be older than what somebody
		// else is just writing: a new "no" would be overwritten.
		if _, err := t.exec(ctx, qLedgerAlone); err != nil {
			return fmt.Errorf("wait for the writers of the ledger: %w", err)
		}
		lines, err := collect(ctx, t, qHistory, scanRecord, contact)
		if err != nil {
			return fmt.Errorf("read the ledger of contact %d: %w", contact, err)
		}
		topics, err := topicNumbers(ctx, t)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, qForgetStanding, contact); err != nil {
			return fmt.Errorf("take away the answers of contact %d: %w", contact, err)
		}
		var order []slot
		changes := map[slot]change{}
		for _, c := range consent.Standing(lines) {
			at := slot{contact, c.Driver, c.Topic}
			order = append(order, at)
			changes[at] = change{now: c, topic: topics.number[c.Topic]}
		}
		return t.stand(ctx, order, changes)
	})
}
