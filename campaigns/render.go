package campaigns

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport"
	"rapport/channels"
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

// View is what a template sees of a person: the one way by which sending,
// previews and tests turn a contact into values. types are the types of
// attributes; zones turns the name of a person's zone, which may be empty, into
// the zone. Attributes that do not fit their type are missing.
func View(p outbox.Person, types map[string]contacts.Type, data json.RawMessage, campaign string, zones Zones, now time.Time) (templates.View, error) {
	v := templates.View{Locale: p.Locale, Zone: zones(p.Zone), Now: now, Campaign: campaign, Contact: map[string]any{}}
	if err := decode(p.Attributes, &v.Contact); err != nil {
		return v, fmt.Errorf("read the attributes of a contact: %w", err)
	}
	if err := decode(data, &v.Data); err != nil {
		return v, fmt.Errorf("read the data of a message: %w", err)
	}
	if v.Contact == nil { // "null"
		v.Contact = map[string]any{}
	}
	for name, value := range v.Contact {
		if value == nil {
			delete(v.Contact, name)
			continue
		}
		if us, whole := value.(int64); whole && types[name] == contacts.Time {
			v.Contact[name] = time.UnixMicro(us).UTC()
		}
	}
	for kind, shown := range p.Addresses {
		v.Contact[kind] = shown
	}
	for name, value := range map[string]string{"id": p.UID, "external_id": p.ExternalID, "locale": p.Locale, "time_zone": p.Zone} {
		if value != "" {
			v.Contact[name] = value
		} else {
			delete(v.Contact, name)
		}
	}
	return v, nil
}

// decode reads a JSON object with whole numbers as int64 and others as
// float64.
func decode(raw json.RawMessage, into *map[string]any) error {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	for k, v := range *into {
		(*into)[k] = plain(v)
	}
	return nil
}

func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
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
// account: the caller sends it by the channel directly. Links lead nowhere.
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
