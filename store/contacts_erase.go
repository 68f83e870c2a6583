package store

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/rights"
)

// A person may have asked to be written to at another address: the contact
// made for it is theirs as well.
const qErasePersons query = `
SELECT DISTINCT r.contact_id FROM requests r WHERE r.person_id = $1 AND r.contact_id <> $1 AND r.made = 1`

// Every address a person had, as far as it is known in plain: the kind is that
// of the row, or with a driver what it reaches.
const qAddressesEver query = `
SELECT a.kind, '', a.value, a.display FROM addresses a WHERE a.contact_id = $1
UNION SELECT r.kind, '', d.address, '' FROM deliveries d JOIN runs r ON r.id = d.run_id WHERE d.contact_id = $1 AND d.address IS NOT NULL
UNION SELECT '', k.driver, k.address, '' FROM consents k WHERE k.contact_id = $1 AND k.address <> ''
UNION SELECT '', n.driver, COALESCE({{json v.evidence}} ->> 'address', ''), COALESCE({{json v.evidence}} ->> 'given', '')
  FROM consent_entries n JOIN consent_evidence v ON v.entry_id = n.id WHERE n.contact_id = $1
UNION SELECT '', q.driver, COALESCE({{json q.asked}} ->> 'address', ''), COALESCE({{json q.asked}} ->> 'given', '')
  FROM requests q WHERE q.contact_id = $1 OR q.person_id = $1`

const qFormerOf query = `SELECT f.kind, f.hash FROM former_addresses f WHERE f.contact_id = $1`

// Who else has an address now keeps it.
const qOthersAddresses query = `
SELECT a.kind, a.hash FROM {{each $2}} JOIN addresses a ON a.kind = e.value ->> 0 AND a.value = e.value ->> 2 WHERE a.contact_id <> $1`

const qOthersHashes query = `
SELECT a.kind, a.hash FROM addresses a WHERE a.contact_id <> $1 AND (a.kind, a.hash) IN (SELECT e.value ->> 0, e.value ->> 1 FROM {{each $2}})`

const qHideSuppressions query = `
INSERT INTO suppressions (kind, hash, value, reason, detail, actor, at)
SELECT e.value ->> 0, e.value ->> 1, NULL, e.value ->> 3, '', e.value ->> 5, CAST(e.value ->> 6 AS BIGINT)
FROM {{each $1}} WHERE true
ON CONFLICT (kind, hash) DO UPDATE SET value = NULL, detail = '', reference = ''`

// The plain value beside a suppression, of whichever kind, is the person's too.
const qHidePlain query = `
UPDATE suppressions SET value = NULL, detail = '', reference = '' WHERE value IN (SELECT e.value ->> 0 FROM {{each $1}})`

const qTopicsOfPerson query = `
SELECT DISTINCT n.driver, n.topic_id, t.name FROM consent_entries n JOIN topics t ON t.id = n.topic_id WHERE n.contact_id = $1
ORDER BY n.driver, t.name`

// What waits is over; what a worker has in hand meets the gate.
const qStopErased query = `
UPDATE deliveries SET state = 'suppressed', reason = 'erased', worker_id = NULL, updated_at = $2
WHERE contact_id = $1 AND state = 'queued' RETURNING batch_id`

const qInHand query = `SELECT COUNT(*) FROM deliveries WHERE contact_id = $1 AND state IN ('claimed', 'sending')`

