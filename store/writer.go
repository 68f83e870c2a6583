package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"
)

// sqliteWriter is SQLite's one writing connection, used beneath database/sql and
// the driver, so that a statement costs what SQLite does and little more, and with one page cache for all lanes, which two connections
// would empty for each other at every commit. One transaction at a time. No commit
// waits for the disk; whoever needs that asks the log, see wal.
type sqliteWriter struct {
	wal    *wal // of its file
	mu     sync.Mutex
	open   func() (*handle, error)
	conn   *handle // nil until it is used, and after a transaction that could not be ended
	closed bool
}

// The three statements around each transaction.
const (
	qBegin    query = "{{begin}}"
	qCommit   query = "COMMIT"
	qRollback query = "ROLLBACK"
)

var errClosed = errors.New("the database is closed")

// begin starts a transaction that has the file to itself for writing. It is
// the only thing a transaction may wait for, so only here the context can
// interrupt; the writer is the caller's until end.
func (w *sqliteWriter) begin(ctx context.Context, s *Store) (err error) {
	w.mu.Lock()
	defer func() {
		if err != nil {
			w.mu.Unlock()
		}
	}()
	if w.closed {
		return errClosed
	}
	if err = ctx.Err(); err != nil {
		return err
	}
	if w.conn == nil {
		if w.conn, err = w.open(); err != nil {
			return fmt.Errorf("open the database: %w", err)
		}
	}
	if err = w.claim(ctx, s); err != nil && !s.d.busy(err) && ctx.Err() == nil {
		w.drop()
	}
	return err
}

// patience is how long a transaction waits for a file that others write to.
const patience = 10 * time.Second

// claim runs BEGIN until nobody else is writing.
func (w *sqliteWriter) claim(ctx context.Context, s *Store) error {
	pause, waited := time.Millisecond, time.Duration(0)
	for {
		_, err := w.exec(s, qBegin)
		if err == nil || !s.d.busy(err) || waited >= patience {
			return err
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		}
		waited += pause
		pause = min(2*pause, 25*time.Millisecond)
	}
}

// end commits, or takes everything back if it is told an error or the commit
// fails.
func (w *sqliteWriter) end(s *Store, failure error) error {
	defer w.mu.Unlock()
	err := failure
	if err == nil {
		if _, err = w.exec(s, qCommit); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// SQLite has rolled back by itself after some errors; then this one fails,
	// and a fresh connection is the certain way to a clean state.
	if _, again := w.exec(s, qRollback); again != nil {
		w.drop()
	}
	return err
}

func (w *sqliteWriter) drop() {
	if w.conn == nil {
		return
	}
	w.conn.close() // what it held is rolled back
	w.conn = nil
}

func (w *sqliteWriter) close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.drop()
	return nil
}

func (w *sqliteWriter) exec(s *Store, q query, args ...any) (int64, error) {
	st, err := w.conn.prepared(q, s.spelt)
	if err != nil {
		return 0, err
	}
	return st.exec(args)
}

// rows starts a query; its rows are read one statement at a time.
func (w *sqliteWriter) rows(s *Store, q query, args ...any) (cursor, error) {
	st, err := w.conn.prepared(q, s.spelt)
	if err != nil {
		return nil, err
	}
	if err := st.bind(args); err != nil {
		return nil, err
	}
	return st, nil
}

// ExecContext runs text that is not kept prepared; it may be several
// statements.
func (w *sqliteWriter) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, err := w.conn.script(text, args)
	return driver.RowsAffected(n), err
}

// assign converts as database/sql does where the store has use of it.
func assign(into any, v driver.Value) error {
	switch p := into.(type) {
	case *int64:
		if n, ok := v.(int64); ok {
			*p = n
			return nil
		}
	case *string:
		switch v := v.(type) {
		case string:
			*p = v
			return nil
		case []byte:
			*p = string(v)
			return nil
		case int64:
			*p = strconv.FormatInt(v, 10)
			return nil
		}
	case *bool:
		if n, ok := v.(int64); ok {
			*p = n != 0
			return nil
		}
	case *int:
		if n, ok := v.(int64); ok {
			*p = int(n)
			return nil
		}
	case *[]byte:
		switch v := v.(type) {
		case nil:
			*p = nil
			return nil
		case []byte:
			*p = v
			return nil
		case string:
			*p = []byte(v)
			return nil
		}
	case sql.Scanner:
		return p.Scan(v)
	}
	to := reflect.ValueOf(into)
	if to.Kind() == reflect.Pointer && v != nil {
		to, from := to.Elem(), reflect.ValueOf(v)
		if to.Kind() == from.Kind() && from.CanConvert(to.Type()) || to.CanInt() && from.CanInt() || to.CanFloat() && (from.CanFloat() || from.CanInt()) {
			to.Set(from.Convert(to.Type()))
			return nil
		}
	}
	return fmt.Errorf("a value of type %T does not go into %T", v, into)
}

// openWriter opens its connection as the address says, when it is needed.
func openWriter(address, path string, others *sql.DB) *sqliteWriter {
	log := &wal{save: func() error { return saveLog(path + "-wal") }, empty: func() error { return emptyLog(others) }}
	return &sqliteWriter{wal: log, open: func() (*handle, error) { return openHandle(address) }}
}
