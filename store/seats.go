package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
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
// worker, or of a queue that lived in a process that is gone. What is asked
// for twice costs one look.
const qDisarm query = `UPDATE batches SET armed_until = 0 WHERE armed_until > 0`

// A worker holds a session lock on its number, which PostgreSQL lets go when
// the process dies, however it dies. The schema keeps stores in one database
// apart.
const qSeatLock query = `SELECT pg_try_advisory_lock(hashtext(current_schema()), CAST($1 AS INTEGER))`

const qSeatWait query = `SELECT pg_advisory_lock(hashtext(current_schema()), CAST($1 AS INTEGER))`

const qSeatUnlock query = `SELECT pg_advisory_unlock(hashtext(current_schema()), CAST($1 AS INTEGER))`

// deadAfter is how long a worker may be without its lock and still be alive: a
// connection can be cut while the process goes on. unlockTime bounds the word
// to a database that may be away.
const (
	deadAfter  = 30 * time.Second
	unlockTime = 5 * time.Second
)

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
		if s.d == &postgresDialect {
			err = c.lock(ctx) // before anybody can see the seat and find it free
		}
		return err
	})
	if err == nil {
		err = s.disarm(ctx)
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

// lock holds the lock on a connection of its own; one that it had is let go.
func (c *chair) lock(ctx context.Context) error {
	if c.conn != nil {
		c.s.unlock(c.conn, c.id)
		c.conn = nil
	}
	conn, err := c.s.pools.durable.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect for the seat's lock: %w", err)
	}
	c.conn = conn
	if _, err := conn.ExecContext(ctx, string(qSeatWait), c.id); err != nil {
		return fmt.Errorf("lock seat %d: %w", c.id, err)
	}
	return nil
}

// tryLock says whether nobody holds the lock of a seat, and holds it then.
func tryLockSeat(ctx context.Context, conn *sql.Conn, id int64) (got bool, err error) {
	err = conn.QueryRowContext(ctx, string(qSeatLock), id).Scan(&got)
	return got, err
}

// unlock lets a lock and its connection go. A connection that cannot be asked
// must not come back to the pool with the lock on it.
func (s *Store) unlock(conn *sql.Conn, id int64) {
	ctx, cancel := context.WithTimeout(context.Background(), unlockTime)
	defer cancel()
	if _, err := conn.ExecContext(ctx, string(qSeatUnlock), id); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // ends the session, and the lock with it
	}
	_ = conn.Close()
}

func (s *Store) disarm(ctx context.Context) error {
	return s.update(ctx, quick, func(t tx) error {
		_, err := t.exec(ctx, qDisarm)
		return err
	})
}

