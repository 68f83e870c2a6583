package preferences

import (
	"context"
	"errors"
	"slices"
	"time"

	"rapport"
	"rapport/access"
	"rapport/consent"
	"rapport/contacts"
	"rapport/requests"
	"rapport/responses"
)

// Started is what became of a "yes".
type Started uint8

// What becomes of a "yes".
const (
	Stands Started = iota // it is in the ledger
	Asked                 // a letter asks for it
)

// source is how the ledger calls the page.
const source = "preference page"

// Breaks lists how many days a break may have, and Rhythms what "at most one
// message in" may be; 0 stands for none.
func Breaks() []int { return []int{0, 30, 60, 90} }

// Rhythms lists the shortest times between two messages that people can ask
// for, in days; 0 for as often as there is something.
func Rhythms() []int { return []int{0, 7, 14, 30} }

const day = 24 * time.Hour

func actor(ctx context.Context) context.Context {
	return rapport.WithActor(ctx, rapport.Actor{Name: "link:" + source})
}

// The stored wordings: what the page says beside the buttons, and beside those
// about tracking.
const (
	Wording         = "preference-page"
	TrackingWording = "preference-page-tracking"
)

// entry is the line of an act on one topic.
func (s *Service) entry(ctx context.Context, a Act, driver, topic string, state consent.State) (consent.Entry, error) {
	name := Wording
	if topic == consent.TopicTracking {
		name = TrackingWording
	}
	notice, err := s.o.Notice(ctx, name, a.Locale)
	if err != nil {
		return consent.Entry{}, err
	}
	return consent.Entry{
		Contact: a.Contact, Driver: driver, Topic: topic, State: state, At: s.o.Now().UTC(), Source: source,
		Notice: notice, Method: consent.ByLink, URL: a.URL, IP: a.IP, Agent: a.Agent, Clock: consent.OurClock,
	}, nil
}

// Stop ends one topic on one way; "no" twice is like once.
func (s *Service) Stop(ctx context.Context, a Act, driver, topic string) error {
	ctx = actor(ctx)
	k, err := s.know(ctx, a.Subject)
	if err != nil {
		return err
	}
	if err := k.offered(driver, topic); err != nil {
		return err
	}
	if k.current(driver, topic).Answer == consent.No {
		return nil
	}
	e, err := s.entry(ctx, a, driver, topic, consent.Withdrawn)
	if err != nil {
		return err
	}
	out, err := s.record(ctx, "consent.withdraw", topic, a, e)
	if err != nil || topic == consent.TopicTracking || !out[0].Written {
		return err
	}
	return s.left(ctx, a, source)
}

// left counts who left for the run whose letter led here.
func (s *Service) left(ctx context.Context, a Act, detail string) error {
	return s.o.Sink.Record(ctx, responses.Event{
		Kind: responses.Unsubscribed, Run: a.Run, Contact: a.Contact, Detail: detail, At: s.o.Now(),
	})
}

// record writes entries and notes the act; what nothing changed is not noted.
func (s *Service) record(ctx context.Context, action, object string, a Act, entries ...consent.Entry) ([]consent.Outcome, error) {
	out, err := s.o.Ledger.Record(ctx, entries...)
	if err != nil {
		return nil, err
	}
	written := 0
	for _, o := range out {
		err = errors.Join(err, o.Err)
		if o.Written {
			written++
		}
	}
	if err != nil || written == 0 {
		return out, err
	}
	return out, s.o.Audit.Note(ctx, access.Act{Action: action, Object: object, Contact: a.Contact, Detail: map[string]any{"entries": written}})
}

// offered refuses what the person has no way for, and topics that are ours.
func (k known) offered(driver, topic string) error {
	if _, err := consent.Find(k.topics, topic); err != nil || consent.Asking(topic) || !slices.Contains(k.ways(), driver) {
		return rapport.NotFoundf("there is no such subscription")
	}
	return nil
}

// Start takes a "yes" for one topic on one way, or has a letter ask for it.
// See direct for which of the two. A "yes" that stands stays as it is.
func (s *Service) Start(ctx context.Context, a Act, driver, topic string) (Started, error) {
	ctx = actor(ctx)
	k, err := s.know(ctx, a.Subject)
	if err != nil {
		return Stands, err
	}
	if err := k.offered(driver, topic); err != nil {
		return Stands, err
	}
	if k.current(driver, topic).Answer == consent.Yes {
		return Stands, nil
	}
	d, err := s.o.Drivers.Driver(driver)
	if err != nil {
		return Stands, err
	}
	address, ok := k.contact.Primary(d.Address.Kind)
	if !ok {
		return Stands, rapport.NotFoundf("there is no address to write to")
	}
	e, err := s.entry(ctx, a, driver, topic, consent.Granted)
	if err != nil {
		return Stands, err
	}
	if a.Machine || !k.direct(driver, topic, address.Value) {
		if !slices.Contains(s.o.Asks, driver) {
			return Stands, &rapport.Error{Kind: rapport.Denied, Msg: "a yes needs a letter that asks for it, and none can be sent that way"}
		}
		return Asked, s.o.Requests.Ask(ctx, requests.Ask{
			Kind: requests.Subscribe, Contact: a.Contact, Driver: driver, Address: address.Value, Topics: []string{topic},
			Method: consent.ByLink, Notice: e.Notice, Locale: a.Locale, URL: a.URL, IP: a.IP, Agent: a.Agent,
		})
	}
	e.Address, e.Given, e.Resubscribe = address.Value, address.Display, true
	_, err = s.record(ctx, "consent.grant", topic, a, e)
	return Stands, err
}

