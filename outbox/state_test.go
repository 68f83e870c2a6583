package outbox_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rapport/outbox"
)

// legal is the drawing of the walk, written a second time by hand: from each
// state, where one may go.
var legal = map[outbox.State]string{
	outbox.Queued:     "claimed suppressed cancelled expired sent failed",
	outbox.Claimed:    "sending queued failed suppressed cancelled expired",
	outbox.Sending:    "sent failed uncertain queued",
	outbox.Sent:       "",
	outbox.Failed:     "queued",
	outbox.Uncertain:  "sent failed queued",
	outbox.Suppressed: "",
	outbox.Cancelled:  "",
	outbox.Expired:    "",
}

func TestEveryMove(t *testing.T) {
	t.Parallel()
	for _, from := range outbox.States() {
		targets := map[string]bool{}
		for w := range strings.FieldsSeq(legal[from]) {
			targets[w] = true
		}
		for _, to := range outbox.States() {
			if got := outbox.Legal(from, to); got != targets[string(to)] {
				t.Errorf("%s → %s is legal: %v", from, to, got)
			}
		}
	}
	if outbox.Legal("nowhere", outbox.Sent) || outbox.Legal(outbox.Queued, "nowhere") {
		t.Error("an unknown state is part of the walk")
	}
}

func TestOpenStates(t *testing.T) {
	t.Parallel()
	for _, s := range outbox.States() {
		want := s == outbox.Queued || s == outbox.Claimed || s == outbox.Sending
		if s.Open() != want {
			t.Errorf("%s is open: %v", s, s.Open())
		}
	}
}

// From an open state every walk can end, and nothing leads out of what a
// person said or what was taken by the provider.
func TestEveryWalkCanEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := outbox.Queued
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			var next []outbox.State
			for _, to := range outbox.States() {
				if outbox.Legal(s, to) {
					next = append(next, to)
				}
			}
			if len(next) == 0 {
				if s.Open() {
					t.Fatalf("stuck in %s", s)
				}
				return
			}
			s = rapid.SampledFrom(next).Draw(t, "next")
		}
	})
}

func TestReasonsAreAClosedList(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		word string
		want outbox.Reason
	}{
		{"unknown_user", outbox.UnknownUser},
		{"policy", outbox.PolicyRefused},
		{"render", outbox.RenderFailed},
		{"", outbox.Refused},
		{"Unknown_User", outbox.Refused},
		{"unknown_user'; --", outbox.Refused},
	} {
		if got := outbox.ReasonOf(test.word, outbox.Refused); got != test.want {
			t.Errorf("%q becomes %s, want %s", test.word, got, test.want)
		}
	}
}