// The steps of an erasure, in an order that leaves no row without its owner.
// Numbers, states and times stay: they are the statistics.
func eraseSteps() []struct {
	where, what string
	q           query
} {
	return []struct {
		where, what string
		q           query
	}{
		{"consents", "current answers", `DELETE FROM consents WHERE contact_id = $1`},
		{"consent_evidence", "evidence with its keys", `
DELETE FROM consent_evidence WHERE entry_id IN (SELECT n.id FROM consent_entries n WHERE n.contact_id = $1)`},
		{"attempts", "texts of servers", `
UPDATE attempts SET detail = '', server = '' WHERE (detail <> '' OR server <> '')
  AND delivery_id IN (SELECT d.id FROM deliveries d WHERE d.contact_id = $1)`},
		{"runs", "references of single messages", `
UPDATE runs SET reference = NULL WHERE reference IS NOT NULL AND id IN (SELECT d.run_id FROM deliveries d WHERE d.contact_id = $1)`},
		{"deliveries", "addresses, data and what the provider called them", `
UPDATE deliveries SET address = NULL, data = NULL, provider_id = '', server = '' WHERE contact_id = $1`},
		{"responses", "classes of programs and details", `
UPDATE responses SET agent = '', detail = '' WHERE contact_id = $1 AND (agent <> '' OR detail <> '')`},
		{"events", "events with their data", `DELETE FROM events WHERE contact_id = $1`},
		{"preferences", "preferences", `DELETE FROM preferences WHERE contact_id = $1`},
		{"requests", "requests", `DELETE FROM requests WHERE contact_id = $1 OR person_id = $1`},
		{"restrictions", "reasons of a restriction", `DELETE FROM restrictions WHERE contact_id = $1`},
		{"former_addresses", "fingerprints of earlier addresses", `DELETE FROM former_addresses WHERE contact_id = $1`},
		{"addresses", "addresses", `DELETE FROM addresses WHERE contact_id = $1`},
		{"contacts", "contacts with their attributes", `DELETE FROM contacts WHERE id = $1`},
	}
}

// Erase implements contacts.Store.
func (s *Store) Erase(ctx context.Context, contact int64, actor string, salt func() ([]byte, error)) error {
	_, err := s.Forget(ctx, contact, rights.Erasure{Actor: actor, Salt: salt})
	return err
}

// On PostgreSQL nobody is planned while somebody is erased: deliveries name
// people by number, which holds no row, and one that is written beside an
// erasure would keep an address. Planners stand in nobody's way.
const (
	qAloneErasing   query = `SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.erase'), 0)`
	qBesideErasures query = `SELECT pg_advisory_xact_lock_shared(hashtext(current_schema() || '.erase'), 0)`

	// Whoever writes a row that belongs to the contact holds it until the commit.
	qContactAlone query = `SELECT c.id FROM contacts c WHERE c.id = $1 {{lock c}}`
)

func (t tx) aloneErasing(ctx context.Context) error {
	if t.s.d != &postgresDialect {
		return nil
	}
	_, err := t.exec(ctx, qAloneErasing)
	return err
}

// besideErasures waits for erasures, and holds them up until the commit.
func (t tx) besideErasures(ctx context.Context) error {
	if t.s.d != &postgresDialect {
		return nil
	}
	_, err := t.exec(ctx, qBesideErasures)
	return err
}

// Forget implements rights.EraseStore.
func (s *Store) Forget(ctx context.Context, contact int64, e rights.Erasure) (rights.Erased, error) {
	var out rights.Erased
	err := s.update(ctx, durable, func(t tx) error {
		var had telling
		out = rights.Erased{}
		if err := t.aloneErasing(ctx); err != nil {
			return err
		}
		all, err := collect(ctx, t, qErasePersons, scalar[int64], contact)
		if err != nil {
			return fmt.Errorf("look for contacts that were made for the person: %w", err)
		}
		for _, id := range append(all, contact) {
			if err := t.forgetContact(ctx, id, e, &out, &had); err != nil {
				return fmt.Errorf("erase contact %d: %w", id, err)
			}
		}
		texts, err := t.scrub(ctx, had)
		if err != nil {
			return fmt.Errorf("take the person out of notes: %w", err)
		}
		out.Removed = append(out.Removed, texts...)
		if e.Note.Action == "" {
			return nil
		}
		return t.note(ctx, e.Note)
	})
	if err != nil {
		return out, err
	}
	if out.Copies, err = s.copies(); err != nil {
		return out, err
	}
	return out, s.forgetLog(ctx)
}

