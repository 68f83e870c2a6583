package store

import (
	"context"
	"fmt"
	"time"

	"rapport/channels"
	"rapport/outbox"
)

const qName query = `INSERT INTO installation (one, uid) VALUES (1, $1) ON CONFLICT (one) DO NOTHING`

const qMilestone query = `
SELECT uid, departed, departed_at, COALESCE((SELECT MAX(id) FROM runs), 0), COALESCE((SELECT MAX(id) FROM contacts), 0),
  COALESCE(held_at, 0), ahead, ahead_at, ahead_run, ahead_contact, why
FROM installation WHERE one = 1`

const qPass query = `UPDATE installation SET departed = departed + $1, departed_at = $2 WHERE one = 1`

type milestone struct {
	outbox.Milestone
	outbox.Standstill
}

func scanMilestone(scan func(...any) error) (m milestone, err error) {
	var at, held, aheadAt int64
	a := &m.Ahead
	err = scan(&m.Installation, &m.Departed, &at, &m.Run, &m.Contact, &held, &a.Departed, &aheadAt, &a.Run, &a.Contact, &m.Why)
	m.At, m.Since, a.At = when(at), when(held), when(aheadAt)
	a.Installation = m.Installation
	return m, err
}

// Milestone implements outbox.Milestones.
func (s *Store) Milestone(ctx context.Context, name string) (outbox.Milestone, outbox.Standstill, error) {
	m, ok, err := one(ctx, s.reader(), qMilestone, scanMilestone)
	if err == nil && !ok && name != "" {
		err = s.update(ctx, durable, func(t tx) (err error) {
			if _, err = t.exec(ctx, qName, name); err != nil {
				return err
			}
			m, _, err = one(ctx, t, qMilestone, scanMilestone)
			return err
		})
	}
	if err != nil {
		err = fmt.Errorf("read how far the database has come: %w", s.classify(err))
	}
	return m.Milestone, m.Standstill, err
}

// Pass implements outbox.Milestones.
func (s *Store) Pass(ctx context.Context, n int64, now time.Time) (outbox.Milestone, outbox.Standstill, error) {
	var m milestone
	err := s.update(ctx, durable, func(t tx) (err error) {
		if _, err = t.exec(ctx, qPass, n, micros(now)); err != nil {
			return err
		}
		m, _, err = one(ctx, t, qMilestone, scanMilestone)
		return err
	})
	if err != nil {
		err = fmt.Errorf("write how far the database has come: %w", err)
	}
	return m.Milestone, m.Standstill, err
}

const qHalt query = `
UPDATE installation SET held_at = $1, ahead = $2, ahead_at = $3, ahead_run = $4, ahead_contact = $5, why = $6
WHERE one = 1 AND held_at IS NULL`

const qOpenChannels query = `
SELECT DISTINCT channel FROM runs WHERE state IN ('planning', 'running', 'paused', 'cancelling') ORDER BY channel`

