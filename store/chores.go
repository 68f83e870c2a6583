package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	qChore     query = `SELECT value FROM meta WHERE key = $1`
	qMakeChore query = `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`
	qMoveChore query = `UPDATE meta SET value = $2 WHERE key = $1 AND value = $3`
	qEndChore  query = `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
)

// choreKey is where a daily chore notes when it was done, and until when
// somebody is about it.
func choreKey(name string) string { return "chore:" + name }

func choreValue(done, until time.Time) string {
	return strconv.FormatInt(micros(done), 10) + " " + strconv.FormatInt(micros(until), 10)
}

// TakeChore takes on a daily chore that was not done since a moment and that
// nobody is about; false: somebody else has, or it is not due. Until the lease
// ends nobody else takes it.
func (s *Store) TakeChore(ctx context.Context, name string, now, since, lease time.Time) (bool, error) {
	key := choreKey(name)
	text, known, err := one(ctx, s.reader(), qChore, scalar[string], key)
	if err != nil {
		return false, fmt.Errorf("look for chore %s: %w", name, s.classify(err))
	}
	done, until := choreTimes(text)
	if done.After(since) || until.After(now) {
		return false, nil
	}
	n := int64(0)
	err = s.update(ctx, durable, func(t tx) (err error) {
		if known {
			n, err = t.exec(ctx, qMoveChore, key, choreValue(done, lease), text)
		} else {
			n, err = t.exec(ctx, qMakeChore, key, choreValue(done, lease))
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take on chore %s: %w", name, err)
	}
	return n == 1, nil
}

func choreTimes(text string) (done, until time.Time) {
	a, b, _ := strings.Cut(text, " ")
	first, _ := strconv.ParseInt(a, 10, 64) // what cannot be read was never done
	second, _ := strconv.ParseInt(b, 10, 64)
	return when(first), when(second)
}

// FinishChore notes that a daily chore was done.
func (s *Store) FinishChore(ctx context.Context, name string, at time.Time) error {
	err := s.update(ctx, durable, func(t tx) error {
		_, err := t.exec(ctx, qEndChore, choreKey(name), choreValue(at, time.Time{}))
		return err
	})
	if err != nil {
		return fmt.Errorf("note that chore %s is done: %w", name, err)
	}
	return nil
}
