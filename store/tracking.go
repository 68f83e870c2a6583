package store

import (
	"context"
	"fmt"

	"rapport/campaigns"
	"rapport/outbox"
	"rapport/responses"
)

// Tracking says whose links may lead to them.
type Tracking string

// TrackUnasked asks nobody and writes nothing down: for examinations of what
// has nothing to do with it. TrackNobody names nobody. TrackGranted names who
// has a standing yes for the topic of tracking, given for the address that is
// written to. TrackStated names everybody who has not said no to it.
const (
	TrackUnasked Tracking = ""
	TrackNobody  Tracking = "nobody"
	TrackGranted Tracking = "granted"
	TrackStated  Tracking = "stated"
)

// TrackingOf reads from what an installation permits how claims and hits are
// judged.
func TrackingOf(t outbox.Tracking) Tracking {
	switch {
	case t.For("") != outbox.TrackPerson:
		return TrackNobody
	case t.Asks():
		return TrackGranted
	}
	return TrackStated
}

// trackedClaim is qClaim for installations where links lead to people: what
// permits it is read and written down where the row is written anyway. x is
// what all rows of the batch share.
const (
	trackedClaim = `
WITH x (driver, topic, mode, noes, marks) AS MATERIALIZED (
  SELECT r.driver, t.id, COALESCE({{json r.terms}} ->> 'tracking', ''),
    EXISTS (SELECT 1 FROM consents n WHERE n.topic_id = t.id AND n.driver = r.driver AND n.state = 'withdrawn'),
    EXISTS (SELECT 1 FROM contacts o WHERE o.objected_at IS NOT NULL) OR EXISTS (SELECT 1 FROM contacts o WHERE o.restricted_at IS NOT NULL)
  FROM batches b CROSS JOIN runs r CROSS JOIN topics t
  WHERE b.id = $1 AND r.id = b.run_id AND t.name = 'tracking'
), pick (id) AS MATERIALIZED (
  SELECT id FROM deliveries
  WHERE batch_id = $1 AND state = 'queued' AND not_before <= $2
  ORDER BY not_before, id LIMIT $3 {{skip locked}}
)
UPDATE deliveries SET state = 'claimed', reason = '', turn = turn + 1, worker_id = $4, updated_at = $2,
  tracked = (SELECT CASE WHEN x.mode IN ('aggregate', 'off') THEN NULL ELSE `
	trackedRest = ` END FROM x)
FROM pick WHERE deliveries.id = pick.id
RETURNING deliveries.id, run_id, batch_id, contact_id, COALESCE(address, ''), turn, attempt, crashes, expires_at, COALESCE(data, ''), tracked IS NOT NULL`

	// Who is restricted is not tracked at all, and who objects to all marketing
	// only by a yes of their own.
	marked = `x.marks AND EXISTS (SELECT 1 FROM contacts o WHERE o.id = deliveries.contact_id AND `

	saidYes = `(SELECT k.entry_id FROM consents k
    WHERE k.contact_id = deliveries.contact_id AND k.driver = x.driver AND k.topic_id = x.topic AND k.state = 'granted' AND k.address = deliveries.address
      AND k.expires_at NOT BETWEEN 1 AND $2)`
	saidNo = `EXISTS (SELECT 1 FROM consents k
    WHERE k.contact_id = deliveries.contact_id AND k.driver = x.driver AND k.topic_id = x.topic AND k.state = 'withdrawn')`
)

const qClaimGranted query = trackedClaim + `CASE WHEN ` + marked + `o.restricted_at IS NOT NULL) THEN NULL ELSE ` + saidYes + ` END` + trackedRest

const qClaimStated query = trackedClaim + `CASE WHEN x.noes AND ` + saidNo + ` OR ` +
	marked + `(o.restricted_at IS NOT NULL OR o.objected_at IS NOT NULL)) THEN NULL ELSE 0 END` + trackedRest

// claiming is the statement that claims, and whether links lead to people
// where it does not say so.
func (s *Store) claiming() (q query, named bool) {
	switch s.tracking {
	case TrackGranted:
		return qClaimGranted, false
	case TrackStated:
		return qClaimStated, false
	case TrackNobody:
		return qClaim, false
	case TrackUnasked:
	}
	return qClaim, true
}

// qNamed reads what permits to attribute something of a delivery now: the
// answer about tracking, whether it was given for the address, and its end.
const qNamed query = `
SELECT d.run_id, d.contact_id, COALESCE(k.state, ''), COALESCE(k.address = d.address, FALSE), COALESCE(k.expires_at, 0), c.id IS NOT NULL AND c.restricted_at IS NULL, c.objected_at IS NOT NULL
FROM {{each $1}}
JOIN deliveries d ON d.run_id = CAST(e.value ->> 0 AS BIGINT) AND d.contact_id = CAST(e.value ->> 1 AS BIGINT)
JOIN runs r ON r.id = d.run_id
JOIN topics t ON t.name = 'tracking'
LEFT JOIN contacts c ON c.id = d.contact_id
LEFT JOIN consents k ON k.contact_id = d.contact_id AND k.driver = r.driver AND k.topic_id = t.id`

