package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/events"
	"rapport/outbox"
	"rapport/store"
	"rapport/templates"
)

// Desk is the rooms around campaigns over one store, with a clock that tests
// set. Its channels are "letters" (driver mailer) and "birds" (driver pigeon).
type Desk struct {
	*House
	Templates *templates.Service
	Campaigns *campaigns.Service
	clock     *atomic.Int64
	pokes     *atomic.Int64
}

// noon is when the clock of a desk begins: a Monday.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a moment, never changed

// NewDesk opens the rooms over a store, with a template for each channel.
func NewDesk(t testing.TB, s *store.Store) *Desk {
	t.Helper()
	d := desk(t, s, &atomic.Int64{})
	d.Set(noon)
	for driver, parts := range map[string]map[string]string{
		mailer: {
			"subject": "Hello {{ contact.name | default: \"you\" }}",
			"html":    `<p>{{ contact.points }} points, <a href="https://shop.example.com/">shop</a> <a href="{{ links.unsubscribe }}">leave</a></p>`,
		},
		pigeon: {"text": "Coo {{ contact.name | default: \"you\" }} {{ data.word }}"},
	} {
		_, err := d.Templates.Put(t.Context(), templates.Source{
			Template: templates.Template{Name: driver, Driver: driver},
			Content:  templates.Content{Locale: "en", Sources: map[string]map[string]string{"en": parts}},
		})
		if err != nil {
			t.Fatalf("put template %s: %v", driver, err)
		}
	}
	return d
}

// desk opens the rooms over a store that may hold something already.
func desk(t testing.TB, s *store.Store, clock *atomic.Int64) *Desk {
	t.Helper()
	open := func(context.Context, channels.Env, struct{}) (channels.Channel, error) {
		return nil, errors.New("the examination sends nothing")
	}
	implied := channels.Address{Kind: loft, Implied: true, Normalize: func(v string) (string, error) { return strings.TrimSpace(v), nil }}
	reg, err := channels.NewRegistry(
		channels.Define(channels.Driver{Name: mailer, Address: channels.Email, Parts: []channels.Part{
			{Name: "subject", Syntax: channels.Header, Required: true}, {Name: "html", Syntax: channels.HTML, Required: true},
		}}, open),
		channels.Define(channels.Driver{Name: pigeon, Address: implied, Parts: []channels.Part{{Name: "text", Syntax: channels.Plain, Required: true}}}, open))
	if err != nil {
		t.Fatal(err)
	}
	d := &Desk{House: &House{Store: s, Drivers: reg}, clock: clock, pokes: &atomic.Int64{}}
	now := func() time.Time { return time.UnixMicro(clock.Load()).UTC() }
	mark := contacts.NewFingerprint([]byte("pepper of the examination"))
	d.Contacts = contacts.New(contacts.Options{Store: s, Drivers: reg, Fingerprint: mark, Now: time.Now, Random: rand.Reader})
	d.Events = events.New(events.Options{Store: s, Drivers: reg, Now: now})
	d.Consent = consent.New(consent.Options{Store: s, Drivers: reg, Fingerprint: mark, Now: time.Now, Random: rand.Reader})
	schema := func(ctx context.Context) (templates.Schema, error) {
		types, err := d.Contacts.Attributes(ctx)
		var out templates.Schema
		for name := range types {
			out.Attributes = append(out.Attributes, name)
		}
		return out, err
	}
	d.Templates = templates.NewService(s, reg, schema, now, rand.Reader)
	err = d.Consent.PutTopics(t.Context(), []consent.Topic{{Name: "news", Kind: consent.Marketing}, {Name: "service", Kind: consent.Transactional}})
	if err != nil {
		t.Fatal(err)
	}
	d.Campaigns = campaigns.New(campaigns.Options{
		Store: s, Contacts: d.Contacts, Consent: d.Consent, Templates: d.Templates, Drivers: reg,
		Channels:  []campaigns.Channel{{Name: "letters", Driver: mailer, Rate: 10}, {Name: "birds", Driver: pigeon}},
		PublicURL: "https://news.example.com", Poke: func() { d.pokes.Add(1) }, Now: now, Random: rand.Reader,
	})
	return d
}

// Set sets the clock.
func (d *Desk) Set(at time.Time) { d.clock.Store(at.UnixMicro()) }

// Now is what the clock says.
func (d *Desk) Now() time.Time { return time.UnixMicro(d.clock.Load()).UTC() }

// People imports n contacts p1 … with an address, a name, points and an
// agreement to news by mailer.
func (d *Desk) People(t testing.TB, n int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("external_id,email,locale,time_zone,name,points\n")
	for i := 1; i <= n; i++ {
		locale := []string{"en", "de", "fr"}[i%3]
		fmt.Fprintf(&b, "p%d,p%d@example.com,%s,,Name %d,%d\n", i, i, locale, i, i)
	}
	d.Import(t, b.String(), contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "examination"})
}

