package campaigns

import (
	"fmt"
	"strings"
	"time"

	"rapport/channels"
	"rapport/consent"
	"rapport/outbox"
)

func (c *card) expiryGate() Gate {
	expires := c.expires()
	if expires.IsZero() {
		return aside("the message does not expire")
	}
	if state, r := outbox.Admit(c.calm(func(f *outbox.Facts) { f.ExpiresAt = expires }), c.at); state == outbox.Expired {
		return stops(r, nil, "%s: it made sense until %s", says(r), when(expires))
	}
	return passes("it makes sense until %s", when(expires))
}

// calm is a delivery that may leave: a gate puts in what it is about and asks
// the rule at the wire.
func (c *card) calm(change func(*outbox.Facts)) outbox.Facts {
	f := outbox.Facts{
		Run: outbox.Running, Address: "somewhere", HasContact: true, HasAddress: true, Consent: string(consent.Yes), ConsentAddress: "somewhere",
	}
	change(&f)
	return f
}

func (c *card) runGate() Gate {
	if !c.begun {
		switch c.campaign.State {
		case Draft:
			return waits("", time.Time{}, &Row{Table: "campaigns", Key: c.campaign.Name, At: &c.campaign.UpdatedAt, Actor: c.campaign.Actor, Detail: string(Draft)},
				"campaign %s is a draft: nothing leaves until it is started", c.campaign.Name)
		case Paused:
			return waits(outbox.WaitPaused, time.Time{}, &Row{Table: "campaigns", Key: c.campaign.Name, At: &c.campaign.UpdatedAt, Detail: c.campaign.Note}, "%s", says(outbox.WaitPaused))
		case Cancelled, Finished:
			return stops(outbox.ByPerson, &Row{Table: "campaigns", Key: c.campaign.Name, At: &c.campaign.UpdatedAt, Detail: c.campaign.Note},
				"campaign %s is %s: it will not run again", c.campaign.Name, c.campaign.State)
		case Scheduled, Running:
		}
		return passes("campaign %s is %s", c.campaign.Name, c.campaign.State)
	}
	row := &Row{Table: "runs", Key: c.run.UID, At: &c.run.StartedAt, Detail: strings.TrimSpace(string(c.run.State) + " " + c.run.Note)}
	state, r := outbox.Admit(c.calm(func(f *outbox.Facts) { f.Run = c.run.State }), c.at)
	switch {
	case state == outbox.Sending:
		return passes("the run is %s", c.run.State)
	case c.run.State == outbox.Finished:
		return Gate{Outcome: Aside, Row: row, Says: "the run is finished: all of it has ended"}
	case state == outbox.Queued:
		return waits(r, time.Time{}, row, "%s: %s", says(r), orElse(c.run.Note, "no reason was noted"))
	}
	return stops(r, row, "%s: %s", says(r), orElse(c.run.Note, "no reason was noted"))
}

func (c *card) channelGate() Gate {
	if c.hold == nil {
		return passes("channel %s may send", c.run.Channel)
	}
	since := c.hold.Since
	row := &Row{Table: "holds", Key: c.hold.Channel, At: &since, Detail: strings.TrimSpace(string(c.hold.Reason) + " " + c.hold.Detail)}
	_, r := outbox.Admit(c.calm(func(f *outbox.Facts) { f.Held = true }), c.at)
	return waits(r, c.hold.Until, row, "%s (%s)", says(r), c.hold.Reason)
}

func (c *card) heedGate() Gate {
	if c.run.Class == channels.Transactional {
		return aside("the topic is transactional: neither caps nor wishes hold it")
	}
	v := c.heeded
	var row *Row
	for _, w := range c.wishes {
		if (w.Driver == "" || w.Driver == c.run.Driver) && (w.Topic == "" || w.Topic == c.run.Topic) && v.Reason != outbox.Capped {
			row = &Row{Table: "preferences", Key: strings.TrimSpace(fmt.Sprintf("%d %s %s", c.person.ID, w.Driver, w.Topic))}
		}
	}
	switch v.State {
	case outbox.Queued:
		return waits(v.Reason, v.Until, row, "%s", says(v.Reason))
	case outbox.Suppressed:
		return stops(v.Reason, row, "%s", says(v.Reason))
	default:
	}
	if v.Shadow != "" {
		return passes("a cap would hold it, and caps only report here (shadow)")
	}
	return passes("no cap is reached, and the person asked for no pause")
}

