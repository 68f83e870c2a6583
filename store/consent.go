package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"rapport"
	"rapport/consent"
)

const qLedgerShare query = `SELECT m.value FROM meta m WHERE m.key = 'ledger' {{share m}}`

const qContactsExist query = `
SELECT c.id FROM {{each $1}} JOIN contacts c ON c.id = CAST(e.value AS BIGINT)`

const qPrimaryAddresses query = `
SELECT a.contact_id, a.kind, a.value
FROM {{each $1}} JOIN addresses a ON a.contact_id = CAST(e.value AS BIGINT)
WHERE a.position = 0`

const qStandingColumns = `
SELECT k.contact_id, k.driver, t.name, k.state, n.state, n.basis, k.address, k.at, k.entry_id, k.expires_at`

const qStanding query = qStandingColumns + `
FROM {{each $1}}
JOIN consents k ON k.contact_id = CAST(e.value AS BIGINT)
JOIN consent_entries n ON n.id = k.entry_id
JOIN topics t ON t.id = k.topic_id
ORDER BY k.contact_id, k.driver, t.name`

const qAddEntries query = `
INSERT INTO consent_entries (contact_id, driver, topic_id, state, basis, at, recorded_at, commitment, schema, expires_at)
SELECT CAST(e.value ->> 1 AS BIGINT), e.value ->> 2, CAST(e.value ->> 3 AS BIGINT), e.value ->> 4, e.value ->> 5,
  CAST(e.value ->> 6 AS BIGINT), CAST(e.value ->> 7 AS BIGINT), e.value ->> 8, CAST(e.value ->> 9 AS SMALLINT), CAST(e.value ->> 10 AS BIGINT)
FROM {{each $1}}
ORDER BY CAST(e.value ->> 0 AS BIGINT)
RETURNING id, commitment`

const qAddEvidence query = `
INSERT INTO consent_evidence (entry_id, salt, evidence)
SELECT CAST(e.value ->> 0 AS BIGINT), e.value ->> 1, e.value ->> 2 FROM {{each $1}}`

const qAddConsents query = `
INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at, expires_at)
SELECT CAST(e.value ->> 0 AS BIGINT), e.value ->> 1, CAST(e.value ->> 2 AS BIGINT), e.value ->> 3, e.value ->> 4,
  CAST(e.value ->> 5 AS BIGINT), CAST(e.value ->> 6 AS BIGINT), CAST(e.value ->> 8 AS BIGINT)
FROM {{each $1}}`

const qChangeConsents query = `
UPDATE consents SET state = v.state, address = v.address, entry_id = v.entry_id, at = v.at, expires_at = v.expires_at
FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS contact_id, e.value ->> 1 AS driver, CAST(e.value ->> 2 AS BIGINT) AS topic_id,
    e.value ->> 3 AS state, e.value ->> 4 AS address, CAST(e.value ->> 5 AS BIGINT) AS entry_id,
    CAST(e.value ->> 6 AS BIGINT) AS at, CAST(e.value ->> 7 AS BIGINT) AS before,
    CAST(e.value ->> 8 AS BIGINT) AS expires_at
  FROM {{each $1}}
) AS v
WHERE consents.contact_id = v.contact_id AND consents.driver = v.driver AND consents.topic_id = v.topic_id
  AND consents.entry_id = v.before`

const qEndConsents query = `
DELETE FROM consents WHERE (contact_id, driver, topic_id, entry_id) IN (
  SELECT CAST(e.value ->> 0 AS BIGINT), e.value ->> 1, CAST(e.value ->> 2 AS BIGINT), CAST(e.value ->> 7 AS BIGINT)
  FROM {{each $1}})`

// errStale says that somebody else changed what a transaction had read; it is
// begun again.
var errStale = errors.New("changed meanwhile by another process")

// insist is update for transactions that read, decide and write without
// holding locks in between: where a row was changed meanwhile (errStale, or a
// uniqueness promise broken by somebody faster) all of it is done again.
func (s *Store) insist(ctx context.Context, l lane, do func(tx) error) error {
	var err error
	for range tries {
		err = s.update(ctx, l, do)
		if err == nil || !errors.Is(err, errStale) && !s.d.unique(err) {
			return err
		}
	}
	return err
}

// exactly turns a statement that met fewer rows than it should into errStale.
func exactly(want int, n int64, err error) error {
	if err == nil && n != int64(want) {
		err = errStale
	}
	return err
}

