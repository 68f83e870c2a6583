package store

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"modernc.org/libc"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"rapport/outbox"
)

// handle is one connection to SQLite by its own C interface, for one goroutine
// at a time: values go in and out without a detour, and no lock is taken.
type handle struct {
	tls   *libc.TLS
	db    uintptr
	cell  uintptr // room for the two pointers that SQLite hands out
	stmts map[query]*stmt
}

// sqliteError is what SQLite answered, as the driver has it for its own
// connections.
type sqliteError struct {
	code int
	msg  string
}

// Error is SQLite's text with the code.
func (e *sqliteError) Error() string { return fmt.Sprintf("%s (%d)", e.msg, e.code) }

// sqliteCode is the extended result code of an error, of whichever connection;
// 0 if SQLite did not say it.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqliteError](err); ok {
		return e.code
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// openHandle opens the file of an address and runs its pragmas, as the driver
// would.
func openHandle(address string) (_ *handle, err error) {
	h := &handle{tls: libc.NewTLS(), stmts: map[query]*stmt{}}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	h.cell = sqlite3.Xsqlite3_malloc64(h.tls, 16)
	name, err := libc.CString(address)
	if err != nil || h.cell == 0 {
		return nil, errors.Join(errMemory, err)
	}
	defer libc.Xfree(h.tls, name)
	clear(libc.GoBytes(h.cell, 16))
	flags := sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_CREATE | sqlite3.SQLITE_OPEN_NOMUTEX | sqlite3.SQLITE_OPEN_URI
	rc := sqlite3.Xsqlite3_open_v2(h.tls, name, h.cell, int32(flags), 0)
	h.db = h.pointer(0)
	if rc != sqlite3.SQLITE_OK {
		return nil, h.failure(rc)
	}
	sqlite3.Xsqlite3_extended_result_codes(h.tls, h.db, 1)
	_, options, _ := strings.Cut(address, "?")
	list, err := url.ParseQuery(options)
	if err != nil {
		return nil, fmt.Errorf("read the address: %w", err)
	}
	for _, pragma := range list["_pragma"] {
		if _, err := h.script("PRAGMA "+pragma, nil); err != nil {
			return nil, fmt.Errorf("pragma %s: %w", pragma, err)
		}
	}
	// From now on whoever waits for the file does it with a context.
	sqlite3.Xsqlite3_busy_timeout(h.tls, h.db, 0)
	return h, nil
}

var errMemory = errors.New("SQLite has no memory")

// pointer reads one of the two that cell holds.
func (h *handle) pointer(n uintptr) uintptr {
	return uintptr(binary.NativeEndian.Uint64(libc.GoBytes(h.cell+8*n, 8)))
}

func (h *handle) failure(rc int32) error {
	e := &sqliteError{int(rc), libc.GoString(sqlite3.Xsqlite3_errstr(h.tls, rc))}
	if h.db != 0 {
		if more := libc.GoString(sqlite3.Xsqlite3_errmsg(h.tls, h.db)); more != e.msg {
			e.msg += ": " + more
		}
	}
	return e
}

// close gives everything back; what was not committed is rolled back.
func (h *handle) close() {
	for _, st := range h.stmts {
		st.finalize()
	}
	sqlite3.Xsqlite3_close_v2(h.tls, h.db)
	sqlite3.Xsqlite3_free(h.tls, h.cell)
	h.tls.Close()
}

// stmt is a prepared statement; while it is read from it is its own cursor.
type stmt struct {
	h       *handle
	p       uintptr
	args    []int // which argument each parameter takes
	columns int
	buf     uintptr // the text that is bound, of size octets
	size    int
	err     error
}

// prepared returns the statement of a query, prepared once.
func (h *handle) prepared(q query, spelt func(query) string) (*stmt, error) {
	if st, ok := h.stmts[q]; ok {
		return st, nil
	}
	text, err := libc.CString(spelt(q))
	if err != nil {
		return nil, errMemory
	}
	defer libc.Xfree(h.tls, text)
	st, _, err := h.prepare(text, sqlite3.SQLITE_PREPARE_PERSISTENT)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", firstWords(string(q)), err)
	}
	h.stmts[q] = st
	return st, nil
}

