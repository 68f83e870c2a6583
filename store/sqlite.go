package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	sqlite3 "modernc.org/sqlite/lib"
)

// fileName is the database in the data folder.
const fileName = "rapport.db"

var sqliteDialect = dialect{
	name: "sqlite",
	words: map[string]string{
		"id":      "INTEGER PRIMARY KEY",
		"begin":   "BEGIN IMMEDIATE",
		"ever $":  "INTEGER PRIMARY KEY AUTOINCREMENT",
		"json":    "BLOB",
		"json $":  "jsonb($)",
		"text $":  "json($)",
		"each $":  "json_each($) AS e",
		"skip $":  "",
		"share $": "",
		"keep $":  "",
		"lock $":  "",
		"order $": "",
		"least $": "min($)",
		"place":   "instr",
		// A number above all in use, and above those a restore leaves out.
		"number $": "(SELECT MAX(COALESCE((SELECT MAX(id) FROM $), 0), COALESCE((SELECT run_floor FROM installation), 0)) + 1)",
	},
	unique: func(err error) bool {
		c := sqliteCode(err)
		return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	},
	busy: func(err error) bool {
		c := sqliteCode(err) & 0xff
		return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
	},
	away: func(err error) bool {
		switch sqliteCode(err) & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
			return true
		}
		return errors.Is(err, errLog)
	},
}

// readers is how many connections read a database at once.
const readers = 8

// openSQLite opens one file for readers, for the one writer (see lanes), and for
// what is done seldom: migrations, copies, emptying the log.
func openSQLite(ctx context.Context, data string) (*pools, error) {
	path := filepath.Join(data, fileName)
	if err := private(path); err != nil {
		return nil, err
	}
	address := func(sync string, more url.Values) string {
		q := url.Values{
			"_pragma": {
				"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + sync + ")", "foreign_keys(1)",
				"secure_delete(1)", // what is erased is overwritten, not only let go
				"cache_size(-16384)", "temp_store(MEMORY)", "journal_size_limit(67108864)",
			},
		}
		for k, v := range more {
			q[k] = append(q[k], v...)
		}
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	}
	open := func(sync string, conns int, more url.Values) (*sql.DB, error) {
		db, err := sql.Open("sqlite", address(sync, more))
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		if err := db.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
		}
		return db, nil
	}
	p := &pools{}
	var errs []error
	var err error
	p.durable, err = open("FULL", 2, url.Values{"_txlock": {"immediate"}})
	errs = append(errs, err)
	p.quick = p.durable
	p.read, err = open("NORMAL", readers, url.Values{"_pragma": {"query_only(1)"}})
	errs = append(errs, err)
	if err == nil {
		p.writer = openWriter(address("NORMAL", nil), path, p.durable)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// private makes the file, if it is not there yet, for its owner only. SQLite
// gives its side files the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return f.Close()
}
