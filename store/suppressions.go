package store

import (
	"context"
	"fmt"

	"rapport/consent"
)

// The people who have the addresses: touching their answers waits for the
// gate, which shares those rows until its intents are committed.
const qTouchAnswers query = `
UPDATE consents SET at = at WHERE contact_id IN (
  SELECT a.contact_id FROM {{each $1}} JOIN addresses a ON a.kind = e.value ->> 0 AND a.value = e.value ->> 2)`

const qSuppress query = `
INSERT INTO suppressions (kind, hash, value, reason, detail, actor, at)
SELECT e.value ->> 0, e.value ->> 1, NULLIF(e.value ->> 2, ''), e.value ->> 3, e.value ->> 4, e.value ->> 5, CAST(e.value ->> 6 AS BIGINT)
FROM {{each $1}} WHERE true
ON CONFLICT (kind, hash) DO NOTHING`

const qUnsuppress query = `DELETE FROM suppressions WHERE kind = $1 AND hash = $2`

const qForgetStrike query = `DELETE FROM strikes WHERE kind = $1 AND hash = $2`

const qSuppressions query = `
SELECT kind, hash, COALESCE(value, ''), reason, detail, actor, at FROM suppressions
WHERE (kind, hash) > ($1, $2) ORDER BY kind, hash LIMIT $3`

const qSuppressed query = `
SELECT kind, hash, COALESCE(value, ''), reason, detail, actor, at FROM suppressions WHERE kind = $1 AND hash = $2`

func scanSuppression(scan func(...any) error) (x consent.Suppression, err error) {
	var at int64
	err = scan(&x.Kind, &x.Hash, &x.Value, &x.Reason, &x.Detail, &x.Actor, &at)
	x.At = when(at)
	return x, err
}

// Suppress implements consent.SuppressionStore.
func (s *Store) Suppress(ctx context.Context, list []consent.Suppression) (added int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	rows := suppressionRows(list)
	err = s.update(ctx, durable, func(t tx) error {
		if _, err := t.exec(ctx, qTouchAnswers, rows); err != nil {
			return fmt.Errorf("wait for the gate: %w", err)
		}
		n, err := t.exec(ctx, qSuppress, rows)
		added = int(n)
		return err
	})
	return added, err
}

func suppressionRows(list []consent.Suppression) string {
	var rows rowsJSON
	for _, x := range list {
		rows.begin()
		rows.string(x.Kind)
		rows.string(x.Hash)
		rows.string(x.Value)
		rows.string(x.Reason)
		rows.string(x.Detail)
		rows.string(x.Actor)
		rows.number(micros(x.At))
		rows.end()
	}
	return rows.text()
}

// Unsuppress implements consent.SuppressionStore.
func (s *Store) Unsuppress(ctx context.Context, kind, hash string) (found bool, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		n, err := t.exec(ctx, qUnsuppress, kind, hash)
		if err != nil {
			return err
		}
		found = n > 0
		_, err = t.exec(ctx, qForgetStrike, kind, hash)
		return err
	})
	return found, err
}

// Suppressions implements consent.SuppressionStore.
func (s *Store) Suppressions(ctx context.Context, kind, hash string, limit int) ([]consent.Suppression, error) {
	list, err := collect(ctx, s.reader(), qSuppressions, scanSuppression, kind, hash, limit)
	return list, s.classify(err)
}

// Suppressed implements consent.SuppressionStore.
func (s *Store) Suppressed(ctx context.Context, kind, hash string) (consent.Suppression, bool, error) {
	x, ok, err := one(ctx, s.reader(), qSuppressed, scanSuppression, kind, hash)
	return x, ok, s.classify(err)
}
