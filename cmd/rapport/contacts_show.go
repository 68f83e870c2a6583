package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/internal/app"
)

// timeline is one customer: who they are, what they permitted, and what
// happened between us, newest last.
type timeline struct {
	Contact contacts.Contact `json:"contact"`
	Consent consent.Sheet    `json:"consent"`
	Wishes  []wish           `json:"preferences"`
	Events  []happening      `json:"timeline"`
}

// wish is a break or a rhythm that a person asked for, as it stands.
type wish struct {
	Driver      string    `json:"driver"` // "": all
	Topic       string    `json:"topic"`  // "": everything that is marketing
	PausedUntil time.Time `json:"paused_until,omitzero"`
	EveryHours  float64   `json:"at_most_one_in_hours,omitempty"`
}

// happening is one line of a timeline.
type happening struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // consent, delivery, response or event
	What    string    `json:"what"`
	Detail  string    `json:"detail,omitempty"`
	Subject string    `json:"subject,omitempty"` // ID of the delivery or event, number of the entry
}

func newContactsShow(c *cli) *cobra.Command {
	return command("show CONTACT", "show one customer: addresses, attributes, consents, breaks and rhythms, events, deliveries and responses",
		"rapport contacts show anna@example.com\nrapport contacts show 4711 --json",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			x, err := h.Contacts.Get(ctx, args[0])
			if err != nil {
				return err
			}
			if err := noted(ctx, h, "contacts.show", x.ID, nil); err != nil {
				return err
			}
			t := timeline{Contact: x}
			if t.Consent, err = h.Consent.Show(ctx, x.ID); err != nil {
				return err
			}
			t.Consent.Standing = append([]consent.Current{}, t.Consent.Standing...)
			t.Consent.History = append([]consent.Proof{}, t.Consent.History...)
			if t.Wishes, err = wishesOf(ctx, h, x.ID); err != nil {
				return err
			}
			if t.Events, err = c.happenings(ctx, h, t); err != nil {
				return err
			}
			types, err := h.Contacts.Attributes(ctx)
			if err != nil {
				return err
			}
			return c.show(t, func(w io.Writer) { c.printTimeline(w, t, types) })
		}))
}

// wishesOf lists what a contact asked for beside yes and no.
func wishesOf(ctx context.Context, h *app.House, contact int64) ([]wish, error) {
	list, err := h.Consent.Preferences(ctx, contact)
	if err != nil {
		return nil, err
	}
	out := make([]wish, 0, len(list))
	for _, p := range list {
		out = append(out, wish{p.Driver, p.Topic, p.PausedUntil, p.Every.Hours()})
	}
	return out, nil
}

// printWishes says nothing where nobody asked for anything.
func (c *cli) printWishes(w io.Writer, list []wish) {
	if len(list) == 0 {
		return
	}
	tab := newTable("DRIVER", "TOPIC", "BREAK UNTIL", "AT MOST ONE IN")
	for _, x := range list {
		until, every := "", ""
		if !x.PausedUntil.IsZero() {
			until = c.at(x.PausedUntil)
		}
		switch days := x.EveryHours / 24; {
		case x.EveryHours == 0:
		case days == math.Trunc(days):
			every = count(int64(days), "day", "days")
		default:
			every = strconv.FormatFloat(x.EveryHours, 'f', -1, 64) + " hours"
		}
		tab.row(orAll(x.Driver), orAll(x.Topic), dash(until), dash(every))
	}
	tab.write(w)
	_, _ = fmt.Fprintln(w)
}

func orAll(name string) string {
	if name == "" {
		return "all"
	}
	return name
}

// happenings gathers everything about a contact in order of time.
func (c *cli) happenings(ctx context.Context, h *app.House, t timeline) ([]happening, error) {
	events := []happening{}
	for _, p := range t.Consent.History {
		e := happening{At: p.At, Kind: "consent", What: string(p.State) + " " + p.Driver + ":" + p.Topic, Subject: number(p.Entry)}
		if p.Evidence != nil {
			e.Detail = p.Evidence.Source
		}
		events = append(events, e)
	}
	sent, err := c.sentTo(ctx, h, t.Contact)
	if err != nil {
		return nil, err
	}
	events = append(events, sent...)
	told, err := toldOf(ctx, h, t.Contact.ID)
	if err != nil {
		return nil, err
	}
	events = append(events, told...)
	slices.SortStableFunc(events, func(a, b happening) int { return a.At.Compare(b.At) })
	return events, nil
}

