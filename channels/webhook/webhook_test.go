package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rapport/channels"
	"rapport/channels/channeltest"
	"rapport/channels/webhook"
	fake "rapport/internal/fake/webhook"
)

const secretText = "whsec_Y2FuYXJ5LXdlYmhvb2stc2lnbmluZy1rZXk="

func settings(t *testing.T, url string, more map[string]any) json.RawMessage {
	t.Helper()
	all := map[string]any{"url": url, "secret": secretText}
	maps.Copy(all, more)
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func start(t *testing.T, o fake.Options) *fake.Server {
	t.Helper()
	s, err := fake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func moods() map[channeltest.Mood]fake.Action {
	return map[channeltest.Mood]fake.Action{
		channeltest.Throttle:    {Status: 429, RetryAfter: "7"},
		channeltest.Spoil:       {Status: 422},
		channeltest.Break:       {Status: 401},
		channeltest.Unavailable: {Status: 503},
		channeltest.LoseReply:   {LoseReply: true},
		channeltest.Stall:       {Stall: true},
	}
}

func TestWebhookSitsTheExamination(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Harness {
		s := start(t, fake.Options{Secret: secretText})
		return channeltest.Harness{
			Driver: webhook.Driver,
			Env:    channels.Env{Private: []string{"127.0.0.1"}},
			Settings: settings(t, s.Endpoint()+"/canary-path?key=canary-query", map[string]any{
				"headers": map[string]string{"Authorization": "Bearer canary-header"},
			}),
			To:        "customer-1",
			Content:   map[string]string{"payload": `{"text": "` + channeltest.Text + `", "n": 12345678901234567890, "list": [1, null, true, {}]}`},
			Secrets:   []string{secretText, "canary", "Y2FuYXJ5"},
			TellsWhen: true,
			Cannot:    map[channeltest.Mood]string{channeltest.Refuse: "the endpoint belongs to the channel, not to the address"},
			Set: func(m channeltest.Mood) {
				action := moods()[m]
				s.SetScript(func(fake.Visit) fake.Action { return action })
			},
			Got: func() []channeltest.Received { return received(s) },
		}
	})
}

func received(s *fake.Server) []channeltest.Received {
	all := s.Messages("")
	out := make([]channeltest.Received, len(all))
	for i, m := range all {
		out[len(all)-1-i] = channeltest.Received{
			Key: m.Key, To: m.To, Content: map[string]string{"payload": string(m.Payload)},
			Raw: []byte(m.Headers + "\n" + m.Body),
		}
	}
	return out
}

func open(t *testing.T, url string, more map[string]any) channels.Channel {
	t.Helper()
	ch, err := webhook.Driver.Open(t.Context(), channels.Env{Name: "shop", Private: []string{"127.0.0.1"}}, settings(t, url, more))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	return ch
}

func message() channels.Message {
	return channels.Message{Key: "d-1", To: "customer-1", Content: map[string]string{"payload": `{"a":1}`}}
}

// TestAnswersAreJudged covers the whole table of statuses (promise T50).
func TestAnswersAreJudged(t *testing.T) {
	s := start(t, fake.Options{Secret: secretText})
	ch := open(t, s.Endpoint(), nil)
	for _, c := range []struct {
		action fake.Action
		want   string
	}{
		{fake.Action{Status: 200}, "sent"},
		{fake.Action{Status: 202}, "sent"},
		{fake.Action{Status: 204}, "sent"},
		{fake.Action{Status: 200, Endless: true}, "sent"},
		{fake.Action{Status: 301, Location: "/hook"}, "broken"},
		{fake.Action{Status: 302, Location: "http://169.254.169.254/"}, "broken"},
		{fake.Action{Status: 307, Location: "/hook"}, "broken"},
		{fake.Action{Status: 400}, "malformed"},
		{fake.Action{Status: 401}, "broken"},
		{fake.Action{Status: 403}, "broken"},
		{fake.Action{Status: 404}, "broken"},
		{fake.Action{Status: 405}, "broken"},
		{fake.Action{Status: 408}, "temporary"},
		{fake.Action{Status: 409}, "malformed"},
		{fake.Action{Status: 410}, "broken"},
		{fake.Action{Status: 413}, "malformed"},
		{fake.Action{Status: 422}, "malformed"},
		{fake.Action{Status: 425}, "temporary"},
		{fake.Action{Status: 429}, "throttled"},
		{fake.Action{Status: 429, RetryAfter: "30"}, "throttled after 30s"},
		{fake.Action{Status: 429, RetryAfter: "999999999"}, "throttled after 24h0m0s"},
		{fake.Action{Status: 429, RetryAfter: "-5"}, "throttled"},
		{fake.Action{Status: 429, RetryAfter: "soon"}, "throttled"},
		{fake.Action{Status: 500}, "temporary"},
		{fake.Action{Status: 502}, "temporary"},
		{fake.Action{Status: 503}, "temporary"},
		{fake.Action{Status: 503, RetryAfter: "2"}, "throttled after 2s"},
		{fake.Action{Status: 504}, "temporary"},
		{fake.Action{LoseReply: true}, "uncertain"},
		{fake.Action{Drop: true}, "uncertain"},
	} {
		s.SetScript(func(fake.Visit) fake.Action { return c.action })
		_, err := ch.Send(t.Context(), message())
		if got := outcome(err); got != c.want {
			t.Errorf("%+v: %s (%v), want %s", c.action, got, err, c.want)
		}
	}
}

func outcome(err error) string {
	if err == nil {
		return "sent"
	}
	f := channels.Judge(err)
	if f.After > 0 {
		return fmt.Sprintf("%s after %s", f.Verdict, f.After)
	}
	return f.Verdict.String()
}

// TestWhatNeverLeftIsTriedAgain tells a lost answer from a lost connection.
func TestWhatNeverLeftIsTriedAgain(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	selfSigned := httptest.NewTLSServer(nil)
	defer selfSigned.Close()
	for url, want := range map[string]string{
		gone.URL:                        "temporary",
		"http://nowhere.invalid/hook":   "temporary",
		selfSigned.URL:                  "broken", // a certificate nobody vouches for
		"http://10.255.255.1/hook":      "broken", // a private network, not allowed
		"http://[::ffff:10.0.0.1]/hook": "broken",
		"http://169.254.169.254/latest": "broken",
	} {
		m := message()
		m.Depart = func(context.Context) error {
			t.Errorf("%s: Depart was asked without a connection", url)
			return nil
		}
		ch := open(t, url, nil)
		if _, err := ch.Send(t.Context(), m); outcome(err) != want {
			t.Errorf("%s: %s (%v), want %s", url, outcome(err), err, want)
		}
		if err := ch.Check(t.Context()); outcome(err) != want {
			t.Errorf("check %s: %s (%v), want %s", url, outcome(err), err, want)
		}
	}
}

func TestBodyAndSignatures(t *testing.T) {
	s := start(t, fake.Options{Secret: "the old secret of the shop"})
	ch := open(t, s.Endpoint(), map[string]any{"previous_secret": "the old secret of the shop", "headers": map[string]string{"X-Shop": "7"}})
	m := message()
	m.List, m.Unsubscribe = "newsletter", "https://news.example.com/u/abc?x=1&y=2"
	m.Content["payload"] = ` {"price": 1.10, "big": 12345678901234567890, "html": "<b>&"} `
	if _, err := ch.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := s.Messages("customer-1")
	if len(got) != 1 {
		t.Fatalf("%d messages arrived", len(got))
	}
	want := `"data":{"to":"customer-1","payload":{"price":1.10,"big":12345678901234567890,"html":"<b>&"},"topic":"newsletter","unsubscribe":"https://news.example.com/u/abc?x=1&y=2"}}`
	if !strings.HasPrefix(got[0].Body, `{"type":"rapport.message","timestamp":"20`) || !strings.HasSuffix(got[0].Body, want) {
		t.Errorf("body is\n%s\nand should end with\n%s", got[0].Body, want)
	}
	for _, line := range []string{"Content-Type: application/json\n", "Webhook-Id: d-1\n", "X-Shop: 7\n", "User-Agent: Rapport\n"} {
		if !strings.Contains(got[0].Headers, line) {
			t.Errorf("headers\n%s\nlack %q", got[0].Headers, line)
		}
	}
}

func TestPayloadMustBeJSON(t *testing.T) {
	s := start(t, fake.Options{})
	ch := open(t, s.Endpoint(), nil)
	for _, payload := range []string{"", "  ", "{", `{"a":1}{"b":2}`, "hello", "\xff"} {
		m := message()
		m.Content["payload"] = payload
		if _, err := ch.Send(t.Context(), m); outcome(err) != "malformed" || !strings.Contains(err.Error(), "payload") {
			t.Errorf("%q: %s (%v), want malformed", payload, outcome(err), err)
		}
	}
	if n := s.Journal().Len(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		url  string
		more map[string]any
		want string
	}{
		"sound":           {"https://shop.example.com/hook", nil, ""},
		"no scheme":       {"shop.example.com/canary", nil, "url:"},
		"other scheme":    {"ftp://shop.example.com/canary", nil, "url:"},
		"broken url":      {"https://shop.example.com/%zz?canary", nil, "url:"},
		"fragment":        {"https://shop.example.com/#canary", nil, "url:"},
		"short secret":    {"https://shop.example.com/", map[string]any{"secret": "canary"}, "secret: must be"},
		"bad base64":      {"https://shop.example.com/", map[string]any{"secret": "whsec_canary!"}, "secret: what follows"},
		"bad previous":    {"https://shop.example.com/", map[string]any{"previous_secret": "canary"}, "previous_secret:"},
		"endless timeout": {"https://shop.example.com/", map[string]any{"timeout": "1h"}, "timeout:"},
		"own header":      {"https://shop.example.com/", map[string]any{"headers": map[string]string{"Webhook-Id": "canary"}}, "Webhook-Id is written"},
		"bad header":      {"https://shop.example.com/", map[string]any{"headers": map[string]string{"A b": "canary"}}, "not the name"},
		"bad value":       {"https://shop.example.com/", map[string]any{"headers": map[string]string{"A": "canary\r\nB: c"}}, "value of A"},
	} {
		err := webhook.Driver.CheckSettings(settings(t, c.url, c.more))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		case err != nil && strings.Contains(err.Error(), "canary"):
			t.Errorf("%s: the error repeats what was written: %v", name, err)
		}
	}
}

