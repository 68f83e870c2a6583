package config_test

import (
	"encoding/json"
	"testing"
	"time"

	"rapport/config"
)

func TestRate(t *testing.T) {
	for text, want := range map[string]config.Rate{
		"50/s": {N: 50, Per: time.Second}, " 600 / m ": {N: 600, Per: time.Minute},
		"1000/h": {N: 1000, Per: time.Hour}, "20000/d": {N: 20000, Per: 24 * time.Hour},
	} {
		got, err := config.ParseRate(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if again, err := config.ParseRate(got.String()); err != nil || again != got {
			t.Errorf("%q is written as %q", text, got)
		}
	}
	for _, text := range []string{"", "50", "50/", "/s", "0/s", "-1/s", "1.5/s", "50/y", "99999999999/s"} {
		if _, err := config.ParseRate(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	var r config.Rate
	if err := json.Unmarshal([]byte(`""`), &r); err != nil || !r.IsZero() || r.PerSecond() != 0 || r.String() != "" {
		t.Errorf("no limit: %v %v", r, err)
	}
	if err := json.Unmarshal([]byte(`50`), &r); err == nil {
		t.Error("a bare number is taken")
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "10": 10, "10B": 10, "64KB": 64_000, "64KiB": 65_536, "10MB": 10_000_000, "1 GiB": 1 << 30, "3GB": 3_000_000_000, "1MiB": 1 << 20,
	} {
		got, err := config.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if again, err := config.ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%q is written as %q", text, got)
		}
	}
	for _, text := range []string{"", "MB", "-1KB", "1.5MB", "10mb", "9999999999GB"} {
		if _, err := config.ParseSize(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
