package preferences

import (
	"context"
	"slices"
	"time"

	"rapport"
	"rapport/access"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/requests"
	"rapport/responses"
)

// Ledger is what the room asks of consent; *consent.Service answers.
type Ledger interface {
	Topics(ctx context.Context) ([]consent.Topic, error)
	Show(ctx context.Context, contact int64) (consent.Sheet, error)
	Record(ctx context.Context, entries ...consent.Entry) ([]consent.Outcome, error)
	Preferences(ctx context.Context, contact int64) ([]consent.Preference, error)
	SetPreference(ctx context.Context, contact int64, p consent.Preference) error
}

// People is what the room asks about a person.
type People interface {
	// Contact finds one contact; none is a NotFound error.
	Contact(ctx context.Context, by contacts.Key) (contacts.Contact, error)
	// Put changes a contact; see contacts.Service.
	Put(ctx context.Context, in contacts.Input) (contacts.Contact, bool, error)
}

// Asker takes requests; *requests.Service does.
type Asker interface {
	Ask(ctx context.Context, a requests.Ask) error
}

// Auditor notes acts; *access.Log does.
type Auditor interface {
	Note(ctx context.Context, a access.Act) error
}

// Options is what a Service is made of.
type Options struct {
	Ledger   Ledger
	People   People
	Requests Asker
	Audit    Auditor
	Sink     responses.Sink // counts who left, for the run whose letter led here
	Drivers  *channels.Registry
	// Reaches lists the drivers that a configured channel has.
	Reaches []string
	// Asks lists the drivers that carry the letters of requests.
	Asks     []string
	Tracking Tracking
	// Letter returns the canonical address that a run wrote to a contact at; a
	// letter nobody remembers is a NotFound error.
	Letter func(ctx context.Context, run, contact int64) (string, error)
	// Notice names the text of a stored wording that stands in a language.
	Notice func(ctx context.Context, wording, locale string) (consent.NoticeRef, error)
	// Object marks that a person objects to all marketing, to later topics too,
	// and to profiles for it.
	Object func(ctx context.Context, contact int64, source string) error
	Now    func() time.Time
}

// Tracking is what the installation does with opens and clicks of persons.
type Tracking uint8

// What it may do.
const (
	NotTracked       Tracking = iota // nobody is named, so nobody is asked
	TrackedByConsent                 // whoever said yes
	TrackedUnlessNo                  // on a stated ground, everybody who has not said no
)

// Service is what the page calls. It is safe for concurrent use.
type Service struct{ o Options }

// New makes the service.
func New(o Options) *Service { return &Service{o: o} }

// Act is who presses a button, and what proves it.
type Act struct {
	responses.Subject        // of the token that led to the page
	IP, Agent         string // evidence
	URL               string // address of the page, without the token
	Locale            string // language the page was shown in
	Machine           bool   // the request looks like one of a program
}

// Sheet is what stands for one person.
type Sheet struct {
	Contact contacts.Contact
	Ways    []Way
	// Break is what the person asked for all marketing at once.
	Break consent.Preference
}

// Way is how a person is reached: one driver.
type Way struct {
	Driver   string
	Address  contacts.Address // the primary one
	Topics   []Line
	Tracking *Line // nil: nobody asks
	Asks     bool  // letters of requests can go this way
}

// Line is one topic on one way.
type Line struct {
	Topic  consent.Topic
	Answer consent.Answer
	State  consent.State
	Since  time.Time // zero: nobody was ever asked
	// Wish is what the person asked beside yes and no for this way and topic.
	Wish consent.Preference
	// Paused is until when the line is held, also by a pause of the whole way or
	// of the topic on every way; that of everything is Sheet.Break. Zero: it is not.
	Paused time.Time
	// Stop and Start say which buttons make sense.
	Stop, Start bool
	// Letter says that a start is confirmed by a letter.
	Letter bool
}

// Sheet returns what stands for the person of a token. Somebody who is gone is
// a NotFound error.
func (s *Service) Sheet(ctx context.Context, subject responses.Subject) (Sheet, error) {
	k, err := s.know(ctx, subject)
	if err != nil {
		return Sheet{}, err
	}
	sheet := Sheet{Contact: k.contact, Break: k.wish("", "")}
	for _, driver := range k.ways() {
		d, err := s.o.Drivers.Driver(driver)
		if err != nil {
			continue // of a channel that is configured no more
		}
		address, ok := k.contact.Primary(d.Address.Kind)
		if !ok {
			continue
		}
		w := Way{Driver: driver, Address: address, Asks: slices.Contains(s.o.Asks, driver)}
		for _, t := range k.topics {
			line, shown := s.line(k, w, t)
			switch {
			case !shown:
			case t.Name == consent.TopicTracking:
				w.Tracking = s.tracked(line)
			default:
				w.Topics = append(w.Topics, line)
			}
		}
		if driver == subject.Driver || len(w.Topics) > 0 || w.Tracking != nil {
			sheet.Ways = append(sheet.Ways, w)
		}
	}
	return sheet, nil
}

