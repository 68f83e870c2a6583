package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rapport/consent"
)

const qEndedConsents query = qStandingColumns + `
FROM consents k JOIN consent_entries n ON n.id = k.entry_id JOIN topics t ON t.id = k.topic_id
WHERE k.expires_at > 0 AND k.expires_at <= $1 ORDER BY k.expires_at LIMIT $2`

// What has expired leaves no answer behind; that it has says its last line.
const qExpired query = `
SELECT n.contact_id, n.driver, t.name
FROM {{each $1}} JOIN consent_entries n ON n.contact_id = CAST(e.value AS BIGINT) AND n.state = 'expired'
JOIN topics t ON t.id = n.topic_id
WHERE NOT EXISTS (SELECT 1 FROM consent_entries x WHERE x.contact_id = n.contact_id AND x.driver = n.driver AND x.topic_id = n.topic_id AND x.id > n.id)`

// expired marks in stands what has expired, where answers have an end and a
// file says yes without saying when. Nobody else pays for the look.
func (s *Store) expired(ctx context.Context, r runner, entries []consent.Entry, stands map[slot]consent.Current) error {
	if len(s.terms.Expires) == 0 {
		return nil
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e consent.Entry) bool {
		return !e.Undated || stands[slot{e.Contact, e.Driver, e.Topic}].Entry != 0
	})
	if len(entries) == 0 {
		return nil
	}
	list, err := collect(ctx, r, qExpired, func(scan func(...any) error) (at slot, err error) {
		err = scan(&at.contact, &at.driver, &at.topic)
		return at, err
	}, contactsOf(entries))
	if err != nil {
		return fmt.Errorf("look for what has expired: %w", err)
	}
	for _, at := range list {
		if stands[at].Entry == 0 {
			stands[at] = consent.Current{State: consent.Expired}
		}
	}
	return nil
}

// Ended implements consent.ExpiryStore.
func (s *Store) Ended(ctx context.Context, now time.Time, limit int) ([]consent.Current, error) {
	list, err := collect(ctx, s.reader(), qEndedConsents, scanCurrent, micros(now), limit)
	return list, s.classify(err)
}
