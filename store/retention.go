package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"rapport/access"
	"rapport/internal/failpoint"
	"rapport/outbox"
	"rapport/rights"
)

// prunePage is how many rows of any kind one transaction removes.
const prunePage = 500

// spared are people who are restricted: nothing of theirs is removed by age.
// It is asked again where rows go that were found before the transaction.
const spared = `(SELECT rc.id FROM contacts rc WHERE rc.restricted_at IS NOT NULL)`

// Runs that ended before $1 and still have rows of a kind, after run $2.
const (
	qOldRunsPart = `
SELECT r.id FROM runs r WHERE r.id > $2 AND r.state IN ('finished', 'cancelled') AND r.finished_at IS NOT NULL AND r.finished_at < $1 AND `

	oldDeliveries = `d.run_id = r.id AND d.state NOT IN ('queued', 'claimed', 'sending') AND d.contact_id NOT IN ` + spared
	oldUnplanned  = `n.run_id = r.id AND n.contact_id NOT IN ` + spared
	oldResponses  = `p.run_id = r.id AND p.at < $3 AND p.id > COALESCE((SELECT f.up_to FROM folded_responses f WHERE f.run_id = r.id), 0)`

	qRunWithDeliveries query = qOldRunsPart + `EXISTS (SELECT 1 FROM deliveries d WHERE ` + oldDeliveries + `) ORDER BY r.id LIMIT 1`
	qRunWithUnplanned  query = qOldRunsPart + `EXISTS (SELECT 1 FROM not_planned n WHERE ` + oldUnplanned + `) ORDER BY r.id LIMIT 1`
)

// Old implements rights.RetentionStore.
func (s *Store) Old(ctx context.Context, rule rights.Rule, before time.Time) (int64, error) {
	at := micros(before)
	var q query
	args := []any{at}
	switch rule {
	case rights.Attempts:
		q = `SELECT COUNT(*) FROM attempts t JOIN deliveries d ON d.id = t.delivery_id WHERE t.at < $1 AND d.contact_id NOT IN ` + spared
	case rights.Agents:
		q = `SELECT COUNT(*) FROM responses WHERE at < $1 AND agent <> '' AND contact_id NOT IN ` + spared
	case rights.Responses:
		q = `SELECT COUNT(*) FROM runs r JOIN responses p ON ` + oldResponses + ` WHERE r.state IN ('finished', 'cancelled') AND r.finished_at < $1 AND $2 = 0`
		args = append(args, int64(0), micros(s.foldable(before)))
	case rights.NotPlanned:
		q = `SELECT COUNT(*) FROM runs r JOIN not_planned n ON ` + oldUnplanned + ` WHERE r.state IN ('finished', 'cancelled') AND r.finished_at < $1`
	case rights.Deliveries:
		q = `SELECT COUNT(*) FROM runs r JOIN deliveries d ON ` + oldDeliveries + ` WHERE r.state IN ('finished', 'cancelled') AND r.finished_at < $1`
	case rights.Events:
		q = `SELECT COUNT(*) FROM events v WHERE v.at < $1 AND v.contact_id NOT IN ` + spared
	case rights.Imports:
		q = `SELECT COUNT(*) FROM imports WHERE finished_at < $1 AND (report LIKE '%"listed":%' OR report LIKE '%"skipped":[%')`
	case rights.Audit:
		q = `SELECT COUNT(*) FROM audit WHERE at < $1`
	case rights.Idle:
		return 0, fmt.Errorf("%s are counted one by one", rule)
	}
	n, _, err := one(ctx, s.reader(), q, scalar[int64], args...)
	return n, s.classify(err)
}

// Prune implements rights.RetentionStore.
func (s *Store) Prune(ctx context.Context, rule rights.Rule, before time.Time, from rights.Place, note access.Line) (rights.Pruned, error) {
	var out rights.Pruned
	var err error
	p := pruning{s, note}
	switch rule {
	case rights.Attempts:
		out, err = p.attempts(ctx, before, from)
	case rights.Agents:
		out, err = p.agents(ctx, before, from)
	case rights.Responses:
		out, err = p.responses(ctx, before, from)
	case rights.NotPlanned:
		out, err = p.runs(ctx, qRunWithUnplanned, before, from, tx.pruneUnplanned)
	case rights.Deliveries:
		out, err = p.runs(ctx, qRunWithDeliveries, before, from, tx.pruneDeliveries)
	case rights.Events:
		out, err = p.events(ctx, before, from)
	case rights.Imports:
		out, err = p.imports(ctx, before)
	case rights.Audit:
		out, err = p.audit(ctx, before)
	case rights.Idle:
		err = fmt.Errorf("%s are erased one by one", rule)
	}
	return out, s.classify(err)
}

