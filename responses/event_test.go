package responses

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestVisitorsCannotBeFollowed: the keys of what names nobody tell visitors of
// one address apart, and share nothing between addresses, times and kinds.
func TestVisitorsCannotBeFollowed(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	hit := Event{Kind: Clicked, Run: 3, Link: 1, At: at, Visitor: 77}
	again := hit
	if hit.Key() != again.Key() {
		t.Fatal("one hit has two keys")
	}
	other := hit
	other.Visitor = 78
	keys := []string{hit.Key(), other.Key()}
	for _, change := range []func(*Event){
		func(e *Event) { e.Run++ }, func(e *Event) { e.Link++ }, func(e *Event) { e.Kind = Opened }, func(e *Event) { e.At = e.At.Add(Window) },
	} {
		e := hit
		change(&e)
		keys = append(keys, e.Key())
	}
	var last []string
	for _, k := range keys {
		last = append(last, k[strings.LastIndexByte(k, '.'):])
	}
	slices.Sort(last)
	if len(slices.Compact(last)) != len(keys) {
		t.Errorf("keys that end alike: %q", keys)
	}
}
