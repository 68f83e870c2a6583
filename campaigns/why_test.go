package campaigns

import (
	"slices"
	"testing"

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
