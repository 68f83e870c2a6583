package storetest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/templates"
)

func examineSingle(t *testing.T, d *Desk) {
	d.People(t, 2)
	m := campaigns.Single{
		Reference: "order-1", Template: mailer, Channel: "letters", Topic: "service", Contact: "p1", Data: map[string]any{"order": 17},
		ReplyTo: "desk@example.com", Delay: time.Hour, Expires: 2 * time.Hour, Source: "shop order",
	}
	got, err := d.Campaigns.Send(t.Context(), m)
	if err != nil || !got.New || got.Run.Reference != "order-1" {
		t.Fatalf("send %+v, %v", got, err)
	}
	again, err := d.Campaigns.Send(t.Context(), m)
	if err != nil || again.New || again.Delivery != got.Delivery || again.Run.UID != got.Run.UID {
		t.Fatalf("again %+v, %v", again, err)
	}
	other := m
	other.Contact = "p2"
	_, err = d.Campaigns.Send(t.Context(), other)
	wantKind(t, err, rapport.Conflict)
	sheet, err := d.Consent.Show(t.Context(), d.get(t, "p1").ID)
	if err != nil || len(sheet.Standing) != 2 || string(sheet.Standing[1].Basis) != "contract" {
		t.Errorf("the entry it relies on: %+v, %v", sheet.Standing, err)
	}
	x, err := d.Store.DeliveryOf(t.Context(), got.Run.ID, d.get(t, "p1").ID)
	if err != nil || !x.NotBefore.Equal(noon.Add(time.Hour)) || !x.ExpiresAt.Equal(noon.Add(3*time.Hour)) || x.ID != got.Delivery {
		t.Errorf("delivery %+v, %v", x, err)
	}
	if n := d.send(t, allSent); n != 0 {
		t.Errorf("%d were sent before the delay", n)
	}
	d.Set(noon.Add(time.Hour))
	due, err := d.Store.Due(t.Context(), outbox.Now, d.Now(), 10)
	if err != nil || len(due) != 1 {
		t.Errorf("the lane of what a person waits for: %+v, %v", due, err)
	}
	data := ""
	d.send(t, func(x outbox.Delivery) outbox.Settlement { data = string(x.Data); return allSent(x) })
	if data != `{"order":17}` {
		t.Errorf("data %s", data)
	}
	wantKind(t, d.Campaigns.CancelSend(t.Context(), "order-1"), rapport.Conflict)
	m.Reference, m.Contact = "order-2", "p2"
	if _, err := d.Campaigns.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is no error
		if err := d.Campaigns.CancelSend(t.Context(), "order-2"); err != nil {
			t.Fatal(err)
		}
	}
	d.Set(noon.Add(2 * time.Hour))
	if n := d.send(t, allSent); n != 0 {
		t.Errorf("%d were sent after the cancel", n)
	}
	wantKind(t, d.Campaigns.CancelSend(t.Context(), "order-3"), rapport.NotFound)
	resumed(t, d, m)
	m.Reference, m.Delay = "order-4", 0
	if _, err := d.Campaigns.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	d.send(t, func(x outbox.Delivery) outbox.Settlement { // it is on the wire
		wantKind(t, d.Campaigns.CancelSend(t.Context(), "order-4"), rapport.Conflict)
		return allSent(x)
	})
}

