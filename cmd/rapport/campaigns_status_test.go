package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"rapport/outbox"
)

// TestStatusNamesSlowedDomains: programs are told what people are told, of the
// channel of a run that goes on.
func TestStatusNamesSlowedDomains(t *testing.T) {
	all := []outbox.Slow{
		{Channel: "news", Domain: "large.example", Every: 5 * time.Second, Reason: outbox.RateLimited},
		{Channel: "other", Domain: "small.example", Every: time.Second},
	}
	for state, want := range map[outbox.RunState]int{outbox.Running: 1, outbox.Paused: 1, outbox.Finished: 0} {
		a := outbox.Account{Campaign: "autumn", Channel: "news", State: state}
		text, err := json.Marshal(status{Account: a, Slow: slowedFor(a, all)})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Campaign string           `json:"campaign"`
			Slow     []map[string]any `json:"slow_domains"`
		}
		if err := json.Unmarshal(text, &got); err != nil || got.Campaign != "autumn" || got.Slow == nil || len(got.Slow) != want {
			t.Fatalf("%s: %v %s", state, err, text)
		}
		if want > 0 && (got.Slow[0]["domain"] != "large.example" || got.Slow[0]["per_minute"] != 12.0) {
			t.Errorf("%s: %s", state, text)
		}
		var b bytes.Buffer
		printSlow(&b, slowedFor(a, all))
		if said := b.Len() > 0; said != (want > 0) {
			t.Errorf("%s: %s", state, &b)
		}
	}
}
