package store

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/contacts"
)

// What names a person outside the contact itself. Numbers, states and times
// stay: they are the statistics.
const (
	qEraseEvidence query = `
DELETE FROM consent_evidence WHERE entry_id IN (SELECT n.id FROM consent_entries n WHERE n.contact_id = $1)`

	qEraseAttempts query = `
UPDATE attempts SET detail = '' WHERE delivery_id IN (SELECT d.id FROM deliveries d WHERE d.contact_id = $1)`

	qEraseDeliveries query = `UPDATE deliveries SET address = NULL, data = NULL WHERE contact_id = $1`

	qEraseResponses query = `UPDATE responses SET agent = '', detail = '' WHERE contact_id = $1`

	qEraseContact query = `DELETE FROM contacts WHERE id = $1`

	qEraseAnswers query = `DELETE FROM consents WHERE contact_id = $1`

	qEraseAddresses query = `DELETE FROM addresses WHERE contact_id = $1`

	qHideSuppressions query = `
INSERT INTO suppressions (kind, hash, value, reason, detail, actor, at)
SELECT e.value ->> 0, e.value ->> 1, NULL, e.value ->> 3, '', e.value ->> 5, CAST(e.value ->> 6 AS BIGINT)
FROM {{each $1}} WHERE true
ON CONFLICT (kind, hash) DO UPDATE SET value = NULL, detail = ''`

	// Earlier addresses of the person, which may be suppressed too.
	qHideEarlier query = `
UPDATE suppressions SET value = NULL, detail = '' WHERE value IN (
  SELECT d.address FROM deliveries d WHERE d.contact_id = $1 AND d.address IS NOT NULL
  UNION SELECT k.address FROM consents k WHERE k.contact_id = $1
  UNION SELECT {{json v.evidence}} ->> 'address' FROM consent_entries n JOIN consent_evidence v ON v.entry_id = n.id WHERE n.contact_id = $1)`

	qTopicsOfPerson query = `
SELECT DISTINCT n.driver, n.topic_id, t.name FROM consent_entries n JOIN topics t ON t.id = n.topic_id WHERE n.contact_id = $1
ORDER BY n.driver, t.name`
)

// Erase implements contacts.Store.
func (s *Store) Erase(ctx context.Context, contact int64, actor string, salt func() ([]byte, error)) error {
	err := s.update(ctx, durable, func(t tx) error {
		c, ok, err := one(ctx, t, qContactByID, scanContact, contact)
		if err != nil {
			return fmt.Errorf("find the contact: %w", err)
		}
		if !ok {
			return rapport.NotFoundf("there is no contact number %d", contact)
		}
		list := []contacts.Contact{c}
		if err := withAddresses(ctx, t, list); err != nil {
			return err
		}
		if err := t.suppressErased(ctx, list[0], actor); err != nil {
			return err
		}
		for _, q := range []query{qHideEarlier, qEraseAnswers, qEraseEvidence, qEraseAttempts, qEraseDeliveries, qEraseResponses} {
			if _, err := t.exec(ctx, q, contact); err != nil {
				return fmt.Errorf("erase contact %d: %w", contact, err)
			}
		}
		if err := t.noteErased(ctx, contact, actor, salt); err != nil {
			return err
		}
		for _, q := range []query{qEraseAddresses, qEraseContact} {
			if _, err := t.exec(ctx, q, contact); err != nil {
				return fmt.Errorf("erase contact %d: %w", contact, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.forgetLog(ctx)
}

// forgetTime is how long readers are waited for.
const forgetTime = 2 * time.Second

// forgetLog moves SQLite's log into the file and empties it, so that what was
// erased does not live on in it. Where somebody reads for too long it stays,
// and goes with the next erasure or the end of the last process. PostgreSQL's
// own vacuum does the like.
func (s *Store) forgetLog(ctx context.Context) error {
	if s.d != &sqliteDialect {
		return nil
	}
	leave, err := s.lanes.enter(ctx, bulk)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, forgetTime)
	defer cancel()
	if _, err := s.pools.quick.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil && ctx.Err() == nil {
		return fmt.Errorf("empty the log of the database: %w", err)
	}
	return nil
}

// suppressErased keeps the fingerprints of a person's addresses. What every
// contact has by itself, its own ID, is worth no entry but does no harm.
func (t tx) suppressErased(ctx context.Context, c contacts.Contact, actor string) error {
	var list []consent.Suppression
	for _, a := range c.Addresses {
		list = append(list, consent.Suppression{Kind: a.Kind, Hash: a.Hash, Reason: consent.Gone, Actor: actor, At: t.s.now()})
	}
	if len(list) == 0 {
		return nil
	}
	if _, err := t.exec(ctx, qHideSuppressions, suppressionRows(list)); err != nil {
		return fmt.Errorf("keep the suppression of erased addresses: %w", err)
	}
	return nil
}

// noteErased appends the lines that say so, with nothing of the person.
func (t tx) noteErased(ctx context.Context, contact int64, actor string, salt func() ([]byte, error)) error {
	if _, _, err := one(ctx, t, qLedgerShare, scalar[string]); err != nil {
		return fmt.Errorf("join the writers of the ledger: %w", err)
	}
	now := t.s.now().UTC().Truncate(time.Microsecond)
	type key struct {
		driver string
		topic  int64
		name   string
	}
	keys, err := collect(ctx, t, qTopicsOfPerson, func(scan func(...any) error) (k key, err error) {
		err = scan(&k.driver, &k.topic, &k.name)
		return k, err
	}, contact)
	if err != nil {
		return fmt.Errorf("read the ledger of contact %d: %w", contact, err)
	}
	var lines []consent.Record
	for _, k := range keys {
		key, err := salt()
		if err != nil {
			return err
		}
		line, err := consent.Draft(consent.Entry{Contact: contact, Driver: k.driver, Topic: k.name, State: consent.Erased, Basis: consent.ByLegalDuty, At: now, Actor: actor, Salt: key}, k.topic, now)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil
	}
	_, err = t.addLines(ctx, lines)
	return err
}
