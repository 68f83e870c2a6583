package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/outbox"
)

const runColumns = `
SELECT r.id, r.uid, COALESCE(r.campaign_id, 0), COALESCE(r.reference, ''), r.name, r.channel, r.driver, r.kind, t.name, r.class, r.revision_id,
  r.terms, r.audience, r.state, r.note, r.scheduled_for, r.expires_after, r.started_at, COALESCE(r.planned_at, 0), COALESCE(r.finished_at, 0)
FROM runs r JOIN topics t ON t.id = r.topic_id`

const qFindRun query = runColumns + ` WHERE r.uid = $1`

const qRunByReference query = runColumns + ` WHERE r.reference = $1`

const qRuns query = runColumns + ` WHERE r.campaign_id = $1 AND (CAST($2 AS BIGINT) = 0 OR r.id < $2) ORDER BY r.id DESC LIMIT $3`

const qPlanning query = runColumns + ` WHERE r.state = 'planning' AND r.id > $1 ORDER BY r.id LIMIT 1`

const qUntoldRuns query = runColumns + `
WHERE r.campaign_id IS NOT NULL AND r.finished_at IS NOT NULL AND r.notified_at IS NULL ORDER BY r.id LIMIT $1`

const qTellRun query = `UPDATE runs SET notified_at = $2 WHERE id = $1 AND notified_at IS NULL`

const qUntoldHolds query = `SELECT channel, until, reason, detail, since FROM holds WHERE notified_at IS NULL ORDER BY channel`

const qTellHold query = `UPDATE holds SET notified_at = $3 WHERE channel = $1 AND since = $2 AND notified_at IS NULL`

func scanCampaignRun(scan func(...any) error) (r campaigns.Run, err error) {
	var class, terms, audience string
	var scheduled, expires, started, planned, finished int64
	err = scan(&r.ID, &r.UID, &r.Campaign, &r.Reference, &r.Name, &r.Channel, &r.Driver, &r.Kind, &r.Topic, &class, &r.Revision,
		&terms, &audience, &r.State, &r.Note, &scheduled, &expires, &started, &planned, &finished)
	if err != nil {
		return r, err
	}
	r.Class, r.Expires = classOf(class), time.Duration(expires)*time.Microsecond
	r.ScheduledFor, r.StartedAt = when(scheduled), when(started)
	r.PlannedAt, r.FinishedAt = pointer(planned), pointer(finished)
	if err = errors.Join(json.Unmarshal([]byte(terms), &r.Terms), json.Unmarshal([]byte(audience), &r.Audience)); err != nil {
		return r, fmt.Errorf("read run %d: %w", r.ID, err)
	}
	return r, nil
}

func pointer(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := when(us)
	return &t
}

// FindRun implements campaigns.RunStore.
func (s *Store) FindRun(ctx context.Context, uid string) (campaigns.Run, error) {
	r, ok, err := one(ctx, s.reader(), qFindRun, scanCampaignRun, uid)
	if err != nil {
		return r, fmt.Errorf("find run %s: %w", uid, s.classify(err))
	}
	if !ok {
		return r, rapport.NotFoundf("there is no run %q", uid)
	}
	return r, nil
}

// RunByReference implements campaigns.RunStore.
func (s *Store) RunByReference(ctx context.Context, reference string) (campaigns.Run, error) {
	r, ok, err := one(ctx, s.reader(), qRunByReference, scanCampaignRun, reference)
	if err != nil {
		return r, fmt.Errorf("find a message by its reference: %w", s.classify(err))
	}
	if !ok {
		return r, rapport.NotFoundf("there is no message with reference %q", reference)
	}
	return r, nil
}

// Runs implements campaigns.RunStore.
func (s *Store) Runs(ctx context.Context, campaign, before int64, limit int) ([]campaigns.Run, error) {
	list, err := collect(ctx, s.reader(), qRuns, scanCampaignRun, campaign, before, limit)
	return list, s.classify(err)
}

// Planning implements campaigns.PlanStore.
func (s *Store) Planning(ctx context.Context, after int64) (campaigns.Run, bool, error) {
	r, ok, err := one(ctx, s.reader(), qPlanning, scanCampaignRun, after)
	if err != nil {
		return r, false, fmt.Errorf("look for a run to plan: %w", s.classify(err))
	}
	return r, ok, nil
}

const qAddRun query = `
INSERT INTO runs (id, uid, campaign_id, reference, name, channel, driver, kind, topic_id, class, revision_id, terms, audience, state,
  scheduled_for, expires_after, started_at, planned_at)
SELECT {{number runs}}, $1, CAST($2 AS BIGINT), CAST($3 AS TEXT), $4, $5, $6, $7, t.id, $8, CAST($9 AS BIGINT), $10, $11, CAST($12 AS TEXT),
  CAST($13 AS BIGINT), CAST($14 AS BIGINT), CAST($15 AS BIGINT), CAST($16 AS BIGINT)
FROM topics t WHERE t.name = $17
ON CONFLICT DO NOTHING RETURNING id`

