package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport"
	"rapport/internal/throttle"
	"rapport/responses"
	"rapport/web/public"
	"rapport/web/report"
)

type drop struct{}

func (drop) Record(context.Context, responses.Event) error { return nil }

// options makes a site without a database: its pages are examined in
// web/public.
func options(t *testing.T, log io.Writer, checks ...Check) Options {
	t.Helper()
	tokens, err := responses.NewTokens([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	l := slog.New(slog.NewTextHandler(log, nil))
	pages, err := public.New(public.Options{
		Tokens: tokens, Sink: drop{}, Now: time.Now, Log: l,
		Links: func(context.Context, int64) ([]string, error) { panic("secret-in-a-panic") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Name: "Rapport", Version: "1.2.3", HTTPS: true, Pages: pages, Checks: checks,
		Registry: prometheus.NewRegistry(), Random: rand.Reader, Now: time.Now, Log: l,
	}
}

func site(t *testing.T, o Options) http.Handler {
	t.Helper()
	h, err := Site(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = "203.0.113.9:999"
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func browser(r *http.Request) { r.Header.Set("Accept", "text/html,*/*;q=0.8") }

func TestEveryAnswerIsGuarded(t *testing.T) {
	h := site(t, options(t, io.Discard))
	for _, path := range []string{"/", "/healthz", "/readyz", "/nowhere", "/u/x", "/c/x/1", "/o/x.gif", public.StylePath} {
		w := ask(h, "GET", path, browser)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age", "X-Request-Id": "",
		} {
			if got := w.Header().Get(name); got == "" || !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s allows something unsafe", path)
		}
		if strings.Contains(w.Body.String(), " style=") || strings.Contains(w.Body.String(), "<style") || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s has something inline", path)
		}
	}
}

func TestSideDoorsAreNotOnTheFront(t *testing.T) {
	h := site(t, options(t, io.Discard))
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/profile", "/report.json", "/debug/vars", "/.git/config", "/u/../metrics"} {
		if w := ask(h, "GET", path); w.Code == http.StatusOK {
			t.Errorf("%s answers", path)
		}
	}
}

func TestHealth(t *testing.T) {
	state := errors.New("password=hunter2")
	asked := 0
	now := time.Now()
	o := options(t, io.Discard, Check{"database", func(context.Context) error { asked++; return state }}, Check{"queue", func(context.Context) error { return nil }})
	o.Now = func() time.Time { return now }
	h := site(t, o)
	expect := func(path string, status int, words string) {
		t.Helper()
		w := ask(h, "GET", path)
		if w.Code != status || !strings.Contains(w.Body.String(), words) || strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "database") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	expect("/healthz", 200, "ok")
	expect("/readyz", 503, "not ready")
	expect("/", 503, "does not answer")
	state = nil
	expect("/readyz", 503, "not ready") // kept for a second
	if asked != 1 {
		t.Errorf("asked %d times within a second", asked)
	}
	now = now.Add(checkKept)
	expect("/readyz", 200, "ready")
	expect("/", 200, "1.2.3")
}

func TestAnswersToErrors(t *testing.T) {
	d, err := newDoor(slog.New(slog.DiscardHandler), rand.Reader, public.StylePath)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err    error
		status int
		detail string
	}{
		{rapport.Invalidf("name", "%q is not a name", "<script>"), 422, "is not a name"},
		{fmt.Errorf("read: %w", rapport.NotFoundf("there is no run 7")), 404, "there is no run 7"},
		{rapport.Conflictf("it has started"), 409, "it has started"},
		{&rapport.Error{Kind: rapport.Denied, Msg: "not yours"}, 403, "not yours"},
		{rapport.Unavailablef(errors.New("dial secret-host"), "the database does not answer"), 503, "does not answer"},
		{errors.New("secret in a text"), 500, "something went wrong"},
		{fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 5}), 413, "too large"},
	} {
		h := d.numbered(d.Wrap(func(http.ResponseWriter, *http.Request) error { return c.err }))
		w := ask(h, "GET", "/")
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
		if w.Code != c.status || p.Status != c.status || !strings.Contains(p.Detail, c.detail) || p.ID == "" || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%v: %d %+v", c.err, w.Code, p)
		}
		page := ask(h, "GET", "/", browser)
		if page.Code != c.status || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") || strings.Contains(page.Body.String(), "<script>") {
			t.Errorf("%v as a page: %d %s", c.err, page.Code, page.Body)
		}
		if strings.Contains(w.Body.String()+page.Body.String(), "secret") {
			t.Errorf("%v: a secret is shown", c.err)
		}
		if (c.status == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After %q", c.err, w.Header().Get("Retry-After"))
		}
	}
}

func TestPanics(t *testing.T) {
	var log bytes.Buffer
	o := options(t, &log)
	h := site(t, o)
	d, err := newDoor(o.Log, rand.Reader, "")
	if err != nil {
		t.Fatal(err)
	}
	boom := d.numbered(d.caught(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(errors.New("secret-in-a-panic")) })))
	w := ask(boom, "GET", "/", browser)
	id := w.Header().Get("X-Request-Id")
	if w.Code != 500 || !strings.Contains(w.Body.String(), id) || !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "web_test.go") {
		t.Errorf("%d %s, log %s", w.Code, w.Body, &log)
	}
	if strings.Contains(log.String()+w.Body.String(), "secret-in-a-panic") {
		t.Error("what was thrown is told")
	}
	half := d.caught(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("half")); panic("late") }))
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // the very value
				t.Errorf("half an answer ended with %v", v)
			}
		}()
		ask(half, "GET", "/")
	}()
	if w := ask(h, "GET", "/healthz"); w.Code != 200 {
		t.Errorf("after a panic: %d", w.Code)
	}
}

