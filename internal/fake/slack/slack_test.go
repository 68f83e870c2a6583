package slack_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rapport/internal/fake/slack"
)

func start(t *testing.T, o slack.Options) *slack.Server {
	t.Helper()
	s, err := slack.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	})
	return s
}

func fetch(t *testing.T, req *http.Request) (string, *http.Response) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), res
}

func call(t *testing.T, s *slack.Server, method string, form url.Values) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.APIURL()+method, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer xoxb-demo")
	text, _ := fetch(t, req)
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s: %v in %s", method, err, text)
	}
	return out
}

func get(t *testing.T, target string) (string, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fetch(t, req)
}

const blocks = `[
	{"type":"header","text":{"type":"plain_text","text":"Summer <sale>"}},
	{"type":"section","text":{"type":"mrkdwn","text":"*Hello* &lt;script&gt; <https://example.com/?a=1&amp;b=2|our _shop_> <javascript:alert(1)|click>"},
	 "fields":[{"type":"mrkdwn","text":"_left_"},{"type":"plain_text","text":"*right*"}]},
	{"type":"divider"},
	{"type":"image","image_url":"https://example.com/cat.png","alt_text":"a cat"},
	{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Buy"}}]},
	{"type":"context","elements":[{"type":"mrkdwn","text":"small ~print~"},{"type":"image","alt_text":"logo"}]},
	{"type":"from_the_future","x":"<b>"}
]`

func TestPagesDrawMessages(t *testing.T) {
	s := start(t, slack.Options{})
	for _, text := range []string{"> quote\n`code` and ```\n*raw*\n``` 2 &lt; 3 <@U012AB3CD>", "plain"} {
		form := url.Values{"channel": {"C012AB3CD"}, "text": {text}}
		if text == "plain" {
			form.Set("blocks", blocks)
		}
		if answer := call(t, s, "chat.postMessage", form); answer["ok"] != true {
			t.Fatalf("answer %v", answer)
		}
	}
	for target, wants := range map[string][]string{
		"/":           {"plain", "C012AB3CD"},
		"/messages/1": {"<blockquote>quote</blockquote>", "<code>code</code>", "2 &lt; 3", "<b>@U012AB3CD</b>"},
		"/messages/2": {
			"Summer &lt;sale&gt;", "<b>Hello</b> &lt;script&gt;", `href="https://example.com/?a=1&amp;b=2">our _shop_</a>`, "<b>click</b>",
			"<i>left</i>", "<div>*right*</div>", "Picture: a cat", `<span class="press">Buy</span>`, "small <s>print</s> · logo", "&lt;b&gt;",
		},
	} {
		text, res := get(t, s.URL()+target)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not show %q:\n%s", target, want, text)
			}
		}
		if strings.Contains(text, "<script") || strings.Contains(text, `href="javascript`) || strings.Contains(text, "<img") {
			t.Errorf("%s: a message's mark-up reached the page", target)
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", target, csp)
		}
	}
	text, _ := get(t, s.URL()+"/messages.json?to=C012AB3CD")
	var list []slack.Message
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 2 || list[0].Text != "plain" {
		t.Errorf("messages.json is %s (%v)", text, err)
	}
	if strings.Contains(text, "xoxb-demo") || strings.Contains(list[0].Raw, "xoxb-demo") {
		t.Error("the token is kept")
	}
}

func TestMethodsAnswerLikeSlack(t *testing.T) {
	s := start(t, slack.Options{Token: "xoxb-demo", Script: func(v slack.Visit) slack.Action {
		if v.To == "busy@example.com" && v.Attempt == 1 && v.Method == "chat.postMessage" {
			return slack.Action{Error: "ratelimited"}
		}
		return slack.Action{}
	}})
	user := func(email string) string {
		answer := call(t, s, "users.lookupByEmail", url.Values{"email": {email}})
		u, _ := answer["user"].(map[string]any)
		id, _ := u["id"].(string)
		return id
	}
	open := func(id string) string {
		answer := call(t, s, "conversations.open", url.Values{"users": {id}})
		c, _ := answer["channel"].(map[string]any)
		out, _ := c["id"].(string)
		return out
	}
	if id := user("Anna@example.com"); id == "" || id != user("anna@example.com") || id == user("bob@example.com") {
		t.Errorf("user IDs are not one for each person: %q", id)
	}
	direct := open(user("busy@example.com"))
	form := url.Values{"channel": {direct}, "text": {"hello"}, "metadata": {`{"event_type":"x","event_payload":{"key":"d-1"}}`}}
	if answer := call(t, s, "chat.postMessage", form); answer["error"] != "ratelimited" {
		t.Errorf("first attempt: %v", answer)
	}
	if answer := call(t, s, "chat.postMessage", form); answer["ok"] != true {
		t.Errorf("second attempt: %v", answer)
	}
	if n := s.Journal().Accepted("busy@example.com"); n != 1 {
		t.Errorf("the journal has %d for the person behind the conversation", n)
	}
	for name, c := range map[string]struct {
		method string
		form   url.Values
		want   string
	}{
		"no channel":     {"chat.postMessage", url.Values{"text": {"x"}}, "channel_not_found"},
		"no text":        {"chat.postMessage", url.Values{"channel": {"C012AB3CD"}}, "no_text"},
		"long text":      {"chat.postMessage", url.Values{"channel": {"C012AB3CD"}, "text": {strings.Repeat("ä", 40_001)}}, "msg_too_long"},
		"broken blocks":  {"chat.postMessage", url.Values{"channel": {"C012AB3CD"}, "text": {"x"}, "blocks": {"["}}, "invalid_blocks_format"},
		"odd blocks":     {"chat.postMessage", url.Values{"channel": {"C012AB3CD"}, "text": {"x"}, "blocks": {"[{}]"}}, "invalid_blocks"},
		"no address":     {"users.lookupByEmail", url.Values{"email": {"anna"}}, "users_not_found"},
		"no user":        {"conversations.open", url.Values{"users": {"C012AB3CD"}}, "user_not_found"},
		"unknown method": {"chat.sing", url.Values{}, "unknown_method"},
	} {
		if answer := call(t, s, c.method, c.form); answer["ok"] != false || answer["error"] != c.want {
			t.Errorf("%s: %v, want %s", name, answer, c.want)
		}
	}
	other := start(t, slack.Options{Token: "another"})
	if answer := call(t, other, "auth.test", nil); answer["error"] != "invalid_auth" {
		t.Errorf("a wrong token: %v", answer)
	}
}
