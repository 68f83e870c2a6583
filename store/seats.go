package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/outbox"
)

const qSit query = `INSERT INTO workers (name, started_at, beat_at) VALUES ($1, $2, $2) RETURNING id`

const qBeat query = `UPDATE workers SET beat_at = $2 WHERE id = $1 AND gone_at IS NULL`

const qLeave query = `UPDATE workers SET gone_at = $2 WHERE id = $1`

// qDisarm makes the pump ring again for everything: what was asked of a dead
// worker, or of a queue that lived in a process that is gone.
const qDisarm query = `UPDATE batches SET armed_until = 0 WHERE armed_until > 0`

// A worker holds a session lock on its number, which PostgreSQL lets go when
// the process dies, however it dies. The schema keeps stores in one database
// apart.
const qSeatLock query = `SELECT pg_try_advisory_lock(hashtext(current_schema()), CAST($1 AS INTEGER))`

const qSeatUnlock query = `SELECT pg_advisory_unlock(hashtext(current_schema()), CAST($1 AS INTEGER))`

// Sit takes a seat under a name.
func (s *Store) Sit(ctx context.Context, name string, now time.Time) (outbox.Seat, error) {
	c := &chair{s: s}
	if s.d == &sqliteDialect {
		l, err := tryLock(filepath.Join(s.data, "sender.lock"))
		if errors.Is(err, errHeld) {
			return nil, rapport.Conflictf("another process is sending with the data folder %s: stop it first, or use PostgreSQL and Redis to run several", s.data)
		}
		if err != nil {
			return nil, rapport.Unavailablef(err, "the sender's lock in the data folder cannot be taken: %v", err)
		}
		c.file = l
	}
	err := s.update(ctx, durable, func(t tx) (err error) {
		if c.id, err = t.insert(ctx, qSit, name, micros(now)); err != nil {
			return err
		}
		if s.d == &sqliteDialect {
			_, err = t.exec(ctx, qDisarm)
		}
		return err
	})
	if err == nil && s.d == &postgresDialect {
		err = c.lock(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take a seat: %w", err), c.free())
	}
	return c, nil
}

// Sender says whether some process is sending from this embedded database.
// On PostgreSQL the workers answer for themselves, see Workers.
func (s *Store) Sender() (bool, error) {
	l, err := tryLock(filepath.Join(s.data, "sender.lock"))
	if errors.Is(err, errHeld) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, l.Release()
}

// chair is a seat: a row, and the lock that dies with the process.
type chair struct {
	s    *Store
	id   int64
	file *Lock     // SQLite
	conn *sql.Conn // PostgreSQL
}

// ID is the number that stands on the rows of this worker.
func (c *chair) ID() int64 { return c.id }

func (c *chair) lock(ctx context.Context) error {
	conn, err := c.s.pools.durable.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect for the seat's lock: %w", err)
	}
	c.conn = conn
	got, err := seatLock(ctx, conn, qSeatLock, c.id)
	if err == nil && !got {
		err = fmt.Errorf("seat %d is taken", c.id)
	}
	return err
}

func seatLock(ctx context.Context, conn *sql.Conn, q query, id int64) (got bool, err error) {
	err = conn.QueryRowContext(ctx, string(q), id).Scan(&got)
	return got, err
}

// Beat says that the worker lives. On PostgreSQL the connection that holds
// the lock must live, too.
func (c *chair) Beat(ctx context.Context, now time.Time) error {
	if c.conn != nil {
		if err := c.conn.PingContext(ctx); err != nil {
			return fmt.Errorf("the seat's lock is lost: %w", err)
		}
	}
	var n int64
	err := c.s.update(ctx, quick, func(t tx) (err error) {
		n, err = t.exec(ctx, qBeat, c.id, micros(now))
		return err
	})
	if err == nil && n == 0 {
		err = fmt.Errorf("seat %d was given away", c.id)
	}
	return err
}

// Leave gives the seat up.
func (c *chair) Leave(ctx context.Context, now time.Time) error {
	err := c.s.update(ctx, quick, func(t tx) error {
		_, err := t.exec(ctx, qLeave, c.id, micros(now))
		return err
	})
	return errors.Join(err, c.free())
}

