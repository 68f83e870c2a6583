package storetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport"
	"rapport/responses"
	"rapport/store"
)

// Responses examines what responses asks of a store. open opens a fresh one.
func Responses(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, examine := range map[string]func(*testing.T, *House){
		"once":      examineOnce,
		"summary":   examineSummary,
		"burst":     examineBurst,
		"timeline":  examineTimeline,
		"no run":    examineNoRun,
		"many hits": examineManyHits,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewHouse(t, open(t))) })
	}
}

func hitTime() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }

func (h *House) respond(t testing.TB, events ...responses.Event) int {
	t.Helper()
	n, err := h.Store.AddResponses(t.Context(), events, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (h *House) summary(t testing.TB, run int64) responses.Summary {
	t.Helper()
	s, err := h.Store.ResponseSummary(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func examineOnce(t *testing.T, h *House) {
	click := responses.Event{Kind: responses.Clicked, Run: 1, Contact: 7, Link: 2, Agent: "browser", At: hitTime()}
	if n := h.respond(t, click, click); n != 1 {
		t.Errorf("the same click twice in one go added %d rows", n)
	}
	later := click
	later.At = hitTime().Add(time.Minute)
	if n := h.respond(t, later); n != 0 {
		t.Errorf("again within the window added %d rows", n)
	}
	machine, other, later := click, click, click
	machine.Machine = true
	other.Link = 3
	later.At = hitTime().Add(responses.Window)
	if n := h.respond(t, machine, other, later); n != 3 {
		t.Errorf("a machine's, another link's and a later one added %d rows, want 3", n)
	}
	gone := responses.Event{Kind: responses.Unsubscribed, Run: 1, Contact: 7, At: hitTime()}
	again := gone
	again.At = hitTime().Add(48 * time.Hour)
	if n := h.respond(t, gone, again); n != 1 {
		t.Errorf("unsubscribing twice added %d rows", n)
	}
	bounce := responses.Event{Kind: responses.Bounced, Run: 1, Contact: 7, At: hitTime(), Dedupe: "report-17", Detail: "550 5.1.1"}
	if n := h.respond(t, bounce) + h.respond(t, bounce); n != 1 {
		t.Errorf("a report twice added %d rows", n)
	}
}

func examineSummary(t *testing.T, h *House) {
	hit := func(kind responses.Kind, contact int64, link int, machine bool) responses.Event {
		return responses.Event{Kind: kind, Run: 1, Contact: contact, Link: link, Machine: machine, At: hitTime()}
	}
	anonymous := hit(responses.Opened, 0, 0, false)
	anonymous.Visitor = 5
	another := anonymous
	another.Visitor = 6
	elsewhere := hit(responses.Opened, 9, 0, false)
	elsewhere.Run = 2
	h.respond(
		t, hit(responses.Opened, 1, 0, false), hit(responses.Opened, 1, 0, true), hit(responses.Opened, 2, 0, true),
		anonymous, another, elsewhere,
		hit(responses.Clicked, 1, 0, false), hit(responses.Clicked, 1, 4, false), hit(responses.Clicked, 2, 4, true), hit(responses.Clicked, 3, 4, false),
		hit(responses.Unsubscribed, 3, 0, false),
	)
	want := responses.Summary{
		Opened:  responses.People{Human: 3, Machine: 1},
		Clicked: responses.People{Human: 2, Machine: 1},
		Links: []responses.LinkCount{
			{Link: 0, People: responses.People{Human: 1}},
			{Link: 4, People: responses.People{Human: 2, Machine: 1}},
		},
		Unsubscribed: 1,
	}
	if d := cmp.Diff(want, h.summary(t, 1)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(responses.Summary{Links: []responses.LinkCount{}}, h.summary(t, 3)); d != "" {
		t.Errorf("a run nobody answered: %s", d)
	}
}

func examineBurst(t *testing.T, h *House) {
	click := func(contact int64, link int, at time.Time) responses.Event {
		return responses.Event{Kind: responses.Clicked, Run: 1, Contact: contact, Link: link, At: at, Agent: "browser"}
	}
	h.respond(t, click(1, 0, hitTime().Add(-time.Hour)), click(1, 1, hitTime()), click(1, 2, hitTime()), click(2, 1, hitTime()))
	burst := []responses.Burst{{Run: 1, Contact: 1, From: hitTime()}}
	if _, err := h.Store.AddResponses(t.Context(), nil, burst); err != nil {
		t.Fatal(err)
	}
	if got := h.summary(t, 1).Links; len(got) != 3 || got[0].Human != 1 || got[1].People != (responses.People{Human: 1, Machine: 1}) || got[2].People != (responses.People{Machine: 1}) {
		t.Errorf("after the burst: %+v", got)
	}
	// The person's own click in the same window is not lost to the scanner's.
	if n := h.respond(t, click(1, 1, hitTime().Add(time.Minute))); n != 1 {
		t.Errorf("the person's own click added %d rows", n)
	}
	if _, err := h.Store.AddResponses(t.Context(), nil, burst[:0]); err != nil {
		t.Fatal(err)
	}
}

func examineTimeline(t *testing.T, h *House) {
	person := h.somebody(t, "anna@example.com")
	h.respond(
		t,
		responses.Event{Kind: responses.Opened, Run: 1, Contact: person, At: hitTime(), Agent: "gmail_proxy"},
		responses.Event{Kind: responses.Clicked, Run: 1, Contact: person, Link: 3, At: hitTime().Add(time.Minute), Agent: `quote " and ü`},
	)
	got, err := h.Store.ResponsesOf(t.Context(), person, 10)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got[0].Kind != responses.Clicked || got[0].Link != 3 || got[0].Agent != `quote " and ü` || !got[1].At.Equal(hitTime()) {
		t.Errorf("timeline %+v", got)
	}
	if err := h.Contacts.Erase(t.Context(), person); err != nil {
		t.Fatal(err)
	}
	got, err = h.Store.ResponsesOf(t.Context(), person, 10)
	if err != nil || len(got) != 2 || got[0].Agent != "" {
		t.Errorf("after erasure the numbers stay and the rest goes: %+v, %v", got, err)
	}
}

func examineNoRun(t *testing.T, h *House) {
	_, err := h.Store.RunLinks(t.Context(), 404)
	wantKind(t, err, rapport.NotFound)
}

func examineManyHits(t *testing.T, h *House) {
	for round := range 3 {
		var events []responses.Event
		for i := range 1000 {
			events = append(events, responses.Event{Kind: responses.Opened, Run: 1, Contact: int64(i%250) + 1, At: hitTime().Add(time.Duration(round) * time.Second), Agent: strconv.Itoa(i)})
		}
		want := 250
		if round > 0 {
			want = 0
		}
		if n := h.respond(t, events...); n != want {
			t.Errorf("round %d added %d rows, want %d", round, n, want)
		}
	}
}
