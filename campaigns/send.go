package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/templates"
)

// Single is one message to one person.
type Single struct {
	Reference string         // the sender's own name for it: the same again is the same message; empty: none
	Template  string         // name
	Channel   string         // name
	Topic     string         // name
	Contact   string         // ID, external ID or address
	Data      map[string]any // data.<key> in the template
	ReplyTo   string
	Delay     time.Duration // from now; or
	At        time.Time     // not before
	Expires   time.Duration // after its due time; 0: the default of its class
	// Basis and Source state why a person without a consent entry may be
	// written to about a transactional topic: the entry is written with the
	// message. Without a source there is no message.
	Basis  consent.Basis // empty: contract
	Source string
	// Asked: the letter is the house's own and asks for a confirmation. Nothing
	// else is about consent.TopicConfirmations and TopicInvitations.
	Asked bool
	// Tracking is how much the message tells of what its reader does, as a
	// campaign's; empty: as the installation does.
	Tracking string
}

// Message is a single message that was accepted.
type Message struct {
	Run      Run    `json:"run"`
	Delivery string `json:"delivery"` // ID
	New      bool   `json:"new"`      // false: the reference was known
}

// Limits of a single message.
const (
	maxSingleData = 256 << 10
	maxReference  = 200
)

// Send accepts one message to one person: a run of one. It returns when the
// message is safe in the database, not when it has left. A person who may not
// be written to is a Denied error.
func (s *Service) Send(ctx context.Context, m Single) (Message, error) {
	data, err := m.check()
	if err != nil {
		return Message{}, err
	}
	person, err := s.contacts.Get(ctx, m.Contact)
	if err != nil {
		return Message{}, err
	}
	if m.Reference != "" {
		switch old, err := s.sent(ctx, m, person); {
		case err == nil:
			return old, nil
		case rapport.KindOf(err) != rapport.NotFound:
			return Message{}, err
		}
	}
	run, err := s.singleRun(ctx, m)
	if err != nil {
		return Message{}, err
	}
	one := One{Contact: person.ID, NotBefore: run.ScheduledFor, Data: data}
	one.ExpiresAt = one.NotBefore.Add(run.Expires)
	if err := s.permit(ctx, m, run, person); err != nil {
		return Message{}, err
	}
	stored, isNew, err := s.runs.SendOne(ctx, run, one)
	if skipped, ok := errors.AsType[*Skipped](err); ok {
		return Message{}, refusal(skipped.Reason, person, run)
	}
	if err != nil {
		return Message{}, fmt.Errorf("send %s: %w", m.Template, err)
	}
	if !isNew {
		return s.sent(ctx, m, person)
	}
	s.poke()
	return Message{stored, rapport.DeliveryID(stored.ID, person.ID), true}, nil
}

func (m Single) check() (json.RawMessage, error) {
	if len(m.Reference) > maxReference {
		return nil, rapport.Invalidf("reference", "is longer than %d octets", maxReference)
	}
	if m.Delay < 0 {
		return nil, rapport.Invalidf("delay", "is negative; write how long to wait, like 30m")
	}
	if m.Delay > 0 && !m.At.IsZero() {
		return nil, rapport.Invalidf("delay", "stands beside at; one of them says when")
	}
	if m.Expires < 0 {
		return nil, rapport.Invalidf("expires", "is negative; write how long after its time the message still makes sense, like 48h")
	}
	if strings.ContainsAny(m.ReplyTo, "\r\n") {
		return nil, rapport.Invalidf("reply_to", "has a line break; it is one address")
	}
	if len(m.Data) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(m.Data)
	if err != nil {
		return nil, rapport.Invalidf("data", "is not JSON: %v", err)
	}
	if len(data) > maxSingleData {
		return nil, rapport.Invalidf("data", "has %d octets; at most %d", len(data), maxSingleData)
	}
	return data, nil
}

// sent finds the message of a reference and sees that it is the same.
func (s *Service) sent(ctx context.Context, m Single, person contacts.Contact) (Message, error) {
	r, err := s.runs.RunByReference(ctx, m.Reference)
	if err != nil {
		return Message{}, err
	}
	other := rapport.Conflictf("reference %q names another message already: use a new one", m.Reference)
	if r.Name != m.Template || r.Channel != m.Channel || r.Topic != m.Topic {
		return Message{}, other
	}
	if _, err := s.reports.DeliveryOf(ctx, r.ID, person.ID); err != nil {
		if rapport.KindOf(err) == rapport.NotFound {
			return Message{}, other
		}
		return Message{}, err
	}
	return Message{Run: r, Delivery: rapport.DeliveryID(r.ID, person.ID)}, nil
}

func (s *Service) singleRun(ctx context.Context, m Single) (Run, error) {
	ch, driver, err := s.channel(m.Channel)
	if err != nil {
		return Run{}, err
	}
	topic, err := s.topicOf(ctx, m)
	if err != nil {
		return Run{}, err
	}
	template, _, err := s.templates.Get(ctx, m.Template)
	if err != nil {
		return Run{}, err
	}
	if template.Driver != ch.Driver {
		return Run{}, rapport.Invalidf("template", "%s is written for %s, and channel %s speaks %s", template.Name, template.Driver, ch.Name, ch.Driver)
	}
	now := s.moment()
	r := Run{
		Reference: m.Reference, Name: template.Name, Channel: ch.Name, Driver: driver.Name, Kind: driver.Address.Kind,
		Topic: topic.Name, Class: classOf(topic.Kind), Revision: template.Revision, Terms: outbox.Terms{ReplyTo: m.ReplyTo, Tracking: m.Tracking},
		State: outbox.Running, ScheduledFor: now.Add(m.Delay), StartedAt: now,
	}
	if at := m.At.UTC().Truncate(time.Microsecond); at.After(now) {
		r.ScheduledFor = at
	}
	s.freezeTracking(&r.Terms, m.Tracking)
	r.Expires = expiry(channels.Duration(m.Expires), r.Class)
	if r.Class == channels.Marketing {
		if err := s.marketingSingle(ctx, template); err != nil {
			return r, err
		}
	}
	r.UID, err = rapport.NewUID(s.random)
	return r, err
}

