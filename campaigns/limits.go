package campaigns

import (
	"context"
	"fmt"
	"time"

	"rapport/calendars"
	"rapport/channels"
	"rapport/outbox"
)

// Limited is how many people of an audience who may be written to would wait
// for something else than their turn.
type Limited struct {
	Paused int64 // asked for a pause
	Capped int64 // were written to as often as a cap allows
	Shadow bool  // caps are only told, not kept to
}

// checkLimits says how many people quiet hours, the window's days off, caps and
// pauses would hold if the campaign began when it is to.
func (s *Service) checkLimits(ctx context.Context, out *Checked, cal Calendar, first Occurrence, run *Run, aim Aim, groups []Group) error {
	if out.StartsAt == nil || out.Planned == 0 {
		return nil
	}
	out.Held = map[outbox.Reason]int64{}
	if err := s.checkQuiet(out, cal, first, run, groups); err != nil {
		return out.take(err)
	}
	if run.Class == channels.Transactional {
		return nil
	}
	aim.Now = out.StartsAt.In(aim.Now.Location())
	limited, err := s.plan.CountLimited(ctx, aim, run.Channel)
	if err != nil {
		return fmt.Errorf("count who is written to too often: %w", err)
	}
	out.limited(limited)
	return nil
}

func (c *Checked) limited(l Limited) {
	if l.Paused > 0 {
		c.Held[outbox.AskedPause] = l.Paused
		c.warn("%d of %d people asked for a pause: they wait for its end, or are left out where the message does not keep so long", l.Paused, c.Planned)
	}
	switch {
	case l.Capped == 0:
	case l.Shadow:
		c.warn("%d of %d people were written to as often as a cap allows and get it all the same, since caps are in shadow mode", l.Capped, c.Planned)
	default:
		c.Held[outbox.Capped] = l.Capped
		c.warn("%d of %d people were written to as often as a cap allows: they would wait, or be left out where the cap says drop", l.Capped, c.Planned)
	}
}

// checkQuiet counts by zone and language whom the window and quiet hours would
// hold. Where calendars go by an attribute the language stands for it.
func (s *Service) checkQuiet(out *Checked, cal Calendar, first Occurrence, run *Run, groups []Group) error {
	calm := s.calm
	if calm == nil {
		calm = &outbox.Calm{Home: s.zone, Zone: zoneNamed}
	}
	var window *outbox.Window
	if run.Terms.Window != nil {
		var err error
		if window, err = run.Terms.Window.Parse(); err != nil {
			return err // the definition was checked
		}
		if name := window.Calendar; name != "" && name != calendars.Recipient && calm.Book != nil {
			if _, err := calm.Book().Calendar(name); err != nil {
				return err
			}
		}
	}
	quiet := calm.QuietOf(run.Class, run.Topic, run.Channel)
	if window == nil && quiet == nil {
		return nil
	}
	if window != nil && quiet != nil && !calm.Shadow && !calm.Meets(window, quiet, *out.StartsAt, s.zone) {
		out.fail("the window is only open when quiet hours hold everything; change one of them")
	}
	r := outbox.Run{Class: run.Class, Topic: run.Topic, Channel: run.Channel, Window: window}
	var held, shadowed, late int64
	var last time.Time
	for _, g := range groups {
		if g.Reason != "" {
			continue
		}
		due := *out.StartsAt
		if at := DueIn(first.For, g.Zone, cal.zone); cal.recipient && at.After(due) {
			due = at
		}
		o := calm.Opens(&r, &outbox.Delivery{Person: &outbox.Person{Zone: g.Zone, Locale: g.Locale}}, due)
		if o.Shadow != "" {
			shadowed += g.N
		}
		if o.At.IsZero() {
			continue
		}
		if held += g.N; o.At.After(last) {
			last = o.At
		}
		if run.Expires > 0 && !o.At.Before(due.Add(run.Expires)) {
			late += g.N
		}
	}
	if held > 0 {
		out.Held[outbox.WaitQuiet] = held
		out.warn("%d of %d people would be held by the window or by quiet hours; the last of them could get it at %s", held, out.Planned, last.UTC().Format("2006-01-02T15:04Z"))
	}
	if late > 0 {
		out.warn("%d of those would never get it: it expires after %s, before their time comes; give expires more", late, run.Expires)
	}
	if shadowed > 0 {
		out.warn("%d of %d people get it in quiet hours, which are in shadow mode", shadowed, out.Planned)
	}
	return nil
}

// zoneNamed finds a time zone; nil for a name that is none.
func zoneNamed(name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return z
}
