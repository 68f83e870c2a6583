package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"rapport/channels"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/responses"
	"rapport/templates"
	"rapport/worker"
)

// open makes the writer of a run's messages: the letter is compiled once, and
// for each delivery only what is of the person is filled in.
func (h *House) open(ctx context.Context, run outbox.Run) (worker.Compose, error) {
	letter, err := h.Templates.LetterOf(ctx, run.Driver, run.Revision)
	if err != nil {
		return nil, err
	}
	tracking := run.Tracking
	if tracking == "" {
		tracking = h.Config.Tracking
	}
	marketing := run.Class == channels.Marketing
	return func(ctx context.Context, d outbox.Delivery) (channels.Message, error) {
		view, err := h.view(ctx, d.Person, d.Data)
		if err != nil {
			return channels.Message{}, fmt.Errorf("read the data of delivery %d: %w", d.ID, err)
		}
		subject := responses.Subject{Run: run.ID, Contact: d.Contact, Driver: run.Driver, Topic: run.Topic}
		links := h.links.For(subject, tracking != "person")
		view.Campaign, view.Links, view.Track = run.Name, links, tracking != "off"
		out, err := letter.Render(ctx, view)
		if err != nil {
			return channels.Message{}, err
		}
		m := channels.Message{
			Content: out.Content, Files: out.Files, List: run.Topic, ReplyTo: run.ReplyTo,
			Return: h.links.Return(run.ID, d.Contact),
		}
		if marketing {
			m.Unsubscribe = links.Unsubscribe()
		}
		return m, nil
	}, nil
}

// view is what a template may see of a person.
func (h *House) view(ctx context.Context, p *outbox.Person, data json.RawMessage) (templates.View, error) {
	view := templates.View{Locale: p.Locale, Now: h.now(), Zone: h.zone(p.Zone)}
	if view.Locale == "" {
		view.Locale = h.Config.Locale
	}
	var err error
	if view.Contact, err = object(p.Attributes); err != nil {
		return view, err
	}
	if err := h.types.restore(ctx, view.Contact); err != nil {
		return view, err
	}
	for kind, shown := range p.Addresses {
		view.Contact[kind] = shown
	}
	view.Contact["id"], view.Contact["external_id"] = p.UID, p.ExternalID
	view.Contact["locale"], view.Contact["time_zone"] = p.Locale, p.Zone
	view.Data, err = object(data)
	return view, err
}

// zone is the person's, or the installation's.
func (h *House) zone(name string) *time.Location {
	if name == "" {
		name = h.Config.Zone
	}
	if z, ok := h.zones.Load(name); ok {
		return z.(*time.Location)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		z = time.UTC
	}
	h.zones.Store(name, z) // names are checked when contacts come in, so they are few
	return z
}

// object decodes a JSON object as templates want it: whole numbers are int64.
func object(raw json.RawMessage) (map[string]any, error) {
	out := map[string]any{}
	if len(raw) == 0 {
		return out, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	for k, v := range out {
		out[k] = plain(v)
	}
	return out, nil
}

func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // JSON has no number that is neither
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = plain(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plain(e)
		}
	}
	return v
}

// typeTable remembers which attributes are moments, which JSON cannot say. It
// is read again every few seconds, as imports may learn new ones.
type typeTable struct {
	contacts *contacts.Service
	now      func() time.Time

	mu    sync.Mutex
	times []string
	read  time.Time
}

// typesFor is how long the table is believed.
const typesFor = 5 * time.Second

func (t *typeTable) restore(ctx context.Context, attributes map[string]any) error {
	names, err := t.moments(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if us, ok := attributes[name].(int64); ok {
			attributes[name] = time.UnixMicro(us).UTC()
		}
	}
	return nil
}

func (t *typeTable) moments(ctx context.Context) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.times != nil && now.Sub(t.read) < typesFor && !now.Before(t.read) {
		return t.times, nil
	}
	types, err := t.contacts.Attributes(ctx)
	if err != nil {
		return nil, err
	}
	t.times, t.read = []string{}, now
	for name, kind := range types {
		if kind == contacts.Time {
			t.times = append(t.times, name)
		}
	}
	return t.times, nil
}
