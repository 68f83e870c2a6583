package store

import (
	"context"
	"fmt"
	"strconv"

	"rapport/consent"
)

const qLastSeal query = `SELECT up_to, hash, at FROM ledger_seals ORDER BY up_to DESC LIMIT 1`

const qSeals query = `SELECT up_to, hash, at FROM ledger_seals WHERE up_to > $1 ORDER BY up_to LIMIT $2`

const qLedgerEnd query = `SELECT COALESCE(MAX(id), 0) FROM consent_entries`

const qLedgerNote query = `SELECT value FROM meta WHERE key = 'ledger'`

const qLedgerAlone query = `UPDATE meta SET value = value WHERE key = 'ledger'`

const qLedgerMove query = `UPDATE meta SET value = $2 WHERE key = 'ledger' AND value = $1`

const qAddSeal query = `INSERT INTO ledger_seals (up_to, hash, at) VALUES ($1, $2, $3)`

func scanSeal(scan func(...any) error) (s consent.Seal, err error) {
	var at int64
	err = scan(&s.UpTo, &s.Hash, &at)
	s.At = when(at)
	return s, err
}

// Horizon implements consent.SealStore. When nothing new is to be seen it
// takes no lock.
func (s *Store) Horizon(ctx context.Context) (last consent.Seal, horizon int64, err error) {
	last, horizon, err = ledgerHead(ctx, s.reader())
	if err != nil || horizon == last.UpTo {
		return last, horizon, s.classify(err)
	}
	err = s.update(ctx, quick, func(t tx) error {
		// Whoever has a number already holds the row until the commit.
		if _, err := t.exec(ctx, qLedgerAlone); err != nil {
			return fmt.Errorf("wait for the writers of the ledger: %w", err)
		}
		last, horizon, err = ledgerHead(ctx, t)
		return err
	})
	return last, horizon, err
}

func ledgerHead(ctx context.Context, r runner) (last consent.Seal, horizon int64, err error) {
	note, _, err := one(ctx, r, qLedgerNote, scalar[string])
	if err != nil {
		return last, 0, fmt.Errorf("read the note beside the seals: %w", err)
	}
	if last, _, err = one(ctx, r, qLastSeal, scanSeal); err != nil {
		return last, 0, fmt.Errorf("read the last seal: %w", err)
	}
	if note != strconv.FormatInt(last.UpTo, 10) {
		if s, ok := r.(pool); ok {
			// Outside a transaction somebody may have sealed between the two
			// statements; ask again inside one.
			err = s.s.update(ctx, quick, func(t tx) error {
				last, horizon, err = ledgerHead(ctx, t)
				return err
			})
			return last, horizon, err
		}
		return last, 0, consent.ErrCut
	}
	if horizon, _, err = one(ctx, r, qLedgerEnd, scalar[int64]); err != nil {
		return last, 0, fmt.Errorf("read the end of the ledger: %w", err)
	}
	return last, max(horizon, last.UpTo), nil
}

// AddSeal implements consent.SealStore.
func (s *Store) AddSeal(ctx context.Context, before, seal consent.Seal) (mine bool, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		mine = false
		n, err := t.exec(ctx, qLedgerMove, strconv.FormatInt(before.UpTo, 10), strconv.FormatInt(seal.UpTo, 10))
		if err != nil || n == 0 {
			return err
		}
		mine = true
		_, err = t.exec(ctx, qAddSeal, seal.UpTo, seal.Hash, micros(seal.At))
		return err
	})
	return mine, err
}

// Seals implements consent.SealStore.
func (s *Store) Seals(ctx context.Context, after int64, limit int) ([]consent.Seal, error) {
	list, err := collect(ctx, s.reader(), qSeals, scanSeal, after, limit)
	return list, s.classify(err)
}
