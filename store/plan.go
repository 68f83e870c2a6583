package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/outbox"
)

// batchSize is how many deliveries are worked on together at most.
const batchSize = 1000

// verdictJoins reads about contact c what outbox.Skip wants to know: $1 is the
// driver, $2 the topic's number, $3 the kind of address. Between the two halves
// of the verdict stands the moment that is asked about. suppressionReasons is
// the closed list, as outbox.ReasonOf reads it; a test compares.
const (
	verdictJoins = `
LEFT JOIN addresses a ON a.contact_id = c.id AND a.kind = $3 AND a.position = 0
LEFT JOIN suppressions s ON s.kind = a.kind AND s.hash = a.hash
LEFT JOIN consents k ON k.contact_id = c.id AND k.driver = $1 AND k.topic_id = $2`

	suppressionReasons = `'no_consent', 'withdrawn', 'pending_consent', 'other_address', 'no_address', 'address_changed', 'erased', 'too_late', 'restricted',
  'hard_bounce', 'strike', 'complaint', 'manual', 'unsubscribed_all', 'legal', 'role_account', 'unknown_user', 'bad_domain', 'mailbox_full', 'greylisted', 'rate_limited', 'policy', 'authentication',
  'content_refused', 'too_large', 'connection', 'tls', 'timeout', 'no_smtputf8', 'refused', 'disabled_user',
  'reputation', 'unauthenticated', 'sender_refused', 'relay_denied', 'server_trouble', 'render', 'no_answer', 'process_died', 'crashed',
  'retry', 'quiet', 'held', 'paused', 'slow', 'warmup', 'capped', 'asked_pause', 'asked_less', 'by_person', 'time_over'`

	verdictBefore = `CASE
  WHEN COALESCE(a.value, '') = '' THEN 'no_address'
  WHEN ` + restricted + ` THEN 'restricted'
  WHEN ` + forbidden + ` THEN CASE WHEN s.reason IN (` + suppressionReasons + `) THEN s.reason ELSE 'manual' END
  WHEN ` + domainReason + ` <> '' THEN ` + domainReason + `
  WHEN k.state = 'withdrawn' THEN 'withdrawn'
  WHEN k.state = 'pending' THEN 'pending_consent'
  WHEN k.state IS NULL OR k.state <> 'granted' OR k.expires_at BETWEEN 1 AND `

	verdictAfter = ` THEN 'no_consent'
  WHEN k.address <> a.value THEN 'other_address'
  ELSE '' END`
)

// $4 are the page's contacts, $5 when everybody is due, $6 when people of a
// zone are (an object by zone, empty: all at $5), $7 before when nobody may be
// due (0: no bound). The join order is fixed: the page, its contacts, and for
// each one row of the rest.
const judgedPage = `
  SELECT c.id AS id, a.value AS address, ` + verdictBefore + `CAST($5 AS BIGINT)` + verdictAfter + ` AS reason,
    CASE WHEN $6 = '{}' THEN CAST($5 AS BIGINT) ELSE COALESCE(CAST({{json $6}} ->> NULLIF(c.zone, '') AS BIGINT), CAST($5 AS BIGINT)) END AS due
  FROM {{each $4}} CROSS JOIN contacts c` + verdictJoins + `
  WHERE c.id = CAST(e.value AS BIGINT)`

const (
	planInto = `
INSERT INTO deliveries (run_id, batch_id, contact_id, address, state, not_before, expires_at, data, updated_at)
SELECT CAST($8 AS BIGINT), `
	planRest = `, q.id, q.address, 'queued', q.due,
  CASE WHEN CAST($10 AS BIGINT) > 0 THEN q.due + $10 ELSE 0 END, CAST($11 AS TEXT), CAST($12 AS BIGINT)
FROM (` + judgedPage + `
) q WHERE q.reason = '' AND q.due >= CAST($7 AS BIGINT)
ON CONFLICT DO NOTHING`
)

const qPlan query = planInto + `CAST($9 AS BIGINT)` + planRest

