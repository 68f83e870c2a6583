package slack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"rapport/channels"
	"rapport/channels/slack"
	fake "rapport/internal/fake/slack"
)

const signing = "canary-signing-secret"

// door opens a channel with a button behind a door that reports what it heard.
func door(t *testing.T, s *fake.Server, more map[string]any) (channels.Listener, *httptest.Server, func() (channels.Pressed, error)) {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"signing_secret": signing, "answer_hosts": []string{u.Host}}
	maps.Copy(all, more)
	ch, ok := open(t, s, all).(channels.Listener)
	if !ok {
		t.Fatal("the channel hears nothing")
	}
	var last channels.Pressed
	var failed error
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		if last, failed = ch.Hear(r.Header, b.Bytes()); failed != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(web.Close)
	return ch, web, func() (channels.Pressed, error) { return last, failed }
}

func marketing(content map[string]string) channels.Message {
	return channels.Message{Key: "d-1", To: "U012AB3CD", Content: content, Class: channels.Marketing, Unsubscribe: "https://news.example.com/x/u/AbC-1_2"}
}

func TestButton(t *testing.T) {
	s := start(t, fake.Options{})
	ch, web, last := door(t, s, map[string]any{"stop_label": "Bitte nicht mehr"})
	if _, err := ch.Send(t.Context(), marketing(map[string]string{"text": "*Hello*"})); err != nil {
		t.Fatal(err)
	}
	m := s.Messages("")[0]
	var blocks []map[string]any
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil || len(blocks) != 2 || blocks[0]["type"] != "section" || !strings.Contains(string(m.Blocks), "Bitte nicht mehr") || !strings.Contains(string(m.Blocks), "*Hello*") {
		t.Fatalf("blocks %s, %v", m.Blocks, err)
	}
	if status, err := s.Press(t.Context(), m, fake.Press{To: web.URL, Secret: signing}); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v", status, err)
	}
	pressed, err := last()
	if err != nil || pressed.Token != "AbC-1_2" || pressed.By != "U0PERSON" {
		t.Fatalf("pressed %+v, %v", pressed, err)
	}
	if err := ch.Confirm(t.Context(), pressed); err != nil {
		t.Fatal(err)
	}
	if a := s.Answers(); len(a) != 1 || a[0].Type != "ephemeral" || !strings.Contains(a[0].Text, "no more") {
		t.Errorf("answers %+v", a)
	}
}