// addRun stores a run; ok is false when its campaign has that time already, or
// its reference is taken.
func (t tx) addRun(ctx context.Context, r campaigns.Run) (id int64, ok bool, err error) {
	var campaign, reference, planned any
	if r.Campaign != 0 {
		campaign = r.Campaign
	}
	if r.Reference != "" {
		reference = r.Reference
	}
	if r.State != outbox.Planning {
		planned = micros(r.StartedAt)
	}
	return one(ctx, t, qAddRun, scalar[int64], r.UID, campaign, reference, r.Name, r.Channel, r.Driver, r.Kind, r.Class.String(), r.Revision,
		asJSON(r.Terms), asJSON(r.Audience), r.State, micros(r.ScheduledFor), r.Expires.Microseconds(), micros(r.StartedAt), planned, r.Topic)
}

const qWaitsFor query = `
SELECT EXISTS (SELECT 1 FROM runs r WHERE r.campaign_id = c.id AND r.state IN ('planning', 'running', 'paused', 'cancelling'))
FROM campaigns c WHERE c.id = $1 AND c.next_for = $2 AND c.state IN ('scheduled', 'running') {{lock c}}`

const qTurnPage query = `
UPDATE campaigns SET next_at = CAST($2 AS BIGINT), next_for = CAST($3 AS BIGINT), updated_at = $4, note = CASE WHEN $5 = '' THEN note ELSE $5 END,
  state = CASE WHEN $6 = 1 THEN 'running' WHEN $7 = 1 THEN state WHEN CAST($2 AS BIGINT) IS NULL THEN 'finished' ELSE 'scheduled' END
WHERE id = $1`

// BeginRun implements campaigns.RunStore.
func (s *Store) BeginRun(ctx context.Context, b campaigns.Begin) (campaigns.Run, campaigns.Begun, error) {
	var run campaigns.Run
	var begun campaigns.Begun
	err := s.update(ctx, durable, func(t tx) error {
		run, begun = campaigns.Run{}, campaigns.Lost
		open, waits, err := one(ctx, t, qWaitsFor, scalar[bool], b.Campaign, micros(b.Expected.For))
		if err != nil || !waits {
			return err
		}
		begun = campaigns.Left
		note := b.Note
		switch {
		case b.Run != nil && open:
			begun, note = campaigns.Busy, b.Busy
		case b.Run != nil:
			run = *b.Run
			id, ok, err := t.addRun(ctx, run)
			if err != nil {
				return err
			}
			if run.ID = id; ok {
				begun = campaigns.Started
			}
		}
		_, err = t.exec(ctx, qTurnPage, b.Campaign, maybe(b.Next.Begin), maybe(b.Next.For), micros(s.now()), note, bit(begun == campaigns.Started), bit(open))
		return err
	})
	return run, begun, err
}

func bit(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

const qRunMoves query = `
UPDATE runs SET state = $2, note = $3 WHERE id = $1 AND state IN (SELECT e.value ->> 0 FROM {{each $4}})`

const qPauseWith query = `
UPDATE campaigns SET state = 'paused', note = $2, updated_at = $3
WHERE state = 'running' AND id = (SELECT campaign_id FROM runs WHERE id = $1)`

// MoveRun implements campaigns.RunStore.
func (s *Store) MoveRun(ctx context.Context, id int64, from []outbox.RunState, to outbox.RunState, note string) (bool, error) {
	states := make([][]outbox.RunState, len(from))
	for i, st := range from {
		states[i] = []outbox.RunState{st}
	}
	var n int64
	err := s.update(ctx, durable, func(t tx) (err error) {
		if err := t.aloneWithGate(ctx); err != nil { // what is answered to be stopped does not leave
			return err
		}
		if n, err = t.exec(ctx, qRunMoves, id, to, note, asJSON(states)); err != nil || n == 0 || to != outbox.Paused {
			return err
		}
		_, err = t.exec(ctx, qPauseWith, id, note, micros(s.now()))
		return err
	})
	return n > 0, err
}

// UntoldRuns implements campaigns.NoteStore.
func (s *Store) UntoldRuns(ctx context.Context, limit int) ([]campaigns.Run, error) {
	list, err := collect(ctx, s.reader(), qUntoldRuns, scanCampaignRun, limit)
	return list, s.classify(err)
}

// TellRun implements campaigns.NoteStore.
func (s *Store) TellRun(ctx context.Context, id int64, now time.Time) (bool, error) {
	var n int64
	err := s.update(ctx, durable, func(t tx) (err error) {
		n, err = t.exec(ctx, qTellRun, id, micros(now))
		return err
	})
	return n > 0, err
}

// UntoldHolds implements campaigns.NoteStore.
func (s *Store) UntoldHolds(ctx context.Context) ([]outbox.Hold, error) {
	list, err := collect(ctx, s.reader(), qUntoldHolds, scanHold)
	return list, s.classify(err)
}

// TellHold implements campaigns.NoteStore.
func (s *Store) TellHold(ctx context.Context, h outbox.Hold, now time.Time) (bool, error) {
	var n int64
	err := s.update(ctx, durable, func(t tx) (err error) {
		n, err = t.exec(ctx, qTellHold, h.Channel, micros(h.Since), micros(now))
		return err
	})
	return n > 0, err
}

func scanHold(scan func(...any) error) (h outbox.Hold, err error) {
	var until, since int64
	err = scan(&h.Channel, &until, &h.Reason, &h.Detail, &since)
	h.Until, h.Since = when(until), when(since)
	return h, err
}