func (c *card) windowGate() Gate {
	window, err := c.window()
	if err != nil {
		return aside("the window cannot be read: %s", sentence(err))
	}
	person := PersonOf(c.person)
	run := outbox.Run{Class: c.run.Class, Topic: c.run.Topic, Channel: c.run.Channel, Window: window}
	from := c.at
	// What quiet hours put off is due at their end: until then they hold it.
	if due := c.due(); due.After(from) && c.placed.Reason != outbox.WaitQuiet {
		from = due
	}
	opens := c.s.hours().Opens(&run, &outbox.Delivery{ID: c.placed.Delivery, Person: &person}, from)
	switch {
	case !opens.At.IsZero():
		return waits(outbox.WaitQuiet, opens.At, nil, "%s", says(outbox.WaitQuiet))
	case opens.Shadow != "":
		return passes("quiet hours would hold it, and they only report here (shadow)")
	}
	return passes("neither the campaign's window nor quiet hours hold it")
}

func (c *card) window() (*outbox.Window, error) {
	if c.run.Terms.Window == nil {
		return nil, nil //nolint:nilnil // a run without a window has none
	}
	return c.run.Terms.Window.Parse()
}

func (c *card) paceGate() Gate {
	domain := domainOf(c.standings.Address)
	for _, s := range c.slow {
		if s.Channel == c.run.Channel && s.Domain == domain {
			g := passes("%s takes %.3g a minute just now, so it may take a while", domain, s.PerMinute())
			g.Row = &Row{Table: "slow_domains", Key: s.Channel + " " + s.Domain, Detail: string(s.Reason)}
			return g
		}
	}
	ch, _, err := c.s.channel(c.run.Channel)
	if err != nil {
		return stops("", nil, "%s", sentence(err))
	}
	if ch.Rate > 0 {
		return passes("channel %s sends %.4g messages a second at most", ch.Name, ch.Rate)
	}
	return passes("channel %s has no limit of its own", ch.Name)
}

func (c *card) trackingGate() Gate {
	mode := c.s.tracking.For(c.run.Terms.Tracking)
	switch {
	case c.placed.Delivery != 0 && c.placed.Tracked > 0:
		return Gate{Outcome: Aside, Row: c.entryRow(c.placed.Tracked), Says: "links lead to the person, who agreed to it"}
	case c.placed.Delivery != 0 && c.placed.Tracked == 0:
		return aside("links lead to the person on the ground of %s: %s", c.run.Terms.Basis, c.run.Terms.Reason)
	case c.placed.Delivery != 0 && !c.placed.State.Open():
		return aside("links name nobody")
	case mode != outbox.TrackPerson:
		return aside("tracking is %s for this message", mode)
	}
	var said *consent.Current
	for i := range c.sheet.Standing {
		if x := &c.sheet.Standing[i]; x.Driver == c.run.Driver && x.Topic == consent.TopicTracking {
			said = x
		}
	}
	asks := c.s.tracking.Asks()
	switch {
	case said != nil && said.Answer == consent.No:
		return Gate{Outcome: Aside, Row: c.entryRow(said.Entry), Says: "links will name nobody: the person said no to tracking"}
	case !asks:
		return aside("links will lead to the person on the ground of %s: %s", c.s.tracking.Basis, c.s.tracking.Reason)
	case said != nil && said.Answer == consent.Yes && said.Address == c.standings.Address:
		return Gate{Outcome: Aside, Row: c.entryRow(said.Entry), Says: "links will lead to the person, who agreed to it"}
	}
	return aside("links will name nobody: the person has not agreed to tracking")
}