// Whoever has no delivery after qPlan has a reason; an address that somebody
// else of the run was planned with has moved meanwhile.
const qSkip query = `
INSERT INTO not_planned (run_id, contact_id, reason)
SELECT CAST($8 AS BIGINT), q.id, CASE WHEN q.reason <> '' THEN q.reason WHEN q.due < CAST($7 AS BIGINT) THEN 'too_late' ELSE 'address_changed' END
FROM (` + judgedPage + `
) q WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.run_id = $8 AND d.contact_id = q.id)
ON CONFLICT DO NOTHING`

// The people come first, as in qDomainsOf.
const qCountSkips query = `
INSERT INTO not_planned_counts (run_id, reason, n)
SELECT n.run_id, n.reason, COUNT(n.run_id) FROM {{each $2}}
LEFT JOIN not_planned n ON n.run_id = $1 AND n.contact_id = CAST(e.value AS BIGINT)
GROUP BY n.run_id, n.reason HAVING COUNT(n.run_id) > 0
ON CONFLICT (run_id, reason) DO UPDATE SET n = not_planned_counts.n + excluded.n`

const qPlanOf query = `
SELECT r.state, r.cursor, r.scheduled_for, r.expires_after, r.driver, r.kind, r.topic_id, r.channel, r.class, r.audience
FROM runs r WHERE r.id = $1`

const qPlanOfLocked query = qPlanOf + ` {{lock r}}`

const qLastBatch query = `SELECT id, planned FROM batches WHERE run_id = $1 AND pace = '' ORDER BY id DESC LIMIT 1`

const qAddBatch query = `INSERT INTO batches (run_id, channel, lane, pace) VALUES ($1, $2, $3, $4) RETURNING id`

const qFillBatch query = `
UPDATE batches SET planned = planned + $2, queued = queued + $2,
  next_at = CASE WHEN next_at IS NULL OR next_at > $3 THEN $3 ELSE next_at END,
  expires_at = CASE WHEN CAST($4 AS BIGINT) > 0 AND (expires_at = 0 OR expires_at > $4) THEN $4 ELSE expires_at END
WHERE id = $1`

const qMoveCursor query = `UPDATE runs SET cursor = $2 WHERE id = $1`

const qPlanned query = `UPDATE runs SET state = 'running', planned_at = $2 WHERE id = $1 AND state = 'planning'`

// planPage is how many people are planned in one transaction: many when
// nothing else is going on, a few milliseconds' worth beside something hot.
const (
	planAlone  = batchSize
	planBeside = 500
)

func (s *Store) planPage() int {
	if s.Pace() == paceAlone {
		return planAlone
	}
	return planBeside
}

// planning is a run as planning reads it.
type planning struct {
	campaigns.Run
	state  outbox.RunState
	cursor int64
	topic  int64
	took   map[string]campaigns.Batch // batches of receiving domains, for when this is written
}

func scanPlanning(scan func(...any) error) (p planning, err error) {
	var scheduled, expires int64
	var class, audience string
	err = scan(&p.state, &p.cursor, &scheduled, &expires, &p.Driver, &p.Kind, &p.topic, &p.Channel, &class, &audience)
	if err != nil {
		return p, err
	}
	p.ScheduledFor, p.Expires, p.Class = when(scheduled), time.Duration(expires)*time.Microsecond, classOf(class)
	p.Audience, err = readFrozen(audience)
	return p, err
}

// PlanPage implements campaigns.PlanStore. The people are found before the
// transaction, which begins again if somebody else has planned them meanwhile:
// so the one writer of SQLite is not kept waiting by a look for few among many.
func (s *Store) PlanPage(ctx context.Context, run int64, aim campaigns.Aim) (campaigns.Page, error) {
	p, ok, err := one(ctx, s.reader(), qPlanOf, scanPlanning, run)
	if err != nil {
		return campaigns.Page{}, s.classify(err)
	}
	if !ok {
		return campaigns.Page{}, rapport.NotFoundf("there is no run %d", run)
	}
	found, err := s.audiencePage(ctx, aim, p.cursor, s.planPage())
	if err != nil {
		return campaigns.Page{}, fmt.Errorf("find the next people: %w", s.classify(err))
	}
	var out campaigns.Page
	var took map[string]campaigns.Batch
	err = s.update(ctx, bulk, func(t tx) (err error) {
		took = map[string]campaigns.Batch{}
		out, err = t.planPage(ctx, run, aim, p.cursor, found, took)
		return err
	})
	if err == nil {
		for domain, b := range took {
			aim.Apart.Took(domain, b)
		}
	}
	return out, err
}

