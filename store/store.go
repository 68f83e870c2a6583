package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/outbox"
)

// Options says where the truth is kept.
type Options struct {
	Database string           // empty: SQLite in Data; else postgres://…
	Data     string           // the data folder; it must exist
	Now      func() time.Time // the clock of everything that is written
	Tracking Tracking         // whose links may lead to them
	Terms    consent.Terms    // what the configuration says about every entry of the ledger
	Log      *slog.Logger
}

// Store implements what every room asks of a database. It is safe for
// concurrent use.
type Store struct {
	d        *dialect
	pools    *pools
	lanes    lanes
	views    chan struct{} // one for each read-only transaction at once
	data     string
	terms    consent.Terms
	tracking Tracking
	limits   atomic.Pointer[outbox.Limits] // of how often people are written to; nil: none
	now      func() time.Time
	log      *slog.Logger
	texts    sync.Map // query → its text on this engine
	stmts    sync.Map // statement{pool, query} → *sql.Stmt
}

// pools are the handles on one database; writer is nil on PostgreSQL.
type pools struct {
	read, durable, quick *sql.DB
	writer               *sqliteWriter
}

func (p *pools) close() error {
	errs := []error{p.writer.close()}
	seen := map[*sql.DB]bool{nil: true}
	for _, db := range []*sql.DB{p.read, p.quick, p.durable} {
		if !seen[db] {
			seen[db] = true
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Open connects, and brings an embedded database up to date after a copy of
// it. A PostgreSQL database that is not up to date is an Unavailable error
// that names the command to run; Migrate brings it there.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if s.d == &sqliteDialect {
		_, err = s.Migrate(ctx)
	} else {
		err = s.upToDate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Migrate connects and brings the database up to date, whichever it is. It
// returns the names of the migrations it ran.
func Migrate(ctx context.Context, o Options) ([]string, error) {
	s, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	ran, err := s.Migrate(ctx)
	return ran, errors.Join(err, s.Close())
}

func connect(ctx context.Context, o Options) (*Store, error) {
	s := &Store{d: &sqliteDialect, data: o.Data, now: o.Now, log: o.Log, terms: o.Terms, tracking: o.Tracking, views: make(chan struct{}, readers/2)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if o.Database != "" {
		s.d = &postgresDialect
		s.pools, err = openPostgres(ctx, o.Database)
	} else {
		s.pools, err = openSQLite(ctx, o.Data)
	}
	if err != nil {
		return nil, rapport.Unavailablef(err, "the database cannot be opened: %v", err)
	}
	return s, nil
}

// Close lets the connections go.
func (s *Store) Close() error {
	s.stmts.Range(func(_, v any) bool {
		_ = v.(*sql.Stmt).Close() // closed with its pool in any case
		return true
	})
	return s.pools.close()
}

// Engine names the engine: "sqlite" or "postgres".
func (s *Store) Engine() string { return s.d.name }

// Ping asks the database for an answer.
func (s *Store) Ping(ctx context.Context) error {
	if _, _, err := one(ctx, s.reader(), "SELECT 1", scalar[int64]); err != nil {
		return rapport.Unavailablef(err, "the database does not answer")
	}
	return nil
}

// Clock is what time it is where the database runs; on an embedded one, here.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	if s.d != &postgresDialect {
		return s.now(), nil
	}
	us, _, err := one(ctx, s.reader(), "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)", scalar[int64])
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the database for the time: %w", s.classify(err))
	}
	return when(us), nil
}

// micros is how a time is stored; zero stays zero.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// when reads what micros wrote.
func when(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// reader runs statements outside a transaction on the readers' pool.
func (s *Store) reader() runner { return pool{s, s.pools.read} }

type pool struct {
	s  *Store
	db *sql.DB
}

func (p pool) exec(ctx context.Context, q query, args ...any) (int64, error) {
	st, err := p.s.prepared(ctx, p.db, q) //nolint:sqlclosecheck // it is kept for the next caller, until Close
	if err != nil {
		return 0, err
	}
	if st == nil {
		return affected(p.db.ExecContext(ctx, p.s.spelt(q), args...))
	}
	return affected(st.ExecContext(ctx, args...))
}

func (p pool) rows(ctx context.Context, q query, args ...any) (cursor, error) {
	st, err := p.s.prepared(ctx, p.db, q) //nolint:sqlclosecheck // it is kept for the next caller, until Close
	if err != nil {
		return nil, err
	}
	if st == nil {
		return p.db.QueryContext(ctx, p.s.spelt(q), args...) //nolint:rowserrcheck // collect asks
	}
	return st.QueryContext(ctx, args...) //nolint:rowserrcheck // collect asks
}

type statement struct {
	db *sql.DB
	q  query
}

// spelt is the statement as the engine reads it.
func (s *Store) spelt(q query) string {
	if text, ok := s.texts.Load(q); ok {
		return text.(string)
	}
	text := s.d.spell(string(q))
	s.texts.Store(q, text)
	return text
}

// prepared returns the statement, prepared once a pool; nil on PostgreSQL,
// whose driver keeps prepared statements by their text. Statements that are
// built at run time (conditions) must not come here.
func (s *Store) prepared(ctx context.Context, db *sql.DB, q query) (*sql.Stmt, error) {
	if s.d == &postgresDialect {
		return nil, nil
	}
	key := statement{db, q}
	if st, ok := s.stmts.Load(key); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := db.PrepareContext(ctx, s.spelt(q))
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", firstWords(string(q)), err)
	}
	if old, loaded := s.stmts.LoadOrStore(key, st); loaded {
		_ = st.Close() //nolint:sqlclosecheck // only when another was first
		return old.(*sql.Stmt), nil
	}
	return st, nil
}

func firstWords(q string) string {
	f := strings.Fields(q)
	return strings.Join(f[:min(len(f), 6)], " ")
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// tx is one transaction: of SQLite's writer, or of a pool.
type tx struct {
	s  *Store
	db *sql.DB
	sq *sql.Tx // nil with a writer
	w  *sqliteWriter

	conn *sql.Conn // whose transaction it is, on PostgreSQL
	tx   interface {
		ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	}
}

func (t tx) exec(ctx context.Context, q query, args ...any) (int64, error) {
	if t.w != nil {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return t.w.exec(t.s, q, args...)
	}
	st, err := t.s.prepared(ctx, t.db, q)
	if err != nil {
		return 0, err
	}
	if st == nil {
		return affected(t.sq.ExecContext(ctx, t.s.spelt(q), args...))
	}
	return affected(t.sq.StmtContext(ctx, st).ExecContext(ctx, args...)) //nolint:sqlclosecheck // the end of the transaction closes it
}

func (t tx) rows(ctx context.Context, q query, args ...any) (cursor, error) {
	if t.w != nil {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return t.w.rows(t.s, q, args...)
	}
	st, err := t.s.prepared(ctx, t.db, q)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return t.sq.QueryContext(ctx, t.s.spelt(q), args...) //nolint:rowserrcheck // collect asks
	}
	return t.sq.StmtContext(ctx, st).QueryContext(ctx, args...) //nolint:sqlclosecheck,rowserrcheck // collect asks, and the end of the transaction closes it
}

// view runs do in one read-only transaction, so that all it reads is of one
// moment. At most half of the readers' connections are in such transactions,
// since a statement may have to be prepared on another one meanwhile.
func (s *Store) view(ctx context.Context, do func(runner) error) error {
	select {
	case s.views <- struct{}{}:
		defer func() { <-s.views }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t, err := s.pools.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = t.Rollback() }() // it wrote nothing
	return do(tx{s: s, db: s.pools.read, sq: t})
}

// insert runs an INSERT … RETURNING id.
func (t tx) insert(ctx context.Context, q query, args ...any) (int64, error) {
	id, ok, err := one(ctx, t, q, scalar[int64], args...)
	if err == nil && !ok {
		err = sql.ErrNoRows
	}
	return id, err
}

var errUnfinished = errors.New("the transaction was not finished")

// tries bounds how often a transaction is begun again when the engine asks
// for it (a busy file, a deadlock, a serialization failure).
const tries = 6

// update runs do in one transaction of the lane. do may run more than once
// and must set its results afresh each time.
func (s *Store) update(ctx context.Context, l lane, do func(tx) error) error {
	var err error
	for n := range tries {
		if err = s.attempt(ctx, l, do); err == nil || !s.d.busy(err) {
			return s.classify(err)
		}
		pause := time.Duration(1<<n)*5*time.Millisecond + time.Duration(rand.Int64N(int64(5*time.Millisecond))) //nolint:gosec // jitter is no secret
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	return s.classify(err)
}

// updateSoon is update for who goes first and waits for the disk only later,
// by lasting.
func (s *Store) updateSoon(ctx context.Context, do func(tx) error) (lasting func() error, err error) {
	if s.d != &sqliteDialect {
		return func() error { return nil }, s.update(ctx, durable, do)
	}
	if err := s.update(ctx, quick, do); err != nil {
		return nil, err
	}
	return func() error { return s.classify(s.pools.writer.wal.flush()) }, nil
}

// classify makes an absent database an Unavailable error, so that every door
// answers 503 and not 500.
func (s *Store) classify(err error) error {
	if err != nil && full(err) {
		return rapport.Unavailablef(err, "the disk of the database is full; make room, and everything goes on by itself")
	}
	if err != nil && s.d.away(err) {
		return rapport.Unavailablef(err, "the database does not answer; try again in a moment")
	}
	return err
}

func (s *Store) attempt(ctx context.Context, l lane, do func(tx) error) error {
	if s.d == &sqliteDialect {
		return s.attemptHere(ctx, l, do)
	}
	conn, err := s.pools.durable.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }() // gives it back
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = t.Rollback() }() // nothing to undo after a commit
	if l != durable {
		if _, err := t.ExecContext(ctx, s.d.relax); err != nil {
			return fmt.Errorf("relax the commit: %w", err)
		}
	}
	if err := do(tx{s: s, db: s.pools.durable, sq: t, tx: t, conn: conn}); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// attemptHere is attempt with SQLite's writer. The disk is waited for when the
// writer is free again.
func (s *Store) attemptHere(ctx context.Context, l lane, do func(tx) error) error {
	err := s.commitHere(ctx, l, do)
	if err != nil || l != durable {
		return err
	}
	return s.pools.writer.wal.flush()
}

func (s *Store) commitHere(ctx context.Context, l lane, do func(tx) error) (err error) {
	leave, err := s.lanes.enter(ctx, l)
	if err != nil {
		return err
	}
	defer leave()
	w := s.pools.writer
	if err := w.begin(ctx, s); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	failure := errUnfinished // when do panics
	defer func() { err = w.end(s, failure) }()
	if failure = do(tx{s: s, w: w, tx: w}); failure == nil {
		failure = ctx.Err() // nobody waits for it any more
	}
	return failure
}