// forgetContact removes one contact.
func (t tx) forgetContact(ctx context.Context, contact int64, e rights.Erasure, out *rights.Erased, had *telling) error {
	if err := t.waitForGate(ctx, idsJSON([]int64{contact})); err != nil {
		return err
	}
	if _, err := collect(ctx, t, qContactAlone, scalar[int64], contact); err != nil {
		return fmt.Errorf("wait for who writes about the contact: %w", err)
	}
	if !e.IdleSince.IsZero() {
		_, still, err := one(ctx, t, qStillIdle, scalar[int64], micros(e.IdleSince), contact)
		if err != nil {
			return fmt.Errorf("look for a sign of the person: %w", err)
		}
		if !still {
			return rapport.Conflictf("there was a sign of contact number %d meanwhile", contact)
		}
	}
	c, ok, err := one(ctx, t, qContactByID, scanContact, contact)
	if err != nil {
		return fmt.Errorf("find the contact: %w", err)
	}
	if !ok {
		return noContact(contact)
	}
	list := []contacts.Contact{c}
	if err := withAddresses(ctx, t, list); err != nil {
		return err
	}
	hashes, err := t.suppressErased(ctx, list[0], e, had)
	if err != nil {
		return err
	}
	out.Hashes = append(out.Hashes, hashes...)
	if err := t.stopErased(ctx, contact, out); err != nil {
		return err
	}
	removed, err := t.dropPerson(ctx, contact)
	if err != nil {
		return err
	}
	for _, n := range removed {
		out.Removed = counted(out.Removed, n.Where, n.What, n.N)
	}
	entries, err := t.noteErased(ctx, contact, e)
	out.Entries = append(out.Entries, entries...)
	return err
}

// dropPerson runs the steps that take a person out of every table.
func (t tx) dropPerson(ctx context.Context, contact int64) ([]rights.Count, error) {
	var out []rights.Count
	for _, step := range eraseSteps() {
		n, err := t.exec(ctx, step.q, contact)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.where, err)
		}
		out = counted(out, step.where, step.what, n)
	}
	return out, nil
}

func counted(list []rights.Count, where, what string, n int64) []rights.Count {
	if n == 0 {
		return list
	}
	for i := range list {
		if list[i].Where == where && list[i].What == what {
			list[i].N += n
			return list
		}
	}
	return append(list, rights.Count{Where: where, What: what, N: n})
}

// stopErased ends what waits for a person, with the counters of its batches.
func (t tx) stopErased(ctx context.Context, contact int64, out *rights.Erased) error {
	now := t.s.now()
	stopped, err := collect(ctx, t, qStopErased, scalar[int64], contact, micros(now))
	if err != nil {
		return fmt.Errorf("stop what waits: %w", err)
	}
	var c counts
	for _, batch := range stopped {
		c.add(batch, outbox.Queued, outbox.Suppressed, now)
	}
	if err := c.write(ctx, t); err != nil {
		return fmt.Errorf("count what was stopped: %w", err)
	}
	out.Stopped += int64(len(stopped))
	hand, _, err := one(ctx, t, qInHand, scalar[int64], contact)
	out.Leaving += hand
	return err
}

// suppressErased keeps the fingerprints of all addresses a person ever had, but
// those that are somebody else's by now, and remembers the addresses for the
// search through notes. What every contact has by itself, its own ID, is worth
// no entry but does no harm.
func (t tx) suppressErased(ctx context.Context, c contacts.Contact, e rights.Erasure, had *telling) ([]rights.Hash, error) {
	type row struct{ kind, driver, value, given string }
	rows, err := collect(ctx, t, qAddressesEver, func(scan func(...any) error) (r row, err error) {
		err = scan(&r.kind, &r.driver, &r.value, &r.given)
		return r, err
	}, c.ID)
	if err != nil {
		return nil, fmt.Errorf("gather addresses: %w", err)
	}
	had.add(c.ExternalID)
	plain := [][]string{}
	known := map[rights.Hash]string{}
	for _, a := range c.Addresses {
		known[rights.Hash{Kind: a.Kind, Hash: a.Hash}] = a.Value
	}
	for _, r := range rows {
		had.add(r.value)
		had.add(r.given)
		if r.value != "" {
			plain = append(plain, []string{r.value})
		}
		if r.kind == "" && e.Kind != nil {
			r.kind = e.Kind(r.driver)
		}
		if r.kind != "" && r.value != "" && e.Mark != nil {
			known[rights.Hash{Kind: r.kind, Hash: e.Mark(r.kind, r.value)}] = r.value
		}
	}
	if _, err := t.exec(ctx, qHidePlain, asJSON(plain)); err != nil {
		return nil, fmt.Errorf("hide suppressed addresses: %w", err)
	}
	if _, err = collect(ctx, t, qFormerOf, func(scan func(...any) error) (struct{}, error) {
		var h rights.Hash
		err := scan(&h.Kind, &h.Hash)
		if _, there := known[h]; !there {
			known[h] = ""
		}
		return struct{}{}, err
	}, c.ID); err != nil {
		return nil, fmt.Errorf("gather earlier addresses: %w", err)
	}
	return t.keepHashes(ctx, c.ID, e, known)
}