// pruning removes some rows of a kind, and says so in the audit log.
type pruning struct {
	s    *Store
	note access.Line // without an action: it has been said
}

// remove removes rows in a transaction, and notes the act in the same one if
// there were any: rows that are gone never lack a line, wherever it ends.
func (p pruning) remove(ctx context.Context, some func(t tx) (int64, error)) (n int64, err error) {
	err = p.s.update(ctx, bulk, func(t tx) (err error) {
		if n, err = some(t); err != nil || n == 0 {
			return err
		}
		if p.note.Action != "" {
			err = t.note(ctx, p.note)
		}
		failpoint.At("in_prune")
		return err
	})
	return n, err
}

// Attempts are removed in the order of their numbers, which is nearly that of
// their times: they are looked for outside the writer.
const (
	qOldAttempts query = `
SELECT t.id FROM attempts t JOIN deliveries d ON d.id = t.delivery_id
WHERE t.id > $2 AND t.at < $1 AND d.contact_id NOT IN ` + spared + ` ORDER BY t.id LIMIT $3`

	qDropAttempts query = `
DELETE FROM attempts WHERE id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $1}})
  AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = attempts.delivery_id AND d.contact_id IN ` + spared + `)`
)

func (p pruning) attempts(ctx context.Context, before time.Time, from rights.Place) (rights.Pruned, error) {
	ids, err := collect(ctx, p.s.reader(), qOldAttempts, scalar[int64], micros(before), from.ID, prunePage)
	if err != nil || len(ids) == 0 {
		return rights.Pruned{Done: true}, err
	}
	out := rights.Pruned{Next: rights.Place{ID: ids[len(ids)-1]}, Done: len(ids) < prunePage}
	out.N, err = p.remove(ctx, func(t tx) (int64, error) { return t.exec(ctx, qDropAttempts, idsJSON(ids)) })
	return out, err
}

const (
	qOldAgents query = `
SELECT p.id FROM responses p WHERE p.id > $2 AND p.at < $1 AND p.agent <> '' AND p.contact_id NOT IN ` + spared + ` ORDER BY p.id LIMIT $3`

	qDropAgents query = `
UPDATE responses SET agent = '' WHERE id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $1}}) AND contact_id NOT IN ` + spared
)

func (p pruning) agents(ctx context.Context, before time.Time, from rights.Place) (rights.Pruned, error) {
	ids, err := collect(ctx, p.s.reader(), qOldAgents, scalar[int64], micros(before), from.ID, prunePage)
	if err != nil || len(ids) == 0 {
		return rights.Pruned{Done: true}, err
	}
	out := rights.Pruned{Next: rights.Place{ID: ids[len(ids)-1]}, Done: len(ids) < prunePage}
	out.N, err = p.remove(ctx, func(t tx) (int64, error) { return t.exec(ctx, qDropAgents, idsJSON(ids)) })
	return out, err
}

// runs goes from run to run that ended before, some rows at a time.
func (p pruning) runs(ctx context.Context, find query, before time.Time, from rights.Place, drop func(t tx, ctx context.Context, run int64) (int64, error)) (rights.Pruned, error) {
	run := from.Run
	if from.ID == 0 { // the last one is done with
		var ok bool
		var err error
		if run, ok, err = one(ctx, p.s.reader(), find, scalar[int64], micros(before), from.Run); err != nil || !ok {
			return rights.Pruned{Done: true}, err
		}
	}
	out := rights.Pruned{Next: rights.Place{Run: run, ID: 1}}
	var err error
	out.N, err = p.remove(ctx, func(t tx) (int64, error) { return drop(t, ctx, run) })
	if out.N < prunePage {
		out.Next.ID = 0
	}
	return out, err
}

const qPickUnplanned query = `
SELECT n.contact_id FROM not_planned n WHERE n.run_id = $1 AND n.contact_id NOT IN ` + spared + ` ORDER BY n.contact_id LIMIT $2`

const qDropUnplanned query = `
DELETE FROM not_planned WHERE run_id = $1 AND contact_id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $2}})`

// pruneUnplanned leaves the counts, which stand apart.
func (t tx) pruneUnplanned(ctx context.Context, run int64) (int64, error) {
	ids, err := collect(ctx, t, qPickUnplanned, scalar[int64], run, prunePage)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return t.exec(ctx, qDropUnplanned, run, idsJSON(ids))
}

const qPickDeliveries query = `
SELECT d.id, d.batch_id, d.state, d.reason, CASE WHEN d.tracked IS NULL THEN 0 ELSE 1 END FROM deliveries d
WHERE d.run_id = $1 AND d.state NOT IN ('queued', 'claimed', 'sending') AND d.contact_id NOT IN ` + spared + `
ORDER BY d.id LIMIT $2 {{lock d}}`

