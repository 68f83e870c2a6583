package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"rapport/outbox"
)

// On PostgreSQL the answer to "may we write?" is locked before it is read, so
// that an unsubscribe cannot commit between the gate and the intent.
const qLockConsents query = `
WITH w AS MATERIALIZED (
  SELECT d.contact_id, r.driver, r.topic_id FROM {{each $1}} CROSS JOIN deliveries d CROSS JOIN runs r
  WHERE d.id = CAST(e.value AS BIGINT) AND r.id = d.run_id
)
SELECT 1 FROM (` + shareGate + `) l CROSS JOIN w CROSS JOIN consents k
WHERE k.contact_id = w.contact_id AND k.driver = w.driver AND k.topic_id = w.topic_id
ORDER BY k.contact_id {{share k}}`

// Rows are locked in the order of their numbers, so that nobody waits in a
// circle. Settling needs to know where a row stands and nothing else.
const qStands query = `
SELECT d.id, d.turn, d.state, d.batch_id FROM {{each $1}} CROSS JOIN deliveries d
WHERE d.id = CAST(e.value AS BIGINT) {{order d.id}} {{lock d}}`

// The gate reads everything there is to know about who may be written to. The
// address is looked for among those of the person, who stands beside the others
// of the group, and not among all there are: the || keeps from that.
const qFacts query = `
SELECT d.id, d.turn, d.state, d.batch_id, COALESCE(d.worker_id, 0), d.expires_at, COALESCE(d.address, ''),
  r.state, c.id IS NOT NULL, a.id IS NOT NULL,
  COALESCE(k.state, ''), COALESCE(k.address, ''), COALESCE(k.entry_id, 0), COALESCE(k.expires_at, 0), ` + restrictedOr + suppressed + ` END,
  h.channel IS NOT NULL, COALESCE(h.until, 0)
FROM {{each $1}} CROSS JOIN deliveries d CROSS JOIN runs r
LEFT JOIN contacts c ON c.id = d.contact_id
LEFT JOIN addresses a ON a.contact_id = d.contact_id AND a.kind = r.kind AND a.value || '' = d.address
LEFT JOIN suppressions s ON s.kind = a.kind AND s.hash = a.hash
LEFT JOIN consents k ON k.contact_id = d.contact_id AND k.driver = r.driver AND k.topic_id = r.topic_id
LEFT JOIN holds h ON h.channel = r.channel
WHERE d.id = CAST(e.value AS BIGINT) AND r.id = d.run_id
{{order d.id}} {{lock d}}`

// facts is a delivery as the exchange finds it.
type facts struct {
	outbox.Facts
	id, turn, batch, worker, entry int64
	state                          outbox.State
}

// A scan reads into what the row before it left: the words that rows have in
// common are not copied again.
type scanFacts func(f *facts, scan func(...any) error) error

func scanStands(f *facts, scan func(...any) error) error {
	return scan(&f.id, &f.turn, &f.state, &f.batch)
}

func scanAll(f *facts, scan func(...any) error) error {
	var expires, ends, until int64
	err := scan(&f.id, &f.turn, &f.state, &f.batch, &f.worker, &expires, &f.Address,
		&f.Run, &f.HasContact, &f.HasAddress,
		&f.Consent, &f.ConsentAddress, &f.entry, &ends, &f.Suppression, &f.Held, &until)
	f.ExpiresAt, f.ConsentEnds, f.HeldUntil = when(expires), when(ends), when(until)
	return err
}

// move is a row's next state, as the one UPDATE of an exchange takes it. It
// travels as a JSON array; the order is that of qMove.
type move struct {
	outbox.Settlement
	entry int64
	plain bool // from a state that has no reason
}

func (m move) row() []any {
	charge := 0
	if m.Charge {
		charge = 1
	}
	return []any{m.Delivery, m.Turn, m.State, m.Reason, charge, micros(m.NotBefore), m.entry, m.Code, m.ProviderID, m.Server, micros(m.At)}
}

const qMove query = `
UPDATE deliveries SET state = v.state, reason = v.reason, attempt = attempt + v.charge, not_before = v.not_before,
  entry_id = CASE WHEN v.entry > 0 THEN v.entry ELSE deliveries.entry_id END,
  code = CASE WHEN v.code <> '' THEN v.code ELSE deliveries.code END,
  provider_id = CASE WHEN v.provider <> '' AND deliveries.address IS NOT NULL THEN v.provider ELSE deliveries.provider_id END,
  server = CASE WHEN v.server <> '' AND deliveries.address IS NOT NULL THEN v.server ELSE deliveries.server END,
  worker_id = CASE WHEN v.state = 'sending' THEN deliveries.worker_id ELSE NULL END,
  updated_at = v.at
FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS id, CAST(e.value ->> 1 AS BIGINT) AS turn, e.value ->> 2 AS state, e.value ->> 3 AS reason,
    CAST(e.value ->> 4 AS BIGINT) AS charge, CAST(e.value ->> 5 AS BIGINT) AS not_before, CAST(e.value ->> 6 AS BIGINT) AS entry,
    e.value ->> 7 AS code, e.value ->> 8 AS provider, e.value ->> 9 AS server, CAST(e.value ->> 10 AS BIGINT) AS at
  FROM {{each $1}}
) v
WHERE deliveries.id = v.id AND deliveries.turn = v.turn`

