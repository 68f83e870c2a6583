package campaigns

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rapport"
	"rapport/outbox"
)

// Begins says what a start did: Run is set when the first run began at once.
type Begins struct {
	Campaign Campaign `json:"campaign"`
	Run      *Run     `json:"run"`
	Checked  Checked  `json:"check"`
}

// Start lets a draft go: at once, or at the times of its schedule. What Check
// finds as an error is refused here.
func (s *Service) Start(ctx context.Context, ref string) (Begins, error) {
	c, err := s.store.Campaign(ctx, ref)
	if err != nil {
		return Begins{}, err
	}
	if c.State != Draft {
		return Begins{}, rapport.Conflictf("campaign %s is %s: only a draft can be started; copy it to send it again", c.Name, c.State)
	}
	checked, err := s.check(ctx, c, false)
	if err != nil {
		return Begins{}, err
	}
	if err := checked.Err(); err != nil {
		return Begins{Campaign: c, Checked: checked}, err
	}
	now := s.moment()
	cal, err := s.calendar(ctx, c)
	if err != nil {
		return Begins{}, err
	}
	first := cal.First(now)
	if first.IsZero() {
		return Begins{}, rapport.Invalidf("schedule", "no time of campaign %s is left: it ended with until; change its schedule", c.Name)
	}
	ok, err := s.store.ScheduleCampaign(ctx, c.ID, first, "started by "+rapport.ActorOf(ctx).Name)
	if err != nil {
		return Begins{}, fmt.Errorf("start campaign %s: %w", c.Name, err)
	}
	if !ok {
		return Begins{}, rapport.Conflictf("campaign %s was started by somebody else at the same moment", c.Name)
	}
	out := Begins{Checked: checked}
	if c, err = s.store.Campaign(ctx, c.UID); err != nil {
		return out, err
	}
	if !first.Begin.After(now) {
		if out.Run, err = s.occur(ctx, c, now); err != nil {
			return out, err
		}
		if c, err = s.store.Campaign(ctx, c.UID); err != nil {
			return out, err
		}
	}
	out.Campaign = c
	s.poke()
	return out, nil
}

// calendar understands a campaign's schedule.
func (s *Service) calendar(ctx context.Context, c Campaign) (Calendar, error) {
	var zones []*time.Location
	if c.Definition.Schedule.Zone == Recipient {
		list, err := s.plan.ZonesInUse(ctx)
		if err != nil {
			return Calendar{}, fmt.Errorf("read the time zones of contacts: %w", err)
		}
		for _, name := range list {
			if z, err := time.LoadLocation(name); err == nil {
				zones = append(zones, z)
			}
		}
	}
	cal, err := c.Definition.Schedule.Calendar(s.zone, zones)
	if err != nil {
		return cal, rapport.Invalidf("schedule", "the schedule of campaign %s cannot be understood: %v", c.Name, err)
	}
	return cal, nil
}

// Unschedule takes a campaign off the calendar. One that never ran is a draft
// again; a run that is going goes on to its end.
func (s *Service) Unschedule(ctx context.Context, ref string) (Campaign, error) {
	return s.act(ctx, ref, Unschedule)
}

// Pause stops a campaign: what is on the wire ends, nothing more leaves, and
// its next times wait.
func (s *Service) Pause(ctx context.Context, ref string) (Campaign, error) {
	return s.act(ctx, ref, Pause)
}

// Resume lets a paused campaign go on where it stood. Nobody gets a message
// twice by it.
func (s *Service) Resume(ctx context.Context, ref string) (Campaign, error) {
	return s.act(ctx, ref, Resume)
}

// Cancel ends a campaign for good.
func (s *Service) Cancel(ctx context.Context, ref string) (Campaign, error) {
	return s.act(ctx, ref, Cancel)
}

func (s *Service) act(ctx context.Context, ref string, a Action) (Campaign, error) {
	c, err := s.store.Campaign(ctx, ref)
	if err != nil {
		return c, err
	}
	_, err = s.store.MoveCampaign(ctx, c.ID, a.EndsSchedule(), string(a)+" by "+rapport.ActorOf(ctx).Name, func(now Standing, ran bool) (Standing, error) {
		next, err := a.After(c.Name, now)
		if next.Campaign == Draft && ran {
			next.Campaign = Finished // what has run stays as it ran
		}
		return next, err
	})
	if err != nil {
		return c, fmt.Errorf("%s campaign %s: %w", a, c.Name, err)
	}
	s.poke()
	return s.store.Campaign(ctx, c.UID)
}

