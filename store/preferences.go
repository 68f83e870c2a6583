package store

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/consent"
)

const qContactThere query = `SELECT 1 FROM contacts c WHERE c.id = $1`

const qPreferences query = `
SELECT p.driver, COALESCE(t.name, ''), p.paused_until, p.every
FROM preferences p LEFT JOIN topics t ON t.id = p.topic_id
WHERE p.contact_id = $1 ORDER BY p.driver, COALESCE(t.name, '')`

const qPutPreference query = `
INSERT INTO preferences (contact_id, driver, topic_id, paused_until, every, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (contact_id, driver, topic_id) DO UPDATE
SET paused_until = excluded.paused_until, every = excluded.every, updated_at = excluded.updated_at`

const qDropPreference query = `DELETE FROM preferences WHERE contact_id = $1 AND driver = $2 AND topic_id = $3`

// What waits for a person's wish or for a cap is due now; the gate asks again.
const qWakeDeliveries query = `
UPDATE deliveries SET not_before = $2
WHERE contact_id = $1 AND state = 'queued' AND reason IN ('asked_pause', 'asked_less', 'capped')`

const qWakeBatches query = `
UPDATE batches SET next_at = {{least COALESCE(next_at, CAST($2 AS BIGINT)), CAST($2 AS BIGINT)}} WHERE id IN (
  SELECT d.batch_id FROM deliveries d WHERE d.contact_id = $1 AND d.state = 'queued' AND d.reason IN ('asked_pause', 'asked_less', 'capped'))`

// SetPreference implements consent.PreferenceStore.
func (s *Store) SetPreference(ctx context.Context, contact int64, p consent.Preference, at time.Time) error {
	return s.update(ctx, durable, func(t tx) error {
		// A wish holds from the moment it is written, also the first one there is.
		if err := t.waitForGate(ctx, idsJSON([]int64{contact})); err != nil {
			return err
		}
		_, ok, err := one(ctx, t, qContactThere, scalar[int64], contact)
		if err != nil {
			return fmt.Errorf("find the contact: %w", err)
		}
		if !ok {
			return rapport.NotFoundf("there is no contact number %d", contact)
		}
		topic, err := t.marketingTopic(ctx, p.Topic)
		if err != nil {
			return err
		}
		if p.PausedUntil.IsZero() && p.Every == 0 {
			_, err = t.exec(ctx, qDropPreference, contact, p.Driver, topic)
		} else {
			_, err = t.exec(ctx, qPutPreference, contact, p.Driver, topic, micros(p.PausedUntil), int64(p.Every/time.Second), micros(at))
		}
		if err != nil {
			return fmt.Errorf("write the preference: %w", err)
		}
		for _, q := range []query{qWakeDeliveries, qWakeBatches} {
			if _, err := t.exec(ctx, q, contact, micros(at)); err != nil {
				return fmt.Errorf("wake what waits for contact %d: %w", contact, err)
			}
		}
		return nil
	})
}

// marketingTopic is the number of a marketing topic; 0 for all of them.
func (t tx) marketingTopic(ctx context.Context, name string) (int64, error) {
	if name == "" {
		return 0, nil
	}
	list, err := collect(ctx, t, qTopics, scanTopic)
	if err != nil {
		return 0, fmt.Errorf("read topics: %w", err)
	}
	topic, err := consent.Find(list, name)
	if err != nil {
		return 0, err
	}
	if topic.Kind != consent.Marketing {
		return 0, rapport.Invalidf("topic", "topic %s is %s: only marketing can be paused or made rarer", name, topic.Kind)
	}
	return topic.ID, nil
}

// Preferences implements consent.PreferenceStore.
func (s *Store) Preferences(ctx context.Context, contact int64) ([]consent.Preference, error) {
	list, err := collect(ctx, s.reader(), qPreferences, func(scan func(...any) error) (p consent.Preference, err error) {
		var until, every int64
		err = scan(&p.Driver, &p.Topic, &until, &every)
		p.PausedUntil, p.Every = when(until), time.Duration(every)*time.Second
		return p, err
	}, contact)
	return list, s.classify(err)
}
