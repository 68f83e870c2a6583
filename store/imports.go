package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport"
	"rapport/contacts"
)

const qImport query = `SELECT id, done_rows, report, COALESCE(finished_at, 0) FROM imports WHERE digest = $1`

const qAddImport query = `
INSERT INTO imports (digest, name, started_at) VALUES ($1, $2, $3) RETURNING id`

const qRestartImport query = `
UPDATE imports SET done_rows = 0, report = '{}', name = $2, started_at = $3, finished_at = NULL WHERE id = $1`

const qAdvanceImport query = `
UPDATE imports SET done_rows = $3, report = $4 WHERE id = $1 AND done_rows = $2 AND finished_at IS NULL`

const qFinishImport query = `UPDATE imports SET report = $2, finished_at = $3 WHERE id = $1`

// BeginImport implements contacts.ImportStore.
func (s *Store) BeginImport(ctx context.Context, digest, name string) (contacts.Checkpoint, error) {
	var c contacts.Checkpoint
	err := s.insist(ctx, durable, func(t tx) error {
		c = contacts.Checkpoint{}
		var report string
		var finished int64
		_, ok, err := one(ctx, t, qImport, func(scan func(...any) error) (struct{}, error) {
			return struct{}{}, scan(&c.ID, &c.DoneRows, &report, &finished)
		}, digest)
		if err != nil {
			return fmt.Errorf("look for an earlier import: %w", err)
		}
		if !ok {
			c.ID, err = t.insert(ctx, qAddImport, digest, name, micros(s.now()))
			return err
		}
		if finished != 0 {
			c.DoneRows = 0
			_, err = t.exec(ctx, qRestartImport, c.ID, name, micros(s.now()))
			return err
		}
		if err := json.Unmarshal([]byte(report), &c.Report); err != nil {
			return fmt.Errorf("read the report of import %d: %w", c.ID, err)
		}
		return nil
	})
	return c, err
}

// advance moves an import on in the transaction of its rows.
func (t tx) advance(ctx context.Context, id, from int64, c contacts.Checkpoint) error {
	report, err := json.Marshal(c.Report)
	if err != nil {
		return fmt.Errorf("write the report of import %d: %w", id, err)
	}
	n, err := t.exec(ctx, qAdvanceImport, id, from, c.DoneRows, string(report))
	if err != nil {
		return fmt.Errorf("move import %d on: %w", id, err)
	}
	if n == 0 {
		return rapport.Conflictf("another process is importing this file; let it finish")
	}
	return nil
}

// FinishImport implements contacts.ImportStore.
func (s *Store) FinishImport(ctx context.Context, c contacts.Checkpoint) error {
	report, err := json.Marshal(c.Report)
	if err != nil {
		return fmt.Errorf("write the report of import %d: %w", c.ID, err)
	}
	err = s.update(ctx, durable, func(t tx) error {
		_, err := t.exec(ctx, qFinishImport, c.ID, string(report), micros(s.now()))
		return err
	})
	if err != nil {
		return err
	}
	return s.learnSizes(ctx)
}

// learnSizes lets the planner count what an import has brought. PostgreSQL
// would do so by itself, but a minute later: by then the campaign is out.
func (s *Store) learnSizes(ctx context.Context) error {
	if s.d != &sqliteDialect {
		if _, err := s.pools.read.ExecContext(ctx, "ANALYZE contacts, addresses, consents"); err != nil {
			return fmt.Errorf("count what the import brought: %w", err)
		}
		return nil
	}
	leave, err := s.lanes.enter(ctx, bulk)
	if err != nil {
		return err
	}
	defer leave()
	if _, err := s.pools.quick.ExecContext(ctx, "PRAGMA optimize"); err != nil {
		return fmt.Errorf("count what the import brought: %w", err)
	}
	return nil
}

// How many rows an import writes in one transaction: many when it is alone,
// about two milliseconds' worth while SQLite's one writer is wanted by
// something hot.
const (
	paceAlone  = 1000
	paceBeside = 40
)

// Pace implements contacts.ImportStore.
func (s *Store) Pace() int {
	if s.d != &sqliteDialect {
		return paceAlone
	}
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	if len(s.lanes.hot) > 0 || !s.lanes.lately.IsZero() && time.Since(s.lanes.lately) < rest {
		return paceBeside
	}
	return paceAlone
}