// put makes a campaign from lines of YAML after the usual ones.
func (d *Desk) put(t testing.TB, name string, lines ...string) campaigns.Campaign {
	t.Helper()
	c, err := d.Campaigns.Create(t.Context(), name+".yaml", []byte("name: "+name+"\ntopic: news\nchannel: letters\ntemplate: mailer\n"+strings.Join(lines, "\n")+"\n"))
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return c
}

func (d *Desk) start(t testing.TB, name string) campaigns.Begins {
	t.Helper()
	b, err := d.Campaigns.Start(t.Context(), name)
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	return b
}

// plan plans until nothing is left to plan.
func (d *Desk) plan(t testing.TB) {
	t.Helper()
	for {
		more, err := d.Campaigns.Work(t.Context())
		if err != nil {
			t.Fatalf("plan: %v", err)
		}
		if !more {
			return
		}
	}
}

// account is the newest run's, after checking that it adds up.
func (d *Desk) account(t testing.TB, name string) outbox.Account {
	t.Helper()
	a, err := d.Campaigns.Status(t.Context(), name, "")
	if err != nil {
		t.Fatalf("status of %s: %v", name, err)
	}
	if !a.Balanced() {
		t.Errorf("the account of %s does not add up: %+v", name, a)
	}
	return a
}

