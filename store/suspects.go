package store

import (
	"context"
	"fmt"
)

// What a process held when it died is under suspicion: one of it may have
// brought it down. Whoever claims it next writes it alone (see worker).
const qSuspectAll query = `
UPDATE deliveries SET crashes = 1 WHERE crashes = 0 AND id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $1}})`

func (t tx) suspect(ctx context.Context, deliveries []int64) error {
	if len(deliveries) == 0 {
		return nil
	}
	_, err := t.exec(ctx, qSuspectAll, asJSON(deliveries))
	return err
}

const qSuspect query = `UPDATE deliveries SET crashes = $3 WHERE id = $1 AND turn = $2 AND state = 'claimed'`

// Suspect notes how often a claimed delivery may have brought its process
// down. It survives the process.
func (s *Store) Suspect(ctx context.Context, delivery, turn int64, crashes int) error {
	err := s.update(ctx, quick, func(t tx) error {
		_, err := t.exec(ctx, qSuspect, delivery, turn, crashes)
		return err
	})
	if err != nil {
		return fmt.Errorf("note a suspicion about delivery %d: %w", delivery, err)
	}
	return nil
}