// Object ends all marketing on every way, tracking with it, what was never
// asked for too (GDPR article 21(2)). Messages that belong to a case of the
// person stay.
func (s *Service) Object(ctx context.Context, a Act) error {
	ctx = actor(ctx)
	k, err := s.know(ctx, a.Subject)
	if err != nil {
		return err
	}
	var entries []consent.Entry
	stopped := false
	for _, driver := range k.ways() {
		d, err := s.o.Drivers.Driver(driver)
		if err != nil {
			continue
		}
		_, reachable := k.contact.Primary(d.Address.Kind)
		for _, t := range k.topics {
			c := k.current(driver, t.Name)
			if !t.Unasked() || c.State == consent.Objected || c.State == "" && (!reachable || t.Kind != consent.Marketing) {
				continue
			}
			e, err := s.entry(ctx, a, driver, t.Name, consent.Objected)
			if err != nil {
				return err
			}
			entries = append(entries, e)
			stopped = stopped || t.Kind == consent.Marketing && t.Name != consent.TopicTracking && c.Answer != consent.No
		}
	}
	if len(entries) == 0 {
		return nil
	}
	// The evidence of the act first; the mark adds what was not on the page.
	if _, err = s.record(ctx, "consent.object", "", a, entries...); err != nil {
		return err
	}
	if err := s.o.Object(ctx, a.Contact, source); err != nil || !stopped {
		return err
	}
	return s.left(ctx, a, "objection")
}

// Wish says how long to be quiet and how often to write about a topic on a way,
// in days of Breaks and Rhythms; empty names stand for all marketing. Keep leaves
// one of them as it is.
func (s *Service) Wish(ctx context.Context, a Act, driver, topic string, breakDays, every int) error {
	ctx = actor(ctx)
	k, err := s.know(ctx, a.Subject)
	if err != nil {
		return err
	}
	if driver != "" || topic != "" {
		if err := k.offered(driver, topic); err != nil {
			return err
		}
	}
	if every != Keep && !slices.Contains(Rhythms(), every) || breakDays != Keep && !slices.Contains(Breaks(), breakDays) {
		return rapport.Invalidf("wish", "this is none of the choices on the page")
	}
	before := k.wish(driver, topic)
	after := before
	if every != Keep {
		after.Every = time.Duration(every) * day
	}
	switch {
	case breakDays == 0:
		after.PausedUntil = time.Time{}
	case breakDays > 0:
		after.PausedUntil = s.o.Now().Add(time.Duration(breakDays) * day)
	}
	if after.Every == before.Every && after.PausedUntil.Sub(before.PausedUntil).Abs() < again {
		return nil
	}
	if err := s.o.Ledger.SetPreference(ctx, a.Contact, after); err != nil {
		return err
	}
	return s.o.Audit.Note(ctx, access.Act{
		Action: "preferences.set", Object: topic, Contact: a.Contact, Detail: map[string]any{"break_days": breakDays, "every_days": every},
	})
}

// Keep leaves a break or a rhythm as it is.
const Keep = -1

// again is how soon a second press is the same press.
const again = time.Minute

// Describe changes language and time zone; empty leaves one as it is.
func (s *Service) Describe(ctx context.Context, a Act, locale, zone string) error {
	ctx = actor(ctx)
	c, err := s.o.People.Contact(ctx, contacts.Key{ID: a.Contact})
	if err != nil {
		return err
	}
	in := contacts.Input{ExternalID: c.ExternalID}
	var fields []string
	if locale != "" && locale != c.Locale {
		in.Locale, fields = locale, append(fields, "locale")
	}
	if zone != "" && zone != c.Zone {
		in.Zone, fields = zone, append(fields, "time_zone")
	}
	if len(fields) == 0 {
		return nil
	}
	if in.ExternalID == "" {
		if len(c.Addresses) == 0 {
			return rapport.NotFoundf("there is nobody behind this link any more")
		}
		i := max(slices.IndexFunc(c.Addresses, func(x contacts.Address) bool { return x.Position == 0 }), 0)
		in.Addresses = map[string]string{c.Addresses[i].Kind: c.Addresses[i].Value}
	}
	if _, _, err = s.o.People.Put(ctx, in); err != nil {
		return err
	}
	return s.o.Audit.Note(ctx, access.Act{Action: "preferences.describe", Contact: a.Contact, Detail: map[string]any{"fields": fields}})
}

// Ask asks for what is confirmed from the person's mailbox: another address
// (Move, with the address as typed), a copy of their data, their erasure. Nil
// says no more than that it was understood.
func (s *Service) Ask(ctx context.Context, a Act, kind requests.Kind, driver, address string) error {
	ctx = actor(ctx)
	k, err := s.know(ctx, a.Subject)
	if err != nil {
		return err
	}
	if !slices.Contains(k.ways(), driver) || !slices.Contains(s.o.Asks, driver) {
		return rapport.NotFoundf("no letter can be sent that way")
	}
	e, err := s.entry(ctx, a, driver, "", "")
	if err != nil {
		return err
	}
	return s.o.Requests.Ask(ctx, requests.Ask{
		Kind: kind, Contact: a.Contact, Driver: driver, Address: address, Method: consent.ByLink, Notice: e.Notice,
		Locale: a.Locale, URL: a.URL, IP: a.IP, Agent: a.Agent,
	})
}
