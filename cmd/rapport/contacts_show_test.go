package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"rapport/channels"
	"rapport/channels/all"
	"rapport/config"
	"rapport/consent"
	"rapport/internal/app"
)

// TestShowTellsBreaksAndRhythms: whoever is asked why a person gets less sees
// what the person asked for, and nothing of it where nobody asked.
func TestShowTellsBreaksAndRhythms(t *testing.T) {
	t.Chdir(t.TempDir())
	do := func(line string) string {
		t.Helper()
		var out, bad bytes.Buffer
		if code := run(t.Context(), split(t, line), []string{"RAPPORT_DATA=data", "TZ=UTC"}, nil, &out, &bad); code != 0 {
			t.Fatalf("%s: exit code %d: %s", line, code, &bad)
		}
		return out.String()
	}
	do("topics put newsletter --kind marketing")
	do("contacts put --external-id 1 --address email:anna@example.com")
	if said := do("contacts show 1"); strings.Contains(said, "BREAK UNTIL") {
		t.Errorf("nobody asked for anything:\n%s", said)
	}
	drivers, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load("", []string{"RAPPORT_DATA=data"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := app.Open(t.Context(), app.Options{Config: c, Drivers: drivers, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	anna, err := h.Contacts.Get(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(30 * 24 * time.Hour).UTC().Truncate(time.Second)
	for _, p := range []consent.Preference{
		{Driver: "email", Topic: "newsletter", Every: 7 * 24 * time.Hour}, {PausedUntil: until}, {Driver: "email", Every: 36 * time.Hour},
	} {
		if err := h.Consent.SetPreference(t.Context(), anna.ID, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(strings.Fields(do("contacts show 1")), " ")
	for _, want := range []string{
		"DRIVER TOPIC BREAK UNTIL AT MOST ONE IN", "email newsletter - 7 days", "email all - 36 hours", "all all " + until.Local().Format("2006-01-02 15:04"),
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in: %s", want, said)
		}
	}
	var told struct{ Preferences []wish }
	if err := json.Unmarshal([]byte(do("contacts show 1 --json")), &told); err != nil || len(told.Preferences) != 3 {
		t.Errorf("%+v, %v", told, err)
	}
}
