package app

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/contacts"
	"rapport/internal/secret"
	"rapport/outbox"
	"rapport/templates"
)

// sky is where the pigeons of a test fly to.
type sky struct {
	mu      sync.Mutex
	arrived map[string]string // loft → verse
}

// pigeonSettings is what the stranger wants to have configured.
type pigeonSettings struct {
	Flock string        `json:"flock" need:"yes" help:"which birds"`
	Grain secret.String `json:"grain" need:"yes" help:"what they are fed with"`
}

// pigeon is a driver nobody in the house has heard of: its own kind of
// address, its own part, its own failures.
func pigeon(s *sky) channels.Driver {
	return channels.Define(channels.Driver{
		Name: "pigeon", Help: "Verses by pigeon.",
		Address: channels.Address{Kind: "loft", Normalize: func(text string) (string, error) {
			if text = strings.ToLower(strings.TrimSpace(text)); strings.HasPrefix(text, "loft ") {
				return text, nil
			}
			return "", errors.New("a loft looks like: loft 7")
		}},
		Parts:  []channels.Part{{Name: "verse", Syntax: channels.Plain, Required: true, MaxBytes: 200}},
		Traits: channels.Traits{Concurrency: 3},
	}, func(context.Context, channels.Env, pigeonSettings) (channels.Channel, error) { return s, nil })
}

func (s *sky) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := m.Leave(ctx); err != nil {
		return channels.Receipt{}, err
	}
	if m.To == "loft 13" {
		return channels.Receipt{}, &channels.Failure{Verdict: channels.Rejected, Reason: string(outbox.UnknownUser), Code: "no such loft"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived[m.To] = m.Content["verse"]
	return channels.Receipt{ProviderID: "ring-" + m.Key, At: time.Now()}, nil
}

func (s *sky) Check(context.Context) error { return nil }
func (s *sky) Close() error                { return nil }

// TestStrangerIsAtHome walks a channel that exists in this test only from the
// configuration to the report: whoever adds a channel touches its folder and
// one line of a list.
func TestStrangerIsAtHome(t *testing.T) {
	s := &sky{arrived: map[string]string{}}
	drivers, err := channels.NewRegistry(pigeon(s))
	if err != nil {
		t.Fatal(err)
	}
	c := conf(t, drivers, "data: "+filepath.Join(t.TempDir(), "data"),
		"topics: [{name: verses, kind: marketing}]",
		"channels: [{name: birds, driver: pigeon, flock: grey, grain: canary-corn, rate: 1000/s}]")
	h, err := Open(t.Context(), Options{Config: c, Drivers: drivers})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()

	d, err := drivers.Driver("pigeon")
	if err != nil || len(d.Fields) != 2 || !d.Fields[1].Secret || d.Fields[0].Help != "which birds" {
		t.Errorf("its settings describe themselves: %+v, %v", d.Fields, err)
	}

	csv := "external_id,loft,name,consent:pigeon:verses,consent_source\n" +
		"a,Loft 1,Anna,granted,market\nb,loft 13,Bert,granted,market\nc,loft 3,Cem,,\nd,nowhere,Dora,granted,market\ne,,Emil,granted,market\n"
	report, err := h.Contacts.Import(t.Context(), contacts.Source{
		Name: "people.csv", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(csv)), nil },
	}, contacts.ImportOptions{})
	if err != nil || report.Created != 4 || report.Errors != 1 || !strings.Contains(report.Listed[0].Reason, "a loft looks like") {
		t.Fatalf("import: %+v, %v", report, err)
	}

	src, err := templates.Load(fstest.MapFS{
		"template.yaml":   {Data: []byte("name: spring\ndriver: pigeon\nlocale: en\n")},
		"en/verse.liquid": {Data: []byte("Spring is here, {{ contact.name }}, at {{ contact.loft }}.")},
	}, drivers)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Templates.Put(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Campaigns.Create(t.Context(), "c.yaml", []byte("name: spring\ntopic: verses\nchannel: birds\ntemplate: spring\naudience: {where: 'contact.name != \"Zoe\"'}\nschedule: {now: true}\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Campaigns.Start(t.Context(), "spring"); err != nil {
		t.Fatal(err)
	}
	err = h.Follow(t.Context(), func(ctx context.Context) (bool, error) {
		a, err := h.Campaigns.Status(ctx, "spring", "")
		return err == nil && a.State == outbox.Finished, err
	})
	if err != nil {
		t.Fatal(err)
	}

	a, err := h.Campaigns.Status(t.Context(), "spring", "")
	if err != nil || !a.Balanced() || a.Planned != 2 || a.States[outbox.Sent] != 1 || a.Reasons[outbox.Failed][outbox.UnknownUser] != 1 ||
		a.NotPlanned[outbox.NoConsent] != 1 || a.NotPlanned[outbox.NoAddress] != 1 {
		t.Errorf("account %+v, %v", a, err)
	}
	if got := s.arrived["loft 1"]; got != "Spring is here, Anna, at Loft 1." || len(s.arrived) != 1 {
		t.Errorf("arrived: %v", s.arrived)
	}
	if _, gone, err := h.Consent.Suppressed(t.Context(), "loft", "loft 13"); err != nil || !gone {
		t.Errorf("a loft that does not exist may still be written to: %v", err)
	}
	if _, err := h.Contacts.Check(t.Context(), `contact.loft == "loft 1" && received("spring") && consent("pigeon", "verses")`); err != nil {
		t.Errorf("conditions do not know the stranger: %v", err)
	}
	meters := newMeters()
	e, err := h.newEngine(t.Context(), meters)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.close() }()
	families, err := meters.Gather()
	if err != nil {
		t.Fatal(err)
	}
	labelled := false
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labelled = labelled || l.GetName() == "channel" && l.GetValue() == "birds"
			}
		}
	}
	if !labelled {
		t.Error("no metric has the stranger's channel as a label")
	}
	if _, err := drivers.Driver("smoke"); rapport.KindOf(err) != rapport.NotFound {
		t.Errorf("an unknown driver: %v", err)
	}
}