func examineSingleRefused(t *testing.T, d *Desk) {
	d.People(t, 1)
	d.Import(t, "external_id,email\nnobody,\nsilent,silent@example.com\n", contacts.ImportOptions{})
	if err := d.Consent.PutTopics(t.Context(), []consent.Topic{
		{Name: consent.TopicConfirmations, Kind: consent.Transactional}, {Name: consent.TopicInvitations, Kind: consent.Transactional},
	}); err != nil {
		t.Fatal(err)
	}
	base := campaigns.Single{Template: mailer, Channel: "letters", Topic: "service", Contact: "p1", Source: "order"}
	for _, c := range []struct {
		name string
		with func(*campaigns.Single)
		kind rapport.Kind
		want string
	}{
		{"no source", func(m *campaigns.Single) { m.Source = "" }, rapport.Denied, "state a source"},
		{"no address", func(m *campaigns.Single) { m.Contact = "nobody" }, rapport.Denied, "no address"},
		{"marketing without agreement", func(m *campaigns.Single) { m.Topic, m.Contact = "news", "silent" }, rapport.Denied, "has not agreed"},
		{"unknown contact", func(m *campaigns.Single) { m.Contact = "ghost" }, rapport.NotFound, "ghost"},
		{"unknown channel", func(m *campaigns.Single) { m.Channel = "carrier" }, rapport.NotFound, "letters"},
		{"topic of the house", func(m *campaigns.Single) { m.Topic = consent.TopicConfirmations }, rapport.Invalid, "built in"},
		{"topic of invitations", func(m *campaigns.Single) { m.Topic = consent.TopicInvitations }, rapport.Invalid, "built in"},
		{"unknown topic", func(m *campaigns.Single) { m.Topic = "gossip" }, rapport.NotFound, "service"},
		{"unknown template", func(m *campaigns.Single) { m.Template = "novel" }, rapport.NotFound, mailer},
		{"wrong template", func(m *campaigns.Single) { m.Template = pigeon }, rapport.Invalid, "written for"},
		{"delay and at", func(m *campaigns.Single) { m.Delay, m.At = time.Hour, noon.Add(time.Hour) }, rapport.Invalid, "one of them"},
		{"long reference", func(m *campaigns.Single) { m.Reference = strings.Repeat("x", 300) }, rapport.Invalid, "longer"},
		{"header", func(m *campaigns.Single) { m.ReplyTo = "a@example.com\r\nBcc: b@example.com" }, rapport.Invalid, "line break"},
	} {
		m := base
		c.with(&m)
		_, err := d.Campaigns.Send(t.Context(), m)
		if rapport.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// Nothing is left of what was refused.
	if list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("%d deliveries, %v", len(list), err)
	}
	m := base
	m.Topic = "news"
	if _, err := d.Campaigns.Send(t.Context(), m); err != nil {
		t.Errorf("marketing with agreement: %v", err)
	}
	src, err := d.Templates.Source(t.Context(), mailer)
	if err != nil {
		t.Fatal(err)
	}
	src.Template.Name = "nolink"
	src.Content.Sources["en"] = map[string]string{"subject": "Hi", "html": "<p>Hi</p>"}
	if _, err := d.Templates.Put(t.Context(), templates.Source{Template: src.Template, Content: src.Content}); err != nil {
		t.Fatal(err)
	}
	m.Template = "nolink"
	_, err = d.Campaigns.Send(t.Context(), m)
	wantKind(t, err, rapport.Invalid)
}

// examineReferences: the same message from many callers at once is one.
func examineReferences(t *testing.T, d *Desk) {
	d.People(t, 1)
	var wg sync.WaitGroup
	var isNew atomic.Int64
	ids := make([]string, 20)
	for i := range ids {
		wg.Go(func() {
			got, err := d.Campaigns.Send(t.Context(), campaigns.Single{Reference: "r", Template: mailer, Channel: "letters", Topic: "service", Contact: "p1", Source: "order"})
			if err != nil {
				t.Error(err)
			}
			if got.New {
				isNew.Add(1)
			}
			ids[i] = got.Delivery
		})
	}
	wg.Wait()
	if isNew.Load() != 1 || strings.Count(fmt.Sprint(ids), ids[0]) != len(ids) {
		t.Errorf("%d new of %v", isNew.Load(), ids)
	}
}

// resumed: a single message that was paused stays until somebody lets it go on
// or gives it up, by its reference or its run.
func resumed(t *testing.T, d *Desk, m campaigns.Single) {
	t.Helper()
	m.Delay = 0
	for ref, byRun := range map[string]bool{"paused-1": true, "paused-2": false} {
		m.Reference = ref
		x, err := d.Campaigns.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if byRun {
			ref = x.Run.UID
		}
		_, err = d.Campaigns.ResumeSend(t.Context(), ref)
		wantKind(t, err, rapport.Conflict)
		if err := d.Campaigns.PauseRun(t.Context(), x.Run.ID, "it cannot go on"); err != nil {
			t.Fatal(err)
		}
		if n := d.send(t, allSent); n != 0 {
			t.Errorf("%d left while it was paused", n)
		}
		if _, err := d.Campaigns.ResumeSend(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if n := d.send(t, allSent); n != 1 {
			t.Errorf("%d left after it was resumed", n)
		}
		wantKind(t, d.Campaigns.CancelSend(t.Context(), ref), rapport.Conflict)
	}
	_, err := d.Campaigns.ResumeSend(t.Context(), "order-3")
	wantKind(t, err, rapport.NotFound)
}
