package store

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/outbox"
)

const qAccountRun query = `
SELECT r.uid, r.name, r.channel, r.state, r.note, r.started_at, COALESCE(r.finished_at, 0)
FROM runs r WHERE r.id = $1`

const qAccountStates query = `
SELECT COALESCE(SUM(planned), 0), COALESCE(SUM(queued), 0), COALESCE(SUM(claimed), 0), COALESCE(SUM(sending), 0), COALESCE(SUM(sent), 0),
  COALESCE(SUM(failed), 0), COALESCE(SUM(uncertain), 0), COALESCE(SUM(suppressed), 0), COALESCE(SUM(cancelled), 0), COALESCE(SUM(expired), 0)
FROM batches WHERE run_id = $1`

const qAccountReasons query = `
SELECT state, reason, COUNT(*) FROM deliveries WHERE run_id = $1 AND reason <> '' GROUP BY state, reason
UNION ALL SELECT state, reason, SUM(n) FROM pruned_deliveries WHERE run_id = $1 AND reason <> '' GROUP BY state, reason`

const qAccountSkips query = `SELECT reason, n FROM not_planned_counts WHERE run_id = $1`

const qRunByUID query = `SELECT id FROM runs WHERE uid = $1`

// Account returns the account of a run by its public ID.
func (s *Store) Account(ctx context.Context, uid string) (outbox.Account, error) {
	id, ok, err := one(ctx, s.reader(), qRunByUID, scalar[int64], uid)
	if err != nil {
		return outbox.Account{}, fmt.Errorf("find run %s: %w", uid, s.classify(err))
	}
	if !ok {
		return outbox.Account{}, rapport.NotFoundf("there is no run %q", uid)
	}
	return s.account(ctx, id, s.now())
}

// account reads everything in one transaction, so that the numbers are of one
// moment.
func (s *Store) account(ctx context.Context, id int64, now time.Time) (outbox.Account, error) {
	a := outbox.Account{
		States: map[outbox.State]int64{}, Reasons: map[outbox.State]map[outbox.Reason]int64{},
		Waiting: map[outbox.Reason]int64{}, NotPlanned: map[outbox.Reason]int64{},
	}
	err := s.view(ctx, func(r runner) error { return readAccount(ctx, r, id, now, &a) })
	if err != nil {
		return a, fmt.Errorf("read the account of run %d: %w", id, s.classify(err))
	}
	a.Pace(now)
	return a, nil
}

func readAccount(ctx context.Context, r runner, id int64, now time.Time, a *outbox.Account) error {
	var ended int64
	_, ok, err := one(ctx, r, qAccountRun, func(scan func(...any) error) (struct{}, error) {
		var started int64
		err := scan(&a.Run, &a.Campaign, &a.Channel, &a.State, &a.Note, &started, &ended)
		a.StartedAt = when(started)
		return struct{}{}, err
	}, id)
	if err != nil {
		return err
	}
	if !ok {
		return rapport.NotFoundf("there is no run %d", id)
	}
	if ended > 0 {
		t := when(ended)
		a.FinishedAt = &t
	}
	if _, _, err = one(ctx, r, qAccountStates, func(scan func(...any) error) (struct{}, error) {
		n := make([]int64, 9)
		err := scan(&a.Planned, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8])
		for i, st := range outbox.States() {
			a.States[st] = n[i]
		}
		return struct{}{}, err
	}, id); err != nil {
		return err
	}
	if _, err = collect(ctx, r, qAccountReasons, func(scan func(...any) error) (struct{}, error) {
		var st outbox.State
		var why outbox.Reason
		var n int64
		err := scan(&st, &why, &n)
		if st == outbox.Queued {
			a.Waiting[why] += n
		} else {
			if a.Reasons[st] == nil {
				a.Reasons[st] = map[outbox.Reason]int64{}
			}
			a.Reasons[st][why] += n
		}
		return struct{}{}, err
	}, id); err != nil {
		return err
	}
	if _, err = collect(ctx, r, qAccountSkips, func(scan func(...any) error) (struct{}, error) {
		var why outbox.Reason
		var n int64
		err := scan(&why, &n)
		a.NotPlanned[why] = n
		return struct{}{}, err
	}, id); err != nil {
		return err
	}
	if _, err = collect(ctx, r, qShadowed, func(scan func(...any) error) (struct{}, error) {
		var why outbox.Reason
		var n int64
		err := scan(&why, &n)
		if a.Shadow == nil {
			a.Shadow = map[outbox.Reason]int64{}
		}
		a.Shadow[why] = n
		return struct{}{}, err
	}, id); err != nil {
		return err
	}
	_, held, err := one(ctx, r, qHeld, scalar[string], a.Channel, micros(now))
	a.Explain(held)
	return err
}

const qHeld query = `SELECT channel FROM holds WHERE channel = $1 AND (until = 0 OR until > $2)`

// Recent is a run of a campaign, for pages that list them.
type Recent struct {
	ID    int64
	Title string // of the campaign; may be empty
	outbox.Account
}

const qRecent query = `
SELECT r.id, c.title FROM runs r JOIN campaigns c ON c.id = r.campaign_id ORDER BY r.id DESC LIMIT $1`

// RecentRuns lists the newest runs of campaigns with their accounts.
func (s *Store) RecentRuns(ctx context.Context, limit int) ([]Recent, error) {
	list, err := collect(ctx, s.reader(), qRecent, func(scan func(...any) error) (r Recent, err error) {
		err = scan(&r.ID, &r.Title)
		return r, err
	}, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", s.classify(err))
	}
	for i := range list {
		if list[i].Account, err = s.account(ctx, list[i].ID, s.now()); err != nil {
			return nil, err
		}
	}
	return list, nil
}
