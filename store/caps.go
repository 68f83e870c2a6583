package store

import (
	"context"
	"time"

	"rapport/channels"
	"rapport/outbox"
)

// What people asked for is read with the facts of the gate, and costs next to
// nothing while nobody asked for anything.
const qWishes query = `
SELECT d.id, p.driver, COALESCE(t.name, ''), p.paused_until, p.every
FROM (SELECT 1 FROM preferences LIMIT 1) x CROSS JOIN {{each $1}} CROSS JOIN deliveries d CROSS JOIN preferences p
LEFT JOIN topics t ON t.id = p.topic_id
WHERE d.id = CAST(e.value AS BIGINT) AND p.contact_id = d.contact_id
ORDER BY d.id, p.driver, p.topic_id`

const qLetters query = `
SELECT d.id, d.contact_id, r.class, t.name, t.priority, r.driver, r.channel, COALESCE(c.zone, ''), COALESCE(c.locale, '')
FROM {{each $1}} CROSS JOIN deliveries d CROSS JOIN runs r CROSS JOIN topics t LEFT JOIN contacts c ON c.id = d.contact_id
WHERE d.id = CAST(e.value AS BIGINT) AND r.id = d.run_id AND t.id = r.topic_id`

// Everything that may have reached some people since $2, and what of theirs is
// due at $3 and could leave. A message counts from the moment it left on.
const qReached query = `
SELECT d.contact_id, d.id, d.state, d.updated_at, r.class, t.name, t.priority, r.driver, r.channel
FROM {{each $1}} CROSS JOIN deliveries d CROSS JOIN runs r CROSS JOIN topics t
LEFT JOIN holds h ON h.channel = r.channel AND (h.until = 0 OR h.until > $3)
WHERE d.contact_id = CAST(e.value AS BIGINT)
  AND (d.state IN ('sent', 'sending', 'uncertain') AND d.updated_at > $2
    OR d.state IN ('queued', 'claimed') AND d.not_before <= $3 AND (d.expires_at = 0 OR d.expires_at > $3))
  AND r.id = d.run_id
  AND (d.state IN ('sent', 'sending', 'uncertain') OR r.state IN ('planning', 'running') AND h.channel IS NULL)
  AND t.id = r.topic_id
ORDER BY d.contact_id, d.id`

// One person at a time: who counts what has reached somebody has them alone
// until the commit. It is no row, so that nobody who erases or merges people
// waits for it.
const qPersonAlone query = `
SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.person'), p.n)
FROM (SELECT DISTINCT CAST(CAST(e.value AS BIGINT) % 2147483647 AS INTEGER) AS n FROM {{each $1}} ORDER BY n) p`

const qShadows query = `
INSERT INTO shadows (run_id, delivery_id, reason, at)
SELECT d.run_id, d.id, e.value ->> 1, CAST($2 AS BIGINT)
FROM {{each $1}} CROSS JOIN deliveries d WHERE d.id = CAST(e.value ->> 0 AS BIGINT)
ON CONFLICT DO NOTHING`

const qShadowed query = `SELECT reason, COUNT(*) FROM shadows WHERE run_id = $1 GROUP BY reason`

// Limit makes the gate keep to caps from now on; nil for none. What people
// asked for themselves is kept to in any case.
func (s *Store) Limit(l *outbox.Limits) { s.limits.Store(l) }

// letter is what caps look at in a delivery that wants to leave.
type letter struct {
	outbox.Letter
	contact      int64
	zone, locale string
}

type reached struct {
	outbox.Reached
	delivery int64
}

// limiting is what an exchange knows of caps and wishes; nil where nothing
// wants to leave.
type limiting struct {
	caps    *outbox.Limits
	letters map[int64]letter // by delivery
	wishes  map[int64][]outbox.Wish
	past    map[int64][]reached // by contact
	shadows [][]any
}

// limiting begins one, with the statements that are read beside the facts.
func (t tx) limiting(wanted []outbox.Ticket) (*limiting, []step) {
	if len(wanted) == 0 {
		return nil, nil
	}
	g := &limiting{caps: t.s.limits.Load()}
	ids := make([]int64, len(wanted))
	for i, w := range wanted {
		ids[i] = w.Delivery
	}
	text := idsJSON(unique(ids))
	steps := []step{{qWishes, []any{text}, g.takeWish}}
	if g.caps != nil {
		steps = append(steps, step{qLetters, []any{text}, g.takeLetter})
	}
	return g, steps
}

func (g *limiting) takeWish(scan func(...any) error) error {
	var delivery, until, every int64
	var w outbox.Wish
	if err := scan(&delivery, &w.Driver, &w.Topic, &until, &every); err != nil {
		return err
	}
	w.PausedUntil, w.Every = when(until), time.Duration(every)*time.Second
	if g.wishes == nil {
		g.wishes = map[int64][]outbox.Wish{}
	}
	g.wishes[delivery] = append(g.wishes[delivery], w)
	return nil
}