func (t tx) planPage(ctx context.Context, run int64, aim campaigns.Aim, cursor int64, found window, took map[string]campaigns.Batch) (out campaigns.Page, err error) {
	if err := t.besideErasures(ctx); err != nil {
		return out, err
	}
	p, _, err := one(ctx, t, qPlanOfLocked, scanPlanning, run)
	if err != nil {
		return out, err
	}
	p.took = took
	if p.ID = run; p.state != outbox.Planning {
		return campaigns.Page{Done: true}, nil // paused or cancelled meanwhile, or planned by another process
	}
	if p.cursor != cursor {
		return out, nil // another process has planned this page
	}
	if len(found.people) > 0 {
		if out, err = t.planPeople(ctx, p, aim, found.people); err != nil {
			return out, err
		}
	}
	if _, err := t.exec(ctx, qMoveCursor, run, found.cursor); err != nil {
		return out, err
	}
	if out.Done = found.last; out.Done {
		_, err = t.exec(ctx, qPlanned, run, micros(t.s.now()))
	}
	return out, err
}

// member is somebody of the audience.
type member struct {
	id   int64
	zone string
}

// window is the next people of an audience: those up to cursor; last says that
// there are no contacts after it.
type window struct {
	people []member
	cursor int64
	last   bool
}

const qNextContact query = `SELECT id FROM contacts WHERE id > $1 ORDER BY id LIMIT 1`

// One look for people covers a range of numbers some times as long as a page,
// whatever the conditions are: a planner that guesses wrong about them cannot
// read everybody for each page. looks bounds the looks that find nobody.
const (
	windowPages = 8
	looks       = 16
)

// audiencePage finds the next people by number, at most limit. The statement
// is built around the conditions, so it is not kept prepared.
func (s *Store) audiencePage(ctx context.Context, aim campaigns.Aim, after int64, limit int) (window, error) {
	w := window{cursor: after}
	for range looks {
		args := &binds{}
		upper := w.cursor + windowPages*int64(limit)
		text := "SELECT c.id, c.zone FROM contacts c WHERE c.id > " + args.whole(w.cursor) + " AND c.id <= " + args.whole(upper) +
			" AND " + audienceSQL(s.d, aim, args) + " ORDER BY c.id LIMIT " + args.whole(int64(limit))
		people, err := built(ctx, s.pools.read, text, args, func(scan func(...any) error) (m member, err error) {
			err = scan(&m.id, &m.zone)
			return m, err
		})
		if err != nil {
			return w, err
		}
		w.people = people
		if len(people) == limit {
			w.cursor = people[limit-1].id
			return w, nil
		}
		next, more, err := one(ctx, s.reader(), qNextContact, scalar[int64], upper)
		if err != nil {
			return w, err
		}
		if w.cursor = upper; !more {
			w.last = true
			return w, nil
		}
		w.cursor = next - 1
		if len(people) > 0 {
			return w, nil
		}
	}
	return w, nil
}