const qDropAttemptsOf query = `DELETE FROM attempts WHERE delivery_id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $1}})`

const qDropDeliveries query = `DELETE FROM deliveries WHERE id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $1}})`

const qCountDropped query = `
INSERT INTO pruned_deliveries (batch_id, run_id, state, reason, n, tracked)
SELECT CAST(e.value ->> 0 AS BIGINT), CAST(e.value ->> 1 AS BIGINT), e.value ->> 2, e.value ->> 3, CAST(e.value ->> 4 AS BIGINT), CAST(e.value ->> 5 AS BIGINT)
FROM {{each $1}} WHERE true
ON CONFLICT (batch_id, state, reason) DO UPDATE SET n = pruned_deliveries.n + excluded.n, tracked = pruned_deliveries.tracked + excluded.tracked`

// pruneDeliveries leaves, in the same transaction, how many went by batch, last
// state and reason: with it the counters of the batches still say what they
// said.
func (t tx) pruneDeliveries(ctx context.Context, run int64) (int64, error) {
	type key struct {
		batch  int64
		state  outbox.State
		reason outbox.Reason
	}
	counted := map[key][2]int64{}
	ids, err := collect(ctx, t, qPickDeliveries, func(scan func(...any) error) (id int64, err error) {
		var k key
		var tracked int64
		err = scan(&id, &k.batch, &k.state, &k.reason, &tracked)
		n := counted[k]
		counted[k] = [2]int64{n[0] + 1, n[1] + tracked}
		return id, err
	}, run, prunePage)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	var rows [][]any
	for k, n := range counted {
		rows = append(rows, []any{k.batch, run, k.state, k.reason, n[0], n[1]})
	}
	if _, err := t.exec(ctx, qCountDropped, asJSON(rows)); err != nil {
		return 0, err
	}
	if _, err := t.exec(ctx, qDropAttemptsOf, idsJSON(ids)); err != nil {
		return 0, err
	}
	return t.exec(ctx, qDropDeliveries, idsJSON(ids))
}

const (
	qAuditFloor query = `UPDATE meta SET value = $1 WHERE key = 'audit' AND CAST(value AS BIGINT) < CAST($2 AS BIGINT)`

	qDropAudit query = `DELETE FROM audit WHERE id IN (SELECT x.id FROM audit x WHERE x.at < $1 ORDER BY x.id LIMIT $2)`
)

// audit first writes down how old a line has to be, which the triggers of
// the log ask for.
func (p pruning) audit(ctx context.Context, before time.Time) (out rights.Pruned, err error) {
	out.N, err = p.remove(ctx, func(t tx) (int64, error) {
		at := micros(before)
		if _, err := t.exec(ctx, qAuditFloor, strconv.FormatInt(at, 10), at); err != nil {
			return 0, err
		}
		return t.exec(ctx, qDropAudit, at, prunePage)
	})
	out.Done = out.N < prunePage
	return out, err
}

// Of contact c there was no sign since $1.
const idle = `c.created_at < $1 AND c.updated_at < $1 AND c.restricted_at IS NULL AND COALESCE(c.objected_at, 0) < $1
  AND NOT EXISTS (SELECT 1 FROM preferences f WHERE f.contact_id = c.id AND f.updated_at >= $1)
  AND NOT EXISTS (SELECT 1 FROM consent_entries n WHERE n.contact_id = c.id AND n.recorded_at >= $1)
  AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.contact_id = c.id AND (d.updated_at >= $1 OR d.state IN ('queued', 'claimed', 'sending')))
  AND NOT EXISTS (SELECT 1 FROM responses p WHERE p.contact_id = c.id AND p.at >= $1)
  AND NOT EXISTS (SELECT 1 FROM events v WHERE v.contact_id = c.id AND (v.at >= $1 OR v.recorded_at >= $1))
  AND NOT EXISTS (SELECT 1 FROM requests q WHERE q.contact_id = c.id OR q.person_id = c.id)`

const (
	qIdleContacts query = `SELECT c.id FROM contacts c WHERE c.id > $2 AND ` + idle + ` ORDER BY c.id LIMIT $3`

	qStillIdle query = `SELECT c.id FROM contacts c WHERE c.id = $2 AND ` + idle
)

// IdleContacts implements rights.RetentionStore.
func (s *Store) IdleContacts(ctx context.Context, before time.Time, after int64, limit int) ([]int64, error) {
	list, err := collect(ctx, s.reader(), qIdleContacts, scalar[int64], micros(before), after, limit)
	return list, s.classify(err)
}
