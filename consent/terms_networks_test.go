package consent_test

import (
	"testing"

	"rapport"
	"rapport/consent"
)

func TestTermsShortenTheNetworkOfEveryEntry(t *testing.T) {
	for how, want := range map[rapport.Networks]string{"": "198.51.100.77", rapport.FullNetworks: "198.51.100.77", rapport.ShortNetworks: "198.51.100.0", rapport.NoNetworks: ""} {
		if got := (consent.Terms{Networks: how}).Apply(consent.Entry{IP: "198.51.100.77"}).IP; got != want {
			t.Errorf("with %q evidence keeps %q, want %q", how, got, want)
		}
	}
}
