package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"sync"

	"modernc.org/sqlite"
)

// sqliteWriter is SQLite's one writing connection, used beneath database/sql: with
// its own prepared statements, so that a statement costs what SQLite does and
// little more, and with one page cache for all lanes, which two connections
// would empty for each other at every commit. One transaction at a time.
type sqliteWriter struct {
	mu     sync.Mutex
	open   func() (driver.Conn, error)
	conn   driver.Conn // nil until it is used, and after a transaction that could not be ended
	stmts  map[query]driver.Stmt
	sync   string // how commits wait for the disk, as it is set
	args   []driver.NamedValue
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
func (w *sqliteWriter) begin(ctx context.Context, s *Store, l lane) (err error) {
	w.mu.Lock()
	defer func() {
		if err != nil {
			w.mu.Unlock()
		}
	}()
	if w.closed {
		return errClosed
	}
	if w.conn == nil {
		if w.conn, err = w.open(); err != nil {
			return fmt.Errorf("open the database: %w", err)
		}
		w.stmts, w.sync = map[query]driver.Stmt{}, ""
	}
	mode := "NORMAL"
	if l == durable {
		mode = "FULL"
	}
	if mode != w.sync {
		if _, err = w.script(ctx, "PRAGMA synchronous = "+mode); err != nil {
			w.drop() // it may be set all the same
			return err
		}
		w.sync = mode
	}
	if _, err = w.exec(ctx, s, qBegin); err != nil && !s.d.busy(err) {
		w.drop()
	}
	return err
}

// end commits, or takes everything back if it is told an error or the commit
// fails.
func (w *sqliteWriter) end(s *Store, failure error) error {
	defer w.mu.Unlock()
	err := failure
	if err == nil {
		if _, err = w.exec(context.Background(), s, qCommit); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// SQLite has rolled back by itself after some errors; then this one fails,
	// and a fresh connection is the certain way to a clean state.
	if _, again := w.exec(context.Background(), s, qRollback); again != nil {
		w.drop()
	}
	return err
}

func (w *sqliteWriter) drop() {
	if w.conn == nil {
		return
	}
	for _, st := range w.stmts {
		_ = st.Close() // with its connection in any case
	}
	_ = w.conn.Close() // what it held is rolled back
	w.conn, w.stmts = nil, nil
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

func (w *sqliteWriter) prepare(ctx context.Context, s *Store, q query) (driver.Stmt, error) {
	if st, ok := w.stmts[q]; ok {
		return st, nil
	}
	st, err := w.conn.(driver.ConnPrepareContext).PrepareContext(ctx, s.spelt(q))
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", firstWords(string(q)), err)
	}
	w.stmts[q] = st
	return st, nil
}

func (w *sqliteWriter) exec(ctx context.Context, s *Store, q query, args ...any) (int64, error) {
	st, err := w.prepare(ctx, s, q)
	if err != nil {
		return 0, err
	}
	if w.args, err = named(w.args[:0], args); err != nil {
		return 0, err
	}
	res, err := st.(driver.StmtExecContext).ExecContext(ctx, w.args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (w *sqliteWriter) rows(ctx context.Context, s *Store, q query, args ...any) (cursor, error) {
	st, err := w.prepare(ctx, s, q)
	if err != nil {
		return nil, err
	}
	if w.args, err = named(w.args[:0], args); err != nil {
		return nil, err
	}
	r, err := st.(driver.StmtQueryContext).QueryContext(ctx, w.args)
	if err != nil {
		return nil, err
	}
	return &plainRows{rows: r, values: make([]driver.Value, len(r.Columns()))}, nil
}

// script runs text that is not kept prepared; it may be several statements.
func (w *sqliteWriter) script(ctx context.Context, text string, args ...any) (sql.Result, error) {
	list, err := named(nil, args)
	if err != nil {
		return nil, err
	}
	return w.conn.(driver.ExecerContext).ExecContext(ctx, text, list)
}

// ExecContext is script in the shape that database/sql has.
func (w *sqliteWriter) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	return w.script(context.WithoutCancel(ctx), text, args...)
}

// named puts arguments into the shape a driver takes.
func named(into []driver.NamedValue, args []any) ([]driver.NamedValue, error) {
	for i, a := range args {
		var v driver.Value
		switch a := a.(type) {
		case int64, string, nil:
			v = a
		case int:
			v = int64(a)
		default:
			var err error
			if v, err = driver.DefaultParameterConverter.ConvertValue(a); err != nil {
				return into, fmt.Errorf("parameter %d: %w", i+1, err)
			}
		}
		into = append(into, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return into, nil
}

// plainRows is what a driver answers, with the few conversions this store
// asks for.
type plainRows struct {
	rows   driver.Rows
	values []driver.Value
	err    error
}

// Next reads the next row; false at the end and after an error.
func (r *plainRows) Next() bool {
	if r.err == nil {
		r.err = r.rows.Next(r.values)
	}
	return r.err == nil
}

// Err is what ended the rows early.
func (r *plainRows) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// Close lets the statement be used again.
func (r *plainRows) Close() error { return r.rows.Close() }

// Scan copies a row's columns.
func (r *plainRows) Scan(into ...any) error {
	if len(into) != len(r.values) {
		return fmt.Errorf("%d columns for %d places", len(r.values), len(into))
	}
	for i, v := range r.values {
		if err := assign(into[i], v); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
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

// openWriter opens connections of the registered driver as the address says.
func openWriter(db *sql.DB, address string) *sqliteWriter {
	d := db.Driver().(*sqlite.Driver)
	return &sqliteWriter{open: func() (driver.Conn, error) { return d.Open(address) }}
}
