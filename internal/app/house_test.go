package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"rapport"
	"rapport/campaigns"
	"rapport/channels"
	"rapport/channels/all"
	"rapport/config"
	"rapport/contacts"
	"rapport/internal/fake/webhook"
	"rapport/internal/testkit"
	"rapport/outbox"
	"rapport/store"
	"rapport/templates"
)

// conf reads a configuration from lines; the addresses are free ones.
func conf(t *testing.T, drivers *channels.Registry, lines ...string) config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rapport.yaml")
	text := "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\npublic_url: http://127.0.0.1:8080\n" + strings.Join(lines, "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, nil, drivers)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func registry(t *testing.T) *channels.Registry {
	t.Helper()
	drivers, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		t.Fatal(err)
	}
	return drivers
}

// build opens a house in a folder of the test.
func build(t *testing.T, lines ...string) *House {
	t.Helper()
	drivers := registry(t)
	h, err := Open(t.Context(), Options{Config: conf(t, drivers, append(lines, "data: "+t.TempDir())...), Drivers: drivers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close the house: %v", err)
		}
	})
	return h
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// served has a house serve until stop is called, which waits for its end.
func served(t *testing.T, h *House) (at Addresses, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	up, ended := make(chan Addresses, 1), make(chan error, 1)
	go func() { ended <- h.Serve(ctx, func(at Addresses) { up <- at }) }()
	select {
	case at = <-up:
	case err := <-ended:
		cancel()
		t.Fatalf("it does not come up: %v", err)
	}
	return at, func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
	}
}

// TestPublicPagesStayWhileRedisIsAway: a balancer asks /readyz, and people can
// unsubscribe without the queue; operators are told which part is away.
func TestPublicPagesStayWhileRedisIsAway(t *testing.T) {
	h := build(t, "redis: redis://127.0.0.1:1")
	at, stop := served(t, h)
	if code, text := get(t, "http://"+at.Public+"/readyz"); code != http.StatusOK || text != "ready\n" {
		t.Errorf("public: %d %s", code, text)
	}
	if code, text := get(t, "http://"+at.Admin+"/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, `"database":"ok","disk":"ok","queue":"unavailable: Redis does not answer","restore":"ok","writes":"ok"`) {
		t.Errorf("admin: %d %s", code, text)
	}
	stop()
}

func TestWhoWrites(t *testing.T) {
	for lines, want := range map[string]string{"": "127.0.0.1", "name: Pigeons & Sons": "Pigeons & Sons"} {
		if got := build(t, lines).name(); got != want {
			t.Errorf("%q: %q, want %q", lines, got, want)
		}
	}
}

