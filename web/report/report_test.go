package report

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"rapport/outbox"
	"rapport/responses"
)

var start = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

// example is a report with one run under way, one finished and one held
// channel; its texts are hostile.
func example(at time.Time, ended int64) Data {
	left := int64(90)
	done := start.Add(-time.Hour)
	return Data{
		At:    at,
		Slow:  []outbox.Slow{{Channel: "newsletter", Domain: "large.example", Every: 5 * time.Second, Since: start, Detail: "421 4.7.0 <b>slower</b>"}},
		Holds: []outbox.Hold{{Channel: "newsletter", Reason: outbox.Authentication, Detail: `535 <script>alert(1)</script>`, Since: start}},
		Runs: []Run{
			{
				Account: outbox.Account{
					Campaign: "autumn-offers", Run: "run-2", State: outbox.Running, Channel: "newsletter", Planned: 12000,
					States: map[outbox.State]int64{outbox.Queued: 11900 - ended, outbox.Claimed: 80, outbox.Sending: 20, outbox.Sent: ended - 400, outbox.Failed: 90, outbox.Suppressed: 300, outbox.Uncertain: 10},
					Reasons: map[outbox.State]map[outbox.Reason]int64{
						outbox.Failed: {outbox.UnknownUser: 80, outbox.MailboxFull: 10}, outbox.Suppressed: {outbox.HardBounce: 300},
					},
					Waiting: map[outbox.Reason]int64{outbox.WaitRetry: 33, outbox.WaitQuiet: 511, outbox.Capped: 44, outbox.AskedPause: 45, outbox.AskedLess: 46},
					Shadow:  map[outbox.Reason]int64{outbox.WaitQuiet: 207}, NotPlanned: map[outbox.Reason]int64{outbox.NoConsent: 1200, outbox.NoAddress: 14},
					Rate: 812.4, Left: &left, StartedAt: start,
				},
				Title: "Autumn <b>offers</b>",
				Back: responses.Summary{
					Opened: responses.People{Human: 2100, Machine: 800}, Clicked: responses.People{Human: 412, Machine: 60}, Unsubscribed: 7,
					Links: []responses.LinkCount{{Link: 0, People: responses.People{Human: 400, Machine: 50}}, {Link: 2, People: responses.People{Human: 12, Machine: 10}}},
				},
				Targets: []string{"https://shop.example/autumn?a=1&b=2", "https://shop.example/terms", "javascript:alert(1)"},
			},
			{Account: outbox.Account{
				Campaign: "welcome", Run: "run-1", State: outbox.Finished, Channel: "team", Planned: 3,
				States: map[outbox.State]int64{outbox.Sent: 3}, StartedAt: start.Add(-2 * time.Hour), FinishedAt: &done,
			}, Tracking: &Tracked{Mode: "person", Basis: "contract", Reason: "a <i>reason</i>", Sent: 3, ByPerson: 2}},
		},
	}
}

func newReport(t *testing.T, data func(context.Context) (Data, error)) *Report {
	t.Helper()
	r, err := New(Options{Name: "Rapport", Data: data, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(r *Report, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestPage(t *testing.T) {
	r := newReport(t, func(context.Context) (Data, error) { return example(start.Add(time.Minute), 5000), nil })
	page := get(r, "/").Body.String()
	for _, want := range []string{
		"Tracked by person</dt><dd>2 <small>of 3, on the ground: a &lt;i&gt;reason&lt;/i&gt;",
		"Autumn &lt;b&gt;offers", "12,000", "hard bounce 300", "unknown user 80, mailbox full 10", "no consent", "1,200", "1m30s", "quiet</th><td class=\"num\">511<", "capped</th><td class=\"num\">44<", "asked pause</th><td class=\"num\">45<", "asked less</th><td class=\"num\">46<",
		"would have held it</caption>", "quiet</th><td class=\"num\">207<", "812.4",
		"Channel newsletter is held", "until a person", "large.example slowed down</strong> to 12/min on channel newsletter since", "because 421 4.7.0 &lt;b&gt;slower", `http-equiv="refresh" content="5"`, "2,100", "41.7 %", "https://shop.example/autumn?a=1&amp;b=2",
		`<rect class="s-sent"`, "<polyline",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, not := range []string{"<script", " style=", "<style", "onclick", `href="javascript`, "ZgotmplZ"} {
		if strings.Contains(page, not) {
			t.Errorf("%q stands in the page", not)
		}
	}
	if n := strings.Count(page, "shadow mode"); n != 1 {
		t.Errorf("shadow mode is spoken of %d times for one run", n)
	}
	if still := get(r, "/?still").Body.String(); strings.Contains(still, "http-equiv=\"refresh\"") {
		t.Error("a page that stands still refreshes")
	}
	empty := newReport(t, func(context.Context) (Data, error) { return Data{At: start}, nil })
	if page := get(empty, "/").Body.String(); !strings.Contains(page, "Nothing has been sent yet") {
		t.Error("the empty page says nothing")
	}
}

func TestJSON(t *testing.T) {
	r := newReport(t, func(context.Context) (Data, error) { return example(start.Add(time.Minute), 5000), nil })
	var got struct {
		Holds []struct {
			Channel string
			Until   *time.Time
		}
		Runs []struct {
			Campaign  string
			Planned   int64
			States    map[string]int64
			Responses responses.Summary
		}
	}
	if err := json.Unmarshal(get(r, "/report.json").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Runs) != 2 || got.Runs[0].States["suppressed"] != 300 || got.Runs[0].Responses.Clicked.Human != 412 || len(got.Holds) != 1 || got.Holds[0].Until != nil {
		t.Errorf("%+v", got)
	}
}

func TestDataAway(t *testing.T) {
	r := newReport(t, func(context.Context) (Data, error) { return Data{}, errors.New("secret host") })
	for _, path := range []string{"/", "/report.json"} {
		if w := get(r, path); w.Code != 503 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// The line goes from the start to now, and never leaves its field.
func TestPlot(t *testing.T) {
	at, ended := start, int64(400)
	r := newReport(t, func(context.Context) (Data, error) { return example(at, ended), nil })
	for range 1000 {
		at, ended = at.Add(time.Second), ended+11
		get(r, "/report.json")
	}
	line := regexp.MustCompile(`points="([^"]*)"`).FindStringSubmatch(get(r, "/").Body.String())
	if line == nil {
		t.Fatal("no line")
	}
	points := strings.Fields(line[1])
	if len(points) < 100 || len(points) > maxSamples+2 || points[0] != "0.00,160.00" || !strings.HasPrefix(points[len(points)-1], "1000.00,") {
		t.Errorf("%d points from %s to %s", len(points), points[0], points[len(points)-1])
	}
	if n := len(r.history.of("run-1")); n != 1 {
		t.Errorf("a finished run has %d samples", n)
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", -100: "-100"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
	if share(1, 3) != "33.3 %" || share(0, 0) != "–" {
		t.Error("shares")
	}
	if got := links(Run{Back: responses.Summary{Links: []responses.LinkCount{{Link: 1 << 30}, {Link: 2}}}}); len(got) != maxLinks {
		t.Errorf("%d links", len(got))
	}
}