// Nearly every row takes two steps, and each has statements that carry no
// more than it needs: the intent, and being sent after it, when there is no
// reason to take away. They come for all rows at once, for an engine to which
// a statement is a journey, and for one row.
const qIntend query = `
UPDATE deliveries SET state = 'sending', entry_id = v.entry, updated_at = $2
FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS id, CAST(e.value ->> 1 AS BIGINT) AS turn, CAST(e.value ->> 2 AS BIGINT) AS entry
  FROM {{each $1}}
) v
WHERE deliveries.id = v.id AND deliveries.turn = v.turn`

const qIntendOne query = `
UPDATE deliveries SET state = 'sending', entry_id = $3, updated_at = $4 WHERE id = $1 AND turn = $2`

const qSent query = `
UPDATE deliveries SET state = 'sent', attempt = attempt + 1, worker_id = NULL,
  code = '', provider_id = CASE WHEN deliveries.address IS NULL THEN '' ELSE v.provider END,
  server = CASE WHEN deliveries.address IS NULL THEN '' ELSE v.server END, updated_at = v.at
FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS id, CAST(e.value ->> 1 AS BIGINT) AS turn, CAST(e.value ->> 2 AS BIGINT) AS at,
    e.value ->> 3 AS provider, e.value ->> 4 AS server
  FROM {{each $1}}
) v
WHERE deliveries.id = v.id AND deliveries.turn = v.turn`

const qSentOne query = `
UPDATE deliveries SET state = 'sent', attempt = attempt + 1, worker_id = NULL,
  code = '', provider_id = CASE WHEN address IS NULL THEN '' ELSE $4 END, server = CASE WHEN address IS NULL THEN '' ELSE $5 END, updated_at = $3
WHERE id = $1 AND turn = $2`

