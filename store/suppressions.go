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
INSERT INTO suppressions (kind, hash, value, reason, detail, actor, at, reference, recorded_at)
SELECT e.value ->> 0, e.value ->> 1, NULLIF(e.value ->> 2, ''), e.value ->> 3, e.value ->> 4, e.value ->> 5, CAST(e.value ->> 6 AS BIGINT),
  e.value ->> 7, CAST(e.value ->> 8 AS BIGINT)
FROM {{each $1}} WHERE true
ON CONFLICT (kind, hash) DO NOTHING`

// What is harder to take back wins over what is easier, and of two that are
// alike the later time counts.
const (
	rankOld = `CASE suppressions.reason ` + ranks
	rankNew = `CASE v.reason ` + ranks
	ranks   = `WHEN 'legal' THEN 3 WHEN 'complaint' THEN 2 WHEN 'unsubscribed_all' THEN 2 WHEN 'erased' THEN 2
  WHEN 'role_account' THEN 1 ELSE 0 END`
)

const qStrengthen query = `
UPDATE suppressions SET reason = CASE WHEN ` + rankNew + ` > ` + rankOld + ` THEN v.reason ELSE suppressions.reason END,
  detail = CASE WHEN ` + rankNew + ` > ` + rankOld + ` THEN v.detail ELSE suppressions.detail END,
  actor = v.actor, at = v.at, reference = v.reference, recorded_at = v.recorded_at
FROM (
  SELECT e.value ->> 0 AS kind, e.value ->> 1 AS hash, e.value ->> 3 AS reason, e.value ->> 4 AS detail, e.value ->> 5 AS actor,
    CAST(e.value ->> 6 AS BIGINT) AS at, e.value ->> 7 AS reference, CAST(e.value ->> 8 AS BIGINT) AS recorded_at
  FROM {{each $1}}
) v
WHERE suppressions.kind = v.kind AND suppressions.hash = v.hash
  AND (` + rankNew + ` > ` + rankOld + ` OR ` + rankNew + ` = ` + rankOld + ` AND v.at > suppressions.at)`

// What has become harder to take back meanwhile, or was said anew, stays.
const qUnsuppress query = `DELETE FROM suppressions WHERE kind = $1 AND hash = $2 AND reason = $3 AND at = $4`

const qForgetStrike query = `DELETE FROM strikes WHERE kind = $1 AND hash = $2`

const qSuppressionColumns = `
SELECT s.kind, s.hash, COALESCE(s.value, ''), s.reason, s.detail, s.actor, s.at, s.reference, COALESCE(NULLIF(s.recorded_at, 0), s.at)
FROM suppressions s`

const qSuppressions query = qSuppressionColumns + `
WHERE (s.kind, s.hash) > ($1, $2) ORDER BY s.kind, s.hash LIMIT $3`

const qSuppressed query = qSuppressionColumns + ` WHERE s.kind = $1 AND s.hash = $2`

func scanSuppression(scan func(...any) error) (x consent.Suppression, err error) {
	var at, recorded int64
	err = scan(&x.Kind, &x.Hash, &x.Value, &x.Reason, &x.Detail, &x.Actor, &at, &x.Reference, &recorded)
	x.At, x.RecordedAt = when(at), when(recorded)
	return x, err
}

// Suppress implements consent.SuppressionStore.
func (s *Store) Suppress(ctx context.Context, list []consent.Suppression) (added int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	rows := suppressionRows(list)
	err = s.update(ctx, durable, func(t tx) (err error) {
		if _, err := t.exec(ctx, qTouchAnswers, rows); err != nil {
			return fmt.Errorf("wait for the gate: %w", err)
		}
		added, err = t.suppress(ctx, rows)
		return err
	})
	return added, err
}

// suppress adds suppressions, returns how many are new, and strengthens those
// that are there.
func (t tx) suppress(ctx context.Context, rows string) (added int, err error) {
	n, err := t.exec(ctx, qSuppress, rows)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, qStrengthen, rows)
	return int(n), err
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
		rows.string(x.Reference)
		rows.number(micros(x.RecordedAt))
		rows.end()
	}
	return rows.text()
}

// Unsuppress implements consent.SuppressionStore.
func (s *Store) Unsuppress(ctx context.Context, x consent.Suppression) (found bool, err error) {
	err = s.update(ctx, durable, func(t tx) (err error) {
		found, err = t.unsuppress(ctx, x)
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
