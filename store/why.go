package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/conditions"
	"rapport/outbox"
)

// qWeigh is what planning asks about a page, of one person and without writing
// anything down.
const qWeigh query = `SELECT q.reason, q.due FROM (` + judgedPage + `
) q`

// Weigh implements campaigns.WhyStore.
func (s *Store) Weigh(ctx context.Context, run campaigns.Run, aim campaigns.Aim, contact int64) (out campaigns.Weighed, err error) {
	args := &binds{}
	text := "SELECT c.id, c.zone, " + audienceSQL(s.d, aim, args) + " FROM contacts c WHERE c.id = " + args.whole(contact)
	people, err := built(ctx, s.pools.read, text, args, func(scan func(...any) error) (m member, err error) {
		var in sql.NullBool
		err = scan(&m.id, &m.zone, &in)
		out.Member = in.Bool
		return m, err
	})
	if err != nil {
		return out, fmt.Errorf("ask whether contact %d is meant: %w", contact, s.classify(err))
	}
	if len(people) == 0 {
		return out, nil
	}
	topics, err := topicNumbers(ctx, s.reader())
	if err != nil {
		return out, s.classify(err)
	}
	due, byZone, _ := dueTimes(planning{Run: run}, aim, people)
	_, _, err = one(ctx, s.reader(), qWeigh, func(scan func(...any) error) (struct{}, error) {
		var at int64
		err := scan(&out.Reason, &at)
		out.Due = when(at)
		if out.Reason == "" && at < micros(aim.LateBefore) {
			out.Reason = outbox.TooLate
		}
		return struct{}{}, err
	}, run.Driver, topics.number[run.Topic], run.Kind, idsJSON([]int64{contact}), due, byZone)
	if err != nil {
		return out, fmt.Errorf("ask what planning says about contact %d: %w", contact, s.classify(err))
	}
	return out, nil
}

// PartsHold implements campaigns.WhyStore.
func (s *Store) PartsHold(ctx context.Context, aim campaigns.Aim, contact int64, parts []conditions.Node) ([]*bool, error) {
	out := make([]*bool, len(parts))
	if len(parts) == 0 {
		return out, nil
	}
	args := &binds{}
	at := clock{now: aim.Now, zone: aim.Now.Location(), zones: aim.Zones}
	columns := make([]string, len(parts))
	for i, p := range parts {
		columns[i] = compileCondition(s.d, p, at, args)
	}
	text := "SELECT " + strings.Join(columns, ", ") + " FROM contacts c WHERE c.id = " + args.whole(contact)
	_, err := built(ctx, s.pools.read, text, args, func(scan func(...any) error) (struct{}, error) {
		found := make([]sql.NullBool, len(parts))
		into := make([]any, len(parts))
		for i := range found {
			into[i] = &found[i]
		}
		err := scan(into...)
		for i, f := range found {
			if f.Valid {
				out[i] = &f.Bool
			}
		}
		return struct{}{}, err
	})
	return out, s.classify(err)
}

// qStandings reads of one person what planning and the gate go by, each with the
// row it stands in. The rules are theirs, word for word.
const qStandings query = `
SELECT COALESCE(a.value, ''), COALESCE(a.id, 0), COALESCE(` + restricted + `, FALSE),
  CASE WHEN ` + forbidden + ` THEN s.reason ELSE '' END, COALESCE(s.reason, ''), COALESCE(s.hash, ''), COALESCE(s.detail, ''), COALESCE(s.actor, ''), COALESCE(s.at, 0),
  COALESCE(` + domainReason + `, ''),
  COALESCE(k.state, ''), COALESCE(k.address, ''), COALESCE(k.entry_id, 0), COALESCE(k.expires_at, 0)
FROM contacts c` + verdictJoins + ` WHERE c.id = $4`

const qRestriction query = `SELECT reason, actor, at FROM restrictions WHERE contact_id = $1`

// Standings implements campaigns.WhyStore.
func (s *Store) Standings(ctx context.Context, run campaigns.Run, contact int64) (out campaigns.Standings, err error) {
	topics, err := topicNumbers(ctx, s.reader())
	if err != nil {
		return out, s.classify(err)
	}
	var hash string
	var at, ends int64
	_, out.Exists, err = one(ctx, s.reader(), qStandings, func(scan func(...any) error) (struct{}, error) {
		return struct{}{}, scan(&out.Address, &out.AddressRow, &out.Restricted,
			&out.Suppression, &out.Suppressed, &hash, &out.SuppressionRow.Detail, &out.SuppressionRow.Actor, &at,
			&out.Domain, &out.Consent, &out.ConsentAddress, &out.Entry, &ends)
	}, run.Driver, topics.number[run.Topic], run.Kind, contact)
	if err != nil {
		return out, fmt.Errorf("read what stands about contact %d: %w", contact, s.classify(err))
	}
	out.ConsentEnds = when(ends)
	if hash != "" {
		out.SuppressionRow.Table, out.SuppressionRow.Key, out.SuppressionRow.At = "suppressions", run.Kind+" "+hash, pointer(at)
	}
	if out.Domain != "" {
		if out.DomainRow, err = s.domainRow(ctx, run.Kind, out.Address); err != nil {
			return out, fmt.Errorf("read the suppressed domain of contact %d: %w", contact, err)
		}
	}
	if !out.Restricted {
		return out, nil
	}
	_, _, err = one(ctx, s.reader(), qRestriction, func(scan func(...any) error) (struct{}, error) {
		var since int64
		err := scan(&out.RestrictionRow.Detail, &out.RestrictionRow.Actor, &since)
		out.RestrictionRow.Table, out.RestrictionRow.Key, out.RestrictionRow.At = "restrictions", strconv.FormatInt(contact, 10), pointer(since)
		return struct{}{}, err
	}, contact)
	return out, s.classify(err)
}

