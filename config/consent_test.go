package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rapport/config"
)

func TestSpan(t *testing.T) {
	for text, want := range map[string]config.Span{"24mo": {Months: 24}, "2y": {Months: 24}, "90d": {Days: 90}, " 1 d ": {Days: 1}} {
		got, err := config.ParseSpan(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if back, err := config.ParseSpan(got.String()); err != nil || back != got {
			t.Errorf("%q is written %q, and read back %v, %v", text, got, back, err)
		}
	}
	for _, text := range []string{"", "24", "0d", "-1d", "1m", "1w", "99999d", "mo", "1.5y"} {
		if got, err := config.ParseSpan(text); err == nil {
			t.Errorf("%q became %v", text, got)
		}
	}
}

func TestConsentSettings(t *testing.T) {
	c, err := load(t, `
topics: [{name: newsletter, kind: marketing}]
consent: {jurisdiction: DE, categories: [address, name], expires: {newsletter: 24mo}}
`)
	if err != nil || c.Consent.Expires["newsletter"] != (config.Span{Months: 24}) || len(c.Consent.Categories) != 2 {
		t.Fatalf("%+v, %v", c.Consent, err)
	}
	_, err = load(t, `
topics: [{name: newsletter, kind: marketing}]
consent: {jurisdiction: germany, expires: {newsletters: 24mo}}
`)
	if err == nil || !strings.Contains(err.Error(), "germany") || !strings.Contains(err.Error(), "newsletters") {
		t.Fatal(err)
	}
}

func load(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rapport.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, nil, registry(t))
}