// tracked is the line about tracking: who is tracked unless they say no can
// stop what they never started.
func (s *Service) tracked(l Line) *Line {
	switch s.o.Tracking {
	case NotTracked:
		if !l.Stop {
			return nil
		}
	case TrackedUnlessNo:
		l.Stop = l.Stop || l.Answer == consent.None
	case TrackedByConsent:
	}
	return &l
}

// known is all that is known of one person.
type known struct {
	contact     contacts.Contact
	topics      []consent.Topic
	ledger      consent.Sheet
	preferences []consent.Preference
	subject     responses.Subject
	letter      string // address the letter of the token went to; empty: nobody remembers
	reaches     []string
	now         time.Time
}

func (s *Service) know(ctx context.Context, subject responses.Subject) (known, error) {
	k := known{subject: subject, reaches: s.o.Reaches, now: s.o.Now()}
	var err error
	if k.contact, err = s.o.People.Contact(ctx, contacts.Key{ID: subject.Contact}); err != nil {
		return k, err
	}
	if k.topics, err = s.o.Ledger.Topics(ctx); err != nil {
		return k, err
	}
	if k.ledger, err = s.o.Ledger.Show(ctx, subject.Contact); err != nil {
		return k, err
	}
	if k.preferences, err = s.o.Ledger.Preferences(ctx, subject.Contact); err != nil {
		return k, err
	}
	k.letter, err = s.o.Letter(ctx, subject.Run, subject.Contact)
	if rapport.KindOf(err) == rapport.NotFound {
		err = nil
	}
	return k, err
}

// ways lists drivers: first the one whose letter led here.
func (k known) ways() []string {
	out := []string{k.subject.Driver}
	for _, d := range k.reaches {
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	for _, c := range k.ledger.Standing {
		if !slices.Contains(out, c.Driver) {
			out = append(out, c.Driver)
		}
	}
	return out
}

func (k known) current(driver, topic string) consent.Current {
	for _, c := range k.ledger.Standing {
		if c.Driver == driver && c.Topic == topic {
			if c.Answer == consent.Yes && c.Ended(k.now) {
				c.Answer = consent.None
			}
			return c
		}
	}
	return consent.Current{Contact: k.contact.ID, Driver: driver, Topic: topic}
}

// wish is what the person asked for exactly this driver and topic.
func (k known) wish(driver, topic string) consent.Preference {
	for _, p := range k.preferences {
		if p.Driver == driver && p.Topic == topic {
			return p
		}
	}
	return consent.Preference{Driver: driver, Topic: topic}
}

// paused is until when a line is held by a pause of its own, of the whole way or
// of the topic on every way.
func (k known) paused(driver, topic string) (until time.Time) {
	for _, p := range k.preferences {
		covers := (p.Driver == "" || p.Driver == driver) && (p.Topic == "" || p.Topic == topic)
		if covers && p.Driver+p.Topic != "" && p.PausedUntil.After(k.now) && p.PausedUntil.After(until) {
			until = p.PausedUntil
		}
	}
	return until
}

// said says whether somebody at that address, or at any for "", said yes
// before.
func (k known) said(driver, topic, address string) bool {
	return slices.ContainsFunc(k.ledger.History, func(p consent.Proof) bool {
		return p.Driver == driver && p.Topic == topic && p.State.Answer() == consent.Yes && (address == "" || p.Evidence != nil && p.Evidence.Address == address)
	})
}

// line makes the line of a topic, and says whether a person is shown it: what
// they were asked about, and marketing that has a title for people to read.
func (s *Service) line(k known, w Way, t consent.Topic) (Line, bool) {
	c := k.current(w.Driver, t.Name)
	l := Line{Topic: t, Answer: c.Answer, State: c.State, Wish: k.wish(w.Driver, t.Name), Paused: k.paused(w.Driver, t.Name)}
	if c.State != "" {
		l.Since = c.At
	}
	l.Stop = c.Answer == consent.Yes || c.Answer == consent.Wait
	l.Letter = !k.direct(w.Driver, t.Name, w.Address.Value)
	l.Start = c.Answer != consent.Yes && (w.Asks || !l.Letter)
	if t.Name == consent.TopicTracking {
		return l, l.Start || l.Stop || c.State != ""
	}
	if t.Kind != consent.Marketing {
		return l, c.Answer != consent.None && !consent.Asking(t.Name)
	}
	return l, l.Stop || l.Start && (c.State != "" || len(t.Title) > 0) || k.said(w.Driver, t.Name, "")
}

// direct says whether a press of the button is proof enough for a "yes": the
// letter that led to the page went to this very address, and the address had
// said so before. Tracking changes nothing in any mailbox, so the letter alone
// is enough.
func (k known) direct(driver, topic, address string) bool {
	return k.subject.Driver == driver && address != "" && k.letter == address &&
		(topic == consent.TopicTracking || k.said(driver, topic, address))
}