// prepare makes a statement of the beginning of a text and returns what
// follows it.
func (h *handle) prepare(text uintptr, flags uint32) (_ *stmt, rest uintptr, err error) {
	if rc := sqlite3.Xsqlite3_prepare_v3(h.tls, h.db, text, -1, flags, h.cell, h.cell+8); rc != sqlite3.SQLITE_OK {
		return nil, 0, h.failure(rc)
	}
	st := &stmt{h: h, p: h.pointer(0)}
	if st.p == 0 { // nothing but space and comments
		return st, h.pointer(1), nil
	}
	st.columns = int(sqlite3.Xsqlite3_column_count(h.tls, st.p))
	for i := range sqlite3.Xsqlite3_bind_parameter_count(h.tls, st.p) {
		n := int(i) + 1
		if name := libc.GoString(sqlite3.Xsqlite3_bind_parameter_name(h.tls, st.p, i+1)); name != "" {
			if n, err = strconv.Atoi(name[1:]); err != nil || n < 1 {
				st.finalize()
				return nil, 0, fmt.Errorf("a parameter is called %s, and not by a number", name)
			}
		}
		st.args = append(st.args, n-1)
	}
	return st, h.pointer(1), nil
}

// script runs all statements of a text and returns how many rows the last one
// changed.
func (h *handle) script(text string, args []any) (changed int64, err error) {
	at, err := libc.CString(text)
	if err != nil {
		return 0, errMemory
	}
	defer libc.Xfree(h.tls, at)
	for end, rest := at+uintptr(len(text)), at; rest < end && err == nil; {
		var st *stmt
		if st, rest, err = h.prepare(rest, 0); err == nil && st.p != 0 {
			changed, err = st.exec(args)
			st.finalize()
		}
	}
	return changed, err
}

// exec runs the statement to its end.
func (st *stmt) exec(args []any) (int64, error) {
	err := st.bind(args)
	for err == nil && st.Next() {
	}
	if err == nil {
		err = st.err
	}
	if err == nil {
		return int64(sqlite3.Xsqlite3_changes(st.h.tls, st.h.db)), st.Close()
	}
	_ = st.Close() // says the same once more
	return 0, err
}

// Next reads the next row; false at the end and after an error.
func (st *stmt) Next() bool {
	switch rc := sqlite3.Xsqlite3_step(st.h.tls, st.p); rc {
	case sqlite3.SQLITE_ROW:
		return true
	case sqlite3.SQLITE_DONE:
	default:
		st.err = st.h.failure(rc)
	}
	return false
}

// Err is what ended the rows early.
func (st *stmt) Err() error { return st.err }

// keepText is how much room for arguments a statement keeps until it is used
// again.
const keepText = 64 << 10

// Close lets the statement be used again.
func (st *stmt) Close() error {
	sqlite3.Xsqlite3_reset(st.h.tls, st.p) // says once more what the last step said
	if st.size > keepText {
		for i := range st.args {
			sqlite3.Xsqlite3_bind_null(st.h.tls, st.p, int32(i+1))
		}
		st.room(0)
	}
	return nil
}

func (st *stmt) finalize() {
	sqlite3.Xsqlite3_finalize(st.h.tls, st.p)
	st.room(0)
}

// room makes place for n octets of text; 0 gives it back.
func (st *stmt) room(n int) {
	if st.size < n || n == 0 {
		sqlite3.Xsqlite3_free(st.h.tls, st.buf)
		st.buf, st.size = 0, 0
		if n > 0 {
			st.buf, st.size = sqlite3.Xsqlite3_malloc64(st.h.tls, sqlite3.Tsqlite3_uint64(n)), n
		}
	}
}

