package webhook_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/webhook"
)

func start(t *testing.T, o webhook.Options) *webhook.Server {
	t.Helper()
	s, err := webhook.Start(o)
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

func post(t *testing.T, s *webhook.Server, key, body string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoint(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

func get(t *testing.T, url string) (string, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
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

func letter(to, payload string) string {
	return fmt.Sprintf(`{"type":"rapport.message","timestamp":"2026-03-01T09:30:00Z","data":{"to":%q,"topic":"news","payload":%s}}`, to, payload)
}

func TestPagesShowWhatWasTaken(t *testing.T) {
	s := start(t, webhook.Options{})
	if _, err := post(t, s, "d-1", letter("anna", `{"text":"<script>alert(1)</script> Grüße"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := post(t, s, "d-2", letter("bob", `{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"/":                   "bob",
		"/?to=anna":           "&lt;script&gt;alert(1)&lt;/script&gt; Grüße",
		"/?to=nobody":         "Nothing for “nobody”",
		"/messages/1":         "d-1",
		"/style.css":          "--accent",
		"/messages.json?to=a": "[]",
	} {
		text, res := get(t, s.URL()+url)
		if res.StatusCode != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: status %d, does not show %q:\n%s", url, res.StatusCode, want, text)
		}
		if strings.Contains(text, "<script") {
			t.Errorf("%s: a message's mark-up reached the page", url)
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", url, csp)
		}
	}
	text, _ := get(t, s.URL()+"/messages.json?to=bob")
	var list []webhook.Message
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 || list[0].Key != "d-2" || string(list[0].Payload) != `{"n":1}` {
		t.Errorf("messages.json is %s (%v)", text, err)
	}
	for _, url := range []string{"/messages/3", "/messages/x", "/nowhere"} {
		if _, res := get(t, s.URL()+url); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", url, res.StatusCode)
		}
	}
}

func TestStrangeRequestsAreRefusedAndRecorded(t *testing.T) {
	signed := start(t, webhook.Options{Secret: "a secret nobody here knows"})
	open := start(t, webhook.Options{})
	for name, c := range map[string]struct {
		server *webhook.Server
		body   string
		status int
	}{
		"no signature": {signed, letter("anna", "1"), http.StatusUnauthorized},
		"no JSON":      {open, "hello", http.StatusBadRequest},
		"no recipient": {open, `{"type":"x","timestamp":"2026-03-01T09:30:00Z","data":{}}`, http.StatusBadRequest},
		"too long":     {open, letter("anna", `"`+strings.Repeat("x", 1<<20)+`"`), http.StatusRequestEntityTooLarge},
	} {
		before := c.server.Journal().Count(journal.Refused)
		if status, err := post(t, c.server, "d-1", c.body); err != nil || status != c.status {
			t.Errorf("%s: status %d, %v; want %d", name, status, err, c.status)
		}
		if n := c.server.Journal().Count(journal.Refused) - before; n != 1 {
			t.Errorf("%s: %d refusals in the journal", name, n)
		}
	}
	if len(open.Messages("")) != 0 || open.Journal().Taken() != 0 {
		t.Error("a refused message was kept")
	}
}

func TestMoodsDependOnTheAttempt(t *testing.T) {
	s := start(t, webhook.Options{Script: func(v webhook.Visit) webhook.Action {
		switch {
		case v.To == "never":
			return webhook.Action{Drop: true}
		case v.To == "lost" && v.Attempt == 1:
			return webhook.Action{LoseReply: true}
		case v.To == "slow":
			return webhook.Action{Status: 503, Drip: time.Millisecond}
		case v.To == "odd":
			return webhook.Action{Error: "no such room"}
		case v.Attempt < 3 && v.To == "later":
			return webhook.Action{Status: 503, RetryAfter: "1", Delay: time.Millisecond}
		}
		return webhook.Action{}
	}})
	for _, c := range []struct {
		to    string
		want  []int // 0: no answer
		taken int
	}{{"later", []int{503, 503, 204}, 1}, {"never", []int{0, 0}, 0}, {"lost", []int{0, 204}, 2}, {"slow", []int{503}, 0}, {"odd", []int{400}, 0}, {"anna", []int{204}, 1}} {
		for i, want := range c.want {
			status, err := post(t, s, "key of "+c.to, letter(c.to, "1"))
			if status != want || (err != nil) != (want == 0) {
				t.Errorf("%s, attempt %d: status %d, %v; want %d", c.to, i+1, status, err, want)
			}
		}
		if n := s.Journal().Accepted(c.to); n != c.taken {
			t.Errorf("%s took %d, want %d", c.to, n, c.taken)
		}
	}
	if d := s.Journal().Duplicates(); len(d) != 1 || d[0].To != "lost" {
		t.Errorf("duplicates %v, want the one whose answer was lost", d)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := start(t, webhook.Options{Keep: 3})
	for i := range 10 {
		if _, err := post(t, s, "d", letter(fmt.Sprint("p", i), "1")); err != nil {
			t.Fatal(err)
		}
	}
	got := s.Messages("")
	if len(got) != 3 || got[0].To != "p9" || got[0].Number != 10 || got[2].To != "p7" {
		t.Errorf("kept %+v, want the newest three", got)
	}
	none := start(t, webhook.Options{Keep: -1})
	if _, err := post(t, none, "d", letter("anna", "1")); err != nil {
		t.Fatal(err)
	}
	if len(none.Messages("")) != 0 || none.Journal().Taken() != 1 {
		t.Error("Keep below 0 counts and keeps nothing")
	}
}

func TestPayloadIsShownAsPeopleWriteIt(t *testing.T) {
	s := start(t, webhook.Options{})
	if _, err := post(t, s, "d-1", letter("anna", `{"url":"https://e.example/?a=1\u0026b=2","text":"\u003Cb\u003e \\u0026 \"q\" \u00e9"}`)); err != nil {
		t.Fatal(err)
	}
	if list, _ := get(t, s.URL()); !strings.Contains(html.UnescapeString(list), "?a=1&b=2") {
		t.Errorf("the list shows %s", list)
	}
	page, _ := get(t, s.URL()+"/messages/1")
	text := html.UnescapeString(page)
	for _, want := range []string{`https://e.example/?a=1&b=2`, `<b> \\u0026 \"q\" \u00e9`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, page)
		}
	}
	if strings.Contains(page, "<b>") {
		t.Errorf("the page takes a text for HTML: %s", page)
	}
}
