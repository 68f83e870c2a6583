package public_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/internal/testkit"
	"rapport/responses"
	"rapport/store/storetest"
	"rapport/web/public"
)

const run = 5

// site is the public pages over a real store with one person who said yes to
// two topics.
type site struct {
	*storetest.House
	pages   *public.Pages
	tokens  *responses.Tokens
	contact int64
	links   *responses.Links
	asked   asked
	// objections counts the marks.
	objections int
	// letter is where the letter of the link went.
	letter string
	// away makes the link tables and letters unreadable.
	away error
}

// direct writes each event at once, so that a test sees it.
type direct struct{ s responses.Store }

func (d direct) Record(ctx context.Context, e responses.Event) error {
	_, err := d.s.AddResponses(ctx, []responses.Event{e}, nil)
	return err
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

var targets = []string{"https://shop.example/a?x=1&y=ü", "http://shop.example/b", "javascript:alert(1)", "https://user:pw@shop.example/", "https://shop.example/\r\nX: y"}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{House: storetest.NewHouse(t, testkit.Store(t)), letter: "anna@example.com"}
	var err error
	if s.tokens, err = responses.NewTokens([]byte(strings.Repeat("k", 32))); err != nil {
		t.Fatal(err)
	}
	c, _, err := s.Contacts.Put(t.Context(), contacts.Input{Addresses: map[string]string{channels.Email.Kind: "anna@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	s.contact = c.ID
	for _, topic := range []string{"news", "service"} {
		if _, err := s.Consent.Grant(t.Context(), consent.Entry{Contact: c.ID, Driver: "mailer", Topic: topic, Source: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	sink := direct{s.Store}
	withdraw := func(ctx context.Context, w responses.Withdrawal) error {
		_, err := s.Consent.Withdraw(ctx, consent.Entry{
			Contact: w.Contact, Driver: w.Driver, Topic: w.Topic, Source: w.Source, IP: w.IP, Agent: w.Agent, Wording: w.Wording, Actor: "link",
		})
		return err
	}
	s.pages, err = public.New(public.Options{
		Name: "Example <Shop>", Locale: "en", Tokens: s.tokens, Sink: sink, Centre: s.centre(), PublicURL: "https://news.example",
		Leaver: responses.NewUnsubscriber(withdraw, sink, func() time.Time { return noon }, quiet),
		Links: func(_ context.Context, r int64) ([]string, error) {
			if r != run {
				return nil, rapport.NotFoundf("there is no run %d", r)
			}
			return targets, s.away
		},
		Render: func(_ context.Context, r, contact int64) (string, error) {
			if r != run || contact != s.contact {
				return "", rapport.NotFoundf("there is no such delivery")
			}
			return `<p style="color:red">Hello <script>alert(1)</script></p>`, s.away
		},
		Now: func() time.Time { return noon }, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, texts := range s.pages.Wordings() {
		if _, _, err := s.Consent.PutWording(t.Context(), consent.Wording{Name: name, Texts: texts}); err != nil {
			t.Fatal(err)
		}
	}
	s.links = responses.NewLinker(s.tokens, "").For(responses.Subject{Run: run, Contact: c.ID, Driver: "mailer", Topic: "news"}, false)
	return s
}

// ask sends one request and returns the answer.
func (s *site) ask(method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "203.0.113.9:1234"
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	s.pages.ServeHTTP(w, r)
	return w
}

// state is what a request may change.
type state struct {
	answers string // by topic
	entries int
	events  int
	humans  int64 // people who clicked
}

func (s *site) state(t *testing.T) state {
	t.Helper()
	sheet, err := s.Consent.Show(t.Context(), s.contact)
	if err != nil {
		t.Fatal(err)
	}
	st := state{entries: len(sheet.History)}
	for _, c := range sheet.Standing {
		st.answers += c.Topic + "=" + string(c.Answer) + " "
	}
	events, err := s.Store.ResponsesOf(t.Context(), s.contact, 1000)
	if err != nil {
		t.Fatal(err)
	}
	st.events = len(events)
	sum, err := s.Store.ResponseSummary(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	st.humans = sum.Clicked.Human
	return st
}

const (
	granted = "news=granted service=granted "
	left    = "news=withdrawn service=granted "
)

var errAway = errors.New("the database is away")

const form = "application/x-www-form-urlencoded"

const multipartBody = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n"

func TestScenarios(t *testing.T) {
	s := newSite(t)
	wrong := strings.Repeat("A", 40)
	other := responses.NewLinker(s.tokens, "").For(responses.Subject{Run: 6, Contact: s.contact, Driver: "mailer", Topic: "news"}, false)
	click := strings.TrimSuffix(s.links.Click(0), "0")
	type answer struct {
		name, method, path string
		header             map[string]string
		body               string
		status             int
		want, not          []string
		events             int // new ones
	}
	for _, c := range []answer{
		{name: "click", method: "GET", path: s.links.Click(0), status: 302, want: []string{"Location: " + targets[0], "no-referrer", "noindex"}, not: []string{"<a"}, events: 1},
		{name: "click again", method: "GET", path: s.links.Click(0), status: 302},
		{name: "click by HEAD", method: "HEAD", path: s.links.Click(1), status: 302, want: []string{"Location: " + targets[1]}, events: 1},
		{name: "click on a script", method: "GET", path: s.links.Click(2), status: 404, not: []string{"Location"}},
		{name: "click with a password", method: "GET", path: s.links.Click(3), status: 404, not: []string{"Location"}},
		{name: "click with a line end", method: "GET", path: s.links.Click(4), status: 404, not: []string{"Location"}},
		{name: "click beyond the table", method: "GET", path: s.links.Click(5), status: 404},
		{name: "click with another spelling", method: "GET", path: click + "00", status: 404},
		{name: "click below zero", method: "GET", path: click + "-1", status: 404},
		{name: "click on a huge number", method: "GET", path: click + strings.Repeat("9", 30), status: 404},
		{name: "click on an unknown run", method: "GET", path: other.Click(0), status: 404},
		{name: "click with a wrong token", method: "GET", path: "/c/" + wrong + "/0", status: 404, want: []string{"This link does not work"}},
		{name: "click by POST", method: "POST", path: s.links.Click(0), status: 404},
		{name: "click with an address of one's own", method: "GET", path: s.links.Click(5) + "?url=https://evil.example", status: 404, not: []string{"evil"}},
		{name: "a click is no open", method: "GET", path: strings.Replace(click, "/c/", "/o/", 1), status: 404},

		{name: "pixel", method: "GET", path: s.links.Open(), status: 200, want: []string{"image/gif", "no-store", "cross-origin", "GIF89a"}, not: []string{"Set-Cookie"}, events: 1},
		{name: "pixel again", method: "GET", path: s.links.Open(), status: 200},
		{name: "pixel with a wrong token", method: "GET", path: "/o/" + wrong + ".gif", status: 200, want: []string{"GIF89a"}},

		{name: "unsubscribe page", method: "GET", path: s.links.Unsubscribe(), status: 200, want: []string{`<html lang="en">`, `method="post"`, "Example &lt;Shop&gt;", "no-store"}, not: []string{"<script", "anna", "news", "Set-Cookie"}},
		{name: "in German", method: "GET", path: s.links.Unsubscribe(), header: map[string]string{"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}, status: 200, want: []string{`<html lang="de">`, "Abmelden"}},
		{name: "in neither", method: "GET", path: s.links.Unsubscribe(), header: map[string]string{"Accept-Language": "fr,*;q=0.1"}, status: 200, want: []string{`<html lang="en">`}},
		{name: "unsubscribe by HEAD", method: "HEAD", path: s.links.Unsubscribe(), status: 200},
		{name: "unsubscribe in the query", method: "GET", path: s.links.Unsubscribe() + "?confirm=yes&List-Unsubscribe=One-Click", status: 200},
		{name: "POST of nothing", method: "POST", path: s.links.Unsubscribe(), status: 400, want: []string{`method="post"`}},
		{name: "POST of something else", method: "POST", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": form}, body: "List-Unsubscribe=No", status: 400, want: []string{`method="post"`}},
		{name: "POST with the words in the query", method: "POST", path: s.links.Unsubscribe() + "?List-Unsubscribe=One-Click", header: map[string]string{"Content-Type": form}, status: 400, want: []string{`method="post"`}},
		{name: "POST of broken parts", method: "POST", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, body: "--x\r\n\r\nOne-Click", status: 400, want: []string{`method="post"`}},
		{name: "POST of too much", method: "POST", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": form}, body: strings.Repeat("a", 20<<10) + "&confirm=yes", status: 400, want: []string{`method="post"`}},
		{name: "POST of JSON", method: "POST", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": "application/json"}, body: `{"List-Unsubscribe":"One-Click"}`, status: 400, want: []string{`method="post"`}},
		{name: "POST of nothing, of no type", method: "POST", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": ""}, status: 400, want: []string{`method="post"`}},
		{name: "POST of empty parts", method: "POST", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, body: "--x--\r\n", status: 400, want: []string{`method="post"`}},
		{name: "POST of many fields", method: "POST", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": form}, body: strings.Repeat("a=b&", 60) + "List-Unsubscribe=One-Click", status: 400},
		{name: "POST of the key alone", method: "POST", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": form}, body: "List-Unsubscribe=", status: 400},
		{name: "PUT of the words", method: "PUT", path: s.links.Unsubscribe(), header: map[string]string{"Content-Type": form}, body: "List-Unsubscribe=One-Click", status: 404},
		{name: "one-click with a wrong token", method: "POST", path: "/u/" + wrong, header: map[string]string{"Content-Type": form}, body: "List-Unsubscribe=One-Click", status: 200, want: []string{"You are unsubscribed"}},
		{name: "one-click with a token for preferences", method: "POST", path: strings.Replace(s.links.Preferences(), "/p/", "/u/", 1), header: map[string]string{"Content-Type": form}, body: "List-Unsubscribe=One-Click", status: 200, want: []string{"You are unsubscribed"}},

		{name: "preferences", method: "GET", path: s.links.Preferences(), status: 200, want: []string{`name="topic" value="news"`, `value="service"`, `value="object"`, "Subscribed since", "a…@example.com"}, not: []string{"<script", "anna@", "pigeon"}},
		{name: "preferences with a wrong token", method: "GET", path: "/p/" + wrong, status: 404},
		{name: "preferences with an unsubscribe token", method: "GET", path: strings.Replace(s.links.Unsubscribe(), "/u/", "/p/", 1), status: 404},
		{name: "stop an unknown topic", method: "POST", path: s.links.Preferences(), header: map[string]string{"Content-Type": form}, body: "do=stop&way=mailer&topic=%3Cscript%3E", status: 404, not: []string{"<script", "Saved"}},
		{name: "stop in the query", method: "POST", path: s.links.Preferences() + "?do=object", header: map[string]string{"Content-Type": form}, status: 200, not: []string{"has ended"}},
		{name: "stop with a wrong token", method: "POST", path: "/p/" + wrong, header: map[string]string{"Content-Type": form}, body: "do=object", status: 404},

		{name: "view", method: "GET", path: s.links.View(), status: 200, want: []string{"sandbox", "color:red", "noindex"}, not: []string{"allow-scripts", "allow-same-origin", "allow-forms"}},
		{name: "view of an unknown run", method: "GET", path: other.View(), status: 404},
		{name: "view with a wrong token", method: "GET", path: "/v/" + wrong, status: 404},
		{name: "style", method: "GET", path: public.StylePath, status: 200, want: []string{"text/css"}},
		{name: "no token", method: "GET", path: "/u/", status: 404},
		{name: "hostile", method: "GET", path: "/u/%3Cscript%3Ealert(1)%3C%2Fscript%3E", status: 200, not: []string{"<script"}},
		{name: "hostile header", method: "GET", path: s.links.Unsubscribe(), header: map[string]string{"Accept-Language": strings.Repeat("de;q=9e999,", 500) + "\"><script>", "X-Forwarded-For": "<script>"}, status: 200, not: []string{"<script"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.state(t)
			w := s.ask(c.method, c.path, c.body, c.header)
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			whole := text(w)
			for _, want := range c.want {
				if !strings.Contains(whole, want) {
					t.Errorf("%q is missing in %s", want, whole)
				}
			}
			for _, not := range c.not {
				if strings.Contains(whole, not) {
					t.Errorf("%q must not stand in %s", not, whole)
				}
			}
			after := s.state(t)
			if after.answers != before.answers || after.entries != before.entries || after.events-before.events != c.events {
				t.Errorf("changed %+v into %+v, want %d new events and the same answers", before, after, c.events)
			}
		})
	}
	if st := s.state(t); st.humans != 1 || st.answers != granted {
		t.Errorf("in the end %+v", st)
	}
}

// text is the whole answer as one text.
func text(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	for k, v := range w.Header() {
		b.WriteString(k + ": " + strings.Join(v, ", ") + "\n")
	}
	return b.String() + w.Body.String()
}

// Whoever means it is heard, in every form the body may have, and twice.
func TestUnsubscribing(t *testing.T) {
	for _, c := range []struct{ name, kind, body string }{
		{"one-click, urlencoded", form, "List-Unsubscribe=One-Click"},
		{"one-click, multipart", "multipart/form-data; boundary=x", multipartBody},
		{"the page's button", form, "confirm=yes"},
		{"one-click, urlencoded with a charset", form + "; charset=UTF-8", "List-Unsubscribe=One-Click"},
		{"one-click, as text", "text/plain", "List-Unsubscribe=One-Click\r\n"},
		{"one-click, of no type", "", "List-Unsubscribe=One-Click"},
		{"one-click, of a wrong type", "application/octet-stream", "List-Unsubscribe=One-Click"},
		{"one-click, parts of no type", "", multipartBody},
		{"one-click, parts called text", "text/plain; charset=utf-8", multipartBody},
		{"one-click, escaped", form, "List%2DUnsubscribe=One%2DClick"},
		{"one-click, in lower case", form, "list-unsubscribe=one-click"},
		{"one-click, among others", form, "a=b&List-Unsubscribe=One-Click&c=d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			var first string
			for range 2 {
				w := s.ask("POST", s.links.Unsubscribe(), c.body, map[string]string{"Content-Type": c.kind})
				if w.Code != http.StatusOK || w.Header().Get("Location") != "" || w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "You are unsubscribed") {
					t.Fatalf("status %d: %s", w.Code, text(w))
				}
				first = w.Body.String()
			}
			if st := s.state(t); st.answers != left || st.entries != 3 || st.events != 1 {
				t.Errorf("%+v", st)
			}
			sheet, err := s.Consent.Show(t.Context(), s.contact)
			if err != nil {
				t.Fatal(err)
			}
			proof := sheet.History[len(sheet.History)-1].Evidence
			if proof == nil || proof.IP != "203.0.113.9" || proof.Source == "" {
				t.Errorf("evidence %+v", proof)
			}
			wrong := s.ask("POST", "/u/"+strings.Repeat("A", 40), c.body, map[string]string{"Content-Type": c.kind})
			if wrong.Code != http.StatusOK || wrong.Body.String() != first {
				t.Error("the answer to a wrong token differs")
			}
			ask, guess := s.ask("GET", s.links.Unsubscribe(), "", nil), s.ask("GET", "/u/"+strings.Repeat("A", 40), "", nil)
			if ask.Body.String() != guess.Body.String() {
				t.Error("the page for a wrong token differs")
			}
		})
	}
}

func TestUnsubscribingWhenErased(t *testing.T) {
	s := newSite(t)
	if err := s.Contacts.Erase(t.Context(), s.contact); err != nil {
		t.Fatal(err)
	}
	w := s.ask("POST", s.links.Unsubscribe(), "List-Unsubscribe=One-Click", map[string]string{"Content-Type": form})
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "You are unsubscribed") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	for _, method := range []string{"GET", "POST"} {
		w := s.ask(method, s.links.Preferences(), "do=object", map[string]string{"Content-Type": form})
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Nothing is kept about you") {
			t.Errorf("preferences: status %d: %s", w.Code, w.Body)
		}
	}
}

// A scanner that follows every link of the letter changes no permission.
func TestCrawlersChangeNothing(t *testing.T) {
	s := newSite(t)
	before := s.state(t)
	agents := []string{"curl/8.5.0", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Slackbot-LinkExpanding 1.0", "", "python-requests/2.32"}
	paths := []string{s.links.Unsubscribe(), s.links.Preferences(), s.links.View(), s.links.Click(0), s.links.Click(1)}
	for i := range 1000 {
		method := []string{"GET", "HEAD"}[i%2]
		w := s.ask(method, paths[i%len(paths)], "", map[string]string{"User-Agent": agents[i%len(agents)]})
		if w.Code >= 400 {
			t.Fatalf("%s %s: %d", method, paths[i%len(paths)], w.Code)
		}
	}
	after := s.state(t)
	if after.answers != before.answers || after.entries != before.entries || after.humans != 0 || after.events > 10 {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestDatabaseAway(t *testing.T) {
	s := newSite(t)
	// What was asked for once is remembered.
	if w := s.ask("GET", s.links.Click(0), "", nil); w.Code != http.StatusFound {
		t.Fatalf("status %d", w.Code)
	}
	if err := s.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if w := s.ask("GET", s.links.Open(), "", nil); w.Code != http.StatusOK || w.Body.Len() != 43 {
		t.Errorf("pixel: status %d, %d octets", w.Code, w.Body.Len())
	}
	if w := s.ask("GET", s.links.Click(1), "", nil); w.Code != http.StatusFound || w.Header().Get("Location") != targets[1] {
		t.Errorf("a known link: status %d", w.Code)
	}
	if w := s.ask("GET", s.links.Unsubscribe(), "", nil); w.Code != http.StatusOK {
		t.Errorf("the page that asks: status %d", w.Code)
	}
	for _, c := range []struct{ method, path, body string }{
		{"POST", s.links.Unsubscribe(), "List-Unsubscribe=One-Click"},
		{"POST", s.links.Unsubscribe(), "confirm=yes"},
		{"POST", s.links.Preferences(), "do=object"},
		{"GET", s.links.Preferences(), ""},
	} {
		w := s.ask(c.method, c.path, c.body, map[string]string{"Content-Type": form})
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "unsubscribed") {
			t.Errorf("%s %s: status %d: %s", c.method, c.path, w.Code, w.Body)
		}
	}
}

func TestUnknownLinkWhileAway(t *testing.T) {
	s := newSite(t)
	s.away = errAway
	for _, path := range []string{s.links.Click(0), s.links.View()} {
		if w := s.ask("GET", path, "", nil); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	s.away = nil
	if w := s.ask("GET", s.links.Click(0), "", nil); w.Code != http.StatusFound {
		t.Errorf("after it came back: status %d", w.Code)
	}
}

// Guesses get one answer, whatever they are.
func TestGuessesLookAlike(t *testing.T) {
	s := newSite(t)
	good := strings.TrimPrefix(s.links.Click(0), "/c/")
	good = strings.TrimSuffix(good, "/0")
	want := s.ask("GET", "/c/"+strings.Repeat("A", len(good))+"/0", "", nil)
	for i := range good {
		for _, guess := range []string{good[:i], good[:i] + "A" + good[i:], good[:i] + "_" + good[i+1:]} {
			if guess == good || guess == "" {
				continue
			}
			w := s.ask("GET", "/c/"+guess+"/0", "", nil)
			if w.Code != http.StatusNotFound || w.Body.String() != want.Body.String() {
				t.Fatalf("%s: status %d", guess, w.Code)
			}
		}
	}
	if st := s.state(t); st.events != 0 {
		t.Errorf("guesses made %d events", st.events)
	}
}

func TestAnonymousHitsNameNobody(t *testing.T) {
	s := newSite(t)
	links := responses.NewLinker(s.tokens, "").For(responses.Subject{Run: run, Contact: s.contact, Driver: "mailer", Topic: "news"}, true)
	for range 5 {
		s.ask("GET", links.Click(0), "", nil)
	}
	s.ask("GET", links.Click(0), "", map[string]string{"User-Agent": "Mozilla/5.0 (another browser)"})
	sum, err := s.Store.ResponseSummary(t.Context(), run)
	if err != nil || sum.Clicked.Human != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
	if st := s.state(t); st.events != 0 {
		t.Errorf("%d events name the person", st.events)
	}
}