func (s *Service) topicOf(ctx context.Context, m Single) (consent.Topic, error) {
	if m.Asked {
		return s.consent.Topic(ctx, m.Topic)
	}
	return s.topic(ctx, m.Topic)
}

// marketingSingle wants of a single marketing message what Check wants of a
// campaign: that the person can unsubscribe.
func (s *Service) marketingSingle(ctx context.Context, t templates.Template) error {
	c := Checked{Campaign: t.Name}
	c.reach(s.publicURL, channels.Marketing)
	source, err := s.templates.Source(ctx, t.Name)
	if err != nil {
		return err
	}
	found, err := s.templates.Check(ctx, source, true)
	if err != nil {
		return err
	}
	for _, p := range found.Errors() {
		c.fail("%s", p.Error())
	}
	return c.Err()
}

// permit writes the entry that a transactional message relies on, if the
// person has none and the sender states a source.
func (s *Service) permit(ctx context.Context, m Single, r Run, person contacts.Contact) error {
	if r.Class != channels.Transactional || m.Source == "" {
		return nil
	}
	sheet, err := s.consent.Show(ctx, person.ID)
	if err != nil {
		return err
	}
	for _, c := range sheet.Standing {
		if c.Driver == r.Driver && c.Topic == r.Topic {
			return nil // what stands decides, whatever it is
		}
	}
	if _, ok := person.Primary(r.Kind); !ok {
		return nil // the answer will be that there is no address
	}
	basis := m.Basis
	if basis == "" {
		basis = consent.ByContract
	}
	_, err = s.consent.Grant(ctx, consent.Entry{
		Contact: person.ID, Driver: r.Driver, Topic: r.Topic, Basis: basis, Source: m.Source, Method: consent.ByAPI,
	})
	if err != nil {
		return fmt.Errorf("record why contact %s may be written to: %w", person.UID, err)
	}
	return nil
}

// refusal says why a single message is not taken.
func refusal(why outbox.Reason, person contacts.Contact, r Run) error {
	var msg string
	switch why {
	case outbox.NoAddress:
		msg = "has no address for " + r.Driver
	case outbox.NoConsent:
		msg = "has not agreed to " + r.Topic + " by " + r.Driver
		if r.Class == channels.Transactional {
			msg += "; state a source why they may be written to"
		}
	case outbox.PendingConsent:
		msg = "has not confirmed " + r.Topic + " by " + r.Driver + " yet"
	case outbox.Withdrawn:
		msg = "has withdrawn or objected to " + r.Topic + " by " + r.Driver
	case outbox.OtherAddress:
		msg = "agreed to " + r.Topic + " for another address than the one they have now"
	default:
		msg = "has an address that may not be written to (" + string(why) + ")"
	}
	return &rapport.Error{Kind: rapport.Denied, Field: "contact", Msg: fmt.Sprintf("contact %s %s", person.UID, msg), Err: &Skipped{why}}
}

// single finds a single message by its reference, or by the ID of its run.
func (s *Service) single(ctx context.Context, ref string) (Run, error) {
	r, err := s.runs.RunByReference(ctx, ref)
	if rapport.KindOf(err) == rapport.NotFound {
		if r, err = s.runs.FindRun(ctx, ref); rapport.KindOf(err) == rapport.NotFound {
			return r, rapport.NotFoundf("there is no message with the reference %q, and no run of that ID", ref)
		}
	}
	if err == nil && r.Campaign != 0 {
		return r, rapport.Conflictf("run %s is one of the campaign %s and no single message: use rapport campaigns", r.UID, r.Name)
	}
	return r, err
}

// ResumeSend lets a single message go on whose run was paused, by its reference
// or the ID of its run. One that is not paused is a Conflict.
func (s *Service) ResumeSend(ctx context.Context, ref string) (Run, error) {
	r, err := s.single(ctx, ref)
	if err != nil {
		return r, err
	}
	note := "resumed by " + rapport.ActorOf(ctx).Name
	ok, err := s.runs.MoveRun(ctx, r.ID, []outbox.RunState{outbox.Paused}, outbox.Running, note)
	if err != nil {
		return r, fmt.Errorf("resume %s: %w", ref, err)
	}
	if !ok {
		return r, rapport.Conflictf("message %s is %s: only one that is paused can be resumed", ref, r.State)
	}
	r.State = outbox.Running
	s.poke()
	return r, nil
}

// CancelSend stops a single message that has not left, by its reference or the
// ID of its run. One that has is a Conflict.
func (s *Service) CancelSend(ctx context.Context, reference string) error {
	r, err := s.single(ctx, reference)
	if err != nil {
		return err
	}
	ok, err := s.runs.MoveRun(ctx, r.ID, []outbox.RunState{outbox.Running, outbox.Paused}, outbox.Cancelling, "cancelled by "+rapport.ActorOf(ctx).Name)
	if err != nil {
		return fmt.Errorf("cancel %s: %w", reference, err)
	}
	a, err := s.reports.Account(ctx, r.UID)
	if err != nil {
		return err
	}
	for _, st := range outbox.States() {
		if a.States[st] > 0 && (st == outbox.Sending || st != outbox.Cancelled && !st.Open()) {
			return rapport.Conflictf("message %s is %s already", reference, st)
		}
	}
	if ok {
		s.poke()
	}
	return nil
}