// querier is what a pool and a transaction have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// built is collect for statements that are built at run time.
func built[T any](ctx context.Context, q querier, text string, args *binds, scan func(func(...any) error) (T, error)) (out []T, err error) {
	rows, err := q.QueryContext(ctx, text, args.args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read a row: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// audienceSQL writes who is meant, over contacts c: in any segment, matching
// the condition, in no exclusion. About whom an exclusion is unknown, they are
// not excluded.
func audienceSQL(d *dialect, aim campaigns.Aim, args *binds) string {
	at := clock{now: aim.Now, zone: aim.Now.Location(), zones: aim.Zones}
	var all []string
	if aim.Where != nil {
		all = append(all, compileCondition(d, aim.Where.Tree(), at, args))
	}
	if len(aim.Segments) > 0 {
		var any []string
		for _, c := range aim.Segments {
			any = append(any, compileCondition(d, c.Tree(), at, args))
		}
		all = append(all, "("+strings.Join(any, " OR ")+")")
	}
	for _, c := range aim.Exclude {
		all = append(all, "(("+compileCondition(d, c.Tree(), at, args)+") IS NOT TRUE)")
	}
	if len(all) == 0 {
		return "TRUE"
	}
	return strings.Join(all, " AND ")
}

// planPeople writes the deliveries of some people, with their batch, or why
// they get none.
func (t tx) planPeople(ctx context.Context, p planning, aim campaigns.Aim, people []member) (out campaigns.Page, err error) {
	batch, err := t.openBatch(ctx, p, aim.Apart, len(people))
	if err != nil {
		return out, fmt.Errorf("make a batch: %w", err)
	}
	var ids rowsJSON
	for _, m := range people {
		ids.number(m.id)
	}
	due, byZone, earliest := dueTimes(p, aim, people)
	page := []any{p.Driver, p.topic, p.Kind, ids.text(), due, byZone, micros(aim.LateBefore)}
	var data any
	if len(p.Audience.Data) > 0 {
		data = string(p.Audience.Data)
	}
	expires := p.Expires.Microseconds()
	ends := int64(0)
	if expires > 0 {
		ends = earliest + expires
	}
	args := append(page[:7:7], p.ID, batch, expires, data, micros(t.s.now()))
	planned := map[int64]int64{}
	if domains := aim.Apart.Domains(); len(domains) > 0 {
		if planned, err = t.planApart(ctx, p, aim.Apart, domains, args); err != nil {
			return out, fmt.Errorf("plan deliveries by domain: %w", err)
		}
	} else if planned[batch], err = t.exec(ctx, qPlan, args...); err != nil {
		return out, fmt.Errorf("plan deliveries: %w", err)
	}
	if err := t.unplanPaused(ctx, p, ids.text(), planned); err != nil {
		return out, fmt.Errorf("leave out who asked for a pause: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(planned)) {
		n := planned[id]
		if out.Planned += n; n == 0 {
			continue
		}
		if _, err := t.exec(ctx, qFillBatch, id, n, earliest, ends); err != nil {
			return out, fmt.Errorf("count a batch: %w", err)
		}
	}
	if aim.Apart.Look() {
		if err := t.countDomains(ctx, p, aim.Apart, ids.text()); err != nil {
			return out, fmt.Errorf("count receiving domains: %w", err)
		}
	}
	if out.Planned == int64(len(people)) {
		return out, nil
	}
	if out.Skipped, err = t.exec(ctx, qSkip, append(page[:7:7], p.ID)...); err != nil {
		return out, fmt.Errorf("note who is not planned: %w", err)
	}
	if _, err := t.exec(ctx, qCountSkips, p.ID, ids.text()); err != nil {
		return out, fmt.Errorf("count who is not planned: %w", err)
	}
	return out, nil
}

// dueTimes is when the people of a page are due: all at one moment, or by
// zone; and the earliest of it.
func dueTimes(p planning, aim campaigns.Aim, people []member) (due int64, byZone string, earliest int64) {
	if aim.Wall.IsZero() {
		due = max(micros(p.ScheduledFor), 1)
		return due, "{}", due
	}
	zones := map[string]int64{}
	due = micros(aim.DueIn(""))
	for _, m := range people {
		if _, ok := zones[m.zone]; ok {
			continue
		}
		at := micros(aim.DueIn(m.zone))
		zones[m.zone] = at
		if earliest == 0 || at < earliest {
			earliest = at
		}
	}
	return due, asJSON(zones), earliest
}