func TestForeignCallsAreRefused(t *testing.T) {
	s := start(t, fake.Options{})
	ch, web, last := door(t, s, nil)
	if _, err := ch.Send(t.Context(), marketing(map[string]string{"text": "x"})); err != nil {
		t.Fatal(err)
	}
	m := s.Messages("")[0]
	for name, p := range map[string]fake.Press{
		"wrong secret": {Secret: "guessed"},
		"too old":      {Secret: signing, Age: 6 * time.Minute},
		"from ahead":   {Secret: signing, Age: -6 * time.Minute},
		"changed body": {Secret: signing, Spoil: func(_ http.Header, b []byte) []byte { return append(b, 'x') }},
		"no signature": {Secret: signing, Spoil: func(h http.Header, b []byte) []byte { h.Del("X-Slack-Signature"); return b }},
		"another version": {Secret: signing, Spoil: func(h http.Header, b []byte) []byte {
			h.Set("X-Slack-Signature", strings.Replace(h.Get("X-Slack-Signature"), "v0", "v1", 1))
			return b
		}},
		"no time": {Secret: signing, Spoil: func(h http.Header, b []byte) []byte { h.Set("X-Slack-Request-Timestamp", "soon"); return b }},
	} {
		p.To = web.URL
		if status, err := s.Press(t.Context(), m, p); err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: status %d, %v", name, status, err)
		}
		if _, err := last(); !errors.Is(err, channels.ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A call that was recorded is worth nothing, and neither is another secret.
	var header http.Header
	var body []byte
	if _, err := s.Press(t.Context(), m, fake.Press{To: web.URL, Secret: signing, Spoil: func(h http.Header, b []byte) []byte {
		header, body = h.Clone(), bytes.Clone(b)
		return b
	}}); err != nil {
		t.Fatal(err)
	}
	if p, err := last(); err != nil || p.Zero() {
		t.Errorf("the first: %+v, %v", p, err)
	}
	if _, err := ch.Hear(header, body); !errors.Is(err, channels.ErrForeign) {
		t.Errorf("the same again: %v", err)
	}
	deaf := open(t, s, nil).(channels.Listener)
	if _, err := deaf.Hear(header, body); deaf.Listens() || !errors.Is(err, channels.ErrForeign) {
		t.Errorf("without a secret: %v", err)
	}
}

func TestOtherCallsMeanNothing(t *testing.T) {
	s := start(t, fake.Options{})
	_, web, last := door(t, s, nil)
	for _, payload := range []string{"", "payload=", "payload=%7B", `payload={"type":"view_submission"}`, `payload={"type":"block_actions","actions":[{"action_id":"other","value":"x"}]}`, "%zz"} {
		status, err := s.Press(t.Context(), &fake.Message{}, fake.Press{To: web.URL, Secret: signing, Value: "x", Spoil: func(h http.Header, _ []byte) []byte {
			body := []byte(payload)
			fake.Sign(h, body, signing, time.Now())
			return body
		}})
		if p, hear := last(); err != nil || status != http.StatusOK || hear != nil || !p.Zero() {
			t.Errorf("%q: status %d, %+v, %v, %v", payload, status, p, hear, err)
		}
	}
}

// TestAnswersGoToSlackOnly: an address in a call is not believed.
func TestAnswersGoToSlackOnly(t *testing.T) {
	s := start(t, fake.Options{})
	ch, _, _ := door(t, s, map[string]any{"answer_hosts": []string{}})
	for _, to := range []string{
		"http://127.0.0.1:1/", s.URL() + "/answers", "https://hooks.slack.com.evil.example/x", "https://evil.example/hooks.slack.com", "http://hooks.slack.com/x",
		"https://hooks.slack.com@evil.example/", "https://a:b@hooks.slack.com/", "file:///etc/passwd", "", "://",
	} {
		if err := ch.Confirm(t.Context(), channels.Pressed{Token: "x", Answer: to}); err == nil {
			t.Errorf("%s was told", to)
		}
	}
	if a := s.Answers(); len(a) != 0 {
		t.Errorf("answers %+v", a)
	}
}

func TestWhoGetsAButton(t *testing.T) {
	s := start(t, fake.Options{})
	with, _, _ := door(t, s, nil)
	full := "[" + strings.TrimSuffix(strings.Repeat(`{"type":"divider"},`, 50), ",") + "]"
	for name, c := range map[string]struct {
		ch   channels.Channel
		m    channels.Message
		want bool
	}{
		"marketing":         {with, marketing(map[string]string{"text": "x"}), true},
		"with blocks":       {with, marketing(map[string]string{"text": "x", "blocks": `[{"type":"divider"}]`}), true},
		"fifty blocks":      {with, marketing(map[string]string{"text": "x", "blocks": full}), false},
		"long":              {with, marketing(map[string]string{"text": strings.Repeat("ä\n", 20_000)}), true},
		"no link":           {with, channels.Message{Key: "k", To: "U012AB3CD", Content: map[string]string{"text": "x"}}, false},
		"transactional":     {with, channels.Message{Key: "k", To: "U012AB3CD", Content: map[string]string{"text": "x"}, Class: channels.Transactional, Unsubscribe: "https://a/u/b"}, false},
		"no signing secret": {open(t, s, nil), marketing(map[string]string{"text": "x"}), false},
	} {
		if _, err := c.ch.Send(t.Context(), c.m); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m := s.Messages("")[0]; (m.Value() != "") != c.want {
			t.Errorf("%s: button %q in %.300s", name, m.Value(), m.Blocks)
		}
	}
	for key, bad := range map[string]any{"stop_label": strings.Repeat("x", 76), "signing_secret": "a b", "answer_hosts": []string{"https://x/"}} {
		if err := slack.Driver.CheckSettings(settings(t, "https://slack.com/api", map[string]any{key: bad})); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
