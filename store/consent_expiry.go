package store

import (
	"context"
	"time"

	"rapport/consent"
)

const qEndedConsents query = qStandingColumns + `
FROM consents k JOIN consent_entries n ON n.id = k.entry_id JOIN topics t ON t.id = k.topic_id
WHERE k.expires_at > 0 AND k.expires_at <= $1 ORDER BY k.expires_at LIMIT $2`

// Ended implements consent.ExpiryStore.
func (s *Store) Ended(ctx context.Context, now time.Time, limit int) ([]consent.Current, error) {
	list, err := collect(ctx, s.reader(), qEndedConsents, scanCurrent, micros(now), limit)
	return list, s.classify(err)
}
