package store

import (
	"context"
	"encoding/json"
	"fmt"

	"rapport/campaigns"
	"rapport/outbox"
)

func readFrozen(text string) (f campaigns.Frozen, err error) {
	if err = json.Unmarshal([]byte(text), &f); err != nil {
		return f, fmt.Errorf("read the audience of a run: %w", err)
	}
	return f, nil
}

const qJudgeOne query = `
SELECT ` + verdictBefore + `CAST($5 AS BIGINT)` + verdictAfter + `, COALESCE(a.value, '') FROM contacts c` + verdictJoins + ` WHERE c.id = $4 {{share c}}`

const qTopicOfRun query = `SELECT topic_id FROM runs WHERE id = $1`

const qAddOne query = `
INSERT INTO deliveries (run_id, batch_id, contact_id, address, state, not_before, expires_at, data, updated_at)
VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7, $8)`

// SendOne implements campaigns.RunStore.
func (s *Store) SendOne(ctx context.Context, r campaigns.Run, o campaigns.One) (campaigns.Run, bool, error) {
	var isNew bool
	err := s.update(ctx, durable, func(t tx) (err error) {
		if r.ID, isNew, err = t.addRun(ctx, r); err != nil || !isNew {
			return err
		}
		return t.sendOne(ctx, r, o)
	})
	if err != nil || isNew {
		return r, isNew, err
	}
	r, err = s.RunByReference(ctx, r.Reference)
	return r, false, err
}

func (t tx) sendOne(ctx context.Context, r campaigns.Run, o campaigns.One) error {
	topic, _, err := one(ctx, t, qTopicOfRun, scalar[int64], r.ID)
	if err != nil {
		return err
	}
	var reason outbox.Reason
	var address string
	_, ok, err := one(ctx, t, qJudgeOne, func(scan func(...any) error) (struct{}, error) {
		return struct{}{}, scan(&reason, &address)
	}, r.Driver, topic, r.Kind, o.Contact, max(micros(o.NotBefore), micros(t.s.now())))
	if err != nil {
		return err
	}
	if !ok {
		reason = outbox.Erased
	}
	if reason != "" {
		return &campaigns.Skipped{Reason: reason}
	}
	batch, err := t.insert(ctx, qAddBatch, r.ID, r.Channel, campaigns.LaneOf(r.Class), "")
	if err != nil {
		return err
	}
	var data any
	if len(o.Data) > 0 {
		data = string(o.Data)
	}
	if _, err := t.exec(ctx, qAddOne, r.ID, batch, o.Contact, address, micros(o.NotBefore), micros(o.ExpiresAt), data, micros(t.s.now())); err != nil {
		return err
	}
	_, err = t.exec(ctx, qFillBatch, batch, 1, max(micros(o.NotBefore), 1), micros(o.ExpiresAt))
	return err
}

// CountAudience implements campaigns.PlanStore.
func (s *Store) CountAudience(ctx context.Context, aim campaigns.Aim, attributes []string) ([]campaigns.Group, error) {
	topics, err := topicNumbers(ctx, s.reader())
	if err != nil {
		return nil, s.classify(err)
	}
	args := &binds{args: []any{aim.Driver, topics.number[aim.Topic], aim.Kind}} // as verdictJoins numbers them
	flags, sums := "", ""
	for i, name := range attributes {
		flags += fmt.Sprintf(", CASE WHEN (c.attributes ->> %s) IS NULL THEN 1 ELSE 0 END AS m%d", args.text(name), i)
		sums += fmt.Sprintf(", SUM(q.m%d)", i)
	}
	text := "SELECT q.reason, q.locale, q.zone, COUNT(*), MIN(q.id), MAX(q.id)" + sums +
		" FROM (SELECT c.id AS id, c.locale AS locale, c.zone AS zone, " + verdictBefore + args.whole(micros(s.now())) + verdictAfter + " AS reason" + flags +
		" FROM contacts c" + verdictJoins + " WHERE " + audienceSQL(s.d, aim, args) + ") q GROUP BY q.reason, q.locale, q.zone"
	list, err := built(ctx, s.pools.read, text, args, func(scan func(...any) error) (g campaigns.Group, err error) {
		g.Missing = make([]int64, len(attributes))
		to := []any{&g.Reason, &g.Locale, &g.Zone, &g.N, &g.First, &g.Last}
		for i := range g.Missing {
			to = append(to, &g.Missing[i])
		}
		err = scan(to...)
		return g, err
	})
	return list, s.classify(err)
}

// ZonesInUse implements campaigns.PlanStore.
func (s *Store) ZonesInUse(ctx context.Context) ([]string, error) {
	zones, err := zonesInUse(ctx, s.reader())
	return zones, s.classify(err)
}

const qLastRun query = `
SELECT r.started_at, r.finished_at, (SELECT SUM(b.planned) FROM batches b WHERE b.run_id = r.id)
FROM campaigns c CROSS JOIN runs r
WHERE r.campaign_id = c.id AND r.channel = $1 AND r.state = 'finished' AND EXISTS (SELECT 1 FROM batches b WHERE b.run_id = r.id AND b.planned > 0)
ORDER BY r.finished_at DESC LIMIT 1`

// LastRate implements campaigns.PlanStore.
func (s *Store) LastRate(ctx context.Context, channel string) (float64, bool, error) {
	var from, to, planned int64
	_, ok, err := one(ctx, s.reader(), qLastRun, func(scan func(...any) error) (struct{}, error) {
		return struct{}{}, scan(&from, &to, &planned)
	}, channel)
	if err != nil || !ok || to <= from {
		return 0, false, s.classify(err)
	}
	return float64(planned) / when(to).Sub(when(from)).Seconds(), true, nil
}
