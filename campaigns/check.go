package campaigns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/templates"
)

// Checked is what Check found out about a campaign.
type Checked struct {
	Campaign string                  `json:"campaign"`
	Errors   []string                `json:"errors"`   // start is refused because of these
	Warnings []string                `json:"warnings"` // a person may live with these
	Audience int64                   `json:"audience"` // who is meant
	Planned  int64                   `json:"planned"`  // who would get it
	Skipped  map[outbox.Reason]int64 `json:"not_planned"`
	Held     map[outbox.Reason]int64 `json:"held,omitempty"` // of Planned: who would wait for quiet hours, caps or a pause
	Late     int64                   `json:"late"`           // of Planned: whose local time will be over at the start
	Missing  map[string]int64        `json:"missing"`        // attributes the template reads → how many of Planned lack them
	StartsAt *time.Time              `json:"starts_at"`
	EndsAt   *time.Time              `json:"ends_at"`         // at today's rate; null: nobody can tell
	Rate     float64                 `json:"rate_per_second"` // 0: not known
	Samples  []Sample                `json:"samples"`
}

// Sample is a person of the audience with the message they would get.
type Sample struct {
	Contact string            `json:"contact"` // ID
	Address string            `json:"address"`
	Locale  string            `json:"locale"` // of the variant
	Content map[string]string `json:"content"`
	Error   string            `json:"error,omitempty"` // why it cannot be rendered
}

// samples is how many people Check renders.
const samples = 5

// Err is an Invalid error that lists the errors, one a line; nil when there
// is none.
func (c Checked) Err() error {
	if len(c.Errors) == 0 {
		return nil
	}
	return &rapport.Error{Kind: rapport.Invalid, Field: c.Campaign, Msg: strings.Join(c.Errors, "\n")}
}

func (c *Checked) fail(format string, args ...any) {
	c.Errors = append(c.Errors, fmt.Sprintf(format, args...))
}

func (c *Checked) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// take lists an error a person may see; any other is returned.
func (c *Checked) take(err error) error {
	if k := rapport.KindOf(err); err == nil || k == rapport.Internal || k == rapport.Unavailable {
		return err
	}
	c.fail("%s", sentence(err))
	return nil
}

// Check says what would happen if the campaign started now: how many people,
// who is left out and why, what is wrong or doubtful, five people rendered,
// and when it would be over. It changes nothing.
func (s *Service) Check(ctx context.Context, ref string) (Checked, error) {
	c, err := s.store.Campaign(ctx, ref)
	if err != nil {
		return Checked{}, err
	}
	return s.check(ctx, c, true)
}

// check with full false leaves out what costs a look at all people: starting
// does not wait for it.
func (s *Service) check(ctx context.Context, c Campaign, full bool) (Checked, error) {
	out := Checked{Campaign: c.Name, Errors: []string{}, Warnings: []string{}, Skipped: map[outbox.Reason]int64{}, Missing: map[string]int64{}, Samples: []Sample{}}
	now := s.moment()
	cal, err := s.calendar(ctx, c)
	if err := out.take(err); err != nil {
		return out, err
	}
	first := cal.First(now)
	run, err := s.newRun(ctx, c, first, now)
	if err := out.take(err); err != nil || len(out.Errors) > 0 {
		return out, err
	}
	out.schedule(cal, first, now, run.Expires)
	out.reach(s.publicURL, run.Class)
	letter, err := s.checkTemplate(ctx, &out, c, run.Class)
	if err != nil {
		return out, err
	}
	if err := s.checkChannel(ctx, &out, run.Channel); err != nil {
		return out, err
	}
	if !full {
		_, err := s.aim(ctx, *run)
		return out, out.take(err)
	}
	return out, s.checkPeople(ctx, &out, c, cal, first, run, letter)
}

