package store

import (
	"context"

	"rapport/campaigns"
)

// domainOf reads what stands behind the $14 of an address, and countedOf
// behind $3.
const (
	domainOf  = `substr(q.address, {{place}}(q.address, CAST($14 AS TEXT)) + 1)`
	countedOf = `substr(d.address, {{place}}(d.address, CAST($3 AS TEXT)) + 1)`
)

// qPlanApart is qPlan for a run with large receiving domains: $13 is an object
// of their batches.
const qPlanApart query = planInto + `COALESCE(CAST({{json $13}} ->> ` + domainOf + ` AS BIGINT), CAST($9 AS BIGINT))` + planRest

// Into which batches a page went is counted over the rows behind the last one
// there was: only who holds the run adds deliveries to it, and numbers only
// grow. RETURNING would keep every row a second time.
const (
	qLastDelivery query = `SELECT COALESCE(MAX(id), 0) FROM deliveries`
	qIntoBatches  query = `SELECT batch_id, COUNT(*) FROM deliveries WHERE id > $1 AND +run_id = $2 GROUP BY batch_id`
)

// qDomainsOf counts the deliveries of some people by receiving domain. The
// left join makes the people come first on every engine: of a run that has
// just begun PostgreSQL knows no size, and would go through all of it.
const qDomainsOf query = `
SELECT q.domain, COUNT(q.domain) FROM (
  SELECT ` + countedOf + ` AS domain FROM {{each $2}}
  LEFT JOIN deliveries d ON d.run_id = $1 AND d.contact_id = CAST(e.value AS BIGINT)
) q GROUP BY q.domain HAVING COUNT(q.domain) > 0`

// planApart plans with batches of their own for some receiving domains, and
// says how many deliveries went into which batch. A domain's batch that turned
// out to be empty stays in hand.
func (t tx) planApart(ctx context.Context, p planning, apart *campaigns.Apart, domains []string, args []any) (map[int64]int64, error) {
	hand := make(map[string]campaigns.Batch, len(domains))
	ids := make(map[string]int64, len(domains))
	for _, d := range domains {
		b := apart.In(d)
		if b.ID == 0 || b.Planned >= batchSize {
			id, err := t.insert(ctx, qAddBatch, p.ID, p.Channel, campaigns.LaneOf(p.Class), d)
			if err != nil {
				return nil, err
			}
			b = campaigns.Batch{ID: id}
		}
		hand[d], ids[d] = b, b.ID
	}
	last, _, err := one(ctx, t, qLastDelivery, scalar[int64])
	if err != nil {
		return nil, err
	}
	if _, err := t.exec(ctx, qPlanApart, append(args[:12:12], asJSON(ids), apart.Separator)...); err != nil {
		return nil, err
	}
	planned := map[int64]int64{}
	_, err = collect(ctx, t, qIntoBatches, func(scan func(...any) error) (struct{}, error) {
		var id, n int64
		err := scan(&id, &n)
		planned[id] = n
		return struct{}{}, err
	}, last, p.ID)
	if err != nil {
		return nil, err
	}
	for d, b := range hand {
		b.Planned += planned[b.ID]
		p.took[d] = b
	}
	return planned, nil
}

// openBatch returns a batch for n more deliveries of domains that share: the
// last one, if it has room, else a new one.
func (t tx) openBatch(ctx context.Context, p planning, apart *campaigns.Apart, n int) (int64, error) {
	var id, planned int64
	_, ok, err := one(ctx, t, qLastBatch, func(scan func(...any) error) (struct{}, error) {
		return struct{}{}, scan(&id, &planned)
	}, p.ID)
	if len(apart.Domains()) > 0 {
		n = 1 // most go elsewhere; a batch may grow beyond its size by less than a page
	}
	if err != nil || (ok && planned+int64(n) <= batchSize) {
		return id, err
	}
	return t.insert(ctx, qAddBatch, p.ID, p.Channel, campaigns.LaneOf(p.Class), "")
}

// countDomains notes, of one page in some, which domains it went to, so that
// large ones are known.
func (t tx) countDomains(ctx context.Context, p planning, apart *campaigns.Apart, people string) error {
	domains := map[string]int64{}
	_, err := collect(ctx, t, qDomainsOf, func(scan func(...any) error) (struct{}, error) {
		var domain string
		var n int64
		err := scan(&domain, &n)
		domains[domain] = n
		return struct{}{}, err
	}, p.ID, people, apart.Separator)
	if err == nil {
		apart.Counted(domains)
	}
	return err
}