func (d *Desk) state(t testing.TB, name string) campaigns.State {
	t.Helper()
	c, err := d.Campaigns.Show(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c.State
}

// send ends every due delivery of the newest run as told by end, the way a
// worker does.
func (d *Desk) send(t testing.TB, end func(outbox.Delivery) outbox.Settlement) int {
	t.Helper()
	seat, err := d.Store.Sit(t.Context(), "examination", d.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := seat.Leave(t.Context(), d.Now()); err != nil {
			t.Error(err)
		}
	}()
	sent := 0
	for _, lane := range []outbox.Lane{outbox.Now, outbox.Bulk} {
		due, err := d.Store.Due(t.Context(), lane, d.Now(), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range due {
			list, err := d.Store.Claim(t.Context(), b.ID, seat.ID(), 1000, d.Now())
			if err != nil {
				t.Fatal(err)
			}
			sent += d.settle(t, seat, list, end)
			if err := d.Store.Rest(t.Context(), b.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := d.Store.Finish(t.Context(), d.Now()); err != nil {
		t.Fatal(err)
	}
	return sent
}

func (d *Desk) settle(t testing.TB, seat outbox.Seat, list []outbox.Delivery, end func(outbox.Delivery) outbox.Settlement) int {
	t.Helper()
	var wanted []outbox.Ticket
	byID := map[int64]outbox.Delivery{}
	for _, x := range list {
		wanted = append(wanted, outbox.Ticket{Delivery: x.ID, Turn: x.Turn})
		byID[x.ID] = x
	}
	answers, _, err := d.Store.Exchange(t.Context(), seat.ID(), nil, wanted, d.Now())
	if err != nil {
		t.Fatal(err)
	}
	var settled []outbox.Settlement
	for _, a := range answers {
		if a.Go {
			s := end(byID[a.Delivery])
			s.Delivery, s.Turn, s.At, s.Charge = a.Delivery, a.Turn, d.Now(), true
			settled = append(settled, s)
		}
	}
	if _, _, err := d.Store.Exchange(t.Context(), seat.ID(), settled, nil, d.Now()); err != nil {
		t.Fatal(err)
	}
	return len(settled)
}

func allSent(outbox.Delivery) outbox.Settlement { return outbox.Settlement{State: outbox.Sent} }

// Campaigns examines what campaigns asks of a store. open opens a fresh one.
func Campaigns(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, examine := range map[string]func(*testing.T, *Desk){
		"draft":            examineDraft,
		"complaints":       examineComplaints,
		"start now":        examineStartNow,
		"audience":         examineAudience,
		"model":            examineModel,
		"frozen":           examineFrozen,
		"moves":            examineMoves,
		"over and over":    examineOverAndOver,
		"retry":            examineRetry,
		"resolve":          examineResolve,
		"recurring":        examineRecurring,
		"missed":           examineMissed,
		"one time late":    examineLate,
		"stuck":            examineStuck,
		"recipient's zone": examineRecipient,
		"schedulers race":  examineSchedulers,
		"planners race":    examinePlanners,
		"stubborn run":     examineStubborn,
		"single":           examineSingle,
		"why":              examineWhy,
		"why of a domain":  examineWhyDomain,
		"single refused":   examineSingleRefused,
		"references race":  examineReferences,
		"check":            examineCheck,
		"check refuses":    examineCheckRefuses,
		"test copy":        examineTestCopy,
		"report":           examineReport,
		"notes":            examineNotes,
		"events":           examineEventAudience,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewDesk(t, open(t))) })
	}
}

func examineDraft(t *testing.T, d *Desk) {
	ctx := rapport.WithActor(t.Context(), rapport.Actor{Name: "cli:anna"})
	c := d.put(t, "spring", "schedule: {now: true}")
	if c.State != campaigns.Draft || c.Revision != 1 || c.UID == "" {
		t.Fatalf("campaign %+v", c)
	}
	again, err := d.Campaigns.Create(ctx, "x.json", []byte(`{"name":"spring","title":"Spring!","topic":"news","channel":"letters","template":"mailer","schedule":{"now":true}}`))
	if err != nil || again.Revision != 2 || again.UID != c.UID || again.Title != "Spring!" || again.Actor != "cli:anna" {
		t.Fatalf("put again %+v, %v", again, err)
	}
	byID, err := d.Campaigns.Show(ctx, c.UID)
	if err != nil || byID.Name != "spring" || !byID.Definition.Schedule.Now {
		t.Fatalf("by its ID %+v, %v", byID, err)
	}
	_, err = d.Campaigns.Show(ctx, "sprung")
	wantKind(t, err, rapport.NotFound)
	if !strings.Contains(err.Error(), "spring") {
		t.Errorf("unknown name: %v", err)
	}
	copied, err := d.Campaigns.Copy(ctx, "spring", "summer")
	if err != nil || copied.Name != "summer" || copied.Title != "Spring!" || copied.UID == c.UID {
		t.Fatalf("copy %+v, %v", copied, err)
	}
	_, err = d.Campaigns.Copy(ctx, "spring", "summer")
	wantKind(t, err, rapport.Conflict)
	list, err := d.Campaigns.List(ctx, "spring", 10)
	if err != nil || len(list) != 1 || list[0].Name != "summer" {
		t.Errorf("list after spring %+v, %v", list, err)
	}
	d.start(t, "spring")
	_, err = d.Campaigns.Put(ctx, c.Definition)
	wantKind(t, err, rapport.Conflict)
	_, err = d.Campaigns.Start(ctx, "spring")
	wantKind(t, err, rapport.Conflict)
	_, err = d.Campaigns.Status(ctx, "summer", "")
	wantKind(t, err, rapport.NotFound)
}

func examineComplaints(t *testing.T, d *Desk) {
	d.People(t, 1)
	if _, err := d.Contacts.PutSegment(t.Context(), "regulars", "", "contact.points > 5.0"); err != nil {
		t.Fatal(err)
	}
	_, err := d.Campaigns.Create(t.Context(), "bad.yaml", []byte(`name: Bad Name
topic: nwes
channel: birds
template: mailer
audience:
  where: contact.pionts > 5.0
  segments: [regulars, irregulars]
  exclude: [nobody]
schedule: {at: 2026-12-01T09:00, cron: "0 25 * * *", zone: Europe/Berlim, late: maybe}
window: {from: "18:00", to: "09:00"}
expires: -1h
tracking: everything
reply: a@example.com
`))
	wantKind(t, err, rapport.Invalid)
	for _, want := range []string{
		"bad.yaml:1:", "name: \"Bad Name\" is not a name", "bad.yaml:2:", "known: news, service", "bad.yaml:4:", "written for mailer, and channel birds speaks pigeon",
		"bad.yaml:6:", "pionts", "audience.segments[1]", "\"irregulars\"; known: regulars", "audience.exclude[0]", "schedule: has at and cron",
		"schedule.zone", "Europe/Berlim", "schedule.late", "window", "expires: is negative", "tracking", "reply: unknown key",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("complaints lack %q:\n%v", want, err)
		}
	}
	for _, c := range []struct{ lines, want string }{
		{"schedule: {}", "says no time"},
		{"schedule: {cron: \"TZ=UTC 0 9 * * *\"}", "stands in zone"},
		{"schedule: {cron: \"0 9 30 2 *\"}", "never comes"},
		{"schedule: {now: true, until: 2026-12-01T09:00}", "until"},
		{"schedule: {now: true, zone: recipient}", "no local time"},
		{"schedule: {at: 2026-12-01T09:00, late: skip}", "needs zone: recipient"},
		{"schedule: {now: true}\ndata: {a: " + strings.Repeat("x", 5000) + "}", "longer than"},
	} {
		_, err := d.Campaigns.Create(t.Context(), "c.yaml", []byte("name: x\ntopic: news\nchannel: letters\ntemplate: mailer\n"+c.lines))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.lines, err)
		}
	}
	// A campaign may ask who received it before it exists.
	d.put(t, "birthday", `audience: {where: '!received("birthday", duration("7200h"))'}`, `schedule: {cron: "0 9 * * *"}`)
}
