package slack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/channels"
	"rapport/channels/channeltest"
	"rapport/channels/slack"
	fake "rapport/internal/fake/slack"
)

const token = "xoxb-canary-token-4711"

func start(t *testing.T, o fake.Options) *fake.Server {
	t.Helper()
	o.Token = token
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

func settings(t *testing.T, api string, more map[string]any) json.RawMessage {
	t.Helper()
	all := map[string]any{"token": token, "api_url": api}
	maps.Copy(all, more)
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func open(t *testing.T, s *fake.Server, more map[string]any) channels.Channel {
	t.Helper()
	ch, err := slack.Driver.Open(t.Context(), channels.Env{Name: "team", Private: []string{"127.0.0.1"}}, settings(t, s.APIURL(), more))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	return ch
}

// only applies an action to one method and lets the others pass.
func only(method string, a fake.Action) fake.Script {
	return func(v fake.Visit) fake.Action {
		if v.Method == method {
			return a
		}
		return fake.Action{}
	}
}

const posting = "chat.postMessage"

func moods() map[channeltest.Mood]fake.Action {
	return map[channeltest.Mood]fake.Action{
		channeltest.Throttle:    {RetryAfter: "3"},
		channeltest.Refuse:      {Error: "user_not_found"},
		channeltest.Spoil:       {Error: "invalid_blocks"},
		channeltest.Break:       {Error: "invalid_auth"},
		channeltest.Unavailable: {Status: 503},
		channeltest.LoseReply:   {LoseReply: true},
		channeltest.Stall:       {Stall: true},
	}
}

func TestSlackSitsTheExamination(t *testing.T) {
	for _, to := range []string{"U012AB3CD", "anna@example.com", "C012AB3CD"} {
		t.Run(to, func(t *testing.T) {
			channeltest.Run(t, func(t *testing.T) channeltest.Harness { return harness(t, to) })
		})
	}
}

func harness(t *testing.T, to string) channeltest.Harness {
	s := start(t, fake.Options{})
	return channeltest.Harness{
		Driver:   slack.Driver,
		Env:      channels.Env{Private: []string{"127.0.0.1"}},
		Settings: settings(t, s.APIURL(), map[string]any{"sender": "Example Shop", "icon": ":tada:"}),
		To:       to,
		Content: map[string]string{
			"text":   "*Hello* " + channeltest.Text,
			"blocks": `[{"type":"section","text":{"type":"mrkdwn","text":"` + channeltest.Text + `"}},{"type":"from_the_future","what":{"n":1.50}}]`,
		},
		Secrets:   []string{token, "canary"},
		TellsWhen: true,
		Set:       func(m channeltest.Mood) { s.SetScript(only(posting, moods()[m])) },
		Got: func() []channeltest.Received {
			var out []channeltest.Received
			for _, m := range slices.Backward(s.Messages("")) {
				out = append(out, channeltest.Received{
					Key: m.Key, To: m.To, Raw: []byte(m.Raw),
					Content: map[string]string{"text": m.Text, "blocks": string(m.Blocks)},
				})
			}
			return out
		},
	}
}

func message(to string) channels.Message {
	return channels.Message{Key: "d-1", To: to, Content: map[string]string{"text": "hello"}}
}

func outcome(err error) string {
	if err == nil {
		return "sent"
	}
	f := channels.Judge(err)
	out := f.Verdict.String()
	if f.Strike {
		out += " with a strike"
	}
	if f.After > 0 {
		out += fmt.Sprintf(" after %s", f.After)
	}
	return out
}

// TestAnswersToAPostAreJudged covers what Slack says to chat.postMessage
// (promise T51).
func TestAnswersToAPostAreJudged(t *testing.T) {
	s := start(t, fake.Options{})
	ch := open(t, s, nil)
	for _, c := range []struct {
		action fake.Action
		want   string
	}{
		{fake.Action{}, "sent"},
		{fake.Action{RetryAfter: "30"}, "throttled after 30s"},
		{fake.Action{Status: 429}, "throttled"},
		{fake.Action{RetryAfter: "soon"}, "throttled"},
		{fake.Action{RetryAfter: "99999999999999999999"}, "throttled"},
		{fake.Action{RetryAfter: "-3"}, "throttled"},
		{fake.Action{RetryAfter: "9223372036854775807"}, "throttled after 24h0m0s"},
		{fake.Action{RetryAfter: "Mon, 04 May 2026 12:02:00 GMT"}, "throttled"}, // long ago
		{fake.Action{Error: "ratelimited"}, "throttled"},
		{fake.Action{Error: "invalid_auth"}, "broken"},
		{fake.Action{Error: "not_authed"}, "broken"},
		{fake.Action{Error: "token_revoked"}, "broken"},
		{fake.Action{Error: "account_inactive"}, "broken"},
		{fake.Action{Error: "missing_scope"}, "broken"},
		{fake.Action{Error: "user_not_found"}, "rejected"},
		{fake.Action{Error: "is_archived"}, "rejected"},
		{fake.Action{Error: "channel_not_found"}, "malformed with a strike"},
		{fake.Action{Error: "not_in_channel"}, "malformed"},
		{fake.Action{Error: "msg_too_long"}, "malformed"},
		{fake.Action{Error: "invalid_blocks"}, "malformed"},
		{fake.Action{Error: "no_text"}, "malformed"},
		{fake.Action{Error: "fatal_error"}, "uncertain"},
		{fake.Action{Error: "internal_error"}, "uncertain"},
		{fake.Action{Error: "service_unavailable"}, "temporary"},
		{fake.Action{Error: "a_code_of_next_year"}, "temporary"},
		{fake.Action{Status: 500}, "uncertain"},
		{fake.Action{Status: 502}, "uncertain"},
		{fake.Action{Status: 503}, "temporary"},
		{fake.Action{Status: 504}, "uncertain"},
		{fake.Action{Status: 404}, "broken"},
		{fake.Action{Status: 302, Location: "http://127.0.0.1:1/"}, "broken"},
		{fake.Action{Raw: `{"ok":false}`}, "uncertain"},
		{fake.Action{Raw: `{}`}, "uncertain"},
		{fake.Action{Raw: `<html>sign in</html>`}, "uncertain"},
		{fake.Action{Endless: true}, "uncertain"},
		{fake.Action{LoseReply: true}, "uncertain"},
		{fake.Action{Drop: true}, "uncertain"},
	} {
		s.SetScript(only(posting, c.action))
		_, err := ch.Send(t.Context(), message("U012AB3CD"))
		if got := outcome(err); got != c.want {
			t.Errorf("%+v: %s (%v), want %s", c.action, got, err, c.want)
		}
	}
}

// TestNothingIsUncertainBeforeThePost: a lookup or an opening that fails has
// delivered nothing, and nobody was asked for permission.
func TestNothingIsUncertainBeforeThePost(t *testing.T) {
	for _, c := range []struct {
		action fake.Action
		want   string
	}{
		{fake.Action{Error: "users_not_found"}, "rejected"},
		{fake.Action{Error: "user_disabled"}, "rejected"},
		{fake.Action{Error: "missing_scope"}, "broken"},
		{fake.Action{RetryAfter: "9"}, "throttled after 9s"},
		{fake.Action{Error: "internal_error"}, "temporary"},
		{fake.Action{Status: 500}, "temporary"},
		{fake.Action{LoseReply: true}, "temporary"},
		{fake.Action{Raw: `{"ok":true}`}, "temporary"},
		{fake.Action{Raw: `nonsense`}, "temporary"},
		{fake.Action{Endless: true}, "temporary"},
	} {
		for _, method := range []string{"users.lookupByEmail", "conversations.open"} {
			s := start(t, fake.Options{Script: only(method, c.action)})
			m := message("anna@example.com")
			m.Depart = func(context.Context) error { return errors.New("nobody should ask") }
			_, err := open(t, s, nil).Send(t.Context(), m)
			if got := outcome(err); got != c.want {
				t.Errorf("%s %+v: %s (%v), want %s", method, c.action, got, err, c.want)
			}
			if n := s.Journal().Len(); n != 0 {
				t.Errorf("%s %+v: %d posts", method, c.action, n)
			}
		}
	}
}

// TestPeopleAreLookedUpOnce: the second message to a person needs one call.
func TestPeopleAreLookedUpOnce(t *testing.T) {
	var mu sync.Mutex
	calls := map[string]int{}
	s := start(t, fake.Options{Script: func(v fake.Visit) fake.Action {
		mu.Lock()
		defer mu.Unlock()
		calls[v.Method]++
		if v.Key == "gone" {
			return fake.Action{Error: "user_not_found"}
		}
		return fake.Action{}
	}})
	ch := open(t, s, nil)
	for range 3 {
		if _, err := ch.Send(t.Context(), message("anna@example.com")); err != nil {
			t.Fatal(err)
		}
	}
	if calls["users.lookupByEmail"] != 1 || calls["conversations.open"] != 1 || calls[posting] != 3 {
		t.Errorf("calls %v, want one lookup, one opening, three posts", calls)
	}
	gone := message("anna@example.com")
	gone.Key = "gone"
	if _, err := ch.Send(t.Context(), gone); outcome(err) != "rejected" {
		t.Fatal(err)
	}
	if _, err := ch.Send(t.Context(), message("anna@example.com")); err != nil {
		t.Fatal(err)
	}
	if calls["users.lookupByEmail"] != 2 || calls["conversations.open"] != 2 {
		t.Errorf("calls %v: after a refusal the workspace should be asked again", calls)
	}
	if n := s.Journal().Accepted("anna@example.com"); n != 4 {
		t.Errorf("%d messages reached anna, want 4", n)
	}
}

func TestContentIsCheckedBeforeAnyCall(t *testing.T) {
	s := start(t, fake.Options{})
	ch := open(t, s, nil)
	long := make([]string, 51)
	for i := range long {
		long[i] = `{"type":"divider"}`
	}
	for name, c := range map[string]struct{ text, blocks, want string }{
		"no text":           {" \n", "", "malformed"},
		"text at the limit": {strings.Repeat("ä", 40_000), "", "sent"},
		"text over it":      {strings.Repeat("ä", 40_001), "", "malformed"},
		"fifty blocks":      {"x", "[" + strings.Join(long[:50], ",") + "]", "sent"},
		"fifty-one":         {"x", "[" + strings.Join(long, ",") + "]", "malformed"},
		"no list":           {"x", `{"blocks":[]}`, "malformed"},
		"no type":           {"x", `[{"text":"x"}]`, "malformed"},
		"no object":         {"x", `[1]`, "malformed"},
		"no JSON":           {"x", `[`, "malformed"},
		"empty list":        {"x", ` [] `, "sent"},
	} {
		m := message("C012AB3CD")
		m.Content = map[string]string{"text": c.text, "blocks": c.blocks}
		before := s.Journal().Len()
		_, err := ch.Send(t.Context(), m)
		if got := outcome(err); got != c.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.want)
		}
		if err != nil && s.Journal().Len() != before {
			t.Errorf("%s: refused after the call", name)
		}
	}
}

