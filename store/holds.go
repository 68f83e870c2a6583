package store

import (
	"context"
	"fmt"
	"time"

	"rapport/outbox"
)

// A hold for a person outlasts every timed one, and a longer one a shorter.
const qHold query = `
INSERT INTO holds (channel, until, reason, detail, since) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (channel) DO UPDATE SET until = excluded.until, reason = excluded.reason, detail = excluded.detail,
  since = CASE WHEN holds.until > 0 AND holds.until <= excluded.since THEN excluded.since ELSE holds.since END,
  notified_at = CASE WHEN excluded.until = 0 AND holds.until > 0 THEN NULL ELSE holds.notified_at END
WHERE holds.until > 0 AND (excluded.until = 0 OR excluded.until > holds.until)`

func (t tx) hold(ctx context.Context, h outbox.Hold) error {
	_, err := t.exec(ctx, qHold, h.Channel, micros(h.Until), h.Reason, h.Detail, micros(h.Since))
	return err
}

const qNameless query = `SELECT 1 FROM deliveries WHERE id = $1 AND address IS NULL`

// holdFor stops a channel after what became of a delivery. What the server said
// may name the person, so nothing of it is kept of one who was erased meanwhile.
func (t tx) holdFor(ctx context.Context, m outbox.Settlement) error {
	h := *m.Hold
	_, nameless, err := one(ctx, t, qNameless, scalar[int64], m.Delivery)
	if err != nil {
		return err
	}
	if nameless {
		h.Detail = ""
	}
	return t.hold(ctx, h)
}

// Hold stops a channel.
func (s *Store) Hold(ctx context.Context, h outbox.Hold) error {
	err := s.update(ctx, durable, func(t tx) error { return t.hold(ctx, h) })
	if err != nil {
		return fmt.Errorf("hold channel %s: %w", h.Channel, err)
	}
	return nil
}

// What is held because the database was restored goes on with everything else.
const qLift query = `DELETE FROM holds WHERE channel = $1 AND reason <> 'restored'`

// Lift releases a channel; false when it was not held.
func (s *Store) Lift(ctx context.Context, channel string) (bool, error) {
	var n int64
	err := s.update(ctx, durable, func(t tx) (err error) {
		n, err = t.exec(ctx, qLift, channel)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("lift the hold of channel %s: %w", channel, err)
	}
	return n > 0, nil
}

const qHolds query = `SELECT channel, until, reason, detail, since FROM holds WHERE until = 0 OR until > $1 ORDER BY channel`

// Holds lists the channels that may not send now.
func (s *Store) Holds(ctx context.Context, now time.Time) ([]outbox.Hold, error) {
	list, err := collect(ctx, s.reader(), qHolds, func(scan func(...any) error) (h outbox.Hold, err error) {
		var until, since int64
		err = scan(&h.Channel, &until, &h.Reason, &h.Detail, &since)
		h.Until, h.Since = when(until), when(since)
		return h, err
	}, micros(now))
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", s.classify(err))
	}
	return list, nil
}