// Record implements consent.Store.
func (s *Store) Record(ctx context.Context, entries []consent.Entry) ([]consent.Outcome, error) {
	var out []consent.Outcome
	err := s.insist(ctx, durable, func(t tx) error {
		list, err := t.addressed(ctx, entries)
		if err != nil {
			return err
		}
		out, err = t.record(ctx, list)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record %d entries: %w", len(entries), err)
	}
	return out, nil
}

// addressed fills in the primary address where an entry names none, and
// refuses people who are not there.
func (t tx) addressed(ctx context.Context, entries []consent.Entry) ([]consent.Entry, error) {
	ids := contactsOf(entries)
	there, err := collect(ctx, t, qContactsExist, scalar[int64], ids)
	if err != nil {
		return nil, fmt.Errorf("look for contacts: %w", err)
	}
	known := make(map[int64]bool, len(there))
	for _, id := range there {
		known[id] = true
	}
	type key struct {
		contact int64
		kind    string
	}
	primary := map[key]string{}
	_, err = collect(ctx, t, qPrimaryAddresses, func(scan func(...any) error) (struct{}, error) {
		var k key
		var value string
		err := scan(&k.contact, &k.kind, &value)
		primary[k] = value
		return struct{}{}, err
	}, ids)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	out := make([]consent.Entry, len(entries))
	for i, e := range entries {
		if !known[e.Contact] {
			return nil, rapport.NotFoundf("there is no contact number %d", e.Contact)
		}
		if e.Address == "" && e.State.Answer() != consent.No {
			e.Address = primary[key{e.Contact, e.Kind}]
		}
		out[i] = e
	}
	return out, nil
}

func contactsOf(entries []consent.Entry) string {
	var b rowsJSON
	seen := map[int64]bool{}
	for _, e := range entries {
		if !seen[e.Contact] {
			seen[e.Contact] = true
			b.number(e.Contact)
		}
	}
	return b.text()
}

// slot is where one answer stands.
type slot struct {
	contact int64
	driver  string
	topic   string
}

// change is what becomes of one answer in a transaction.
type change struct {
	before consent.Current // as read; Entry 0: nothing stood
	now    consent.Current
	topic  int64
	commit string // commitment of the line that made it
}

// record judges entries in order and appends what changes something.
func (t tx) record(ctx context.Context, entries []consent.Entry) ([]consent.Outcome, error) {
	if _, _, err := one(ctx, t, qLedgerShare, scalar[string]); err != nil {
		return nil, fmt.Errorf("join the writers of the ledger: %w", err)
	}
	j, err := t.s.judge(ctx, t, entries)
	if err != nil {
		return j.out, err
	}
	if len(j.lines) == 0 {
		return j.out, t.release(ctx, entries, j.out)
	}
	numbers, err := t.addLines(ctx, j.lines)
	if err != nil {
		return nil, err
	}
	for i, l := range j.lines {
		j.out[j.from[i]].Entry = numbers[l.Commitment]
	}
	for k, c := range j.changes {
		c.now.Entry = numbers[c.commit]
		j.changes[k] = c
	}
	if err := t.stand(ctx, j.order, j.changes); err != nil {
		return nil, err
	}
	return j.out, t.release(ctx, entries, j.out)
}

// judgement is what record decided before anything is written.
type judgement struct {
	out     []consent.Outcome
	lines   []consent.Record
	from    []int // the entry each line came from
	order   []slot
	changes map[slot]change
}

func (s *Store) judge(ctx context.Context, r runner, entries []consent.Entry) (judgement, error) {
	j := judgement{out: make([]consent.Outcome, len(entries)), changes: map[slot]change{}}
	topics, err := topicNumbers(ctx, r)
	if err != nil {
		return j, err
	}
	standing, err := collect(ctx, r, qStanding, scanCurrent, contactsOf(entries))
	if err != nil {
		return j, fmt.Errorf("read the answers that stand: %w", err)
	}
	stands := map[slot]consent.Current{}
	for _, c := range standing {
		stands[slot{c.Contact, c.Driver, c.Topic}] = c
	}
	if err := objections(ctx, r, entries, stands); err != nil {
		return j, err
	}
	if err := s.expired(ctx, r, entries, stands); err != nil {
		return j, err
	}
	notices, err := noticesOf(ctx, r, entries)
	if err != nil {
		return j, err
	}
	recorded := s.now().UTC().Truncate(time.Microsecond)
	for i, e := range entries {
		topic, ok := topics.number[e.Topic]
		if !ok {
			return j, rapport.Unknown("topic", e.Topic, topics.names)
		}
		e.At = e.At.UTC().Truncate(time.Microsecond)
		if e.Notice, err = notices.find(e.Notice); err != nil {
			return j, err
		}
		e = s.terms.Apply(e)
		at := slot{e.Contact, e.Driver, e.Topic}
		cur := stands[at]
		next, changes, err := consent.Next(cur, e)
		if err != nil || !changes {
			j.out[i] = consent.Outcome{Answer: cur.Answer, Err: err}
			continue
		}
		line, err := consent.Draft(e, topic, recorded)
		if err != nil {
			return j, err
		}
		j.lines, j.from = append(j.lines, line), append(j.from, i)
		j.out[i] = consent.Outcome{Answer: next.Answer, Written: true}
		c, begun := j.changes[at]
		if !begun {
			c = change{before: cur, topic: topic}
			j.order = append(j.order, at)
		}
		if next.Answer == consent.None {
			next = consent.Current{State: next.State}
		}
		c.now, c.commit = next, line.Commitment
		j.changes[at] = c
		stands[at] = next
	}
	return j, nil
}

// addLines appends lines with their evidence and returns their numbers by
// commitment.
func (t tx) addLines(ctx context.Context, lines []consent.Record) (map[string]int64, error) {
	var rows rowsJSON
	for i, l := range lines {
		rows.begin()
		rows.number(int64(i))
		rows.number(l.Contact)
		rows.string(l.Driver)
		rows.number(l.TopicID)
		rows.string(string(l.State))
		rows.string(string(l.Basis))
		rows.number(micros(l.At))
		rows.number(micros(l.RecordedAt))
		rows.string(l.Commitment)
		rows.number(int64(l.Schema))
		rows.number(micros(l.Expires))
		rows.end()
	}
	numbers := make(map[string]int64, len(lines))
	_, err := collect(ctx, t, qAddEntries, func(scan func(...any) error) (struct{}, error) {
		var id int64
		var commitment string
		err := scan(&id, &commitment)
		numbers[commitment] = id
		return struct{}{}, err
	}, rows.text())
	if err != nil {
		return nil, fmt.Errorf("append to the ledger: %w", err)
	}
	var proof rowsJSON
	for _, l := range lines {
		proof.begin()
		proof.number(numbers[l.Commitment])
		proof.string(l.Salt)
		proof.string(l.Evidence)
		proof.end()
	}
	n, err := t.exec(ctx, qAddEvidence, proof.text())
	if err := exactly(len(lines), n, err); err != nil {
		return nil, fmt.Errorf("keep the evidence: %w", err)
	}
	return numbers, nil
}

// stand writes the answers that changed. Nobody holds a lock meanwhile: a row
// that is not as it was read makes errStale. On PostgreSQL changing a row
// waits for the gate, which shares it until its intents are committed.
func (t tx) stand(ctx context.Context, order []slot, changes map[slot]change) error {
	var add, alter, end rowsJSON
	var nAdd, nAlter, nEnd int
	for _, at := range order {
		c := changes[at]
		rows, n := &alter, &nAlter
		switch {
		case c.before.Entry == 0 && c.now.Answer == consent.None:
			continue
		case c.before.Entry == 0:
			rows, n = &add, &nAdd
		case c.now.Answer == consent.None:
			rows, n = &end, &nEnd
		}
		*n++
		rows.begin()
		rows.number(at.contact)
		rows.string(at.driver)
		rows.number(c.topic)
		rows.string(string(c.now.Answer))
		rows.string(c.now.Address)
		rows.number(c.now.Entry)
		rows.number(micros(c.now.At))
		rows.number(c.before.Entry)
		rows.number(micros(c.now.Expires))
		rows.end()
	}
	for _, w := range []struct {
		q    query
		rows *rowsJSON
		n    int
	}{{qAddConsents, &add, nAdd}, {qChangeConsents, &alter, nAlter}, {qEndConsents, &end, nEnd}} {
		if w.n == 0 {
			continue
		}
		n, err := t.exec(ctx, w.q, w.rows.text())
		if err := exactly(w.n, n, err); err != nil {
			return fmt.Errorf("write the answers that stand: %w", err)
		}
	}
	return nil
}

func scanCurrent(scan func(...any) error) (c consent.Current, err error) {
	var at, expires int64
	err = scan(&c.Contact, &c.Driver, &c.Topic, &c.Answer, &c.State, &c.Basis, &c.Address, &at, &c.Entry, &expires)
	c.At, c.Expires = when(at), when(expires)
	return c, err
}

// rowsJSON builds the JSON array parameter of {{each $1}} by hand: it is on
// the path of every imported row.
type rowsJSON struct{ b []byte }

func (r *rowsJSON) comma() {
	if n := len(r.b); n == 0 {
		r.b = append(r.b, '[')
	} else if r.b[n-1] != '[' {
		r.b = append(r.b, ',')
	}
}

func (r *rowsJSON) begin() { r.comma(); r.b = append(r.b, '[') }
func (r *rowsJSON) end()   { r.b = append(r.b, ']') }

func (r *rowsJSON) number(n int64) { r.comma(); r.b = strconv.AppendInt(r.b, n, 10) }

// raw appends a value that is JSON already; nil is null.
func (r *rowsJSON) raw(v []byte) {
	r.comma()
	if v == nil {
		v = []byte("null")
	}
	r.b = append(r.b, v...)
}

func (r *rowsJSON) string(s string) {
	r.comma()
	r.b = appendString(r.b, s)
}

// text returns the finished array; an empty one is "[]".
func (r *rowsJSON) text() string {
	if len(r.b) == 0 {
		return "[]"
	}
	return string(r.b) + "]"
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // a string always marshals
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