func TestCheckKnowsAWrongToken(t *testing.T) {
	s := start(t, fake.Options{})
	err := open(t, s, map[string]any{"token": "xoxb-canary-wrong"}).Check(t.Context())
	if outcome(err) != "broken" || strings.Contains(err.Error(), "canary") {
		t.Errorf("a wrong token: %s (%v), want broken", outcome(err), err)
	}
	other := httptest.NewServer(nil)
	defer other.Close()
	ch, err := slack.Driver.Open(t.Context(), channels.Env{Private: []string{"127.0.0.1"}}, settings(t, other.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	if err := ch.Check(t.Context()); outcome(err) != "broken" {
		t.Errorf("another server: %s (%v), want broken", outcome(err), err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		more map[string]any
		want string
	}{
		"sound":        {map[string]any{"icon": "https://example.com/i.png", "sender": "Shop ☀"}, ""},
		"bad token":    {map[string]any{"token": "xoxb-canary\r\nX: y"}, "token:"},
		"bad api":      {map[string]any{"api_url": "slack.com/canary"}, "api_url:"},
		"api query":    {map[string]any{"api_url": "https://slack.com/api/?canary=1"}, "api_url:"},
		"bad sender":   {map[string]any{"sender": "a\nb"}, "sender:"},
		"long sender":  {map[string]any{"sender": strings.Repeat("x", 81)}, "sender:"},
		"bad icon":     {map[string]any{"icon": "tada"}, "icon:"},
		"icon in http": {map[string]any{"icon": "http://example.com/i.png"}, "icon:"},
	} {
		err := slack.Driver.CheckSettings(settings(t, "https://slack.com/api", c.more))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary")):
			t.Errorf("%s: error %v does not say %q, or says too much", name, err, c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"U012AB3CD": "U012AB3CD", " u012ab3cd ": "U012AB3CD", "W012AB3CD": "W012AB3CD", "C024BE91L": "C024BE91L",
		"G024BE91L": "G024BE91L", "D024BE91L": "D024BE91L", "Anna@Example.COM": "anna@example.com",
		"#general": "", "@anna": "", "anna": "", "": "", "X024BE91L": "", "U 12": "", "U1\nX": "", "a@": "",
	} {
		got, err := slack.Driver.Address.Normalize(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

// TestPauseByDate: a pause may be named by a date (RFC 9110), in the house's time.
func TestPauseByDate(t *testing.T) {
	s := start(t, fake.Options{})
	now := func() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }
	ch, err := slack.Driver.Open(t.Context(), channels.Env{Name: "team", Private: []string{"127.0.0.1"}, Now: now}, settings(t, s.APIURL(), nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	s.SetScript(only(posting, fake.Action{RetryAfter: "Mon, 04 May 2026 12:10:00 GMT"}))
	if _, err := ch.Send(t.Context(), message("U012AB3CD")); outcome(err) != "throttled after 10m0s" {
		t.Errorf("judged %s (%v)", outcome(err), err)
	}
}