// Beat says that the worker lives. On PostgreSQL a connection that was cut has
// lost the lock, which is taken again: nobody gives the seat away meanwhile.
func (c *chair) Beat(ctx context.Context, now time.Time) error {
	if c.conn != nil {
		if err := c.conn.PingContext(ctx); err != nil {
			if again := c.lock(ctx); again != nil {
				return fmt.Errorf("the seat's lock is lost: %w", errors.Join(err, again))
			}
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
		c.s.unlock(c.conn, c.id)
		c.conn = nil
	}
	return errors.Join(errs...)
}

const qSeats query = `
SELECT w.id, w.beat_at, w.gone_at IS NOT NULL FROM workers w
WHERE w.gone_at IS NULL
  OR EXISTS (SELECT 1 FROM deliveries d WHERE d.worker_id = w.id AND d.state IN ('claimed', 'sending'))
ORDER BY w.id`

// silent is a worker whose lock is free. When it is not certain that it is
// dead, only what cannot hurt a living one is done about its rows.
type silent struct {
	id      int64
	certain bool
	left    bool // it gave its seat up, so that it did not die of what it had in hand
}

// Reclaim judges the rows of dead workers. A live worker's rows are never
// taken away, however long it has been silent.
func (s *Store) Reclaim(ctx context.Context, policy func(channels.Class, string) outbox.Policy, now time.Time) (outbox.Reclaimed, error) {
	var out outbox.Reclaimed
	seats, err := collect(ctx, s.reader(), qSeats, func(scan func(...any) error) (w silent, err error) {
		var beat int64
		err = scan(&w.id, &beat, &w.left)
		w.certain = s.d == &sqliteDialect || now.Sub(when(beat)).Abs() >= deadAfter
		return w, err
	})
	if err != nil {
		return out, fmt.Errorf("list workers: %w", s.classify(err))
	}
	for _, w := range seats {
		free, dead, err := s.dead(ctx, w.id)
		if err != nil {
			return out, fmt.Errorf("look after worker %d: %w", w.id, s.classify(err))
		}
		if !dead {
			continue
		}
		err = s.bury(ctx, w, policy, now, &out)
		free()
		if err != nil {
			return out, fmt.Errorf("judge the rows of worker %d: %w", w.id, err)
		}
	}
	return out, nil
}

// dead says whether a worker has no lock, and keeps it so until free is
// called. On SQLite whoever asks is the one sender, so everybody else is dead.
func (s *Store) dead(ctx context.Context, id int64) (free func(), dead bool, err error) {
	if s.d == &sqliteDialect {
		mine, _, err := one(ctx, s.reader(), `SELECT MAX(id) FROM workers`, scalar[int64])
		return func() {}, id != mine, err
	}
	conn, err := s.pools.durable.Conn(ctx)
	if err != nil {
		return nil, false, err
	}
	got, err := tryLockSeat(ctx, conn, id)
	if err != nil || !got {
		return nil, false, errors.Join(err, conn.Close())
	}
	return func() { s.unlock(conn, id) }, true, nil
}

const qOrphans query = `
SELECT d.id, d.turn, d.state, d.batch_id, d.attempt, r.class, r.channel
FROM deliveries d CROSS JOIN runs r
WHERE d.worker_id = $1 AND d.state IN ('claimed', 'sending') AND r.id = d.run_id AND d.id > $2
ORDER BY d.id LIMIT 500 {{lock d}}`

type orphan struct {
	id, turn, batch int64
	attempt         int
	state           outbox.State
	class           channels.Class
	channel         string
}

// bury judges the rows of a worker whose lock is free, and closes its seat
// when it is certain that it is dead. Until then nothing is sent again that it
// may be sending now; a claim that is taken back, or an outcome that is called
// uncertain too early, does a living worker no harm.
func (s *Store) bury(ctx context.Context, w silent, policy func(channels.Class, string) outbox.Policy, now time.Time, sum *outbox.Reclaimed) error {
	var judged bool
	var after int64
	for {
		var step outbox.Reclaimed
		last := after
		err := s.update(ctx, durable, func(t tx) error {
			step, last = outbox.Reclaimed{}, after
			list, err := collect(ctx, t, qOrphans, scanOrphan, w.id, after)
			if err != nil {
				return err
			}
			var e exchange
			var claimed []int64
			for _, o := range list {
				last = o.id
				p := policy(o.class, o.channel)
				if w.certain || !p.Repeat || o.state == outbox.Claimed {
					e.orphan(o, p, now, &step)
				}
				if o.state == outbox.Claimed && !w.left {
					claimed = append(claimed, o.id)
				}
			}
			if err := e.write(ctx, t); err != nil {
				return err
			}
			if err := t.suspect(ctx, claimed); err != nil || len(list) > 0 || !w.certain {
				return err
			}
			if _, err := t.exec(ctx, qDisarm); err != nil {
				return err
			}
			_, err = t.exec(ctx, qLeave, w.id, micros(now))
			return err
		})
		if err != nil {
			return err
		}
		judged = judged || step != (outbox.Reclaimed{})
		sum.Freed, sum.Repeated, sum.Uncertain = sum.Freed+step.Freed, sum.Repeated+step.Repeated, sum.Uncertain+step.Uncertain
		if last == after {
			break
		}
		after = last
	}
	if judged && !w.certain {
		if err := s.disarm(ctx); err != nil {
			return err
		}
	}
	if judged || w.certain {
		sum.Workers++
	}
	return nil
}

func scanOrphan(scan func(...any) error) (o orphan, err error) {
	var class string
	err = scan(&o.id, &o.turn, &o.state, &o.batch, &o.attempt, &class, &o.channel)
	o.class = classOf(class)
	return o, err
}

func (e *exchange) orphan(o orphan, p outbox.Policy, now time.Time, sum *outbox.Reclaimed) {
	state, reason := p.Orphan(o.state, o.attempt)
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
