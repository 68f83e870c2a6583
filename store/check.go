package store

import (
	"context"
	"fmt"
)

const qOffBalance query = `
SELECT r.uid, b.id FROM batches b JOIN runs r ON r.id = b.run_id
LEFT JOIN (
  SELECT batch_id, SUM(n) AS planned,
    SUM(n) FILTER (WHERE state = 'queued') AS queued, SUM(n) FILTER (WHERE state = 'claimed') AS claimed,
    SUM(n) FILTER (WHERE state = 'sending') AS sending, SUM(n) FILTER (WHERE state = 'sent') AS sent,
    SUM(n) FILTER (WHERE state = 'failed') AS failed, SUM(n) FILTER (WHERE state = 'uncertain') AS uncertain,
    SUM(n) FILTER (WHERE state = 'suppressed') AS suppressed, SUM(n) FILTER (WHERE state = 'cancelled') AS cancelled,
    SUM(n) FILTER (WHERE state = 'expired') AS expired
  FROM (
    SELECT batch_id, state, COUNT(*) AS n FROM deliveries GROUP BY batch_id, state
    UNION ALL SELECT batch_id, state, n FROM pruned_deliveries
  ) AS rows GROUP BY batch_id
) d ON d.batch_id = b.id
WHERE b.planned <> COALESCE(d.planned, 0) OR b.queued <> COALESCE(d.queued, 0) OR b.claimed <> COALESCE(d.claimed, 0)
  OR b.sending <> COALESCE(d.sending, 0) OR b.sent <> COALESCE(d.sent, 0) OR b.failed <> COALESCE(d.failed, 0)
  OR b.uncertain <> COALESCE(d.uncertain, 0) OR b.suppressed <> COALESCE(d.suppressed, 0)
  OR b.cancelled <> COALESCE(d.cancelled, 0) OR b.expired <> COALESCE(d.expired, 0)
LIMIT 100`

// OffBalance is a batch whose counters are not what its rows say.
type OffBalance struct {
	Run   string `json:"run"`
	Batch int64  `json:"batch"`
}

// CheckAccounts compares every counter with the rows it counts, in one
// moment, and returns the batches that differ; there should be none.
func (s *Store) CheckAccounts(ctx context.Context) ([]OffBalance, error) {
	list, err := collect(ctx, s.reader(), qOffBalance, func(scan func(...any) error) (o OffBalance, err error) {
		err = scan(&o.Run, &o.Batch)
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("compare the accounts with their rows: %w", s.classify(err))
	}
	return list, nil
}
