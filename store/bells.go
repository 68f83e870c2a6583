package store

import (
	"context"
	"fmt"
	"time"

	"rapport/outbox"
)

// Fair between runs, and between receiving domains of a run that have batches
// of their own: the first due batch of each, then the second of each, and so on.
const qDue query = `
SELECT id, run_id, channel, lane, round FROM (
  SELECT b.id, b.run_id, b.channel, b.lane, b.round,
    ROW_NUMBER() OVER (PARTITION BY b.run_id, b.pace ORDER BY b.next_at, b.id) AS place
  FROM batches b JOIN runs r ON r.id = b.run_id
  LEFT JOIN holds h ON h.channel = b.channel AND (h.until = 0 OR h.until > $2)
  WHERE b.lane = $1 AND b.next_at IS NOT NULL AND b.next_at <= $2 AND b.armed_until <= $2
    AND r.state IN ('planning', 'running') AND h.channel IS NULL
) ranked ORDER BY place, id LIMIT $3`

// Due lists batches of a lane that have something due, are not armed, not
// held and whose run goes on.
func (s *Store) Due(ctx context.Context, lane outbox.Lane, now time.Time, limit int) ([]outbox.Batch, error) {
	list, err := collect(ctx, s.reader(), qDue, func(scan func(...any) error) (b outbox.Batch, err error) {
		err = scan(&b.ID, &b.Run, &b.Channel, &b.Lane, &b.Round)
		return b, err
	}, lane, micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("look for due batches: %w", s.classify(err))
	}
	return list, nil
}

const qArm query = `
UPDATE batches SET round = round + 1, armed_until = $4 WHERE id = $1 AND round = $2 AND armed_until <= $3`

// Arm marks a batch as asked for and raises its round; false when somebody
// else was faster.
func (s *Store) Arm(ctx context.Context, b outbox.Batch, now, until time.Time) (outbox.Batch, bool, error) {
	var n int64
	err := s.update(ctx, quick, func(t tx) (err error) {
		n, err = t.exec(ctx, qArm, b.ID, b.Round, micros(now), micros(until))
		return err
	})
	if err != nil {
		return b, false, fmt.Errorf("arm batch %d: %w", b.ID, err)
	}
	b.Round++
	return b, n > 0, nil
}

// foldBatches is how many batches one Fold takes, each of some hundreds or a
// thousand rows.
const foldBatches = 4

const qFoldable query = `
SELECT b.id, 'cancelled', 'by_person' FROM runs r CROSS JOIN batches b
WHERE r.state = 'cancelling' AND b.run_id = r.id AND b.queued > 0
UNION ALL
SELECT b.id, 'expired', 'time_over' FROM batches b
WHERE b.next_at IS NOT NULL AND b.expires_at > 0 AND b.expires_at <= $1 AND b.queued > 0
LIMIT $2`

const qFold query = `
UPDATE deliveries SET state = CAST($2 AS TEXT), reason = $3, worker_id = NULL, updated_at = $4
WHERE batch_id = $1 AND state = 'queued' AND (CAST($2 AS TEXT) = 'cancelled' OR (expires_at > 0 AND expires_at <= $4))`

// What is in somebody's hand may be queued again, so a batch of which something
// is gets another look a minute later ($2).
const qExpiryAgain query = `
UPDATE batches SET
  next_at = (SELECT MIN(not_before) FROM deliveries WHERE batch_id = $1 AND state = 'queued'),
  expires_at = CASE WHEN expires_at > 0 AND claimed + sending > 0
    THEN {{least CAST($2 AS BIGINT), COALESCE((SELECT MIN(expires_at) FROM deliveries WHERE batch_id = $1 AND state = 'queued' AND expires_at > 0), $2)}}
    ELSE COALESCE((SELECT MIN(expires_at) FROM deliveries WHERE batch_id = $1 AND state = 'queued' AND expires_at > 0), 0) END
WHERE id = $1`