// Exchange settles what has ended and admits what wants to leave, in one
// transaction. SQLite's is not on the disk yet when it is over: so the writer
// works on the next one meanwhile.
func (s *Store) Exchange(ctx context.Context, worker int64, settled []outbox.Settlement, wanted []outbox.Ticket, now time.Time) ([]outbox.Admission, func() error, error) {
	var out []outbox.Admission
	lasting, err := s.updateSoon(ctx, func(t tx) error {
		var e exchange
		rest, err := t.settleKnown(ctx, &e.counts, settled)
		if err != nil {
			return err
		}
		limits, more := t.limiting(wanted)
		found, err := t.facts(ctx, rest, wanted, more...)
		if err != nil {
			return err
		}
		if err := limits.gather(ctx, t, now); err != nil {
			return err
		}
		e.limits = limits
		for _, m := range rest {
			e.settle(found, m)
		}
		out = make([]outbox.Admission, len(wanted))
		for i, w := range wanted {
			out[i] = e.admit(found, w, worker, now)
		}
		return e.write(ctx, t)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("exchange %d settled for %d wanted: %w", len(settled), len(wanted), err)
	}
	return out, lasting, nil
}

// facts reads the rows an exchange is about, those that want to leave with all
// that the gate asks.
func (t tx) facts(ctx context.Context, settled []outbox.Settlement, wanted []outbox.Ticket, more ...step) (map[int64]*facts, error) {
	found := make(map[int64]*facts, len(settled)+len(wanted))
	var steps []step
	if len(settled) > 0 {
		ids := make([]int64, len(settled))
		for i, m := range settled {
			ids[i] = m.Delivery
		}
		steps = append(steps, reading(found, qStands, scanStands, unique(ids)))
	}
	if len(wanted) > 0 {
		ids := make([]int64, len(wanted))
		for i, w := range wanted {
			ids[i] = w.Delivery
		}
		if t.s.d == &postgresDialect {
			steps = append(steps, step{qLockConsents, []any{idsJSON(ids)}, nil})
		}
		steps = append(steps, reading(found, qFacts, scanAll, unique(ids)))
	}
	return found, t.together(ctx, append(steps, more...)...)
}

// reading is the step that reads rows of deliveries.
func reading(into map[int64]*facts, q query, read scanFacts, ids []int64) step {
	list := make([]facts, 0, len(ids))
	last := new(facts)
	return step{q, []any{idsJSON(ids)}, func(row func(...any) error) error {
		err := read(last, row)
		list = append(list, *last)
		into[last.id] = &list[len(list)-1]
		return err
	}}
}

// exchange gathers what one transaction will write.
type exchange struct {
	moves    []move
	at       map[int64]int // where a delivery stands in moves
	counts   counts
	attempts []outbox.Settlement
	holds    []outbox.Settlement
	late     []int64 // uncertain ones that did not leave after all and wait again
	limits   *limiting
}

// settle takes an outcome in if it is of the row's turn and a legal move.
func (e *exchange) settle(found map[int64]*facts, m outbox.Settlement) {
	f := found[m.Delivery]
	if f == nil || f.turn != m.Turn || !outbox.Legal(f.state, m.State) {
		return
	}
	if f.state == outbox.Uncertain && m.State == outbox.Queued {
		e.late = append(e.late, f.id)
	}
	e.move(f, m, 0)
	if m.Verdict != "" {
		e.attempts = append(e.attempts, m)
	}
	if m.Hold != nil {
		e.holds = append(e.holds, m)
	}
}

// admit asks the gate about a ticket.
func (e *exchange) admit(found map[int64]*facts, w outbox.Ticket, worker int64, now time.Time) outbox.Admission {
	a := outbox.Admission{Ticket: w}
	f := found[w.Delivery]
	if f == nil || f.turn != w.Turn || f.state != outbox.Claimed || f.worker != worker {
		return a // somebody else's by now, or ended: it may not leave
	}
	f.Held = f.Held && (f.HeldUntil.IsZero() || now.Before(f.HeldUntil))
	a.State, a.Reason = outbox.Admit(f.Facts, now)
	until := e.limits.heed(&a, w.Shadow, f.ExpiresAt, now)
	a.Go = a.State == outbox.Sending
	m := outbox.Settlement{Delivery: f.id, Turn: f.turn, State: a.State, Reason: a.Reason, At: now}
	if a.State == outbox.Queued {
		m.NotBefore = now
		if !until.IsZero() {
			m.NotBefore = until
		}
		if f.Held && !f.HeldUntil.IsZero() {
			m.NotBefore = f.HeldUntil
		}
	}
	e.move(f, m, f.entry)
	return a
}

func (e *exchange) move(f *facts, m outbox.Settlement, entry int64) {
	e.counts.add(f.batch, f.state, m.State, m.NotBefore)
	plain := f.state == outbox.Claimed || f.state == outbox.Sending
	f.state = m.State
	if i, again := e.at[f.id]; again { // one UPDATE touches a row once: the last step counts
		m.Charge = m.Charge || e.moves[i].Charge
		e.moves[i] = move{m, max(entry, e.moves[i].entry), false}
		return
	}
	if e.at == nil {
		e.at = map[int64]int{}
	}
	e.at[f.id] = len(e.moves)
	e.moves = append(e.moves, move{m, entry, plain})
}

func (e *exchange) write(ctx context.Context, t tx) error {
	var intended, sent, other [][]any
	var now time.Time
	for _, m := range e.moves {
		switch {
		case m.State == outbox.Sending:
			now = m.At // all intents of an exchange are of one moment
			intended = append(intended, []any{m.Delivery, m.Turn, m.entry})
		case m.State == outbox.Sent && m.Charge && m.plain:
			sent = append(sent, []any{m.Delivery, m.Turn, micros(m.At), m.ProviderID, m.Server})
		default:
			other = append(other, m.row())
		}
	}
	var steps []step
	steps = t.rowByRow(steps, qIntend, qIntendOne, intended, micros(now))
	steps = t.rowByRow(steps, qSent, qSentOne, sent)
	steps = rowsIn(steps, qMove, other)
	steps = e.counts.steps(steps)
	steps = recordAttempts(steps, e.attempts)
	steps = e.limits.steps(steps, now)
	if err := t.together(ctx, steps...); err != nil {
		return err
	}
	if err := t.punish(ctx, e.attempts); err != nil {
		return err
	}
	for _, m := range e.holds {
		if err := t.holdFor(ctx, m); err != nil {
			return err
		}
	}
	if len(e.late) > 0 {
		return t.goOn(ctx, e.late)
	}
	return nil
}

// A run that ended while an outcome lay in a spool goes on when that says that
// somebody is to be tried again; one that was cancelled folds once more. Also
// a run that has not ended is touched, so that Finish waits and sees the row.
const qGoOn query = `
UPDATE runs SET finished_at = NULL, notified_at = NULL,
  state = CASE state WHEN 'finished' THEN 'running' WHEN 'cancelled' THEN 'cancelling' ELSE state END
WHERE id IN (SELECT d.run_id FROM {{each $1}} CROSS JOIN deliveries d WHERE d.id = CAST(e.value AS BIGINT))`

const qGoOnCampaigns query = `
UPDATE campaigns SET state = 'running' WHERE state IN ('finished', 'scheduled') AND id IN (
  SELECT r.campaign_id FROM {{each $1}} CROSS JOIN deliveries d CROSS JOIN runs r
  WHERE d.id = CAST(e.value AS BIGINT) AND r.id = d.run_id AND r.state = 'running')`

func (t tx) goOn(ctx context.Context, deliveries []int64) error {
	for _, q := range []query{qGoOn, qGoOnCampaigns, qExpiryLate} {
		if _, err := t.exec(ctx, q, asJSON(deliveries)); err != nil {
			return err
		}
	}
	return nil
}

// rowByRow adds a statement for each row where that is cheaper, else the one
// for all of them.
func (t tx) rowByRow(steps []step, all, each query, rows [][]any, more ...any) []step {
	if t.w == nil {
		return rowsIn(steps, all, rows, more...)
	}
	steps = slices.Grow(steps, len(rows))
	for _, row := range rows {
		steps = append(steps, step{each, append(row, more...), nil})
	}
	return steps
}

// rowsIn adds a statement over rows that go in as one JSON array.
func rowsIn(steps []step, q query, rows [][]any, more ...any) []step {
	if len(rows) == 0 {
		return steps
	}
	return append(steps, step{q, append([]any{asJSON(rows)}, more...), nil})
}

// What a provider says may name the person, so nothing of it is kept of one
// who was erased meanwhile: then the delivery has no address any more.
const qAttempts query = `
INSERT INTO attempts (delivery_id, turn, at, verdict, reason, code, detail, server)
SELECT d.id, CAST(e.value ->> 1 AS BIGINT), CAST(e.value ->> 2 AS BIGINT),
  e.value ->> 3, e.value ->> 4, e.value ->> 5, CASE WHEN d.address IS NULL THEN '' ELSE e.value ->> 6 END,
  CASE WHEN d.address IS NULL THEN '' ELSE e.value ->> 7 END
FROM {{each $1}} CROSS JOIN deliveries d WHERE d.id = CAST(e.value ->> 0 AS BIGINT)`

func recordAttempts(steps []step, list []outbox.Settlement) []step {
	rows := make([][]any, len(list))
	for i, m := range list {
		rows[i] = []any{m.Delivery, m.Turn, micros(m.At), m.Verdict, m.Reason, m.Code, m.Detail, m.Server}
	}
	return rowsIn(steps, qAttempts, rows)
}

// strikeWindow: a second refusal within it suppresses the address.
const strikeWindow = 7 * 24 * time.Hour

const qAddress = `
FROM deliveries d CROSS JOIN runs r CROSS JOIN addresses a
WHERE d.id = $1 AND r.id = d.run_id AND a.kind = r.kind AND a.value = d.address`

const qSuppressAddress query = `
INSERT INTO suppressions (kind, hash, value, reason, detail, actor, at)
SELECT a.kind, a.hash, a.value, 'hard_bounce', $2, 'delivery', $3 ` + qAddress + `
ON CONFLICT (kind, hash) DO NOTHING`

const qStruck query = `
SELECT 1 ` + qAddress + ` AND EXISTS (SELECT 1 FROM strikes s WHERE s.kind = a.kind AND s.hash = a.hash AND s.at >= $2)`

const qStrike query = `
INSERT INTO strikes (kind, hash, at) SELECT a.kind, a.hash, $2 ` + qAddress + `
ON CONFLICT (kind, hash) DO UPDATE SET at = excluded.at`

// punish suppresses addresses that are wrong, and those that were refused
// twice within a week.
func (t tx) punish(ctx context.Context, list []outbox.Settlement) error {
	for _, m := range list {
		suppress := m.Suppress
		if m.Strike && !suppress {
			_, struck, err := one(ctx, t, qStruck, scalar[int64], m.Delivery, micros(m.At.Add(-strikeWindow)))
			if err != nil {
				return err
			}
			suppress = struck
		}
		var err error
		switch {
		case suppress:
			_, err = t.exec(ctx, qSuppressAddress, m.Delivery, m.Code, micros(m.At))
		case m.Strike:
			_, err = t.exec(ctx, qStrike, m.Delivery, micros(m.At))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: rows that cannot be JSON: %v", err)) // numbers and strings only
	}
	return string(b)
}

func idsJSON(ids []int64) string {
	var b rowsJSON
	for _, id := range ids {
		b.number(id)
	}
	return b.text()
}

func unique(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	out := ids[:0:0]
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}