func (c *Checked) schedule(cal Calendar, first Occurrence, now time.Time, expires time.Duration) {
	if first.IsZero() {
		c.fail("no time of the schedule is left: it ended with until; change the schedule")
		return
	}
	begin := first.Begin
	switch ends := cal.Ends(first).Add(expires); {
	case !now.Before(ends):
		c.fail("its time (%s) is over by more than expires allows (%s); change the schedule", shown(first), expires)
	case begin.Before(now.Add(-time.Minute)):
		c.warn("its time (%s) has come already: it will start at once", shown(first))
	}
	if begin.Before(now) {
		begin = now
	}
	c.StartsAt = &begin
	if cal.Recurring() && cal.recipient {
		from, to := cal.span(first.For)
		if next := cal.step(first.For); !next.IsZero() && to.Sub(from) >= next.Sub(first.For) {
			c.warn("the local times of one run span %s, as long as the time to the next: every second run would be left out", to.Sub(from))
		}
	}
}

// reach wants that a marketing message can be unsubscribed from anywhere.
func (c *Checked) reach(publicURL string, class channels.Class) {
	if class != channels.Marketing {
		return
	}
	u, err := url.Parse(publicURL)
	switch {
	case publicURL == "" || err != nil || u.Host == "":
		c.fail("public_url is not set in the configuration, so nobody could unsubscribe; set it to the https address of this installation")
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		c.fail("public_url %s is not https, so the unsubscribe link would not be accepted by mailbox providers; use https", publicURL)
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (s *Service) checkTemplate(ctx context.Context, out *Checked, c Campaign, class channels.Class) (*templates.Letter, error) {
	source, err := s.templates.Source(ctx, c.Definition.Template)
	if err != nil {
		return nil, out.take(err)
	}
	found, err := s.templates.Check(ctx, source, class == channels.Marketing)
	if err != nil {
		return nil, out.take(err)
	}
	for _, p := range found.Errors() {
		out.fail("template %s: %s", c.Definition.Template, p.Error())
	}
	for _, p := range found.Warnings() {
		out.warn("template %s: %s", c.Definition.Template, p.Error())
	}
	if t := source.Template.Topic; t != "" && t != c.Definition.Topic {
		out.warn("template %s is meant for topic %s, and the campaign is about %s", c.Definition.Template, t, c.Definition.Topic)
	}
	letter, err := s.templates.Letter(ctx, c.Definition.Template)
	if err != nil {
		return nil, out.take(err)
	}
	for _, key := range letter.DataKeys() {
		if _, ok := c.Definition.Data[key]; !ok {
			out.warn("template %s reads data.%s, which the campaign does not have", c.Definition.Template, key)
		}
	}
	return letter, nil
}

func (s *Service) checkChannel(ctx context.Context, out *Checked, name string) error {
	ch, _, err := s.channel(name)
	if err != nil {
		return out.take(err)
	}
	holds, err := s.notes.Holds(ctx, s.moment())
	if err != nil {
		return fmt.Errorf("read the holds of channels: %w", err)
	}
	for _, h := range holds {
		if h.Channel == name && h.Until.IsZero() {
			out.warn("channel %s is held (%s): nothing leaves until it is released", name, h.Reason)
		}
	}
	out.Rate = ch.Rate
	last, ok, err := s.plan.LastRate(ctx, name)
	if err != nil {
		return fmt.Errorf("read the rate of the last run: %w", err)
	}
	if ok && (out.Rate == 0 || last < out.Rate) {
		out.Rate = last
	}
	return nil
}

// checkPeople asks about everybody who is meant, in one pass.
func (s *Service) checkPeople(ctx context.Context, out *Checked, c Campaign, cal Calendar, first Occurrence, run *Run, letter *templates.Letter) error {
	aim, err := s.aim(ctx, *run)
	if err := out.take(err); err != nil || len(out.Errors) > 0 && letter == nil {
		return err
	}
	types, err := s.contacts.Attributes(ctx)
	if err != nil {
		return err
	}
	var reads []string
	if letter != nil {
		for _, name := range letter.ContactFields() {
			if _, ok := types[name]; ok {
				reads = append(reads, name)
			}
		}
	}
	groups, err := s.plan.CountAudience(ctx, aim, reads)
	if err != nil {
		return fmt.Errorf("count the audience of %s: %w", c.Name, err)
	}
	out.count(groups, reads, cal, first, s.moment(), run.Audience.SkipLate)
	out.people(reads)
	if err := s.checkLimits(ctx, out, cal, first, run, aim, groups); err != nil {
		return err
	}
	if out.Rate > 0 && out.StartsAt != nil {
		ends := out.StartsAt.Add(time.Duration(float64(out.Planned) / out.Rate * float64(time.Second))).Truncate(time.Second)
		if last := cal.Ends(first); last.After(ends) {
			ends = last
		}
		out.EndsAt = &ends
	}
	if letter == nil {
		return nil
	}
	return s.checkSamples(ctx, out, c, run, letter, groups)
}

func (c *Checked) count(groups []Group, reads []string, cal Calendar, first Occurrence, now time.Time, skipLate bool) {
	for _, g := range groups {
		c.Audience += g.N
		if g.Reason != "" {
			c.Skipped[g.Reason] += g.N
			continue
		}
		if cal.recipient && DueIn(first.For, g.Zone, cal.zone).Before(now.Add(-lateGrace)) {
			if skipLate {
				c.Skipped[outbox.TooLate] += g.N
				continue
			}
			c.Late += g.N
		}
		c.Planned += g.N
		for i, name := range reads {
			if g.Missing[i] > 0 {
				c.Missing[name] += g.Missing[i]
			}
		}
	}
}

func (c *Checked) people(reads []string) {
	switch {
	case c.Audience == 0:
		c.warn("nobody is in the audience")
	case c.Planned == 0:
		c.warn("nobody of the audience may be written to")
	}
	for _, name := range reads {
		if n := c.Missing[name]; n > 0 {
			c.warn("%d of %d people have no %s, which the template shows", n, c.Planned, name)
		}
	}
	if c.Late > 0 {
		c.warn("%d people will get it at once: their local time is over", c.Late)
	}
}

// checkSamples renders some people of the audience, of as many locales as
// there are.
func (s *Service) checkSamples(ctx context.Context, out *Checked, c Campaign, run *Run, letter *templates.Letter, groups []Group) error {
	ids := chosen(groups)
	for _, id := range ids {
		person, err := s.plan.Contact(ctx, contacts.Key{ID: id})
		if rapport.KindOf(err) == rapport.NotFound {
			continue // erased meanwhile
		}
		if err != nil {
			return err
		}
		address, _ := person.Primary(run.Kind)
		sample := Sample{Contact: person.UID, Address: address.Display}
		made, err := s.render(ctx, letter, person, c.Definition)
		switch {
		case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
			return err
		case err != nil:
			sample.Error = sentence(err)
			out.fail("the message to contact %s cannot be written: %s", person.UID, sample.Error)
		default:
			sample.Locale, sample.Content = made.Locale, made.Content
		}
		out.Samples = append(out.Samples, sample)
	}
	return nil
}

// chosen picks people for samples: the first of each locale, those with most
// people first, then the last of each.
func chosen(groups []Group) []int64 {
	byLocale := map[string]Group{}
	for _, g := range groups {
		if g.Reason != "" {
			continue
		}
		have, ok := byLocale[g.Locale]
		if !ok {
			byLocale[g.Locale] = g
			continue
		}
		have.N += g.N
		have.First, have.Last = min(have.First, g.First), max(have.Last, g.Last)
		byLocale[g.Locale] = have
	}
	list := slices.SortedFunc(maps.Values(byLocale), func(a, b Group) int {
		if a.N != b.N {
			return int(b.N - a.N)
		}
		return strings.Compare(a.Locale, b.Locale)
	})
	var out []int64
	for _, pick := range []func(Group) int64{func(g Group) int64 { return g.First }, func(g Group) int64 { return g.Last }} {
		for _, g := range list {
			if id := pick(g); len(out) < samples && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}
