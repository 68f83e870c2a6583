package storetest

import (
	"slices"
	"testing"
	"time"

	"rapport"
	"rapport/consent"
)

func examinePreferences(t *testing.T, h *House) {
	ctx := t.Context()
	who := h.somebody(t, "a@example.com")
	until := time.Now().UTC().Add(30 * 24 * time.Hour).Truncate(time.Microsecond)
	if err := h.Consent.PutTopics(ctx, []consent.Topic{{Name: "bills", Kind: consent.Transactional}}); err != nil {
		t.Fatal(err)
	}
	set := func(p consent.Preference) {
		t.Helper()
		if err := h.Consent.SetPreference(ctx, who, p); err != nil {
			t.Fatal(err)
		}
	}
	want := func(list ...consent.Preference) {
		t.Helper()
		got, err := h.Consent.Preferences(ctx, who)
		if err != nil || !slices.Equal(got, list) {
			t.Errorf("preferences %+v, %v; want %+v", got, err, list)
		}
	}
	want()
	set(consent.Preference{PausedUntil: until})
	set(consent.Preference{Driver: mailer, Topic: "news", Every: 7 * 24 * time.Hour})
	want(consent.Preference{PausedUntil: until}, consent.Preference{Driver: mailer, Topic: "news", Every: 7 * 24 * time.Hour})
	set(consent.Preference{PausedUntil: until.Add(time.Hour), Every: time.Hour})
	set(consent.Preference{Driver: mailer, Topic: "news"})
	want(consent.Preference{PausedUntil: until.Add(time.Hour), Every: time.Hour})
	set(consent.Preference{PausedUntil: time.Now().Add(-time.Hour)})
	want()
	for kind, p := range map[rapport.Kind][]consent.Preference{
		rapport.Invalid:  {{Every: -time.Second}, {Every: consent.RarestEvery + 1}, {PausedUntil: until.Add(consent.LongestPause)}, {Topic: "bills", Every: time.Hour}},
		rapport.NotFound: {{Topic: "nows", Every: time.Hour}, {Driver: "carrier", Every: time.Hour}},
	} {
		for _, p := range p {
			wantKind(t, h.Consent.SetPreference(ctx, who, p), kind)
		}
	}
	wantKind(t, h.Consent.SetPreference(ctx, who+1000, consent.Preference{Every: time.Hour}), rapport.NotFound)
	set(consent.Preference{Every: time.Hour})
	if err := h.Contacts.Erase(ctx, who); err != nil {
		t.Fatal(err)
	}
	want()
}