func TestLimiter(t *testing.T) {
	now := time.Now()
	l := throttle.New[netip.Prefix](func() time.Time { return now }, pageRate())
	allow := func(remote string) bool {
		from, ok := throttle.Network(remote + ":5")
		return !ok || l.Allow(from)
	}
	a, b, six := "203.0.113.9", "203.0.114.9", "[2001:db8::1]"
	for range burst {
		if !allow(a) {
			t.Fatal("refused within the burst")
		}
	}
	if allow(a) || allow("203.0.113.200") {
		t.Error("the network is not limited as one")
	}
	if !allow(b) || !allow(six) {
		t.Error("another network pays for it")
	}
	now = now.Add(time.Second)
	n := 0
	for allow(a) {
		n++
	}
	if n != perSecond {
		t.Errorf("%d requests after a second", n)
	}
	for i := range 3 * maxNetworks {
		allow(netip.AddrFrom4([4]byte{9, byte(i >> 8), byte(i), 1}).String())
		if l.Kept() > maxNetworks {
			t.Fatalf("%d networks are kept", l.Kept())
		}
	}
}

// Unsubscribing and the pixel are never refused, and neither are those whose
// proxy does not tell them apart.
func TestWhatIsLimited(t *testing.T) {
	o := options(t, io.Discard)
	now := time.Now()
	o.Now = func() time.Time { return now }
	h := site(t, o)
	from := func(remote, forwarded string) func(*http.Request) {
		return func(r *http.Request) {
			r.RemoteAddr = remote
			if forwarded != "" {
				r.Header.Set("X-Forwarded-For", forwarded)
			}
		}
	}
	stranger := from("198.51.100.7:5", "")
	for range burst {
		ask(h, "GET", "/c/guess/0", stranger)
	}
	for _, c := range []struct {
		method, path string
		who          func(*http.Request)
		status       int
	}{
		{"GET", "/c/guess/0", stranger, 429},
		{"GET", "/u/guess", stranger, 429},
		{"GET", "/c/guess/0", from("198.51.100.7:5", "192.0.2.1"), 429}, // a stranger is not believed
		{"POST", "/u/guess", stranger, 400},                             // says nothing, and is not counted
		{"GET", "/o/guess.gif", stranger, 200},
		{"GET", "/healthz", stranger, 200},
		{"GET", "/c/guess/0", from("127.0.0.1:5", "198.51.100.7"), 429},
		{"GET", "/c/guess/0", from("10.0.0.2:5", "192.0.2.1, 198.51.100.7, 10.1.1.1"), 429},
		{"GET", "/c/guess/0", from("127.0.0.1:5", "198.51.100.7, 192.0.2.1"), 404},
		{"GET", "/c/guess/0", from("10.0.0.2:5", ""), 404},
		{"GET", "/c/guess/0", from("[::1]:5", "nonsense"), 404},
	} {
		if w := ask(h, c.method, c.path, c.who); w.Code != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.status)
		}
	}
}

func TestAdmin(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := options(t, io.Discard)
	o.Registry = reg
	h := site(t, o)
	for _, path := range []string{"/healthz", "/u/secret-token", "/u/another", "/nowhere/else"} {
		ask(h, "GET", path)
	}
	if err := ObserveResponses(reg, func() responses.Stats { return responses.Stats{Recorded: 3, Waiting: 4} }); err != nil {
		t.Fatal(err)
	}
	rep, err := report.New(report.Options{Name: "Rapport", Log: o.Log, Data: func(context.Context) (report.Data, error) { return report.Data{At: time.Now()}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := Admin(AdminOptions{
		Report: rep, Gather: reg, Random: rand.Reader, Now: time.Now, Log: o.Log,
		Checks: []Check{{"database", func(context.Context) error { return rapport.Unavailablef(nil, "away") }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/", 200, "Rapport report"},
		{"/report.json", 200, `"runs":[]`},
		{"/report.css", 200, ":root"},
		{"/readyz", 503, `"database":"unavailable: away"`},
		{"/healthz", 200, "ok"},
		{"/metrics", 200, `rapport_http_requests_total{route="GET /u/{token}",status="200"} 2`},
		{"/metrics", 200, `rapport_responses_total{result="recorded"} 3`},
		{"/metrics", 200, `rapport_responses_waiting 4`},
		{"/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
		{"/debug/pprof/cmdline", 404, ""},
		{"/nowhere", 404, ""},
	} {
		w := ask(admin, "GET", c.path)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d, %q is missing in %.300s", c.path, w.Code, c.want, w.Body)
		}
		if strings.Contains(w.Body.String(), "secret-token") {
			t.Errorf("%s shows a token", c.path)
		}
	}
	if w := ask(admin, "POST", "/"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST to the report: %d", w.Code)
	}
}

func TestServer(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-release
		_, _ = w.Write([]byte("done"))
	})
	quiet := slog.New(slog.DiscardHandler)
	s, err := Listen(t.Context(), "127.0.0.1:0", h, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), s.Addr(), h, quiet); rapport.KindOf(err) != rapport.Unavailable {
		t.Errorf("a taken address: %v", err)
	}
	s.Start(func(err error) { t.Errorf("failed: %v", err) })
	answer := make(chan string, 1)
	go func() {
		r, err := http.Get("http://" + s.Addr())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		answer <- string(b)
	}()
	<-inside
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(t.Context()) }()
	for { // new connections are refused while the old request goes on
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			break
		}
		c.Close()
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	never, err := Listen(t.Context(), "127.0.0.1:0", h, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := never.Stop(t.Context()); err != nil {
		t.Errorf("a server that never started: %v", err)
	}
}