// Halt implements outbox.Milestones.
func (s *Store) Halt(ctx context.Context, h outbox.Standstill, channels []string) error {
	err := s.update(ctx, durable, func(t tx) error {
		a := h.Ahead
		if _, err := t.exec(ctx, qHalt, micros(h.Since), a.Departed, micros(a.At), a.Run, a.Contact, h.Why); err != nil {
			return err
		}
		more, err := collect(ctx, t, qOpenChannels, scalar[string])
		if err != nil {
			return err
		}
		for _, name := range append(more, channels...) {
			if err := t.hold(ctx, outbox.Hold{Channel: name, Reason: outbox.Restored, Detail: h.Why, Since: h.Since}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("stop everything, as the database is older than what was sent: %w", err)
	}
	return nil
}

const qUnknown query = `
SELECT COUNT(*) FROM (SELECT CAST(e.value ->> 0 AS BIGINT) AS id, CAST(e.value ->> 1 AS BIGINT) AS turn FROM {{each $1}}) v
LEFT JOIN deliveries d ON d.id = v.id
WHERE d.id IS NULL OR d.turn < v.turn`

// Unknown implements outbox.Milestones.
func (s *Store) Unknown(ctx context.Context, outcomes []outbox.Settlement) (int, error) {
	if len(outcomes) == 0 {
		return 0, nil
	}
	rows := make([][]int64, len(outcomes))
	for i, o := range outcomes {
		rows[i] = []int64{o.Delivery, o.Turn}
	}
	n, _, err := one(ctx, s.reader(), qUnknown, scalar[int], asJSON(rows))
	if err != nil {
		return 0, fmt.Errorf("compare outcomes with their deliveries: %w", s.classify(err))
	}
	return n, nil
}

// Some runs may not know all of their people yet.
const qUnplanned query = `
SELECT id, uid, name, channel, class, state FROM runs
WHERE planned_at IS NULL AND state IN ('planning', 'paused') AND started_at < $1 ORDER BY id`

const qDoubtfulRuns query = `
SELECT id, uid, name, channel, class, state FROM runs
WHERE state IN ('planning', 'running', 'paused', 'cancelling') AND started_at < $1 ORDER BY id`

// DoubtfulRun is a run that was open in a backup that was put back.
type DoubtfulRun struct {
	ID            int64
	UID, Name     string
	Channel       string
	Transactional bool
	State         outbox.RunState
}

func scanDoubtfulRun(scan func(...any) error) (r DoubtfulRun, err error) {
	var class string
	err = scan(&r.ID, &r.UID, &r.Name, &r.Channel, &class, &r.State)
	r.Transactional = classOf(class) == channels.Transactional
	return r, err
}

// DoubtfulRuns lists the runs that were open before a standstill began;
// with unplanned, only those that are still being planned.
func (s *Store) DoubtfulRuns(ctx context.Context, since time.Time, unplanned bool) ([]DoubtfulRun, error) {
	q := qDoubtfulRuns
	if unplanned {
		q = qUnplanned
	}
	list, err := collect(ctx, s.reader(), q, scanDoubtfulRun, micros(since))
	if err != nil {
		return nil, fmt.Errorf("list open runs of the backup: %w", s.classify(err))
	}
	return list, nil
}

// What was due by the time that was remembered may have left; and so may what
// a worker had in hand when the copy was made, which has been freed since.
const doubtful = ` run_id = $1 AND state = $2 AND (not_before <= $3 OR (turn > 0 AND updated_at >= $4))`

const qDoubts query = `SELECT COUNT(*) FROM deliveries WHERE` + doubtful

const qDoubt query = `
WITH pick (id) AS MATERIALIZED (SELECT id FROM deliveries WHERE` + doubtful + ` LIMIT $5)
UPDATE deliveries SET state = 'uncertain', reason = 'restored', worker_id = NULL, updated_at = $6
FROM pick WHERE deliveries.id = pick.id RETURNING deliveries.id, turn, batch_id`

// openStates are those in which a delivery of a backup may stand although its
// message has left since.
func openStates() []outbox.State {
	return []outbox.State{outbox.Queued, outbox.Claimed, outbox.Sending}
}

// Doubts counts the deliveries of a run that may have left after the backup
// was made.
func (s *Store) Doubts(ctx context.Context, run int64, h outbox.Standstill) (int64, error) {
	var sum int64
	for _, state := range openStates() {
		n, _, err := one(ctx, s.reader(), qDoubts, scalar[int64], run, state, micros(h.Ahead.At), micros(h.Since))
		if err != nil {
			return 0, fmt.Errorf("count what may have left: %w", s.classify(err))
		}
		sum += n
	}
	return sum, nil
}

// Doubt makes the deliveries of a run uncertain that may have left after the
// backup was made. One that is interrupted is asked again for the rest.
func (s *Store) Doubt(ctx context.Context, run int64, h outbox.Standstill, actor string, now time.Time) (int64, error) {
	var sum int64
	for _, state := range openStates() {
		for {
			var n int
			err := s.update(ctx, durable, func(t tx) error {
				rows, err := collect(ctx, t, qDoubt, func(scan func(...any) error) (row []int64, err error) {
					row = make([]int64, 3)
					err = scan(&row[0], &row[1], &row[2])
					return row, err
				}, run, state, micros(h.Ahead.At), micros(h.Since), revisePage, micros(now))
				if n = len(rows); err != nil || n == 0 {
					return err
				}
				var c counts
				for _, row := range rows {
					c.add(row[2], state, outbox.Uncertain, now)
				}
				if err := c.write(ctx, t); err != nil {
					return err
				}
				_, err = t.exec(ctx, qRevised, asJSON(rows), micros(now), "restored", fmt.Sprintf("%s → %s by %s: a backup was put back", state, outbox.Uncertain, actor))
				return err
			})
			if err != nil {
				return sum, fmt.Errorf("call in doubt what may have left: %w", err)
			}
			if sum += int64(n); n < revisePage {
				break
			}
		}
	}
	return sum, nil
}

const qGoAgain query = `
UPDATE installation SET held_at = NULL, why = '', run_floor = CASE WHEN run_floor > $1 THEN run_floor ELSE $1 END,
  departed = CASE WHEN departed > ahead THEN departed ELSE ahead END
WHERE one = 1`

const qLiftRestored query = `DELETE FROM holds WHERE reason = 'restored'`

const qSkipContacts query = `UPDATE sqlite_sequence SET seq = $1 WHERE name = 'contacts' AND seq < $1`

const qSkipSequence query = `
SELECT setval(CAST(s.name AS regclass), GREATEST(nextval(CAST(s.name AS regclass)), CAST($2 AS BIGINT)))
FROM (SELECT pg_get_serial_sequence(CAST($1 AS TEXT), 'id') AS name) s`

// skipNumbers lets numbers of contacts and runs begin above those; on SQLite
// run_floor does it for runs.
func (t tx) skipNumbers(ctx context.Context, run, contact int64) error {
	if t.s.d == &sqliteDialect {
		_, err := t.exec(ctx, qSkipContacts, contact)
		return err
	}
	for table, to := range map[string]int64{"runs": run, "contacts": contact} {
		if _, err := t.exec(ctx, qSkipSequence, table, to); err != nil {
			return err
		}
	}
	return nil
}

// GoAgain ends a standstill. Numbers of runs and contacts that may stand in
// messages this database knows nothing of are not used again: the new ones
// begin above run and contact.
func (s *Store) GoAgain(ctx context.Context, run, contact int64) error {
	err := s.update(ctx, durable, func(t tx) error {
		if err := t.skipNumbers(ctx, run, contact); err != nil {
			return err
		}
		if _, err := t.exec(ctx, qGoAgain, run); err != nil {
			return err
		}
		if _, err := t.exec(ctx, qDisarm); err != nil {
			return err
		}
		_, err := t.exec(ctx, qLiftRestored)
		return err
	})
	if err != nil {
		return fmt.Errorf("let everything go on: %w", err)
	}
	return nil
}