func (t tx) keepHashes(ctx context.Context, contact int64, e rights.Erasure, known map[rights.Hash]string) ([]rights.Hash, error) {
	var plain, hashed rowsJSON
	unknown := false
	for h, value := range known {
		to := &plain
		if value == "" {
			to, unknown = &hashed, true
		}
		to.begin()
		to.string(h.Kind)
		to.string(h.Hash)
		to.string(value)
		to.end()
	}
	ask := []step{{q: qOthersAddresses, args: []any{contact, plain.text()}}}
	if unknown { // it looks through all addresses
		ask = append(ask, step{q: qOthersHashes, args: []any{contact, hashed.text()}})
	}
	for _, a := range ask {
		if _, err := collect(ctx, t, a.q, func(scan func(...any) error) (struct{}, error) {
			var h rights.Hash
			err := scan(&h.Kind, &h.Hash)
			delete(known, h)
			return struct{}{}, err
		}, a.args...); err != nil {
			return nil, fmt.Errorf("look whose addresses they are now: %w", err)
		}
	}
	hashes := make([]rights.Hash, 0, len(known))
	list := make([]consent.Suppression, 0, len(known))
	for h := range known {
		hashes = append(hashes, h)
	}
	slices.SortFunc(hashes, func(a, b rights.Hash) int { return strings.Compare(a.Kind+" "+a.Hash, b.Kind+" "+b.Hash) })
	for _, h := range hashes {
		list = append(list, consent.Suppression{Kind: h.Kind, Hash: h.Hash, Reason: consent.Gone, Actor: e.Actor, At: t.s.now()})
	}
	if len(list) == 0 {
		return hashes, nil
	}
	if _, err := t.exec(ctx, qHideSuppressions, suppressionRows(list)); err != nil {
		return nil, fmt.Errorf("keep the suppression of erased addresses: %w", err)
	}
	return hashes, nil
}

// noteErased appends the lines that say so, with nothing of the person.
func (t tx) noteErased(ctx context.Context, contact int64, e rights.Erasure) ([]int64, error) {
	if _, _, err := one(ctx, t, qLedgerShare, scalar[string]); err != nil {
		return nil, fmt.Errorf("join the writers of the ledger: %w", err)
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
		return nil, fmt.Errorf("read the ledger of contact %d: %w", contact, err)
	}
	var lines []consent.Record
	for _, k := range keys {
		salt, err := e.Salt()
		if err != nil {
			return nil, err
		}
		line, err := consent.Draft(consent.Entry{Contact: contact, Driver: k.driver, Topic: k.name, State: consent.Erased, Basis: consent.ByLegalDuty, At: now, Actor: e.Actor, Salt: salt}, k.topic, now)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil, nil
	}
	numbers, err := t.addLines(ctx, lines)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, n := range numbers {
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

// copies counts the copies of an embedded database that lie beside it.
func (s *Store) copies() (int, error) {
	if s.d != &sqliteDialect {
		return 0, nil
	}
	list, err := filepath.Glob(filepath.Join(s.data, fileName+".*"))
	if err != nil {
		return 0, fmt.Errorf("look for copies of the database: %w", err)
	}
	return len(list), nil
}
