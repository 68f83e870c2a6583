package store

import (
	"context"
	"encoding/json"

	"rapport"
	"rapport/consent"
	"rapport/rights"
)

const qDeliveriesTo query = `
SELECT d.id, d.run_id, d.contact_id, r.name, r.channel, t.name, COALESCE(d.address, ''), d.state, d.reason, d.code, d.provider_id, d.server,
  COALESCE(d.data, ''), COALESCE(d.entry_id, 0), d.updated_at
FROM deliveries d JOIN runs r ON r.id = d.run_id JOIN topics t ON t.id = r.topic_id
WHERE d.contact_id = $1 AND d.id > $2 ORDER BY d.id LIMIT $3`

// DeliveriesTo implements rights.CopyStore.
func (s *Store) DeliveriesTo(ctx context.Context, contact, after int64, limit int) ([]rights.Delivery, error) {
	list, err := collect(ctx, s.reader(), qDeliveriesTo, func(scan func(...any) error) (d rights.Delivery, err error) {
		var who, at int64
		var data string
		err = scan(&d.Number, &d.RunNo, &who, &d.Campaign, &d.Channel, &d.Topic, &d.Address, &d.State, &d.Reason, &d.Code, &d.Provider, &d.Server,
			&data, &d.Entry, &at)
		d.ID, d.At = rapport.DeliveryID(d.RunNo, who), when(at)
		if data != "" {
			d.Data = json.RawMessage(data)
		}
		return d, err
	}, contact, after, limit)
	return list, s.classify(err)
}

const qTriesTo query = `
SELECT a.id, d.run_id, a.at, a.verdict, a.reason, a.code, a.detail
FROM deliveries d JOIN attempts a ON a.delivery_id = d.id
WHERE d.contact_id = $1 AND a.id > $2 ORDER BY a.id LIMIT $3`

// TriesTo implements rights.CopyStore.
func (s *Store) TriesTo(ctx context.Context, contact, after int64, limit int) (list []rights.Try, last int64, err error) {
	list, err = collect(ctx, s.reader(), qTriesTo, func(scan func(...any) error) (t rights.Try, err error) {
		var run, at int64
		err = scan(&last, &run, &at, &t.Verdict, &t.Reason, &t.Code, &t.Detail)
		t.Delivery, t.At = rapport.DeliveryID(run, contact), when(at)
		return t, err
	}, contact, after, limit)
	return list, last, s.classify(err)
}

const qResponsesFrom query = `
SELECT p.id, p.run_id, COALESCE(r.name, ''), p.kind, p.link, p.machine, p.agent, p.detail, p.at
FROM responses p LEFT JOIN runs r ON r.id = p.run_id
WHERE p.contact_id = $1 AND p.id > $2 ORDER BY p.id LIMIT $3`

// ResponsesFrom implements rights.CopyStore.
func (s *Store) ResponsesFrom(ctx context.Context, contact, after int64, limit int) ([]rights.Response, error) {
	list, err := collect(ctx, s.reader(), qResponsesFrom, func(scan func(...any) error) (r rights.Response, err error) {
		var run, machine, at int64
		err = scan(&r.Number, &run, &r.Campaign, &r.Kind, &r.Link, &machine, &r.Agent, &r.Detail, &at)
		r.Delivery, r.Machine, r.At = rapport.DeliveryID(run, contact), machine == 1, when(at)
		return r, err
	}, contact, after, limit)
	return list, s.classify(err)
}

// Skips are kept by run: each run of a campaign is asked for its own, by their
// key. What is sent to one person alone leaves nobody out.
const qSkipsOf query = `
SELECT r.id, r.name, r.channel, t.name, n.reason, COALESCE(r.planned_at, r.started_at)
FROM runs r CROSS JOIN not_planned n CROSS JOIN topics t
WHERE t.id = r.topic_id AND n.run_id = r.id AND n.contact_id = $1 AND r.id > $2 AND r.campaign_id IS NOT NULL ORDER BY r.id LIMIT $3`

// SkipsOf implements rights.CopyStore.
func (s *Store) SkipsOf(ctx context.Context, contact, after int64, limit int) ([]rights.Skip, error) {
	list, err := collect(ctx, s.reader(), qSkipsOf, func(scan func(...any) error) (x rights.Skip, err error) {
		var at int64
		err = scan(&x.RunNo, &x.Campaign, &x.Channel, &x.Topic, &x.Reason, &at)
		x.At = when(at)
		return x, err
	}, contact, after, limit)
	return list, s.classify(err)
}

// Earlier addresses are known by their fingerprint.
const qSuppressionsFor query = qSuppressionColumns + ` WHERE (s.kind, s.hash) IN (
  SELECT a.kind, a.hash FROM addresses a WHERE a.contact_id = $1
  UNION SELECT f.kind, f.hash FROM former_addresses f WHERE f.contact_id = $1) ORDER BY s.kind, s.hash`

// SuppressionsFor implements rights.CopyStore.
func (s *Store) SuppressionsFor(ctx context.Context, contact int64) ([]consent.Suppression, error) {
	list, err := collect(ctx, s.reader(), qSuppressionsFor, scanSuppression, contact)
	return list, s.classify(err)
}

const qRequestsOf query = `
SELECT q.kind, q.asked, q.asked_at, q.expires_at, q.confirmed_at, q.confirm_ip, q.confirm_agent
FROM requests q WHERE q.contact_id = $1 OR q.person_id = $1 ORDER BY q.id`

// RequestsOf implements rights.CopyStore.
func (s *Store) RequestsOf(ctx context.Context, contact int64) ([]rights.Request, error) {
	list, err := collect(ctx, s.reader(), qRequestsOf, func(scan func(...any) error) (r rights.Request, err error) {
		var text string
		var asked, expires, confirmed int64
		err = scan(&r.Kind, &text, &asked, &expires, &confirmed, &r.ConfirmIP, &r.ConfirmUser)
		r.Asked, r.AskedAt, r.ExpiresAt, r.ConfirmedAt = json.RawMessage(text), when(asked), when(expires), pointer(confirmed)
		return r, err
	}, contact)
	return list, s.classify(err)
}
