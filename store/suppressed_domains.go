package store

import (
	"context"
	"fmt"
	"time"

	"rapport/consent"
)

// What forbids an address (a) with its suppression (s) and the answer it goes
// by (k), as planning and the gate ask it. Where no domain is suppressed one
// look into an empty table, once for a whole statement, is all it costs. A
// domain itself is found by its key; those that stand for what is below them
// are gone through, the nearest counts.
const (
	// domainOfAddress is what stands behind consent.DomainSeparator; see domainOf.
	domainOfAddress = `replace(a.value, rtrim(a.value, replace(a.value, '@', '')), '')`

	domainReason = `CASE WHEN EXISTS (SELECT 1 FROM suppressed_domains) THEN COALESCE(
    (SELECT x.reason FROM suppressed_domains x WHERE x.kind = a.kind AND x.domain = ` + domainOfAddress + `),
    (SELECT x.reason FROM suppressed_domains x WHERE x.kind = a.kind AND x.subdomains = 1
       AND substr(a.value, length(a.value) - length(x.domain)) = '.' || x.domain ORDER BY length(x.domain) DESC LIMIT 1), '') ELSE '' END`

	// A confirmation that a person asked for themselves may reach an address
	// that is suppressed: it is how they take that back. What the law, a
	// contract or the nature of the address forbids, and a whole domain, stay.
	forbidden = `s.reason <> '' AND NOT (s.reason IN ('hard_bounce', 'strike', 'complaint', 'unsubscribed_all', 'manual', 'erased')
    AND EXISTS (SELECT 1 FROM topics ct WHERE ct.id = k.topic_id AND ct.name = 'confirmations'))`

	suppressed = `CASE WHEN ` + forbidden + ` THEN s.reason ELSE ` + domainReason + ` END`
)

// Who suppresses a domain, pauses or cancels is alone with the gate: on
// PostgreSQL whoever asks it shares this lock until its intents are committed,
// and takes it in the statement before the one that reads. SQLite has one
// writer. It is taken before anything else is locked.
const qAloneWithGate query = `SELECT pg_advisory_xact_lock(CAST(CAST('suppressed_domains' AS regclass) AS BIGINT))`

// shareGate goes before qLockConsents' own rows.
const shareGate = `SELECT pg_advisory_xact_lock_shared(CAST(CAST('suppressed_domains' AS regclass) AS BIGINT)) AS shared`

const qSuppressDomains query = `
INSERT INTO suppressed_domains (kind, domain, subdomains, reason, detail, actor, at, expires_at)
SELECT e.value ->> 0, e.value ->> 1, CAST(e.value ->> 2 AS SMALLINT), e.value ->> 3, e.value ->> 4, e.value ->> 5,
  CAST(e.value ->> 6 AS BIGINT), CAST(e.value ->> 7 AS BIGINT)
FROM {{each $1}} WHERE true
ON CONFLICT (kind, domain) DO UPDATE SET
  subdomains = CASE WHEN excluded.subdomains > suppressed_domains.subdomains THEN excluded.subdomains ELSE suppressed_domains.subdomains END,
  expires_at = CASE WHEN suppressed_domains.expires_at = 0 OR excluded.expires_at = 0 THEN 0
    WHEN excluded.expires_at > suppressed_domains.expires_at THEN excluded.expires_at ELSE suppressed_domains.expires_at END`

const qCountDomains query = `SELECT COUNT(*) FROM suppressed_domains`

const qUnsuppressDomain query = `DELETE FROM suppressed_domains WHERE kind = $1 AND domain = $2`

const qEndDomains query = `DELETE FROM suppressed_domains WHERE expires_at > 0 AND expires_at <= $1`

const qDomainColumns = `
SELECT x.kind, x.domain, x.subdomains, x.reason, x.detail, x.actor, x.at, x.expires_at`

const qSuppressedDomains query = qDomainColumns + ` FROM suppressed_domains x
WHERE (x.kind, x.domain) > ($1, $2) ORDER BY x.kind, x.domain LIMIT $3`

const qSuppressingDomain query = qDomainColumns + `
FROM (SELECT CAST($1 AS TEXT) AS kind, CAST($2 AS TEXT) AS value) a JOIN suppressed_domains x ON x.kind = a.kind
WHERE x.domain = ` + domainOfAddress + `
  OR (x.subdomains = 1 AND substr(a.value, length(a.value) - length(x.domain)) = '.' || x.domain)
ORDER BY length(x.domain) DESC LIMIT 1`

func scanDomain(scan func(...any) error) (x consent.SuppressedDomain, err error) {
	var below, at, expires int64
	err = scan(&x.Kind, &x.Domain, &below, &x.Reason, &x.Detail, &x.Actor, &at, &expires)
	x.Subdomains, x.At, x.Expires = below == 1, when(at), when(expires)
	return x, err
}

func (t tx) aloneWithGate(ctx context.Context) error {
	if t.s.d != &postgresDialect {
		return nil
	}
	if _, err := t.exec(ctx, qAloneWithGate); err != nil {
		return fmt.Errorf("wait for the gate: %w", err)
	}
	return nil
}

// SuppressDomains implements consent.DomainStore.
func (s *Store) SuppressDomains(ctx context.Context, list []consent.SuppressedDomain) (added int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	var rows rowsJSON
	seen := make(map[[2]string]bool, len(list)) // one statement touches a row once
	for _, x := range list {
		if seen[[2]string{x.Kind, x.Domain}] {
			continue
		}
		seen[[2]string{x.Kind, x.Domain}] = true
		below := int64(0)
		if x.Subdomains {
			below = 1
		}
		rows.begin()
		rows.string(x.Kind)
		rows.string(x.Domain)
		rows.number(below)
		rows.string(x.Reason)
		rows.string(x.Detail)
		rows.string(x.Actor)
		rows.number(micros(x.At))
		rows.number(micros(x.Expires))
		rows.end()
	}
	err = s.update(ctx, durable, func(t tx) error {
		if err := t.aloneWithGate(ctx); err != nil {
			return err
		}
		before, _, err := one(ctx, t, qCountDomains, scalar[int64])
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, qSuppressDomains, rows.text()); err != nil {
			return err
		}
		after, _, err := one(ctx, t, qCountDomains, scalar[int64])
		added = int(after - before)
		return err
	})
	return added, err
}

// UnsuppressDomain implements consent.DomainStore.
func (s *Store) UnsuppressDomain(ctx context.Context, kind, domain string) (found bool, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		n, err := t.exec(ctx, qUnsuppressDomain, kind, domain)
		found = n > 0
		return err
	})
	return found, err
}

// SuppressedDomains implements consent.DomainStore.
func (s *Store) SuppressedDomains(ctx context.Context, kind, domain string, limit int) ([]consent.SuppressedDomain, error) {
	list, err := collect(ctx, s.reader(), qSuppressedDomains, scanDomain, kind, domain, limit)
	return list, s.classify(err)
}

// DomainOf implements consent.DomainStore.
func (s *Store) DomainOf(ctx context.Context, kind, value string) (consent.SuppressedDomain, bool, error) {
	x, ok, err := one(ctx, s.reader(), qSuppressingDomain, scanDomain, kind, value)
	return x, ok, s.classify(err)
}

// EndDomains implements consent.DomainStore.
func (s *Store) EndDomains(ctx context.Context, now time.Time) (ended int, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		n, err := t.exec(ctx, qEndDomains, micros(now))
		ended = int(n)
		return err
	})
	return ended, err
}