func (c *chair) free() error {
	var errs []error
	if c.file != nil {
		errs = append(errs, c.file.Release())
	}
	if c.conn != nil {
		// Unlocking fails only with the connection, which unlocks as well.
		_, _ = seatLock(context.Background(), c.conn, qSeatUnlock, c.id)
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}

const qSeats query = `
SELECT w.id FROM workers w
WHERE w.gone_at IS NULL
  OR EXISTS (SELECT 1 FROM deliveries d WHERE d.worker_id = w.id AND d.state IN ('claimed', 'sending'))
ORDER BY w.id`

// Reclaim judges the rows of dead workers. A live worker's rows are never
// taken away, however long it has been silent.
func (s *Store) Reclaim(ctx context.Context, policy func(channels.Class, string) outbox.Policy, now time.Time) (outbox.Reclaimed, error) {
	var out outbox.Reclaimed
	seats, err := collect(ctx, s.reader(), qSeats, scalar[int64])
	if err != nil {
		return out, fmt.Errorf("list workers: %w", s.classify(err))
	}
	for _, id := range seats {
		free, dead, err := s.dead(ctx, id)
		if err != nil {
			return out, fmt.Errorf("look after worker %d: %w", id, s.classify(err))
		}
		if !dead {
			continue
		}
		err = s.bury(ctx, id, policy, now, &out)
		free()
		if err != nil {
			return out, fmt.Errorf("judge the rows of worker %d: %w", id, err)
		}
		out.Workers++
	}
	return out, nil
}

// dead says whether a worker is dead, and keeps it so until free is called.
// On SQLite whoever asks is the one sender, so everybody else is dead.
func (s *Store) dead(ctx context.Context, id int64) (free func(), dead bool, err error) {
	if s.d == &sqliteDialect {
		mine, _, err := one(ctx, s.reader(), `SELECT MAX(id) FROM workers`, scalar[int64])
		return func() {}, id != mine, err
	}
	conn, err := s.pools.durable.Conn(ctx)
	if err != nil {
		return nil, false, err
	}
	got, err := seatLock(ctx, conn, qSeatLock, id)
	if err != nil || !got {
		return nil, false, errors.Join(err, conn.Close())
	}
	return func() {
		_, _ = seatLock(context.Background(), conn, qSeatUnlock, id) // closing would do it as well
		_ = conn.Close()
	}, true, nil
}

const qOrphans query = `
SELECT d.id, d.turn, d.state, d.batch_id, r.class, r.channel
FROM deliveries d CROSS JOIN runs r
WHERE d.worker_id = $1 AND d.state IN ('claimed', 'sending') AND r.id = d.run_id
ORDER BY d.id LIMIT 500 {{lock d}}`

type orphan struct {
	id, turn, batch int64
	state           outbox.State
	class           channels.Class
	channel         string
}

// bury judges all rows of a dead worker and closes its seat.
func (s *Store) bury(ctx context.Context, worker int64, policy func(channels.Class, string) outbox.Policy, now time.Time, sum *outbox.Reclaimed) error {
	for {
		var step outbox.Reclaimed
		var n int
		err := s.update(ctx, durable, func(t tx) error {
			step = outbox.Reclaimed{}
			list, err := collect(ctx, t, qOrphans, scanOrphan, worker)
			if err != nil {
				return err
			}
			n = len(list)
			var e exchange
			for _, o := range list {
				e.orphan(o, policy(o.class, o.channel), now, &step)
			}
			if err := e.write(ctx, t); err != nil || n > 0 {
				return err
			}
			if _, err := t.exec(ctx, qDisarm); err != nil {
				return err
			}
			_, err = t.exec(ctx, qLeave, worker, micros(now))
			return err
		})
		if err != nil {
			return err
		}
		sum.Freed, sum.Repeated, sum.Uncertain = sum.Freed+step.Freed, sum.Repeated+step.Repeated, sum.Uncertain+step.Uncertain
		if n == 0 {
			return nil
		}
	}
}

func scanOrphan(scan func(...any) error) (o orphan, err error) {
	var class string
	err = scan(&o.id, &o.turn, &o.state, &o.batch, &class, &o.channel)
	o.class = classOf(class)
	return o, err
}

func (e *exchange) orphan(o orphan, p outbox.Policy, now time.Time, sum *outbox.Reclaimed) {
	state, reason := p.Orphan(o.state)
	m := outbox.Settlement{Delivery: o.id, Turn: o.turn, State: state, Reason: reason, At: now, NotBefore: now}
	if o.state == outbox.Sending {
		m.Charge, m.Verdict = true, channels.Uncertain.String()
		m.Detail = "the sending process ended between the offer and the answer"
		e.attempts = append(e.attempts, m)
	}
	switch {
	case state == outbox.Uncertain:
		sum.Uncertain++
	case o.state == outbox.Sending:
		sum.Repeated++
	default:
		sum.Freed++
	}
	e.move(&facts{id: o.id, turn: o.turn, batch: o.batch, state: o.state}, m, 0)
}
