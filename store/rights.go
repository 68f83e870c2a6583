package store

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/access"
	"rapport/consent"
	"rapport/rights"
)

const qMarks query = `
SELECT COALESCE(c.restricted_at, 0), COALESCE(c.objected_at, 0), COALESCE(r.reason, ''), COALESCE(r.actor, '')
FROM contacts c LEFT JOIN restrictions r ON r.contact_id = c.id WHERE c.id = $1`

// On PostgreSQL the gate shares the answers of the person until its intents are
// committed.
const qAnswersOfAlone query = `
SELECT k.contact_id FROM {{each $1}} JOIN consents k ON k.contact_id = CAST(e.value AS BIGINT)
ORDER BY k.contact_id, k.driver, k.topic_id {{lock k}}`

// waitForGate is how whoever changes what the gate reads about some people is
// alone with their answers until the commit. SQLite has one writer.
func (t tx) waitForGate(ctx context.Context, people string) error {
	if t.s.d != &postgresDialect {
		return nil
	}
	if _, err := collect(ctx, t, qAnswersOfAlone, scalar[int64], people); err != nil {
		return fmt.Errorf("wait for the gate: %w", err)
	}
	return nil
}

const qRestrict query = `UPDATE contacts SET restricted_at = $2 WHERE id = $1 AND restricted_at IS NULL`

const qAddRestriction query = `INSERT INTO restrictions (contact_id, reason, actor, at) VALUES ($1, $2, $3, $4)`

const qRelease query = `UPDATE contacts SET restricted_at = NULL WHERE id = $1 AND restricted_at IS NOT NULL`

const qEndRestriction query = `DELETE FROM restrictions WHERE contact_id = $1`

const qObject query = `UPDATE contacts SET objected_at = CAST($2 AS BIGINT) WHERE id = $1`

// Marks implements rights.MarkStore.
func (s *Store) Marks(ctx context.Context, contact int64) (rights.Marks, error) {
	m, ok, err := one(ctx, s.reader(), qMarks, scanMarks, contact)
	if err == nil && !ok {
		err = noContact(contact)
	}
	return m, s.classify(err)
}

func scanMarks(scan func(...any) error) (m rights.Marks, err error) {
	var restricted, objected int64
	err = scan(&restricted, &objected, &m.Reason, &m.Actor)
	m.RestrictedAt, m.ObjectedAt = when(restricted), when(objected)
	return m, err
}

func noContact(number int64) error { return rapport.NotFoundf("there is no contact number %d", number) }

// Restrict implements rights.MarkStore.
func (s *Store) Restrict(ctx context.Context, contact int64, m rights.Marks, note access.Line) error {
	return s.mark(ctx, contact, note, func(t tx) error {
		n, err := t.exec(ctx, qRestrict, contact, micros(m.RestrictedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return rapport.Conflictf("the person is restricted already")
		}
		_, err = t.exec(ctx, qAddRestriction, contact, m.Reason, m.Actor, micros(m.RestrictedAt))
		return err
	})
}

// Release implements rights.MarkStore.
func (s *Store) Release(ctx context.Context, contact int64, note access.Line) error {
	return s.mark(ctx, contact, note, func(t tx) error {
		n, err := t.exec(ctx, qRelease, contact)
		if err != nil {
			return err
		}
		if n == 0 {
			return rapport.Conflictf("the person is not restricted")
		}
		_, err = t.exec(ctx, qEndRestriction, contact)
		return err
	})
}

// Object implements rights.MarkStore.
func (s *Store) Object(ctx context.Context, contact int64, at time.Time, note access.Line) error {
	return s.mark(ctx, contact, note, func(t tx) error {
		_, err := t.exec(ctx, qObject, contact, maybe(at))
		return err
	})
}

// mark changes the marks of a contact and notes it, with the answers of the
// person to itself.
func (s *Store) mark(ctx context.Context, contact int64, note access.Line, do func(tx) error) error {
	err := s.update(ctx, durable, func(t tx) error {
		if _, ok, err := one(ctx, t, qMarks, scanMarks, contact); err != nil || !ok {
			if err == nil {
				err = noContact(contact)
			}
			return err
		}
		if err := t.waitForGate(ctx, idsJSON([]int64{contact})); err != nil {
			return err
		}
		if err := do(t); err != nil {
			return err
		}
		return t.note(ctx, note)
	})
	if err != nil {
		return fmt.Errorf("mark contact %d: %w", contact, err)
	}
	return nil
}

const qObjectors query = `
SELECT c.id, c.objected_at FROM {{each $1}} JOIN contacts c ON c.id = CAST(e.value AS BIGINT) WHERE c.objected_at IS NOT NULL`

// Nearly nobody objects to everything: most installations ask no more than this.
const qAnyObjector query = `SELECT CASE WHEN EXISTS (SELECT 1 FROM contacts c WHERE c.objected_at IS NOT NULL) THEN 1 ELSE 0 END`

// objections lets a general objection stand where nothing else does: for
// marketing topics that came after it, invitations, and channels.
func objections(ctx context.Context, r runner, entries []consent.Entry, stands map[slot]consent.Current) error {
	if some, _, err := one(ctx, r, qAnyObjector, scalar[int64]); err != nil || some == 0 {
		return err
	}
	objectors := map[int64]time.Time{}
	if _, err := collect(ctx, r, qObjectors, func(scan func(...any) error) (struct{}, error) {
		var id, at int64
		err := scan(&id, &at)
		objectors[id] = when(at)
		return struct{}{}, err
	}, contactsOf(entries)); err != nil {
		return fmt.Errorf("look for objections: %w", err)
	}
	if len(objectors) == 0 {
		return nil
	}
	topics, err := collect(ctx, r, qTopics, scanTopic)
	if err != nil {
		return fmt.Errorf("read topics: %w", err)
	}
	unasked := map[string]bool{}
	for _, t := range topics {
		unasked[t.Name] = t.Unasked()
	}
	for _, e := range entries {
		at, objects := objectors[e.Contact]
		key := slot{e.Contact, e.Driver, e.Topic}
		// A "no" of its own is written down all the same.
		if _, said := stands[key]; objects && !said && unasked[e.Topic] && e.State.Answer() != consent.No {
			stands[key] = consent.Current{
				Contact: e.Contact, Driver: e.Driver, Topic: e.Topic, Answer: consent.No, State: consent.Objected, At: at,
			}
		}
	}
	return nil
}
