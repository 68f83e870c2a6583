package campaigns

import (
	"slices"
	"testing"
	"time"

	"rapport/outbox"
)

// TestEveryReasonHasASentence: the list of reasons is closed, and so is that of
// what they mean.
func TestEveryReasonHasASentence(t *testing.T) {
	names := []string{"receiver", "sending"}
	for _, g := range gates() {
		if slices.Contains(names, g.name) {
			t.Errorf("two gates are named %s", g.name)
		}
		names = append(names, g.name)
	}
	for _, r := range outbox.Reasons() {
		if says(r) == "" {
			t.Errorf("%s has no sentence", r)
		}
		if !slices.Contains(names, gateOf(r)) {
			t.Errorf("%s is at home in %q, which is no gate", r, gateOf(r))
		}
	}
	if n := len(outbox.Reasons()); len(sentences) != n {
		t.Errorf("%d sentences for %d reasons", len(sentences), n)
	}
}

// TestWhyTellsTheWindowThatHolds: what waits for a window is due when it opens;
// until then the window is what holds it, as the account says.
func TestWhyTellsTheWindowThatHolds(t *testing.T) {
	night := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	opens := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	c := &card{s: &Service{zone: time.UTC}, now: night, at: night, begun: true}
	c.run.Terms.Window = &outbox.WindowSpec{From: "09:00", To: "17:00", Zone: "UTC"}
	for _, x := range []struct {
		name   string
		placed Placed
		want   Outcome
	}{
		{"put off by the window", Placed{Delivery: 7, State: outbox.Queued, Reason: outbox.WaitQuiet, NotBefore: opens.Add(time.Minute)}, Waits},
		{"due when the window is open", Placed{Delivery: 7, State: outbox.Queued, Reason: outbox.WaitRetry, NotBefore: opens.Add(time.Hour)}, Passes},
		{"due now", Placed{Delivery: 7, State: outbox.Queued, NotBefore: night}, Waits},
	} {
		c.placed = x.placed
		g := c.windowGate()
		if g.Outcome != x.want || x.want == Waits && (g.Until == nil || g.Until.Before(opens) || g.Until.After(opens.Add(20*time.Minute))) {
			t.Errorf("%s: %+v, want %s", x.name, g, x.want)
		}
	}
}
