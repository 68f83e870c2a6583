package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/internal/failpoint"
	"rapport/outbox"
)

// Due begins the runs whose time has come. The pump calls it each second, in
// any number of processes: each occurrence becomes one run.
func (s *Service) Due(ctx context.Context) error {
	now := s.moment()
	list, err := s.store.DueCampaigns(ctx, now)
	if err != nil {
		return fmt.Errorf("look for due campaigns: %w", err)
	}
	for _, c := range list {
		if _, err := s.occur(ctx, c, now); err != nil {
			if ctx.Err() != nil {
				return err
			}
			// One campaign that cannot begin must not keep the others.
			s.log.ErrorContext(ctx, "a campaign that is due could not begin", slog.String("campaign", c.Name), slog.Any("error", err))
			continue
		}
	}
	return nil
}

// occur deals with the time that has come for a campaign: it begins the run,
// or leaves it out and says so. The run is nil when none began here.
func (s *Service) occur(ctx context.Context, c Campaign, now time.Time) (*Run, error) {
	cal, err := s.calendar(ctx, c)
	if err != nil {
		return nil, s.stuck(ctx, c, err)
	}
	b := Begin{Campaign: c.ID, Expected: c.Next}
	m := Missed{Run: c.Next}
	if cal.Recurring() {
		m = cal.Due(c.Next, now)
	}
	b.Next = m.Next
	if m.Skipped {
		b.Note = fmt.Sprintf("the run of %s was missed", shown(c.Next))
	}
	b.Busy = fmt.Sprintf("the run of %s was left out: the one before it was still going", shown(m.Run))
	if m.Run.IsZero() {
		return s.begin(ctx, c, b)
	}
	if b.Run, err = s.newRun(ctx, c, m.Run, now); err != nil {
		return nil, s.stuck(ctx, c, err)
	}
	if ends := cal.Ends(m.Run).Add(b.Run.Expires); !now.Before(ends) {
		b.Note = fmt.Sprintf("the run of %s was left out: it came %s too late", shown(m.Run), now.Sub(ends).Round(time.Second))
		b.Run = nil
	}
	return s.begin(ctx, c, b)
}

// shown is an occurrence for notes.
func shown(o Occurrence) string { return o.For.UTC().Format("2006-01-02T15:04Z") }

// begin hands an occurrence to the store and tells what came of it.
func (s *Service) begin(ctx context.Context, c Campaign, b Begin) (*Run, error) {
	run, begun, err := s.runs.BeginRun(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("begin a run of %s: %w", c.Name, err)
	}
	switch begun {
	case Started:
		s.log.InfoContext(ctx, "a run begins", slog.String("campaign", c.Name), slog.String("run", run.UID))
		return &run, nil
	case Busy, Left:
		s.log.WarnContext(ctx, "a run is left out", slog.String("campaign", c.Name), slog.Time("scheduled_for", b.Expected.For))
	case Lost:
		s.log.DebugContext(ctx, "another scheduler was faster", slog.String("campaign", c.Name))
	}
	return nil, nil //nolint:nilnil // nothing began here, and nothing is wrong
}

// stuck pauses a campaign that cannot begin because of what it says, so that
// it is not tried every second. Other errors are returned.
func (s *Service) stuck(ctx context.Context, c Campaign, cause error) error {
	if k := rapport.KindOf(cause); k != rapport.Invalid && k != rapport.NotFound && k != rapport.Conflict {
		return cause
	}
	note := "it cannot begin: " + sentence(cause)
	_, err := s.store.MoveCampaign(ctx, c.ID, false, note, func(now Standing, _ bool) (Standing, error) {
		return Pause.After(c.Name, now)
	})
	if err != nil {
		return fmt.Errorf("pause campaign %s that cannot begin: %w", c.Name, err)
	}
	s.halted(Halt{Campaign: c.Name, Note: note})
	return cause
}

// newRun freezes a campaign for one occurrence.
func (s *Service) newRun(ctx context.Context, c Campaign, o Occurrence, now time.Time) (*Run, error) {
	d := c.Definition
	ch, driver, err := s.channel(d.Channel)
	if err != nil {
		return nil, err
	}
	topic, err := s.topic(ctx, d.Topic)
	if err != nil {
		return nil, err
	}
	template, _, err := s.templates.Get(ctx, d.Template)
	if err != nil {
		return nil, err
	}
	if template.Driver != ch.Driver {
		return nil, rapport.Conflictf("template %s is written for %s, and channel %s speaks %s now", template.Name, template.Driver, ch.Name, ch.Driver)
	}
	frozen, err := s.freeze(ctx, d)
	if err != nil {
		return nil, err
	}
	r := &Run{
		Campaign: c.ID, Name: c.Name, Channel: ch.Name, Driver: driver.Name, Kind: driver.Address.Kind,
		Topic: topic.Name, Class: classOf(topic.Kind), Revision: template.Revision,
		Terms:    outbox.Terms{ReplyTo: d.ReplyTo, Window: d.Window},
		Audience: frozen, State: outbox.Planning, ScheduledFor: o.For, StartedAt: now,
	}
	s.freezeTracking(&r.Terms, d.Tracking)
	r.Expires = expiry(d.Expires, r.Class)
	r.UID, err = rapport.NewUID(s.random)
	return r, err
}

