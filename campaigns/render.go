package campaigns

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/templates"
)

// Zones finds the zone of a name; whoever has none, or one that is not known,
// gets the installation's.
type Zones func(name string) *time.Location

// ZonesFrom looks each name up afresh; home is the installation's zone.
func ZonesFrom(home *time.Location) Zones {
	return func(name string) *time.Location {
		if name == "" {
			return home
		}
		z, err := time.LoadLocation(name)
		if err != nil {
			return home
		}
		return z
	}
}

// PersonOf is a contact as deliveries carry it.
func PersonOf(c contacts.Contact) outbox.Person {
	p := outbox.Person{UID: c.UID, ExternalID: c.ExternalID, Locale: c.Locale, Zone: c.Zone, Attributes: c.Attributes, Addresses: map[string]string{}}
	for _, a := range c.Addresses {
		if a.Position == 0 {
			p.Addresses[a.Kind] = a.Display
		}
	}
	return p
}

// Copied is a test message, ready to be given to its channel.
type Copied struct {
	Channel string
	Message channels.Message
}

// Test renders the newest revision of a campaign's template as a contact would
// get it, marked as a test and addressed to somebody else. It is in no
// account: the caller sends it by the channel directly. Links lead nowhere. To
// an address that may not be written to it is Denied.
func (s *Service) Test(ctx context.Context, ref, as, to string) (Copied, error) {
	c, err := s.store.Campaign(ctx, ref)
	if err != nil {
		return Copied{}, err
	}
	ch, driver, err := s.channel(c.Definition.Channel)
	if err != nil {
		return Copied{}, err
	}
	address, err := driver.Address.Normalize(to)
	if err != nil {
		return Copied{}, rapport.Invalidf("to", "%v", err)
	}
	if err := s.mayCopy(ctx, driver, address, c.Definition.Topic); err != nil {
		return Copied{}, err
	}
	person, err := s.contacts.Get(ctx, as)
	if err != nil {
		return Copied{}, err
	}
	topic, err := s.consent.Topic(ctx, c.Definition.Topic)
	if err != nil {
		return Copied{}, err
	}
	letter, err := s.templates.Letter(ctx, c.Definition.Template)
	if err != nil {
		return Copied{}, err
	}
	out, err := s.render(ctx, letter, person, c.Definition)
	if err != nil {
		return Copied{}, err
	}
	uid, err := rapport.NewUID(s.random)
	if err != nil {
		return Copied{}, err
	}
	return Copied{ch.Name, channels.Message{
		Key: "test-" + uid, To: address, Content: mark(out.Content, driver), Class: classOf(topic.Kind),
		List: topic.Name, ReplyTo: c.Definition.ReplyTo, Files: out.Files,
	}}, nil
}

// mayCopy refuses a test to an address that is forbidden, or whose owner has
// said "no" to the topic. Others need no consent: one asks for one's own copy.
func (s *Service) mayCopy(ctx context.Context, driver channels.Driver, address, topic string) error {
	kind := driver.Address.Kind
	if err := s.consent.MayTest(ctx, kind, address); err != nil {
		return err
	}
	owner, err := s.contacts.Get(ctx, kind+":"+address)
	if rapport.KindOf(err) == rapport.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	sheet, err := s.consent.Show(ctx, owner.ID)
	if err != nil {
		return err
	}
	for _, c := range sheet.Standing {
		if c.Driver == driver.Name && c.Topic == topic && c.Answer == consent.No {
			return consent.DenyTest("its owner has withdrawn or objected to " + topic)
		}
	}
	return nil
}

// mark says "[Test]" in the headline of a message, or at the beginning of its
// text. Structured parts stay as they are.
func mark(content map[string]string, driver channels.Driver) map[string]string {
	const sign = "[Test] "
	for _, syntax := range []channels.Syntax{channels.Header, channels.Mrkdwn, channels.Plain} {
		for _, p := range driver.Parts {
			if text, ok := content[p.Name]; ok && p.Syntax == syntax && p.Required {
				content[p.Name] = sign + text
				return content
			}
		}
	}
	return content
}

func (s *Service) render(ctx context.Context, letter *templates.Letter, c contacts.Contact, d Definition) (templates.Rendered, error) {
	types, err := s.contacts.Attributes(ctx)
	if err != nil {
		return templates.Rendered{}, err
	}
	data, err := json.Marshal(d.Data)
	if err != nil {
		return templates.Rendered{}, fmt.Errorf("write the data of campaign %s: %w", d.Name, err)
	}
	view, err := View(PersonOf(c), types, data, d.Name, ZonesFrom(s.zone), s.now())
	if err != nil {
		return templates.Rendered{}, err
	}
	return letter.Render(ctx, view)
}