func (g *limiting) takeLetter(scan func(...any) error) error {
	var delivery int64
	var class string
	var l letter
	if err := scan(&delivery, &l.contact, &class, &l.Topic, &l.Priority, &l.Driver, &l.Channel, &l.zone, &l.locale); err != nil {
		return err
	}
	l.Class = classOf(class)
	if g.letters == nil {
		g.letters = map[int64]letter{}
	}
	g.letters[delivery] = l
	return nil
}

// gather reads what else reached the people whom caps or wishes are about,
// alone with them: somebody else who asks about one of them waits until the
// commit, so that two messages never take one place.
func (g *limiting) gather(ctx context.Context, t tx, now time.Time) error {
	if g == nil || g.caps == nil && len(g.wishes) == 0 {
		return nil
	}
	if g.caps == nil {
		g.caps = &outbox.Limits{}
		ids := make([]int64, 0, len(g.wishes))
		for id := range g.wishes {
			ids = append(ids, id)
		}
		if err := (step{qLetters, []any{idsJSON(ids)}, g.takeLetter}).run(ctx, t); err != nil {
			return err
		}
	}
	since := g.caps.Since(now, nil)
	var people []int64
	for id, l := range g.letters {
		if l.Class == channels.Transactional {
			continue
		}
		rare := false
		for _, w := range g.wishes[id] {
			rare = rare || w.Every > 0
		}
		if len(g.caps.Caps) == 0 && !rare {
			continue
		}
		people = append(people, l.contact)
		if early := g.caps.Since(now, g.wishes[id]); early.Before(since) {
			since = early
		}
	}
	if len(people) == 0 {
		return nil
	}
	people = unique(people)
	g.past = make(map[int64][]reached, len(people))
	var steps []step
	if t.s.d == &postgresDialect {
		steps = append(steps, step{qPersonAlone, []any{idsJSON(people)}, nothing})
	}
	return t.together(ctx, append(steps, step{qReached, []any{idsJSON(people), micros(since), micros(now)}, g.takeReached})...)
}

// nothing reads an answer that says nothing.
func nothing(func(...any) error) error { return nil }

func (g *limiting) takeReached(scan func(...any) error) error {
	var contact, at int64
	var class string
	var r reached
	if err := scan(&contact, &r.delivery, &r.State, &at, &class, &r.Topic, &r.Priority, &r.Driver, &r.Channel); err != nil {
		return err
	}
	r.Class, r.At = classOf(class), when(at)
	g.past[contact] = append(g.past[contact], r)
	return nil
}

// heed lets caps and wishes speak about a delivery that the gate lets through,
// and remembers what became of it for the others of the same person. The time
// is until when it waits.
func (g *limiting) heed(a *outbox.Admission, shadow outbox.Reason, expires, now time.Time) (until time.Time) {
	if g == nil || g.caps == nil {
		if shadow != "" && a.State == outbox.Sending && g != nil {
			g.shadows = append(g.shadows, []any{a.Delivery, shadow})
		}
		return time.Time{}
	}
	l, ok := g.letters[a.Delivery]
	if a.State == outbox.Sending && ok {
		var past []outbox.Reached
		for _, r := range g.past[l.contact] {
			if r.delivery != a.Delivery {
				past = append(past, r.Reached)
			}
		}
		v := g.caps.Heed(l.Letter, g.wishes[a.Delivery], past, g.caps.ZoneOf(l.zone, l.locale), now, expires)
		a.State, a.Reason, until = v.State, v.Reason, v.Until
		for _, why := range []outbox.Reason{shadow, v.Shadow} {
			if why != "" && a.State == outbox.Sending {
				g.shadows = append(g.shadows, []any{a.Delivery, why})
			}
		}
	}
	if ok {
		g.note(l, a, now)
	}
	return until
}

// note makes the history of a person say what has just been decided.
func (g *limiting) note(l letter, a *outbox.Admission, now time.Time) {
	is := reached{outbox.Reached{Letter: l.Letter, At: now, State: a.State}, a.Delivery}
	if a.State != outbox.Sending {
		is.State = outbox.Cancelled // it waits or has ended: in nobody's way
	}
	list := g.past[l.contact]
	for i := range list {
		if list[i].delivery == a.Delivery {
			list[i] = is
			return
		}
	}
	if g.past != nil && is.State == outbox.Sending {
		g.past[l.contact] = append(list, is)
	}
}

// steps adds the statement that notes what would have been held.
func (g *limiting) steps(steps []step, now time.Time) []step {
	if g == nil {
		return steps
	}
	return rowsIn(steps, qShadows, g.shadows, micros(now))
}