// begin starts a campaign to nobody and returns its run.
func begin(t *testing.T, h *House, name string) outbox.Run {
	t.Helper()
	src, err := templates.Load(fstest.MapFS{
		"template.yaml":     {Data: []byte("name: note\ndriver: webhook\nlocale: en\n")},
		"en/payload.liquid": {Data: []byte(`{"stop_url": "{{ links.unsubscribe }}"}`)},
	}, h.Drivers)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Templates.Put(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("name: %s\ntopic: news\nchannel: shop\ntemplate: note\naudience: {where: contact.locale == 'en'}\nschedule: {now: true}\n", name)
	if _, err := h.Campaigns.Create(t.Context(), name+".yaml", []byte(text)); err != nil {
		t.Fatal(err)
	}
	b, err := h.Campaigns.Start(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	run, err := h.Store.Run(t.Context(), b.Run.ID)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// TestOperatorsHearOfHalts: a run that cannot go on is told once, to those who
// want to know.
func TestOperatorsHearOfHalts(t *testing.T) {
	hook, err := webhook.Start(webhook.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Close() })
	h := build(t, "topics: [{name: news, kind: marketing}]",
		"channels: [{name: shop, driver: webhook, url: '"+hook.Endpoint()+"', private: [127.0.0.0/8], secret: a secret of this test}]",
		"notify: [{channel: shop, to: anna, events: [run_held]}, {channel: shop, to: bob, events: [run_finished]}, {channel: shop, to: carl}]")
	run := begin(t, h, "spring")
	for range 2 {
		if err := h.Campaigns.PauseRun(t.Context(), run.ID, "the template failed for many people in a row: no name."); err != nil {
			t.Fatal(err)
		}
		if err := h.tell(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for to, want := range map[string]int{"anna": 1, "bob": 0, "carl": 1} {
		list := hook.Messages(to)
		if len(list) != want {
			t.Errorf("%s was told %d times, want %d", to, len(list), want)
			continue
		}
		var said struct{ Title, Text string }
		if want == 0 {
			continue
		}
		if err := json.Unmarshal(list[0].Payload, &said); err != nil || said.Title != "spring is paused" ||
			said.Text != "spring cannot go on and is paused: the template failed for many people in a row: no name. Mend that, then run: rapport campaigns resume spring" {
			t.Errorf("%s was told %+v, %v", to, said, err)
		}
	}
}

// TestOperatorsCanResumeASingleMessage: the command that a notice advises for a
// message that is no campaign's does what it says.
func TestOperatorsCanResumeASingleMessage(t *testing.T) {
	hook, err := webhook.Start(webhook.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Close() })
	h := build(t, "topics: [{name: news, kind: marketing}, {name: service, kind: transactional}]",
		"channels: [{name: shop, driver: webhook, url: '"+hook.Endpoint()+"', private: [127.0.0.0/8], secret: a secret of this test}]",
		"notify: [{channel: shop, to: anna, events: [run_held]}]")
	campaign := begin(t, h, "spring")
	who, _, err := h.Contacts.Put(t.Context(), contacts.Input{ExternalID: "k-1"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.Campaigns.Send(t.Context(), campaigns.Single{Template: "note", Channel: "shop", Topic: "service", Contact: who.UID, Source: "order 4711"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Campaigns.PauseRun(t.Context(), m.Run.ID, "the template cannot be used"); err != nil {
		t.Fatal(err)
	}
	if err := h.tell(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := hook.Messages("anna")
	if len(list) != 1 {
		t.Fatalf("%d notices", len(list))
	}
	var said struct{ Title, Text string }
	if err := json.Unmarshal(list[0].Payload, &said); err != nil || said.Title != "a message (note) is paused" || !strings.Contains(said.Text, "run: rapport send resume "+m.Run.UID+" (or give it up: rapport send cancel "+m.Run.UID+")") {
		t.Errorf("told %+v, %v", said, err)
	}
	if _, err := h.Campaigns.ResumeSend(t.Context(), m.Run.UID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Campaigns.ResumeSend(t.Context(), m.Run.UID); rapport.KindOf(err) != rapport.Conflict {
		t.Errorf("resumed twice: %v", err)
	}
	a, err := h.Store.AccountOf(t.Context(), campaign.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Campaigns.ResumeSend(t.Context(), a.Run); rapport.KindOf(err) != rapport.Conflict || !strings.Contains(err.Error(), "campaign spring") {
		t.Errorf("the run of a campaign: %v", err)
	}
	over := func(ctx context.Context) (bool, error) {
		a, err := h.Store.AccountOf(ctx, m.Run.ID)
		return a.Open() == 0, err
	}
	if err := h.Follow(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	if n := len(hook.Messages("k-1")) + len(hook.Messages(who.UID)); n != 1 {
		t.Errorf("the message arrived %d times", n)
	}
}

// TestFollowWaitsForWhatItStarted: the last look is over when Follow returns,
// whoever ends it.
func TestFollowWaitsForWhatItStarted(t *testing.T) {
	boom := errors.New("boom")
	for name, want := range map[string]error{"done": nil, "broken": boom, "stopped": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			looks, inside := 0, false // not guarded: the race detector sees a look that goes on
			err := h.Follow(ctx, func(ctx context.Context) (bool, error) {
				inside = true
				defer func() { inside = false }()
				looks++
				switch name {
				case "broken":
					return false, boom
				case "stopped":
					stop()
					<-ctx.Done()
				}
				return name == "done" && looks == 2, nil
			})
			if !errors.Is(err, want) || inside || looks == 0 {
				t.Errorf("%v after %d looks, want %v", err, looks, want)
			}
		})
	}
}

// TestNoStrayKey: a folder without the key of its database is refused, and no
// other key is left in the place of the right one.
func TestNoStrayKey(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		drivers := registry(t)
		lines := []string{"data: " + o.Data}
		if o.Database != "" {
			lines = []string{"data: " + t.TempDir(), fmt.Sprintf("database: %q", o.Database)}
		}
		c := conf(t, drivers, lines...)
		open := func() error {
			h, err := Open(t.Context(), Options{Config: c, Drivers: drivers})
			if err != nil {
				return err
			}
			return h.Close()
		}
		if err := open(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(c.Data, keyFile)
		right, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := open(); rapport.KindOf(err) != rapport.Conflict || !strings.Contains(err.Error(), "there is no key file "+path) {
			t.Errorf("without the key: %v", err)
		}
		if left, err := filepath.Glob(filepath.Join(c.Data, "*key*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		wrong := strings.Repeat("x", 40)
		if err := os.WriteFile(path, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); rapport.KindOf(err) != rapport.Conflict || !strings.Contains(err.Error(), "the key file "+path) {
			t.Errorf("with another key: %v", err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != wrong {
			t.Errorf("a key that a person put there is gone: %v", err)
		}
		if err := os.WriteFile(path, right, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); err != nil {
			t.Errorf("with the right key: %v", err)
		}
	})
}