// freeze takes the conditions of segments as they are now.
func (s *Service) freeze(ctx context.Context, d Definition) (Frozen, error) {
	f := Frozen{Where: d.Audience.Where, Recipient: d.Schedule.Zone == Recipient, SkipLate: d.Schedule.Late == LateSkip}
	for _, name := range d.Audience.Segments {
		g, err := s.contacts.Segment(ctx, name)
		if err != nil {
			return f, err
		}
		f.Segments = append(f.Segments, g.Condition)
	}
	for _, name := range d.Audience.Exclude {
		g, err := s.contacts.Segment(ctx, name)
		if err != nil {
			return f, err
		}
		f.Exclude = append(f.Exclude, g.Condition)
	}
	if len(d.Data) > 0 {
		raw, err := json.Marshal(d.Data)
		if err != nil {
			return f, fmt.Errorf("write the data of campaign %s: %w", d.Name, err)
		}
		f.Data = raw
	}
	return f, nil
}

// aimed is the audience of the run that is being planned, checked once and
// not at every page.
type aimed struct {
	run int64
	aim Aim
}

// PlanSome plans the next people of the oldest run that is being planned: one
// page, one transaction. It says whether there is more to do. A run that cannot
// be planned for a reason of its own does not keep the ones behind it: then
// there is more to do and an error.
func (s *Service) PlanSome(ctx context.Context) (more bool, err error) {
	s.planning.Lock()
	defer s.planning.Unlock()
	var failed error
	for after := int64(0); ; {
		run, ok, err := s.plan.Planning(ctx, after)
		if err != nil || !ok {
			return false, errors.Join(failed, err)
		}
		err = s.planPage(ctx, run)
		switch {
		case err == nil:
			return true, failed
		case ctx.Err() != nil || rapport.KindOf(err) == rapport.Unavailable:
			return false, err
		}
		failed = errors.Join(failed, err)
		after = run.ID
	}
}

func (s *Service) planPage(ctx context.Context, run Run) error {
	aim, err := s.aimAt(ctx, run)
	if err != nil {
		if k := rapport.KindOf(err); k != rapport.Invalid && k != rapport.NotFound {
			return err
		}
		return s.PauseRun(ctx, run.ID, "it cannot be planned: "+sentence(err))
	}
	page, err := s.plan.PlanPage(ctx, run.ID, aim)
	if err != nil {
		s.aimed = aimed{}
		return fmt.Errorf("plan run %s of %s: %w", run.UID, run.Name, err)
	}
	failpoint.At("after_plan")
	if page.Planned > 0 {
		s.poke()
	}
	if page.Done {
		s.aimed = aimed{}
	}
	return nil
}

// Work is what a pump does for campaigns: it begins what is due and plans one
// page. It says whether there is more to plan.
func (s *Service) Work(ctx context.Context) (more bool, err error) {
	if err := s.Due(ctx); err != nil {
		return false, err
	}
	return s.PlanSome(ctx)
}

// aimAt checks the audience of a run.
func (s *Service) aimAt(ctx context.Context, run Run) (Aim, error) {
	if s.aimed.run == run.ID {
		return s.aimed.aim, nil
	}
	aim, err := s.aim(ctx, run)
	if err != nil {
		return aim, err
	}
	if d, err := s.drivers.Driver(run.Driver); err == nil {
		aim.Apart = NewApart(d.Address.Separator, s.limited(run.Channel)...)
	}
	s.aimed = aimed{run.ID, aim}
	return aim, nil
}

// limited lists the receiving domains to which a channel has a limit.
func (s *Service) limited(channel string) []string {
	for _, c := range s.channels {
		if c.Name == channel {
			return c.Apart
		}
	}
	return nil
}

func (s *Service) aim(ctx context.Context, run Run) (Aim, error) {
	schema, err := s.contacts.Schema(ctx)
	if err != nil {
		return Aim{}, err
	}
	schema.Campaigns = append(schema.Campaigns, run.Name)
	aim, err := run.Audience.aim(schema)
	if err != nil {
		return aim, err
	}
	aim.Driver, aim.Kind, aim.Topic = run.Driver, run.Kind, run.Topic
	aim.Now = run.StartedAt.In(s.zone)
	if !aim.NeedsZones() && !run.Audience.Recipient {
		return aim, nil
	}
	if aim.Zones, err = s.plan.ZonesInUse(ctx); err != nil {
		return aim, fmt.Errorf("read the time zones of contacts: %w", err)
	}
	if !run.Audience.Recipient {
		return aim, nil
	}
	aim.Wall = run.ScheduledFor
	if run.Audience.SkipLate {
		aim.LateBefore = run.StartedAt.Add(-lateGrace)
	}
	aim.due = make(map[string]time.Time, len(aim.Zones)+1)
	for _, zone := range append(aim.Zones, "") {
		aim.due[zone] = DueIn(aim.Wall, zone, s.zone)
	}
	return aim, nil
}

// LaneOf keeps what one person waits for apart from what many are told.
func LaneOf(class channels.Class) outbox.Lane {
	if class == channels.Transactional {
		return outbox.Now
	}
	return outbox.Bulk
}
