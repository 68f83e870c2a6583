package store

import (
	"context"
	"fmt"

	"rapport"
	"rapport/campaigns"
	"rapport/outbox"
)

const deliveryColumns = `
SELECT d.id, d.run_id, d.contact_id, r.name, r.uid, r.channel, t.name, COALESCE(c.uid, ''), COALESCE(c.external_id, ''), COALESCE(d.address, ''),
  d.state, d.reason, d.attempt, d.not_before, d.expires_at, d.code, d.provider_id, d.server, COALESCE(d.entry_id, 0), d.updated_at
FROM deliveries d JOIN runs r ON r.id = d.run_id JOIN topics t ON t.id = r.topic_id LEFT JOIN contacts c ON c.id = d.contact_id`

const qDeliveryOf query = deliveryColumns + ` WHERE d.run_id = $1 AND d.contact_id = $2`

func scanDelivery(scan func(...any) error) (d campaigns.Delivery, err error) {
	var run, notBefore, expires, updated int64
	err = scan(&d.Number, &run, &d.ContactNo, &d.Campaign, &d.Run, &d.Channel, &d.Topic, &d.Contact, &d.ExternalID, &d.Address,
		&d.State, &d.Reason, &d.Attempts, &notBefore, &expires, &d.Code, &d.ProviderID, &d.Server, &d.Entry, &updated)
	d.ID = rapport.DeliveryID(run, d.ContactNo)
	d.NotBefore, d.ExpiresAt, d.UpdatedAt = pointer(notBefore), pointer(expires), when(updated)
	return d, err
}

// Deliveries implements campaigns.ReportStore.
func (s *Store) Deliveries(ctx context.Context, f campaigns.Filter) ([]campaigns.Delivery, error) {
	args := &binds{}
	text := deliveryColumns + " WHERE d.id > " + args.whole(f.After)
	if f.Running != 0 {
		text += " AND d.run_id = " + args.whole(f.Running)
	}
	if f.Run != "" {
		text += " AND d.run_id = (SELECT id FROM runs WHERE uid = " + args.text(f.Run) + ")"
	}
	if f.Campaign != "" {
		name := args.text(f.Campaign)
		text += " AND d.run_id IN (SELECT x.id FROM runs x JOIN campaigns y ON y.id = x.campaign_id WHERE y.name = " + name + " OR y.uid = " + name + ")"
	}
	if f.Contact != 0 {
		text += " AND d.contact_id = " + args.whole(f.Contact)
	}
	if f.Address != "" {
		text += " AND d.address = " + args.text(f.Address) + " AND r.kind = " + args.text(f.Kind)
	}
	if f.State != "" {
		text += " AND d.state = " + args.text(string(f.State))
	}
	if f.Reason != "" {
		text += " AND d.reason = " + args.text(string(f.Reason)) + " AND d.reason <> ''"
	}
	text += " ORDER BY d.id LIMIT " + args.whole(int64(f.Limit))
	list, err := built(ctx, s.pools.read, text, args, scanDelivery)
	return list, s.classify(err)
}

const qAttemptsOf query = `
SELECT at, verdict, reason, code, detail, server FROM attempts WHERE delivery_id = $1 ORDER BY id LIMIT 500`

const qRevisionOfRun query = `SELECT v.number FROM runs r JOIN revisions v ON v.id = r.revision_id WHERE r.id = $1`

