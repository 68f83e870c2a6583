package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport/outbox"
)

// On PostgreSQL the answer to "may we write?" is locked before it is read, so
// that an unsubscribe cannot commit between the gate and the intent.
const qLockConsents query = `
SELECT 1 FROM {{each $1}}
CROSS JOIN deliveries d CROSS JOIN runs r CROSS JOIN consents k
WHERE d.id = CAST(e.value AS BIGINT) AND r.id = d.run_id
  AND k.contact_id = d.contact_id AND k.driver = r.driver AND k.topic_id = r.topic_id
ORDER BY k.contact_id {{share k}}`

const qFacts query = `
SELECT d.id, d.turn, d.state, d.batch_id, COALESCE(d.worker_id, 0), d.expires_at, COALESCE(d.address, ''),
  r.state, r.kind, c.id IS NOT NULL, a.id IS NOT NULL,
  COALESCE(k.state, ''), COALESCE(k.address, ''), COALESCE(k.entry_id, 0), COALESCE(s.reason, ''),
  h.channel IS NOT NULL, COALESCE(h.until, 0)
FROM {{each $1}} CROSS JOIN deliveries d CROSS JOIN runs r
LEFT JOIN contacts c ON c.id = d.contact_id
LEFT JOIN addresses a ON a.kind = r.kind AND a.value = d.address AND a.contact_id = d.contact_id
LEFT JOIN suppressions s ON s.kind = a.kind AND s.hash = a.hash
LEFT JOIN consents k ON k.contact_id = d.contact_id AND k.driver = r.driver AND k.topic_id = r.topic_id
LEFT JOIN holds h ON h.channel = r.channel
WHERE d.id = CAST(e.value AS BIGINT) AND r.id = d.run_id
ORDER BY d.id {{lock d}}`

// facts is a delivery as the exchange finds it.
type facts struct {
	outbox.Facts
	id, turn, batch, worker, entry int64
	state                          outbox.State
	kind                           string
}

func scanFacts(scan func(...any) error) (f facts, err error) {
	var expires, until int64
	var run, held = "", false
	err = scan(&f.id, &f.turn, &f.state, &f.batch, &f.worker, &expires, &f.Address,
		&run, &f.kind, &f.HasContact, &f.HasAddress,
		&f.Consent, &f.ConsentAddress, &f.entry, &f.Suppression, &held, &until)
	f.Run, f.ExpiresAt, f.Held, f.HeldUntil = outbox.RunState(run), when(expires), held, when(until)
	return f, err
}