func TestAddressesAreKeys(t *testing.T) {
	for in, want := range map[string]string{" K-17 ": "K-17", "Ä/β?": "Ä/β?", "": "", " ": "", "a\nb": "", strings.Repeat("x", 201): ""} {
		got, err := webhook.Driver.Address.Normalize(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	if !webhook.Driver.Address.Implied {
		t.Error("every contact has a webhook key without being asked")
	}
}

func TestVerifyKnowsThePublishedVector(t *testing.T) {
	// The example that all libraries of Standard Webhooks share.
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	const secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", `{"test": 2432232314}`
	at := time.Unix(1614265330, 0)
	if err := fake.Verify(secret, h, []byte(body), at); err != nil {
		t.Error(err)
	}
	if fake.Verify(secret, h, []byte(body+" "), at) == nil {
		t.Error("a changed body is accepted")
	}
	if fake.Verify(secret, h, []byte(body), at.Add(6*time.Minute)) == nil || fake.Verify(secret, h, []byte(body), at.Add(-6*time.Minute)) == nil {
		t.Error("an old or early timestamp is accepted")
	}
	h.Set("webhook-signature", "v1,AAAA v2,x "+h.Get("webhook-signature"))
	if err := fake.Verify(secret, h, []byte(body), at); err != nil {
		t.Errorf("one of several signatures: %v", err)
	}
	h.Del("webhook-id")
	if fake.Verify(secret, h, []byte(body), at) == nil {
		t.Error("a request without an id is accepted")
	}
}
