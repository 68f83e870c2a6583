package store

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// dialect is the whole difference between the two engines.
type dialect struct {
	name   string
	words  map[string]string // spelling of {{word rest}}; "$" stands for the rest
	binary string            // suffix that makes text compare by code point
	unique func(error) bool  // is this a broken uniqueness promise?
	busy   func(error) bool  // worth one more try at once
	away   func(error) bool  // the database does not answer
	relax  string            // makes this transaction's commit not wait for the disk; empty: the pool does it
}

var marker = regexp.MustCompile(`\{\{(\w+)\s*([^}]*)\}\}`)

// spell replaces the marked words of a statement by what the engine says.
func (d *dialect) spell(text string) string {
	return marker.ReplaceAllStringFunc(text, func(m string) string {
		part := marker.FindStringSubmatch(m)
		word, rest := part[1], strings.TrimSpace(part[2])
		key := word
		if rest != "" {
			key += " $"
		}
		form, ok := d.words[key]
		if !ok {
			panic(fmt.Sprintf("store: no engine knows the word %s", m))
		}
		return strings.ReplaceAll(form, "$", rest)
	})
}

// query is a statement both engines understand, but for its marked words.
type query string

// runner is what a transaction and a pool of readers have in common.
type runner interface {
	exec(ctx context.Context, q query, args ...any) (int64, error)
	rows(ctx context.Context, q query, args ...any) (cursor, error)
}

// cursor is what *sql.Rows offers.
type cursor interface {
	Next() bool
	Scan(into ...any) error
	Err() error
	Close() error
}

// collect reads all rows.
func collect[T any](ctx context.Context, r runner, q query, scan func(func(...any) error) (T, error), args ...any) (out []T, err error) {
	return collectInto(ctx, r, nil, q, scan, args...)
}

// collectInto is the only loop over rows. It appends to out.
func collectInto[T any](ctx context.Context, r runner, out []T, q query, scan func(func(...any) error) (T, error), args ...any) (_ []T, err error) {
	rows, err := r.rows(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read a row: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one is collect for at most one row; ok says whether there was one.
func one[T any](ctx context.Context, r runner, q query, scan func(func(...any) error) (T, error), args ...any) (v T, ok bool, err error) {
	all, err := collect(ctx, r, q, scan, args...)
	if err != nil || len(all) == 0 {
		return v, false, err
	}
	return all[0], true, nil
}

// scalar scans a row of one column.
func scalar[T any](scan func(...any) error) (v T, err error) {
	err = scan(&v)
	return v, err
}