// domainRow is the entry that suppresses an address with its domain.
func (s *Store) domainRow(ctx context.Context, kind, address string) (r campaigns.Row, err error) {
	x, found, err := s.DomainOf(ctx, kind, address)
	if err != nil || !found { // taken back this moment
		return campaigns.Row{Table: "suppressed_domains", Key: kind}, err
	}
	r = campaigns.Row{Table: "suppressed_domains", Key: kind + " " + x.Domain, At: &x.At, Actor: x.Actor, Detail: x.Detail}
	if x.Subdomains {
		r.Detail = strings.TrimSuffix("with what is below it: "+x.Detail, ": ")
	}
	return r, nil
}

const qPlaced query = `
SELECT d.id, d.state, d.reason, COALESCE(d.address, ''), d.not_before, d.expires_at, COALESCE(d.entry_id, 0), COALESCE(d.tracked, -1), d.updated_at, d.batch_id
FROM deliveries d WHERE d.run_id = $1 AND d.contact_id = $2`

const qPlacedNot query = `SELECT reason FROM not_planned WHERE run_id = $1 AND contact_id = $2`

const qCursor query = `SELECT r.cursor FROM runs r WHERE r.id = $1`

// Placed implements campaigns.WhyStore.
func (s *Store) Placed(ctx context.Context, run, contact int64) (out campaigns.Placed, err error) {
	err = s.view(ctx, func(r runner) error {
		_, ok, err := one(ctx, r, qPlaced, func(scan func(...any) error) (struct{}, error) {
			var due, expires, changed int64
			err := scan(&out.Delivery, &out.State, &out.Reason, &out.Address, &due, &expires, &out.Entry, &out.Tracked, &changed, &out.Batch)
			out.NotBefore, out.ExpiresAt, out.At = when(due), when(expires), when(changed)
			return struct{}{}, err
		}, run, contact)
		if err != nil || ok {
			return err
		}
		if out.Reason, out.Skipped, err = one(ctx, r, qPlacedNot, scalar[outbox.Reason], run, contact); err != nil || out.Skipped {
			return err
		}
		cursor, _, err := one(ctx, r, qCursor, scalar[int64], run)
		out.Passed = cursor >= contact
		return err
	})
	if err != nil {
		return out, fmt.Errorf("read delivery %s: %w", rapport.DeliveryID(run, contact), s.classify(err))
	}
	return out, nil
}

// Heeded implements campaigns.WhyStore: it asks the limits the gate keeps to
// about what the gate reads.
func (s *Store) Heeded(ctx context.Context, run campaigns.Run, priority string, contact, delivery int64, now, expires time.Time) (v outbox.Verdict, err error) {
	l := s.limits.Load()
	if l == nil {
		l = &outbox.Limits{}
	}
	wishes, err := collect(ctx, s.reader(), qPreferences, func(scan func(...any) error) (w outbox.Wish, err error) {
		var until, every int64
		err = scan(&w.Driver, &w.Topic, &until, &every)
		w.PausedUntil, w.Every = when(until), time.Duration(every)*time.Second
		return w, err
	}, contact)
	if err != nil {
		return v, fmt.Errorf("read what contact %d asked for: %w", contact, s.classify(err))
	}
	g := &limiting{caps: l, past: map[int64][]reached{}}
	err = (step{qReached, []any{idsJSON([]int64{contact}), micros(l.Since(now, wishes)), micros(now)}, g.takeReached}).run(ctx, s.reader())
	if err != nil {
		return v, fmt.Errorf("read what reached contact %d: %w", contact, s.classify(err))
	}
	var past []outbox.Reached
	for _, r := range g.past[contact] {
		if r.delivery != delivery {
			past = append(past, r.Reached)
		}
	}
	zone, _, err := one(ctx, s.reader(), qZoneOf, func(scan func(...any) error) (z [2]string, err error) {
		err = scan(&z[0], &z[1])
		return z, err
	}, contact)
	if err != nil {
		return v, fmt.Errorf("read the time zone of contact %d: %w", contact, s.classify(err))
	}
	letter := outbox.Letter{Class: run.Class, Topic: run.Topic, Priority: priority, Driver: run.Driver, Channel: run.Channel}
	return l.Heed(letter, wishes, past, l.ZoneOf(zone[0], zone[1]), now, expires), nil
}

const qZoneOf query = `SELECT c.zone, c.locale FROM contacts c WHERE c.id = $1`