// move is a row's next state, as the one UPDATE of an exchange takes it. It
// travels as a JSON array; the order is that of qMove.
type move struct {
	outbox.Settlement
	entry int64
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
  provider_id = CASE WHEN v.provider <> '' THEN v.provider ELSE deliveries.provider_id END,
  server = CASE WHEN v.server <> '' THEN v.server ELSE deliveries.server END,
  worker_id = CASE WHEN v.state = 'sending' THEN deliveries.worker_id ELSE NULL END,
  updated_at = v.at
FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS id, CAST(e.value ->> 1 AS BIGINT) AS turn, e.value ->> 2 AS state, e.value ->> 3 AS reason,
    CAST(e.value ->> 4 AS BIGINT) AS charge, CAST(e.value ->> 5 AS BIGINT) AS not_before, CAST(e.value ->> 6 AS BIGINT) AS entry,
    e.value ->> 7 AS code, e.value ->> 8 AS provider, e.value ->> 9 AS server, CAST(e.value ->> 10 AS BIGINT) AS at
  FROM {{each $1}}
) v
WHERE deliveries.id = v.id AND deliveries.turn = v.turn`

// Exchange settles what has ended and admits what wants to leave, in one
// durable transaction.
func (s *Store) Exchange(ctx context.Context, worker int64, settled []outbox.Settlement, wanted []outbox.Ticket, now time.Time) ([]outbox.Admission, error) {
	var out []outbox.Admission
	err := s.update(ctx, durable, func(t tx) error {
		found, err := t.facts(ctx, settled, wanted)
		if err != nil {
			return err
		}
		var e exchange
		for _, m := range settled {
			e.settle(found, m)
		}
		out = make([]outbox.Admission, len(wanted))
		for i, w := range wanted {
			out[i] = e.admit(found, w, worker, now)
		}
		return e.write(ctx, t)
	})
	if err != nil {
		return nil, fmt.Errorf("exchange %d settled for %d wanted: %w", len(settled), len(wanted), err)
	}
	return out, nil
}

// facts reads the rows an exchange is about. A row that is both settled and
// wanted is read once.
func (t tx) facts(ctx context.Context, settled []outbox.Settlement, wanted []outbox.Ticket) (map[int64]*facts, error) {
	ids := make([]int64, 0, len(settled)+len(wanted))
	tickets := make([]int64, 0, len(wanted))
	for _, m := range settled {
		ids = append(ids, m.Delivery)
	}
	for _, w := range wanted {
		ids = append(ids, w.Delivery)
		tickets = append(tickets, w.Delivery)
	}
	if t.s.d == &postgresDialect && len(tickets) > 0 {
		if _, err := collect(ctx, t, qLockConsents, scalar[int64], asJSON(tickets)); err != nil {
			return nil, err
		}
	}
	list, err := collect(ctx, t, qFacts, scanFacts, asJSON(unique(ids)))
	if err != nil {
		return nil, err
	}
	found := make(map[int64]*facts, len(list))
	for i := range list {
		found[list[i].id] = &list[i]
	}
	return found, nil
}

// exchange gathers what one transaction will write.
type exchange struct {
	moves    []move
	at       map[int64]int // where a delivery stands in moves
	counts   counts
	attempts []outbox.Settlement
	kinds    map[int64]*facts // of settlements that touch the address
	holds    []outbox.Hold
}

// settle takes an outcome in if it is of the row's turn and a legal move.
func (e *exchange) settle(found map[int64]*facts, m outbox.Settlement) {
	f := found[m.Delivery]
	if f == nil || f.turn != m.Turn || !outbox.Legal(f.state, m.State) {
		return
	}
	e.move(f, m, 0)
	if m.Verdict != "" {
		e.attempts = append(e.attempts, m)
	}
	if m.Suppress || m.Strike {
		if e.kinds == nil {
			e.kinds = map[int64]*facts{}
		}
		e.kinds[m.Delivery] = f
	}
	if m.Hold != nil {
		e.holds = append(e.holds, *m.Hold)
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
	a.Go = a.State == outbox.Sending
	m := outbox.Settlement{Delivery: f.id, Turn: f.turn, State: a.State, Reason: a.Reason, At: now}
	if a.State == outbox.Queued {
		m.NotBefore = now
		if f.Held && !f.HeldUntil.IsZero() {
			m.NotBefore = f.HeldUntil
		}
	}
	e.move(f, m, f.entry)
	return a
}

func (e *exchange) move(f *facts, m outbox.Settlement, entry int64) {
	e.counts.add(f.batch, f.state, m.State, m.NotBefore)
	f.state = m.State
	if i, again := e.at[f.id]; again { // one UPDATE touches a row once: the last step counts
		m.Charge = m.Charge || e.moves[i].Charge
		e.moves[i] = move{m, entry}
		return
	}
	if e.at == nil {
		e.at = map[int64]int{}
	}
	e.at[f.id] = len(e.moves)
	e.moves = append(e.moves, move{m, entry})
}

func (e *exchange) write(ctx context.Context, t tx) error {
	if len(e.moves) > 0 {
		rows := make([][]any, len(e.moves))
		for i, m := range e.moves {
			rows[i] = m.row()
		}
		if _, err := t.exec(ctx, qMove, asJSON(rows)); err != nil {
			return err
		}
		if err := e.counts.write(ctx, t); err != nil {
			return err
		}
	}
	if err := t.recordAttempts(ctx, e.attempts); err != nil {
		return err
	}
	if err := t.punish(ctx, e.attempts, e.kinds); err != nil {
		return err
	}
	for _, h := range e.holds {
		if err := t.hold(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

const qAttempts query = `
INSERT INTO attempts (delivery_id, turn, at, verdict, reason, code, detail, server)
SELECT CAST(e.value ->> 0 AS BIGINT), CAST(e.value ->> 1 AS BIGINT), CAST(e.value ->> 2 AS BIGINT),
  e.value ->> 3, e.value ->> 4, e.value ->> 5, e.value ->> 6, e.value ->> 7
FROM {{each $1}}`

func (t tx) recordAttempts(ctx context.Context, list []outbox.Settlement) error {
	if len(list) == 0 {
		return nil
	}
	rows := make([][]any, len(list))
	for i, m := range list {
		rows[i] = []any{m.Delivery, m.Turn, micros(m.At), m.Verdict, m.Reason, m.Code, m.Detail, m.Server}
	}
	_, err := t.exec(ctx, qAttempts, asJSON(rows))
	return err
}

// strikeWindow: a second refusal within it suppresses the address.
const strikeWindow = 7 * 24 * time.Hour

const qSuppressAddress query = `
INSERT INTO suppressions (kind, hash, value, reason, detail, actor, at)
SELECT kind, hash, value, 'hard_bounce', $3, 'delivery', $4 FROM addresses WHERE kind = $1 AND value = $2
ON CONFLICT (kind, hash) DO NOTHING`

const qStruck query = `
SELECT 1 FROM strikes s JOIN addresses a ON a.kind = s.kind AND a.hash = s.hash
WHERE a.kind = $1 AND a.value = $2 AND s.at >= $3`

const qStrike query = `
INSERT INTO strikes (kind, hash, at) SELECT kind, hash, $3 FROM addresses WHERE kind = $1 AND value = $2
ON CONFLICT (kind, hash) DO UPDATE SET at = excluded.at`

// punish suppresses addresses that are wrong, and those that were refused
// twice within a week.
func (t tx) punish(ctx context.Context, list []outbox.Settlement, kinds map[int64]*facts) error {
	for _, m := range list {
		f := kinds[m.Delivery]
		if f == nil || f.Address == "" {
			continue
		}
		suppress := m.Suppress
		if !suppress {
			_, struck, err := one(ctx, t, qStruck, scalar[int64], f.kind, f.Address, micros(m.At.Add(-strikeWindow)))
			if err != nil {
				return err
			}
			suppress = struck
		}
		var err error
		if suppress {
			_, err = t.exec(ctx, qSuppressAddress, f.kind, f.Address, m.Code, micros(m.At))
		} else {
			_, err = t.exec(ctx, qStrike, f.kind, f.Address, micros(m.At))
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