func (c *cli) printTimeline(w io.Writer, t timeline, types map[string]contacts.Type) {
	x := t.Contact
	tab := newTable("CONTACT", x.UID)
	for _, line := range [][2]string{{"external id", x.ExternalID}, {"locale", x.Locale}, {"time zone", x.Zone}} {
		tab.row(line[0], dash(line[1]))
	}
	for _, a := range x.Addresses {
		shown := a.Display
		if a.Value != a.Display {
			shown += " (" + a.Value + ")"
		}
		if a.Position > 0 {
			shown += ", not the primary one"
		}
		tab.row(a.Kind, shown)
	}
	var attributes map[string]json.RawMessage
	if err := json.Unmarshal(x.Attributes, &attributes); err == nil {
		for _, name := range slices.Sorted(maps.Keys(attributes)) {
			tab.row("contact."+name, c.attribute(attributes[name], types[name]))
		}
	}
	tab.row("created", c.at(x.CreatedAt))
	tab.write(w)
	_, _ = fmt.Fprintln(w)
	tab = newTable("DRIVER", "TOPIC", "ANSWER", "SINCE", "ADDRESS")
	for _, s := range t.Consent.Standing {
		tab.row(s.Driver, s.Topic, answer(s.Answer), c.at(s.At), dash(s.Address))
	}
	tab.write(w)
	_, _ = fmt.Fprintln(w)
	c.printWishes(w, t.Wishes)
	tab = newTable("WHEN", "", "WHAT", "DETAIL")
	for _, e := range t.Events {
		tab.row(c.at(e.At), e.Kind, e.What, dash(e.Detail))
	}
	tab.write(w)
}

// attribute shows a stored value as its type says.
func (c *cli) attribute(raw json.RawMessage, kind contacts.Type) string {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		return text
	}
	var us int64
	if err := json.Unmarshal(raw, &us); err == nil && kind == contacts.Time {
		return c.at(time.UnixMicro(us))
	}
	return strings.TrimSpace(string(raw))
}

// sentTo lists deliveries to a contact and what came back.
func (c *cli) sentTo(ctx context.Context, h *app.House, x contacts.Contact) ([]happening, error) {
	var events []happening
	for after := int64(0); ; {
		list, err := h.Campaigns.Deliveries(ctx, campaigns.Filter{Contact: x.ID, After: after, Limit: page})
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			events = append(events, happening{
				At: d.UpdatedAt, Kind: "delivery", What: fmt.Sprintf("%s: %s over %s", d.State, d.Campaign, d.Channel),
				Detail: strings.TrimSpace(string(d.Reason) + " " + d.Code), Subject: d.ID,
			})
			more, err := c.cameBack(ctx, h, d)
			if err != nil {
				return nil, err
			}
			events = append(events, more...)
		}
		if len(list) < page {
			return events, nil
		}
		after = list[len(list)-1].Number
	}
}

// cameBack lists the responses to a delivery.
func (c *cli) cameBack(ctx context.Context, h *app.House, d campaigns.Delivery) ([]happening, error) {
	if d.State.Open() {
		return nil, nil
	}
	detail, err := deliveryOf(ctx, h, d.ID)
	if err != nil {
		return nil, err
	}
	var events []happening
	for _, r := range detail.Reactions {
		words := r.Kind
		if r.Link > 0 {
			words += " link " + number(r.Link)
		}
		by := ""
		if r.Machine {
			by = "by a machine"
		}
		events = append(events, happening{At: r.First, Kind: "response", What: words + " (" + d.Campaign + ")", Detail: strings.TrimSpace(times(r.N) + " " + by), Subject: d.ID})
	}
	return events, nil
}

func times(n int64) string {
	if n < 2 {
		return ""
	}
	return number(n) + " times"
}
