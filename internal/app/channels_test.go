package app

import "testing"

// TestAbreast: how many messages of a channel are on their way at once comes
// from the setting, or else from the open channel, or else from its driver.
func TestAbreast(t *testing.T) {
	h := build(t,
		"channels:",
		"  - {name: letters, driver: email, from: news@example.com, servers: [{url: 'smtp://127.0.0.1:1?tls=none', connections: 4}, {url: 'smtp://127.0.0.1:2?tls=none', connections: 2}]}",
		"  - {name: paced, driver: email, rate: 50/s, from: news@example.com, servers: [{url: 'smtp://127.0.0.1:1?tls=none', connections: 4}]}",
		"  - {name: half, driver: email, from: news@example.com, servers: [{url: 'smtp://127.0.0.1:1?tls=none', connections: 4, rate: 5/s}, {url: 'smtp://127.0.0.1:2?tls=none', connections: 2}]}",
		"  - {name: told, driver: email, concurrency: 5, from: news@example.com, servers: [{url: 'smtp://127.0.0.1:1?tls=none', connections: 4}]}",
		"  - {name: hook, driver: webhook, url: 'https://hooks.example.com/x', secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}",
	)
	lanes, closeAll, err := h.lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hook, err := h.Drivers.Driver("webhook")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"letters": 18, "paced": 4, "half": 10, "told": 5, "hook": hook.Traits.Concurrency} {
		if got := lanes[name].Concurrency; got != want {
			t.Errorf("%s: %d at once, want %d", name, got, want)
		}
	}
	if err := closeAll(); err != nil {
		t.Error(err)
	}
}