// pair names one delivery.
type pair struct{ run, contact int64 }

// named says of which deliveries something may be attributed to the person
// now.
func (s *Store) named(ctx context.Context, r runner, deliveries string) (map[pair]bool, error) {
	out := map[pair]bool{}
	now := micros(s.now())
	_, err := collect(ctx, r, qNamed, func(scan func(...any) error) (struct{}, error) {
		var p pair
		var state string
		var ends int64
		var same, free, objected bool
		err := scan(&p.run, &p.contact, &state, &same, &ends, &free, &objected)
		switch s.tracking {
		case TrackGranted:
			out[p] = free && state == "granted" && same && (ends == 0 || now < ends)
		case TrackStated:
			out[p] = free && !objected && state != "withdrawn"
		case TrackNobody, TrackUnasked:
		}
		return struct{}{}, err
	}, deliveries)
	if err != nil {
		return nil, fmt.Errorf("read who may be tracked: %w", err)
	}
	return out, nil
}

// attributed takes the person off hits on links that lead to somebody who may
// not be tracked now: they have withdrawn since the letter was written, or
// what the installation permits has changed. Such a hit is counted.
func (t tx) attributed(ctx context.Context, events []responses.Event) error {
	if t.s.tracking == TrackUnasked {
		return nil
	}
	var b rowsJSON
	asked := map[pair]bool{}
	for _, e := range events {
		if k := (pair{e.Run, e.Contact}); e.Hit() && e.Contact != 0 && !asked[k] {
			asked[k] = true
			b.begin()
			b.number(e.Run)
			b.number(e.Contact)
			b.end()
		}
	}
	if len(asked) == 0 {
		return nil
	}
	may := map[pair]bool{}
	if t.s.tracking != TrackNobody {
		var err error
		if may, err = t.s.named(ctx, t, b.text()); err != nil {
			return err
		}
	}
	for i := range events {
		if e := &events[i]; e.Hit() && e.Contact != 0 && !may[pair{e.Run, e.Contact}] {
			e.Contact, e.Dedupe = 0, ""
		}
	}
	return nil
}

// Deliveries that went by age are counted where they were.
const qTracked query = `
SELECT SUM(q.n), SUM(q.tracked) FROM (
  SELECT COUNT(*) AS n, COUNT(tracked) AS tracked FROM deliveries WHERE run_id = $1 AND state IN ('sent', 'uncertain')
  UNION ALL SELECT COALESCE(SUM(n), 0), COALESCE(SUM(tracked), 0) FROM pruned_deliveries WHERE run_id = $1 AND state IN ('sent', 'uncertain')
) q`

const qTrackedHits query = `
SELECT kind, COUNT(DISTINCT NULLIF(contact_id, 0)), SUM(CASE WHEN contact_id = 0 THEN 1 ELSE 0 END) FROM responses
WHERE run_id = $1 AND kind IN ('opened', 'clicked') AND machine = 0 GROUP BY kind`

// Tracked implements campaigns.TrackingStore.
func (s *Store) Tracked(ctx context.Context, run int64) (out campaigns.Tracked, err error) {
	err = s.view(ctx, func(r runner) error {
		folded, err := foldedTo(ctx, r, run)
		if err != nil {
			return err
		}
		_, _, err = one(ctx, r, qTracked, func(scan func(...any) error) (struct{}, error) {
			return struct{}{}, scan(&out.Sent, &out.ByPerson)
		}, run)
		if err != nil {
			return err
		}
		_, err = collect(ctx, r, unfolded(qTrackedHits, qTrackedHitsFolded, folded), func(scan func(...any) error) (struct{}, error) {
			var kind responses.Kind
			var people, unnamed int64
			err := scan(&kind, &people, &unnamed)
			if kind == responses.Opened {
				out.Opened, out.AnonOpens = out.Opened+people, out.AnonOpens+unnamed
			} else {
				out.Clicked, out.AnonClicks = out.Clicked+people, out.AnonClicks+unnamed
			}
			return struct{}{}, err
		}, run)
		return err
	})
	return out, s.classify(err)
}

// namedNow says whether a letter of a delivery that is written once more may
// lead to its person.
func (s *Store) namedNow(ctx context.Context, run, contact int64) (bool, error) {
	if s.tracking == TrackUnasked || s.tracking == TrackNobody {
		return s.tracking == TrackUnasked, nil
	}
	var b rowsJSON
	b.begin()
	b.number(run)
	b.number(contact)
	b.end()
	may, err := s.named(ctx, s.reader(), b.text())
	return may[pair{run, contact}], err
}