// PauseRun stops a run that cannot go on, and its campaign with it, with a
// note for people. A run that is not going is left alone.
func (s *Service) PauseRun(ctx context.Context, run int64, note string) error {
	moved, err := s.runs.MoveRun(ctx, run, []outbox.RunState{outbox.Planning, outbox.Running}, outbox.Paused, note)
	if err != nil {
		return fmt.Errorf("pause run %d: %w", run, err)
	}
	if moved {
		s.halted(Halt{Run: run, Note: note})
	}
	return nil
}

// newest finds the run that is meant: by its ID, else the newest of the
// campaign.
func (s *Service) newest(ctx context.Context, ref, run string) (Run, error) {
	if run != "" {
		return s.runs.FindRun(ctx, run)
	}
	c, err := s.store.Campaign(ctx, ref)
	if err != nil {
		return Run{}, err
	}
	list, err := s.runs.Runs(ctx, c.ID, 0, 1)
	if err != nil {
		return Run{}, fmt.Errorf("find the newest run of %s: %w", c.Name, err)
	}
	if len(list) == 0 {
		return Run{}, rapport.NotFoundf("campaign %s (%s) has no run yet", c.Name, c.State)
	}
	return list[0], nil
}

// Status returns the account of the newest run, or of the one that is named.
func (s *Service) Status(ctx context.Context, ref, run string) (outbox.Account, error) {
	r, err := s.newest(ctx, ref, run)
	if err != nil {
		return outbox.Account{}, err
	}
	return s.reports.Account(ctx, r.UID)
}

// Runs lists the runs of a campaign, newest first. before is the ID of the
// last run seen; empty for the first page.
func (s *Service) Runs(ctx context.Context, ref, before string, limit int) ([]Run, error) {
	c, err := s.store.Campaign(ctx, ref)
	if err != nil {
		return nil, err
	}
	var number int64
	if before != "" {
		r, err := s.runs.FindRun(ctx, before)
		if err != nil {
			return nil, err
		}
		number = r.ID
	}
	list, err := s.runs.Runs(ctx, c.ID, number, page(limit))
	if err != nil {
		return nil, fmt.Errorf("list the runs of %s: %w", c.Name, err)
	}
	return list, nil
}

// Retry queues again what failed in a run (the newest, or the one that is
// named), all or with one reason: the same rows with the same IDs. It returns
// how many.
func (s *Service) Retry(ctx context.Context, ref, run string, reason outbox.Reason) (int64, error) {
	r, err := s.newest(ctx, ref, run)
	if err != nil {
		return 0, err
	}
	n, err := s.revise(ctx, Revision{Run: r.ID, From: outbox.Failed, To: outbox.Queued, Reason: reason})
	if err != nil {
		return n, fmt.Errorf("retry %s: %w", r.Name, err)
	}
	return n, nil
}

// Resolve says what became of a delivery that is uncertain: sent, failed, or
// queued to try again.
func (s *Service) Resolve(ctx context.Context, delivery string, to outbox.State) error {
	run, contact, err := rapport.ParseDeliveryID(delivery)
	if err != nil {
		return err
	}
	if err := resolvable(to); err != nil {
		return err
	}
	n, err := s.revise(ctx, Revision{Run: run, Contact: contact, From: outbox.Uncertain, To: to})
	if err != nil {
		return fmt.Errorf("resolve delivery %s: %w", delivery, err)
	}
	if n > 0 {
		return nil
	}
	d, err := s.reports.DeliveryOf(ctx, run, contact)
	if err != nil {
		return err
	}
	return rapport.Conflictf("delivery %s is %s: only an uncertain one needs a person's word", delivery, d.State)
}

// ResolveRun is Resolve for all that is uncertain in a run. It returns how
// many.
func (s *Service) ResolveRun(ctx context.Context, ref, run string, to outbox.State) (int64, error) {
	if err := resolvable(to); err != nil {
		return 0, err
	}
	r, err := s.newest(ctx, ref, run)
	if err != nil {
		return 0, err
	}
	n, err := s.revise(ctx, Revision{Run: r.ID, From: outbox.Uncertain, To: to})
	if err != nil {
		return n, fmt.Errorf("resolve %s: %w", r.Name, err)
	}
	return n, nil
}

func resolvable(to outbox.State) error {
	if !outbox.Legal(outbox.Uncertain, to) {
		return rapport.Invalidf("to", "%q is not what can become of an uncertain delivery; say sent, failed or queued", strings.TrimSpace(string(to)))
	}
	return nil
}

func (s *Service) revise(ctx context.Context, r Revision) (int64, error) {
	r.Now, r.Actor = s.moment(), rapport.ActorOf(ctx).Name
	n, err := s.runs.Revise(ctx, r)
	if n > 0 && r.To == outbox.Queued {
		s.poke()
	}
	return n, err
}