// What waits again after others of its batch have ended ends at its expiry all
// the same.
const qExpiryLate query = `
UPDATE batches SET expires_at = v.ends
FROM (SELECT d.batch_id, MIN(d.expires_at) AS ends FROM {{each $1}} CROSS JOIN deliveries d
  WHERE d.id = CAST(e.value AS BIGINT) AND d.expires_at > 0 GROUP BY d.batch_id) v
WHERE batches.id = v.batch_id AND (batches.expires_at = 0 OR batches.expires_at > v.ends)`

// Fold ends, in chunks, the waiting deliveries of cancelled runs and those
// whose time is over.
func (s *Store) Fold(ctx context.Context, now time.Time) (int64, error) {
	type fold struct {
		batch         int64
		state, reason string
	}
	list, err := collect(ctx, s.reader(), qFoldable, func(scan func(...any) error) (f fold, err error) {
		err = scan(&f.batch, &f.state, &f.reason)
		return f, err
	}, micros(now), foldBatches)
	if err != nil {
		return 0, fmt.Errorf("look for what to fold: %w", s.classify(err))
	}
	var sum int64
	for _, f := range list {
		var n int64
		err := s.update(ctx, bulk, func(t tx) (err error) {
			n, err = t.exec(ctx, qFold, f.batch, f.state, f.reason, micros(now))
			if err != nil {
				return err
			}
			var c counts
			c.addN(f.batch, outbox.Queued, outbox.State(f.state), n, now)
			if err := c.write(ctx, t); err != nil {
				return err
			}
			_, err = t.exec(ctx, qExpiryAgain, f.batch, micros(now.Add(time.Minute)))
			return err
		})
		if err != nil {
			return sum, fmt.Errorf("fold batch %d: %w", f.batch, err)
		}
		sum += n
	}
	return sum, nil
}

const qEnded query = `
SELECT r.id FROM runs r
WHERE r.state IN ('running', 'cancelling')
  AND (r.planned_at IS NOT NULL OR r.state = 'cancelling')
  AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.run_id = r.id AND b.queued + b.claimed + b.sending > 0)
LIMIT 100`

// Whoever queues something of a run again holds its row meanwhile, so the end
// is decided behind them.
const qEnding query = `SELECT r.id FROM runs r WHERE r.id = $1 {{lock r}}`

const qFinish query = `
UPDATE runs SET state = CASE WHEN state = 'cancelling' THEN 'cancelled' ELSE 'finished' END, finished_at = $2
WHERE id = $1 AND state IN ('running', 'cancelling')
  AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.run_id = $1 AND b.queued + b.claimed + b.sending > 0)`

const qFinishCampaign query = `
UPDATE campaigns SET updated_at = $2,
  state = CASE WHEN next_at IS NOT NULL THEN 'scheduled' WHEN state = 'cancelled' THEN 'cancelled' ELSE 'finished' END
WHERE id = (SELECT campaign_id FROM runs WHERE id = $1) AND state IN ('running', 'paused', 'cancelled')`

// Finish ends runs of which nothing is open any more and returns them.
func (s *Store) Finish(ctx context.Context, now time.Time) ([]outbox.Account, error) {
	ids, err := collect(ctx, s.reader(), qEnded, scalar[int64])
	if err != nil {
		return nil, fmt.Errorf("look for ended runs: %w", s.classify(err))
	}
	var out []outbox.Account
	for _, id := range ids {
		ended, err := s.finish(ctx, id, now)
		if err != nil {
			return out, fmt.Errorf("finish run %d: %w", id, err)
		}
		if !ended {
			continue
		}
		a, err := s.account(ctx, id, now)
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
	return out, nil
}

// finish ends a run, if nothing of it is open now.
func (s *Store) finish(ctx context.Context, run int64, now time.Time) (ended bool, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		if _, _, err := one(ctx, t, qEnding, scalar[int64], run); err != nil {
			return err
		}
		n, err := t.exec(ctx, qFinish, run, micros(now))
		if ended = n > 0; err != nil || !ended {
			return err
		}
		_, err = t.exec(ctx, qFinishCampaign, run, micros(now))
		return err
	})
	return ended, err
}
