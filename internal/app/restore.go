package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/channels"
	"rapport/outbox"
	"rapport/store"
	"rapport/worker"
)

// Restoration is a backup that was put back, and what is open in it.
type Restoration struct {
	Held      bool          `json:"held"`
	Since     *time.Time    `json:"since"`
	Why       string        `json:"why,omitempty"`
	Runs      []RestoredRun `json:"runs"`
	Campaigns []string      `json:"campaigns"` // whose next run fell into the time that is not known
}

// RestoredRun is a run that was open in the backup.
type RestoredRun struct {
	Run      string `json:"run"`
	Campaign string `json:"campaign"`
	Channel  string `json:"channel"`
	State    string `json:"state"`
	Doubtful int64  `json:"doubtful"` // may have been sent since the backup was made
	Repeated bool   `json:"repeated"` // they are sent again; else they become uncertain
	Unready  bool   `json:"unready"`  // not all of its people are known yet
}

// margins keep new numbers away from those in messages that nobody remembers.
const (
	runMargin, contactMargin = 1_000, 100_000
	blindFactor              = 100 // when nobody knows how far it had come
)

// Restoration tells whether a backup that was put back waits for a decision.
func (h *House) Restoration(ctx context.Context, again bool) (Restoration, error) {
	out := Restoration{Runs: []RestoredRun{}, Campaigns: []string{}}
	_, still, err := h.Store.Milestone(ctx, "")
	if err != nil || !still.Stands() {
		return out, err
	}
	out.Held, out.Since, out.Why = true, &still.Since, still.Why
	runs, err := h.Store.DoubtfulRuns(ctx, still.Since, false)
	if err != nil {
		return out, err
	}
	unready, err := h.Store.DoubtfulRuns(ctx, still.Since, true)
	if err != nil {
		return out, err
	}
	for _, r := range runs {
		n, err := h.Store.Doubts(ctx, r.ID, still)
		if err != nil {
			return out, err
		}
		one := RestoredRun{Run: r.UID, Campaign: r.Name, Channel: r.Channel, State: string(r.State), Doubtful: n, Repeated: again || h.repeats(r)}
		for _, u := range unready {
			one.Unready = one.Unready || u.ID == r.ID
		}
		out.Runs = append(out.Runs, one)
	}
	due, err := h.Store.DueCampaigns(ctx, still.Ahead.At)
	for _, c := range due {
		out.Campaigns = append(out.Campaigns, c.Name)
	}
	return out, err
}

// repeats says whether messages of a run may be sent again after a doubt.
func (h *House) repeats(r store.DoubtfulRun) bool {
	class := channels.Marketing
	if r.Transactional {
		class = channels.Transactional
	}
	return h.policy(class, r.Channel).Repeat
}

// HoldRestored stops everything, since a person says that a backup was put
// back.
func (h *House) HoldRestored(ctx context.Context) error {
	if _, _, err := h.Store.Milestone(ctx, word()); err != nil {
		return err
	}
	now := h.now().UTC()
	var names []string
	for _, c := range h.Config.Channels {
		names = append(names, c.Name)
	}
	return h.Store.Halt(ctx, outbox.Standstill{
		Since: now, Ahead: outbox.Milestone{At: now},
		Why: rapport.ActorOf(ctx).Name + " says that a backup was put back: nobody can tell which messages have been sent since it was made",
	}, names)
}

// ConfirmRestore lets everything go on. What is open in the backup and may
// have been sent since becomes uncertain, unless its topic or channel allows a
// repeat; with again it is all sent once more. Campaigns whose next run fell
// into that time are paused. It returns what it did; one that is interrupted is
// asked again.
func (h *House) ConfirmRestore(ctx context.Context, again bool) (Restoration, error) {
	here, still, err := h.Store.Milestone(ctx, "")
	switch {
	case err != nil:
		return Restoration{}, err
	case !still.Stands():
		return Restoration{}, rapport.Conflictf("nothing waits for a decision: no backup was put back that is older than what was sent; if one was, run rapport restore hold first")
	}
	if !again {
		if err := h.planRest(ctx, still); err != nil {
			return Restoration{}, err
		}
	}
	done, err := h.Restoration(ctx, again)
	if err != nil {
		return done, err
	}
	if !again {
		if err := h.doubt(ctx, still); err != nil {
			return done, err
		}
	}
	run, contact := max(here.Run, still.Ahead.Run)+runMargin, max(here.Contact, still.Ahead.Contact)+contactMargin
	if still.Ahead.Departed == 0 {
		run, contact = run+blindFactor*runMargin, contact+blindFactor*contactMargin
	}
	if err := h.Store.GoAgain(ctx, run, contact); err != nil {
		return done, err
	}
	if here, _, err = h.Store.Milestone(ctx, ""); err != nil {
		return done, err
	}
	return done, worker.Remember(h.Config.Data, here)
}

// planRest plans what the runs of the backup have still to plan: their people
// may have got a message, too.
func (h *House) planRest(ctx context.Context, still outbox.Standstill) error {
	for {
		left, err := h.Store.DoubtfulRuns(ctx, still.Since, true)
		if err != nil {
			return err
		}
		open := false
		for _, r := range left {
			open = open || r.State == outbox.Planning
		}
		if !open {
			return nil
		}
		if _, err := h.Campaigns.PlanSome(ctx); err != nil {
			return fmt.Errorf("plan the rest of what was open in the backup: %w", err)
		}
	}
}

func (h *House) doubt(ctx context.Context, still outbox.Standstill) error {
	runs, err := h.Store.DoubtfulRuns(ctx, still.Since, false)
	if err != nil {
		return err
	}
	actor := rapport.ActorOf(ctx).Name
	for _, r := range runs {
		if h.repeats(r) {
			continue
		}
		if _, err := h.Store.Doubt(ctx, r.ID, still, actor, h.now().UTC()); err != nil {
			return err
		}
	}
	due, err := h.Store.DueCampaigns(ctx, still.Ahead.At)
	if err != nil {
		return err
	}
	for _, c := range due {
		note := fmt.Sprintf("a backup was put back that does not know whether the run of %s took place: resume it if it did not", c.Next.For.UTC().Format("2006-01-02T15:04Z"))
		_, err := h.Store.MoveCampaign(ctx, c.ID, false, note, func(now campaigns.Standing, _ bool) (campaigns.Standing, error) {
			return campaigns.Pause.After(c.Name, now)
		})
		if err != nil && rapport.KindOf(err) != rapport.Conflict {
			return fmt.Errorf("pause campaign %s: %w", c.Name, err)
		}
	}
	return nil
}

// errOlder is what health says while nothing is sent.
var errOlder = errors.New("nothing is sent until a person decides: rapport restore confirm")

// restored is a check for operators: does sending stand still?
func (h *House) restored(ctx context.Context) error {
	_, still, err := h.Store.Milestone(ctx, "")
	if err != nil || !still.Stands() {
		return err
	}
	return rapport.Unavailablef(errOlder, "%s; %v", still.Why, errOlder)
}
