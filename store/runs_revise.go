package store

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/outbox"
)

// revisePage is how many rows a person's word moves in one transaction.
const revisePage = 1000

const qReopen query = `
SELECT r.state, r.expires_after, COALESCE(r.campaign_id, 0),
  EXISTS (SELECT 1 FROM runs o WHERE o.campaign_id = r.campaign_id AND o.id <> r.id AND o.state IN ('planning', 'running', 'paused', 'cancelling'))
FROM runs r WHERE r.id = $1 {{lock r}}`

const qReopenRun query = `UPDATE runs SET state = 'running', finished_at = NULL, notified_at = NULL WHERE id = $1 AND state = 'finished'`

const qReopenCampaign query = `UPDATE campaigns SET state = 'running', updated_at = $2 WHERE id = $1 AND state IN ('finished', 'scheduled')`

// Whatever failed or is uncertain has a reason; saying so finds the index. Of
// many, only those are meant that stood so when the word was said: what fails
// again meanwhile is not tried for ever. What failed gets a new turn, so that
// its outcome, found once more in a spool, is not taken for that of the next
// try; what is uncertain keeps it, since its outcome may still be found.
const qRevise query = `
WITH pick (id) AS MATERIALIZED (
  SELECT id FROM deliveries
  WHERE run_id = $1 AND state = $2 AND reason <> '' AND ((CAST($3 AS BIGINT) = 0 AND updated_at <= $6) OR contact_id = $3) AND (CAST($4 AS TEXT) = '' OR reason = $4)
  LIMIT $8
)
UPDATE deliveries SET state = CAST($5 AS TEXT), reason = CASE WHEN CAST($5 AS TEXT) = 'failed' THEN reason ELSE '' END, worker_id = NULL, updated_at = $6,
  attempt = CASE WHEN CAST($5 AS TEXT) = 'queued' THEN 0 ELSE attempt END, crashes = CASE WHEN crashes > 1 THEN 1 ELSE crashes END,
  turn = CASE WHEN state = 'failed' THEN turn + 1 ELSE turn END,
  not_before = CASE WHEN CAST($5 AS TEXT) = 'queued' THEN $6 ELSE not_before END,
  expires_at = CASE WHEN CAST($5 AS TEXT) = 'queued' AND CAST($7 AS BIGINT) > 0 THEN CAST($6 AS BIGINT) + $7 ELSE expires_at END
FROM pick WHERE deliveries.id = pick.id AND state = $2
RETURNING deliveries.id, turn, batch_id`

const qRevised query = `
INSERT INTO attempts (delivery_id, turn, at, verdict, detail)
SELECT CAST(e.value ->> 0 AS BIGINT), CAST(e.value ->> 1 AS BIGINT), $2, $3, $4 FROM {{each $1}}`

// Revise implements campaigns.RunStore. Some rows at a time are a transaction;
// one that is interrupted is asked again for the rest.
func (s *Store) Revise(ctx context.Context, r campaigns.Revision) (int64, error) {
	var sum int64
	for {
		var n int64
		err := s.update(ctx, durable, func(t tx) (err error) {
			n, err = t.revise(ctx, r)
			return err
		})
		if err != nil {
			return sum, fmt.Errorf("revise deliveries of run %d: %w", r.Run, err)
		}
		if sum += n; n < revisePage {
			return sum, nil
		}
	}
}

func (t tx) revise(ctx context.Context, r campaigns.Revision) (int64, error) {
	run, err := t.revisable(ctx, r)
	if err != nil {
		return 0, err
	}
	rows, err := collect(ctx, t, qRevise, func(scan func(...any) error) (row []int64, err error) {
		row = make([]int64, 3)
		err = scan(&row[0], &row[1], &row[2])
		return row, err
	}, r.Run, r.From, r.Contact, r.Reason, r.To, micros(r.Now), run.expires, revisePage)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	var c counts
	for _, row := range rows {
		c.add(row[2], r.From, r.To, r.Now)
	}
	if err := c.write(ctx, t); err != nil {
		return 0, err
	}
	if r.To == outbox.Queued {
		if err := t.reopen(ctx, r, run.campaign, c); err != nil {
			return 0, err
		}
	}
	_, err = t.exec(ctx, qRevised, asJSON(rows), micros(r.Now), "revised", fmt.Sprintf("%s → %s by %s", r.From, r.To, r.Actor))
	return int64(len(rows)), err
}

// revised is what a person's word has to know of a run.
type revised struct {
	state             outbox.RunState
	expires, campaign int64
	other             bool // another run of the campaign is open
}

// revisable refuses to queue again what belongs to a run that cannot go on.
func (t tx) revisable(ctx context.Context, r campaigns.Revision) (revised, error) {
	run, _, err := one(ctx, t, qReopen, func(scan func(...any) error) (x revised, err error) {
		err = scan(&x.state, &x.expires, &x.campaign, &x.other)
		return x, err
	}, r.Run)
	switch {
	case err != nil || r.To != outbox.Queued:
		return run, err
	case run.state == outbox.Cancelling || run.state == outbox.RunCancelled:
		return run, rapport.Conflictf("the run was cancelled: nothing of it is sent any more")
	case run.state == outbox.Finished && run.other:
		return run, rapport.Conflictf("another run of the campaign is going: try again when it has ended")
	}
	return run, nil
}

// reopen lets a run go on of which something is queued again.
func (t tx) reopen(ctx context.Context, r campaigns.Revision, campaign int64, c counts) error {
	for batch := range c.byBatch {
		if _, err := t.exec(ctx, qExpiryAgain, batch, micros(r.Now.Add(time.Minute))); err != nil {
			return err
		}
	}
	n, err := t.exec(ctx, qReopenRun, r.Run)
	if err != nil || n == 0 || campaign == 0 {
		return err
	}
	_, err = t.exec(ctx, qReopenCampaign, campaign, micros(r.Now))
	return err
}
