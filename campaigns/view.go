package campaigns

import (
	"encoding/json"
	"fmt"
	"time"

	"rapport/contacts"
	"rapport/outbox"
	"rapport/templates"
)

// Glance is what a template sees of a person, read only as far as a letter
// asks for it: the one way by which sending, previews and tests turn a contact
// into values. times are the attributes that are times, see Times; zones turns
// the name of a person's zone, which may be empty, into the zone. The data of
// the message are the caller's, see templates.Object.
func Glance(p *outbox.Person, times map[string]bool, data map[string]any, campaign string, zones Zones, now time.Time) templates.View {
	return templates.View{
		Locale: p.Locale, Zone: zones(p.Zone), Now: now, Campaign: campaign, Data: data,
		Person: templates.Person{
			UID: p.UID, ExternalID: p.ExternalID, Locale: p.Locale, Zone: p.Zone,
			Attributes: p.Attributes, Addresses: p.Addresses, Times: times,
		},
	}
}

// View is Glance with all that there is to see. types are the types of
// attributes.
func View(p outbox.Person, types map[string]contacts.Type, data json.RawMessage, campaign string, zones Zones, now time.Time) (templates.View, error) {
	values, err := Data(data)
	v := Glance(&p, Times(types), values, campaign, zones, now)
	if err != nil {
		return v, err
	}
	v.Contact, err = v.Person.All()
	return v, err
}

// Data reads the data of a message.
func Data(raw json.RawMessage) (map[string]any, error) {
	values, err := templates.Object(raw)
	if err != nil {
		return nil, fmt.Errorf("read the data of a message: %w", err)
	}
	return values, nil
}

// Times lists the attributes that are times. They are stored as microseconds
// since 1970; one that is no whole number is shown as it is.
func Times(types map[string]contacts.Type) map[string]bool {
	out := map[string]bool{}
	for name, t := range types {
		if t == contacts.Time {
			out[name] = true
		}
	}
	return out
}
