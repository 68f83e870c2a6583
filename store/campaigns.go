package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport"
	"rapport/campaigns"
)

const campaignColumns = `
SELECT c.id, c.uid, c.name, c.title, c.state, c.definition, COALESCE(c.next_at, 0), COALESCE(c.next_for, 0), c.note, c.revision, c.actor, c.created_at, c.updated_at
FROM campaigns c`

const qCampaign query = campaignColumns + ` WHERE c.name = $1 OR c.uid = $1`

const qCampaigns query = campaignColumns + ` WHERE c.name > $1 ORDER BY c.name LIMIT $2`

const qDueCampaigns query = campaignColumns + `
WHERE c.next_at IS NOT NULL AND c.next_at <= $1 AND c.state IN ('scheduled', 'running') ORDER BY c.next_at, c.id LIMIT 100`

const qPutCampaign query = `
INSERT INTO campaigns (uid, name, title, state, definition, actor, created_at, updated_at) VALUES ($1, $2, $3, 'draft', $4, $5, $6, $6)
ON CONFLICT (name) DO UPDATE SET title = excluded.title, definition = excluded.definition, actor = excluded.actor,
  updated_at = excluded.updated_at, revision = campaigns.revision + 1
WHERE campaigns.state = 'draft'`

const qScheduleCampaign query = `
UPDATE campaigns SET state = 'scheduled', next_at = $2, next_for = $3, note = $4, updated_at = $5 WHERE id = $1 AND state = 'draft'`

func scanCampaign(scan func(...any) error) (c campaigns.Campaign, err error) {
	var definition string
	var at, which, created, updated int64
	if err = scan(&c.ID, &c.UID, &c.Name, &c.Title, &c.State, &definition, &at, &which, &c.Note, &c.Revision, &c.Actor, &created, &updated); err != nil {
		return c, err
	}
	c.CreatedAt, c.UpdatedAt = when(created), when(updated)
	c.Next = campaigns.Occurrence{For: when(which), Begin: when(at)}
	if at != 0 {
		c.NextAt = &c.Next.Begin
	}
	if err = json.Unmarshal([]byte(definition), &c.Definition); err != nil {
		return c, fmt.Errorf("read the definition of campaign %s: %w", c.Name, err)
	}
	return c, nil
}

// PutCampaign implements campaigns.Store.
func (s *Store) PutCampaign(ctx context.Context, c campaigns.Campaign) (campaigns.Campaign, error) {
	definition, err := json.Marshal(c.Definition)
	if err != nil {
		return c, fmt.Errorf("write the definition of campaign %s: %w", c.Name, err)
	}
	var out campaigns.Campaign
	err = s.update(ctx, durable, func(t tx) error {
		n, err := t.exec(ctx, qPutCampaign, c.UID, c.Name, c.Title, string(definition), c.Actor, micros(c.UpdatedAt))
		if err != nil {
			return err
		}
		if out, _, err = one(ctx, t, qCampaign, scanCampaign, c.Name); err != nil {
			return err
		}
		if n == 0 {
			return rapport.Conflictf("campaign %s was started (%s) and keeps what it says: copy it under another name", c.Name, out.State)
		}
		return nil
	})
	return out, err
}

// Campaign implements campaigns.Store.
func (s *Store) Campaign(ctx context.Context, ref string) (campaigns.Campaign, error) {
	c, ok, err := one(ctx, s.reader(), qCampaign, scanCampaign, ref)
	if err != nil {
		return c, fmt.Errorf("find campaign %s: %w", ref, s.classify(err))
	}
	if ok {
		return c, nil
	}
	names, err := collect(ctx, s.reader(), qCampaignNames, scalar[string])
	if err != nil {
		return c, fmt.Errorf("list campaigns: %w", s.classify(err))
	}
	return c, rapport.Unknown("campaign", ref, names)
}

// Campaigns implements campaigns.Store.
func (s *Store) Campaigns(ctx context.Context, after string, limit int) ([]campaigns.Campaign, error) {
	list, err := collect(ctx, s.reader(), qCampaigns, scanCampaign, after, limit)
	return list, s.classify(err)
}

// DueCampaigns implements campaigns.Store.
func (s *Store) DueCampaigns(ctx context.Context, now time.Time) ([]campaigns.Campaign, error) {
	list, err := collect(ctx, s.reader(), qDueCampaigns, scanCampaign, micros(now))
	return list, s.classify(err)
}

// maybe is a time as a column that may be null.
func maybe(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micros(t)
}

// ScheduleCampaign implements campaigns.Store.
func (s *Store) ScheduleCampaign(ctx context.Context, id int64, next campaigns.Occurrence, note string) (bool, error) {
	var n int64
	err := s.update(ctx, durable, func(t tx) (err error) {
		n, err = t.exec(ctx, qScheduleCampaign, id, maybe(next.Begin), maybe(next.For), note, micros(s.now()))
		return err
	})
	return n > 0, err
}

const qStandingOf query = `
SELECT c.state, COALESCE(r.id, 0), COALESCE(r.state, ''), r.planned_at IS NOT NULL,
  EXISTS (SELECT 1 FROM runs a WHERE a.campaign_id = c.id)
FROM campaigns c LEFT JOIN runs r ON r.campaign_id = c.id AND r.state IN ('planning', 'running', 'paused', 'cancelling')
WHERE c.id = $1 ORDER BY r.id LIMIT 1 {{lock c}}`

const qMoveCampaign query = `
UPDATE campaigns SET state = $3, updated_at = $4, note = $5,
  next_at = CASE WHEN $6 = 1 THEN NULL ELSE next_at END, next_for = CASE WHEN $6 = 1 THEN NULL ELSE next_for END
WHERE id = $1 AND state = $2`

const qMoveRun query = `UPDATE runs SET state = $3, note = CASE WHEN $4 = '' THEN note ELSE $4 END WHERE id = $1 AND state = $2`

type standing struct {
	campaigns.Standing
	run int64
	ran bool
}

func scanStanding(scan func(...any) error) (x standing, err error) {
	err = scan(&x.Campaign, &x.run, &x.Run, &x.Planned, &x.ran)
	return x, err
}

// MoveCampaign implements campaigns.Store.
func (s *Store) MoveCampaign(ctx context.Context, id int64, endSchedule bool, note string, decide func(campaigns.Standing, bool) (campaigns.Standing, error)) (campaigns.Standing, error) {
	var out campaigns.Standing
	ends := 0
	if endSchedule {
		ends = 1
	}
	err := s.insist(ctx, durable, func(t tx) error {
		now, ok, err := one(ctx, t, qStandingOf, scanStanding, id)
		if err != nil {
			return err
		}
		if !ok {
			return rapport.NotFoundf("there is no campaign number %d", id)
		}
		if out, err = decide(now.Standing, now.ran); err != nil {
			return err
		}
		if now.run != 0 && out.Run != now.Run { // what is answered to be stopped does not leave
			if err := t.aloneWithGate(ctx); err != nil {
				return err
			}
		}
		n, err := t.exec(ctx, qMoveCampaign, id, now.Campaign, out.Campaign, micros(s.now()), note, ends)
		if err := exactly(1, n, err); err != nil || now.run == 0 {
			return err
		}
		n, err = t.exec(ctx, qMoveRun, now.run, now.Run, out.Run, note)
		return exactly(1, n, err)
	})
	return out, err
}
