package store

import (
	"context"
	"fmt"
	"time"

	"rapport/outbox"
)

const qSlows query = `
SELECT channel, domain, every, before, until, since, changed_at, good, reason, detail FROM slow_domains ORDER BY channel, domain`

// Slows lists the receiving domains that asked for less.
func (s *Store) Slows(ctx context.Context) ([]outbox.Slow, error) {
	list, err := collect(ctx, s.reader(), qSlows, func(scan func(...any) error) (d outbox.Slow, err error) {
		var every, before, until, since, changed int64
		err = scan(&d.Channel, &d.Domain, &every, &before, &until, &since, &changed, &d.Good, &d.Reason, &d.Detail)
		d.Every, d.Before = time.Duration(every)*time.Microsecond, time.Duration(before)*time.Microsecond
		d.Until, d.Since, d.Changed = when(until), when(since), when(changed)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list slowed domains: %w", s.classify(err))
	}
	return list, nil
}

const qAddSlow query = `
INSERT INTO slow_domains (channel, domain, every, before, until, since, changed_at, good, reason, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`

const qKeepSlow query = `
UPDATE slow_domains SET every = $3, before = $4, until = $5, since = $6, changed_at = $7, good = $8, reason = $9, detail = $10
WHERE channel = $1 AND domain = $2 AND changed_at = $11`

const qFreeSlow query = `DELETE FROM slow_domains WHERE channel = $1 AND domain = $2 AND changed_at = $3`

// KeepSlow replaces the state of a domain if it is still as it was.
func (s *Store) KeepSlow(ctx context.Context, was, is outbox.Slow) (bool, error) {
	row := []any{
		is.Channel, is.Domain, is.Every.Microseconds(), is.Before.Microseconds(), micros(is.Until), micros(is.Since), micros(is.Changed),
		is.Good, is.Reason, is.Detail,
	}
	var n int64
	err := s.update(ctx, quick, func(t tx) (err error) {
		switch {
		case was.Free() && is.Free():
			return nil
		case was.Free():
			n, err = t.exec(ctx, qAddSlow, row...)
		case is.Free():
			n, err = t.exec(ctx, qFreeSlow, is.Channel, is.Domain, micros(was.Changed))
		default:
			n, err = t.exec(ctx, qKeepSlow, append(row, micros(was.Changed))...)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("keep the pace of %s to %s: %w", is.Channel, is.Domain, err)
	}
	return n > 0, nil
}

const qPraise query = `UPDATE slow_domains SET good = good + $3 WHERE channel = $1 AND domain = $2`

// Praise counts messages that a slowed domain has accepted.
func (s *Store) Praise(ctx context.Context, channel, domain string, n int64) error {
	err := s.update(ctx, quick, func(t tx) error {
		_, err := t.exec(ctx, qPraise, channel, domain, n)
		return err
	})
	if err != nil {
		return fmt.Errorf("count what %s accepted: %w", domain, err)
	}
	return nil
}

const qLiveRates query = `SELECT channel, amount, per, set_at FROM channel_rates ORDER BY channel`

// LiveRates lists the channels whose rate was set while they were sending.
func (s *Store) LiveRates(ctx context.Context) ([]outbox.LiveRate, error) {
	list, err := collect(ctx, s.reader(), qLiveRates, func(scan func(...any) error) (r outbox.LiveRate, err error) {
		var per, since int64
		err = scan(&r.Channel, &r.N, &per, &since)
		r.Per, r.Since = time.Duration(per)*time.Microsecond, when(since)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list live rates: %w", s.classify(err))
	}
	return list, nil
}

const qSetRate query = `
INSERT INTO channel_rates (channel, amount, per, set_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (channel) DO UPDATE SET amount = excluded.amount, per = excluded.per, set_at = excluded.set_at`

// SetRate changes the rate of a channel for all processes, until it is reset.
func (s *Store) SetRate(ctx context.Context, r outbox.LiveRate) error {
	err := s.update(ctx, durable, func(t tx) error {
		_, err := t.exec(ctx, qSetRate, r.Channel, r.N, r.Per.Microseconds(), micros(r.Since))
		return err
	})
	if err != nil {
		return fmt.Errorf("set the rate of channel %s: %w", r.Channel, err)
	}
	return nil
}

const qResetRate query = `DELETE FROM channel_rates WHERE channel = $1`

// ResetRate lets the configured rate of a channel hold again; false when it
// did already.
func (s *Store) ResetRate(ctx context.Context, channel string) (bool, error) {
	var n int64
	err := s.update(ctx, durable, func(t tx) (err error) {
		n, err = t.exec(ctx, qResetRate, channel)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("reset the rate of channel %s: %w", channel, err)
	}
	return n > 0, nil
}

const qOpenWarm query = `INSERT INTO warmups (channel, day, taken) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING`

const qWarmed query = `SELECT w.taken FROM warmups w WHERE w.channel = $1 AND w.day = $2 {{lock w}}`

const qWarm query = `UPDATE warmups SET taken = $3 WHERE channel = $1 AND day = $2`

// Warm takes messages of a channel's day out of its limit, or gives some back.
func (s *Store) Warm(ctx context.Context, channel, day string, limit, want int64) (got, taken int64, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		if _, err := t.exec(ctx, qOpenWarm, channel, day); err != nil {
			return err
		}
		var err error
		if taken, _, err = one(ctx, t, qWarmed, scalar[int64], channel, day); err != nil {
			return err
		}
		got = max(min(want, limit-taken), min(want, 0), -taken)
		if got == 0 {
			return nil
		}
		taken += got
		_, err = t.exec(ctx, qWarm, channel, day, taken)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count the warm-up of channel %s: %w", channel, err)
	}
	return got, taken, nil
}

const qWarmedToday query = `SELECT COALESCE((SELECT taken FROM warmups WHERE channel = $1 AND day = $2), 0)`

// Warmed is how many messages of a channel's warm-up have left on a day, with
// those that processes hold ready.
func (s *Store) Warmed(ctx context.Context, channel, day string) (int64, error) {
	n, _, err := one(ctx, s.reader(), qWarmedToday, scalar[int64], channel, day)
	if err != nil {
		return 0, fmt.Errorf("read the warm-up of channel %s: %w", channel, s.classify(err))
	}
	return n, nil
}

const qPutOff query = `
UPDATE batches SET armed_until = $2,
  next_at = (SELECT MIN(not_before) FROM deliveries WHERE batch_id = $1 AND state = 'queued')
WHERE id = $1`

// PutOff leaves a batch alone until a time.
func (s *Store) PutOff(ctx context.Context, batch int64, until time.Time) error {
	err := s.update(ctx, quick, func(t tx) error {
		if t.s.d == &postgresDialect {
			if _, _, err := one(ctx, t, qBatchAlone, scalar[int64], batch); err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, qPutOff, batch, micros(until))
		return err
	})
	if err != nil {
		return fmt.Errorf("put off batch %d: %w", batch, err)
	}
	return nil
}

const qPaceOf query = `SELECT pace FROM batches WHERE id = $1`

// PaceOf is the receiving domain all deliveries of a batch go to.
func (s *Store) PaceOf(ctx context.Context, batch int64) (string, error) {
	pace, _, err := one(ctx, s.reader(), qPaceOf, scalar[string], batch)
	if err != nil {
		return "", fmt.Errorf("read the pace of batch %d: %w", batch, s.classify(err))
	}
	return pace, nil
}