// bind sets the parameters. Text is copied once, to where it stays until the
// statement is used again.
func (st *stmt) bind(args []any) error {
	st.err = nil
	text := 0
	for i, a := range args {
		switch v := a.(type) {
		case int64, int, nil:
		case string:
			text += len(v)
		case []byte:
			text += len(v)
		default:
			plain, err := driver.DefaultParameterConverter.ConvertValue(a)
			if err != nil {
				return fmt.Errorf("parameter %d: %w", i+1, err)
			}
			args = slices.Clone(args) // the caller's stay as they are
			args[i] = plain
			if s, ok := plain.(string); ok {
				text += len(s)
			}
		}
	}
	if text > math.MaxInt32 {
		return &sqliteError{sqlite3.SQLITE_TOOBIG, "string or blob too big"}
	}
	if st.room(max(text, 128)); st.buf == 0 { // not 0 either: an empty text needs an address too
		st.size = 0
		return errMemory
	}
	at := 0
	for i, n := range st.args {
		if n >= len(args) {
			return fmt.Errorf("parameter %d of %d is missing", n+1, len(args))
		}
		rc, used := st.bindOne(int32(i+1), at, args[n])
		if rc != sqlite3.SQLITE_OK {
			return fmt.Errorf("parameter %d: %w", n+1, st.h.failure(rc))
		}
		at += used
	}
	return nil
}

func (st *stmt) bindOne(i int32, at int, a any) (rc int32, used int) {
	h := st.h
	switch v := a.(type) {
	case int64:
		return sqlite3.Xsqlite3_bind_int64(h.tls, st.p, i, v), 0
	case int:
		return sqlite3.Xsqlite3_bind_int64(h.tls, st.p, i, int64(v)), 0
	case nil:
		return sqlite3.Xsqlite3_bind_null(h.tls, st.p, i), 0
	case string:
		to := st.buf + uintptr(at)
		copy(libc.GoBytes(to, len(v)), v)
		return sqlite3.Xsqlite3_bind_text(h.tls, st.p, i, to, int32(len(v)), 0), len(v) //nolint:gosec // what is longer than SQLite takes was refused before
	case []byte:
		if v == nil {
			return sqlite3.Xsqlite3_bind_null(h.tls, st.p, i), 0
		}
		to := st.buf + uintptr(at)
		copy(libc.GoBytes(to, len(v)), v)
		return sqlite3.Xsqlite3_bind_blob(h.tls, st.p, i, to, int32(len(v)), 0), len(v) //nolint:gosec // as above
	case float64:
		return sqlite3.Xsqlite3_bind_double(h.tls, st.p, i, v), 0
	case bool:
		var n int64
		if v {
			n = 1
		}
		return sqlite3.Xsqlite3_bind_int64(h.tls, st.p, i, n), 0
	}
	return sqlite3.SQLITE_MISMATCH, 0
}

// Scan copies a row's columns.
func (st *stmt) Scan(into ...any) error {
	if len(into) != st.columns {
		return fmt.Errorf("%d columns for %d places", st.columns, len(into))
	}
	for i, p := range into {
		if err := st.column(int32(i), p); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

// setText spares the copy where the same text is there already.
func setText[T ~string](to *T, text []byte) {
	if string(*to) != string(text) {
		*to = T(text)
	}
}

func (st *stmt) column(i int32, into any) error {
	tls := st.h.tls
	kind := sqlite3.Xsqlite3_column_type(tls, st.p, i)
	switch kind {
	case sqlite3.SQLITE_INTEGER:
		switch p := into.(type) {
		case *int64:
			*p = sqlite3.Xsqlite3_column_int64(tls, st.p, i)
			return nil
		case *bool:
			*p = sqlite3.Xsqlite3_column_int64(tls, st.p, i) != 0
			return nil
		}
		return assign(into, sqlite3.Xsqlite3_column_int64(tls, st.p, i))
	case sqlite3.SQLITE_TEXT:
		text := libc.GoBytes(sqlite3.Xsqlite3_column_text(tls, st.p, i), int(sqlite3.Xsqlite3_column_bytes(tls, st.p, i)))
		switch p := into.(type) {
		case *string:
			setText(p, text)
			return nil
		case *outbox.State:
			setText(p, text)
			return nil
		case *outbox.RunState:
			setText(p, text)
			return nil
		}
		return assign(into, string(text))
	case sqlite3.SQLITE_BLOB:
		blob := libc.GoBytes(sqlite3.Xsqlite3_column_blob(tls, st.p, i), int(sqlite3.Xsqlite3_column_bytes(tls, st.p, i)))
		return assign(into, append([]byte(nil), blob...))
	case sqlite3.SQLITE_FLOAT:
		return assign(into, sqlite3.Xsqlite3_column_double(tls, st.p, i))
	}
	return assign(into, nil)
}
