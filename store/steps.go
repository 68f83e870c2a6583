package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// step is a statement among others that do not wait for its answer.
type step struct {
	q    query
	args []any
	row  func(scan func(...any) error) error // nil: it is an exec
}

// together runs statements in their order. To PostgreSQL they go in one
// journey there and back; each sees what was committed when it begins, as
// when they go one by one.
func (t tx) together(ctx context.Context, steps ...step) error {
	if len(steps) == 0 {
		return nil
	}
	if t.conn != nil && len(steps) > 1 {
		return t.conn.Raw(func(c any) error { return t.s.pipeline(ctx, c.(*stdlib.Conn).Conn(), steps) })
	}
	for _, st := range steps {
		if err := st.run(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// run runs it alone.
func (st step) run(ctx context.Context, r runner) error {
	if st.row == nil {
		_, err := r.exec(ctx, st.q, st.args...)
		return err
	}
	_, err := collect(ctx, r, st.q, func(scan func(...any) error) (struct{}, error) {
		return struct{}{}, st.row(scan)
	}, st.args...)
	return err
}

func (s *Store) pipeline(ctx context.Context, conn *pgx.Conn, steps []step) (err error) {
	var all pgx.Batch
	for _, st := range steps {
		all.Queue(s.spelt(st.q), st.args...)
	}
	answers := conn.SendBatch(ctx, &all)
	defer func() {
		if e := answers.Close(); err == nil {
			err = e
		}
	}()
	for _, st := range steps {
		rows, err := answers.Query()
		for err == nil && rows.Next() {
			if st.row != nil {
				err = st.row(rows.Scan)
			}
		}
		rows.Close()
		if err == nil {
			err = rows.Err()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", firstWords(string(st.q)), err)
		}
	}
	return nil
}
