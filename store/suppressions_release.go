package store

import (
	"context"
	"fmt"
	"time"

	"rapport/consent"
)

const qSuppressionsOf query = `
SELECT s.kind, s.hash, COALESCE(s.value, ''), s.reason, s.detail, s.actor, s.at, s.reference, COALESCE(NULLIF(s.recorded_at, 0), s.at), a.value
FROM {{each $1}} CROSS JOIN addresses a CROSS JOIN suppressions s
WHERE a.kind = e.value ->> 0 AND a.value = e.value ->> 1 AND s.kind = a.kind AND s.hash = a.hash`

const qLedgerOfOwner query = qLedgerColumns + `
WHERE n.contact_id = (SELECT a.contact_id FROM addresses a WHERE a.kind = $1 AND a.value = $2) AND n.at > $3 ORDER BY n.id`

// release takes back the suppressions that acts of their owners end, in the
// transaction that records the acts.
func (t tx) release(ctx context.Context, entries []consent.Entry, outcomes []consent.Outcome) error {
	type place struct{ kind, value string }
	var acts map[place][]consent.Entry
	var places rowsJSON
	for i, e := range entries {
		if outcomes[i].Err != nil || outcomes[i].Answer != consent.Yes || e.Address == "" || !e.MayRelease() {
			continue
		}
		at := place{e.Kind, e.Address}
		if acts == nil {
			acts = map[place][]consent.Entry{}
		}
		if len(acts[at]) == 0 {
			places.begin()
			places.string(e.Kind)
			places.string(e.Address)
			places.end()
		}
		acts[at] = append(acts[at], e)
	}
	if len(acts) == 0 {
		return nil
	}
	list, err := collect(ctx, t, qSuppressionsOf, scanOwned, places.text())
	if err != nil {
		return fmt.Errorf("look for suppressions: %w", err)
	}
	for _, x := range list {
		for _, e := range acts[place{x.Kind, x.value}] {
			if !e.Releases(x.Suppression) {
				continue
			}
			if _, err := t.unsuppress(ctx, x.Suppression); err != nil {
				return fmt.Errorf("release a suppression: %w", err)
			}
			break
		}
	}
	return nil
}

// unsuppress takes a suppression off if it is still the one that was read.
func (t tx) unsuppress(ctx context.Context, x consent.Suppression) (bool, error) {
	n, err := t.exec(ctx, qUnsuppress, x.Kind, x.Hash, x.Reason, micros(x.At))
	if err != nil || n == 0 {
		return false, err
	}
	_, err = t.exec(ctx, qForgetStrike, x.Kind, x.Hash)
	return true, err
}

// owned is a suppression with the address it is about, which the suppression
// itself may have forgotten.
type owned struct {
	consent.Suppression
	value string
}

func scanOwned(scan func(...any) error) (x owned, err error) {
	x.Suppression, err = scanSuppression(func(to ...any) error { return scan(append(to, &x.value)...) })
	return x, err
}

// ActsSince implements consent.SuppressionStore.
func (s *Store) ActsSince(ctx context.Context, kind, value string, after time.Time) ([]consent.Record, error) {
	list, err := collect(ctx, s.reader(), qLedgerOfOwner, scanRecord, kind, value, micros(after))
	return list, s.classify(err)
}
