package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rapport/campaigns"
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
	permitted := h.Tracking()
	marketing := run.Class == channels.Marketing
	mailto := h.mailto(run.Channel)
	data := &lastData{}
	return func(ctx context.Context, d outbox.Delivery) (channels.Message, error) {
		view, err := h.view(ctx, run, d, data)
		if err != nil {
			return channels.Message{}, err
		}
		subject := responses.Subject{Run: run.ID, Contact: d.Contact, Driver: run.Driver, Topic: run.Topic}
		tracking := permitted.Links(run.Tracking, d.Named)
		links := h.links.For(subject, tracking != outbox.TrackPerson)
		view.Links, view.Track = links, tracking != outbox.TrackOff
		out, err := letter.Render(ctx, view)
		if err != nil {
			return channels.Message{}, err
		}
		m := channels.Message{
			Content: out.Content, Fixed: out.Fixed, Files: out.Files, List: run.Topic, ReplyTo: run.ReplyTo,
			Return: h.links.Return(run.ID, d.Contact),
		}
		if marketing {
			m.Unsubscribe = links.Unsubscribe()
			if mailto != "" {
				m.UnsubscribeMail = mailto + h.links.Reply(subject)
			}
		}
		return m, nil
	}, nil
}

// view is what the template may see of the person of a delivery.
func (h *House) view(ctx context.Context, run outbox.Run, d outbox.Delivery, data *lastData) (templates.View, error) {
	times, err := h.types.get(ctx)
	if err != nil {
		return templates.View{}, fmt.Errorf("read the types of attributes: %w", err)
	}
	values, err := data.read(d.Data)
	view := campaigns.Glance(d.Person, times, values, run.Name, h.zone, h.now())
	if view.Locale == "" {
		view.Locale = h.Config.Locale
	}
	return view, err
}

// lastData remembers the data that were read last: all messages of a campaign
// have the same. Letters change nothing of them.
type lastData struct{ last atomic.Pointer[readData] }

type readData struct {
	raw    json.RawMessage
	values map[string]any
}

func (l *lastData) read(raw json.RawMessage) (map[string]any, error) {
	if last := l.last.Load(); last != nil && bytes.Equal(last.raw, raw) {
		return last.values, nil
	}
	values, err := campaigns.Data(raw)
	if err == nil {
		l.last.Store(&readData{raw, values})
	}
	return values, err
}

// zone remembers the zones it was asked for: reading one costs more than a
// letter. Names are checked when contacts come in, so they are few.
func (h *House) zone(name string) *time.Location {
	if z, ok := h.zones.Load(name); ok {
		return z.(*time.Location)
	}
	z := campaigns.ZonesFrom(h.home)(name)
	h.zones.Store(name, z)
	return z
}

// typeTable remembers which attributes are times. It is read again every few
// seconds, as imports may learn new ones.
type typeTable struct {
	contacts *contacts.Service
	now      func() time.Time

	mu    sync.Mutex
	times map[string]bool
	read  time.Time
}

// typesFor is how long the table is believed.
const typesFor = 5 * time.Second

func (t *typeTable) get(ctx context.Context) (map[string]bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if age := now.Sub(t.read); t.times != nil && age >= 0 && age < typesFor {
		return t.times, nil
	}
	types, err := t.contacts.Attributes(ctx)
	if err != nil {
		return nil, err
	}
	t.times, t.read = campaigns.Times(types), now
	return t.times, nil
}