// DeliveryOf implements campaigns.ReportStore.
func (s *Store) DeliveryOf(ctx context.Context, run, contact int64) (campaigns.Detail, error) {
	var out campaigns.Detail
	err := s.view(ctx, func(r runner) error {
		d, ok, err := one(ctx, r, qDeliveryOf, scanDelivery, run, contact)
		if err != nil {
			return err
		}
		if !ok {
			return rapport.NotFoundf("there is no delivery %s", rapport.DeliveryID(run, contact))
		}
		out = campaigns.Detail{Delivery: d, Tries: []campaigns.Attempt{}, Reactions: []campaigns.Reaction{}}
		if out.Revision, _, err = one(ctx, r, qRevisionOfRun, scalar[int64], run); err != nil {
			return err
		}
		tries, err := collect(ctx, r, qAttemptsOf, func(scan func(...any) error) (a campaigns.Attempt, err error) {
			var at int64
			err = scan(&at, &a.Verdict, &a.Reason, &a.Code, &a.Detail, &a.Server)
			a.At = when(at)
			return a, err
		}, d.Number)
		if err != nil {
			return err
		}
		back, err := reactions(ctx, r, run, []int64{contact})
		out.Tries, out.Reactions = append(out.Tries, tries...), append(out.Reactions, back[contact]...)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("show a delivery: %w", s.classify(err))
	}
	return out, nil
}

const qNotPlanned query = `
SELECT n.contact_id, COALESCE(c.uid, ''), COALESCE(c.external_id, ''), n.reason
FROM not_planned n LEFT JOIN contacts c ON c.id = n.contact_id
WHERE n.run_id = $1 AND n.contact_id > $2 AND (CAST($3 AS TEXT) = '' OR n.reason = $3) ORDER BY n.contact_id LIMIT $4`

// NotPlanned implements campaigns.ReportStore.
func (s *Store) NotPlanned(ctx context.Context, run int64, reason outbox.Reason, after int64, limit int) ([]campaigns.NotPlanned, error) {
	list, err := collect(ctx, s.reader(), qNotPlanned, func(scan func(...any) error) (n campaigns.NotPlanned, err error) {
		err = scan(&n.Number, &n.Contact, &n.ExternalID, &n.Reason)
		return n, err
	}, run, after, reason, limit)
	return list, s.classify(err)
}

const qResponses query = `
SELECT kind, link, machine, COUNT(*), COUNT(DISTINCT ` + onePerson + `) FROM responses WHERE run_id = $1
GROUP BY kind, link, machine ORDER BY kind, link, machine`

// Responses implements campaigns.ReportStore.
func (s *Store) Responses(ctx context.Context, run int64) ([]campaigns.Responded, error) {
	folded, err := foldedTo(ctx, s.reader(), run)
	if err != nil {
		return nil, s.classify(err)
	}
	list, err := collect(ctx, s.reader(), unfolded(qResponses, qResponsesFolded, folded), func(scan func(...any) error) (r campaigns.Responded, err error) {
		var machine int
		err = scan(&r.Kind, &r.Link, &machine, &r.N, &r.People)
		r.Machine = machine != 0
		return r, err
	}, run)
	return list, s.classify(err)
}

const qReactions query = `
SELECT p.contact_id, p.kind, p.link, p.machine, COUNT(*), MIN(p.at)
FROM {{each $2}} CROSS JOIN responses p
WHERE p.contact_id = CAST(e.value AS BIGINT) AND p.run_id = $1
GROUP BY p.contact_id, p.kind, p.link, p.machine ORDER BY p.contact_id, p.kind, p.link, p.machine`

// Reactions implements campaigns.ReportStore.
func (s *Store) Reactions(ctx context.Context, run int64, contacts []int64) (map[int64][]campaigns.Reaction, error) {
	back, err := reactions(ctx, s.reader(), run, contacts)
	return back, s.classify(err)
}

func reactions(ctx context.Context, r runner, run int64, contacts []int64) (map[int64][]campaigns.Reaction, error) {
	out := map[int64][]campaigns.Reaction{}
	var ids rowsJSON
	for _, id := range contacts {
		ids.number(id)
	}
	_, err := collect(ctx, r, qReactions, func(scan func(...any) error) (struct{}, error) {
		var contact, at int64
		var machine int
		var x campaigns.Reaction
		err := scan(&contact, &x.Kind, &x.Link, &machine, &x.N, &at)
		x.Machine, x.First = machine != 0, when(at)
		out[contact] = append(out[contact], x)
		return struct{}{}, err
	}, run, ids.text())
	return out, err
}
