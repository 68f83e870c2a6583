package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rapport"
	"rapport/config"
)

func TestStatedGroundOfTrackingNeedsWords(t *testing.T) {
	load := func(lines ...string) (config.Config, error) {
		file := filepath.Join(t.TempDir(), "rapport.yaml")
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return config.Load(file, nil, registry(t))
	}
	c, err := load("locale: de")
	if err != nil || c.Tracking != "person" || c.TrackingBasis != "consent" || c.TrackingWithout != "aggregate" || c.Networks() != rapport.ShortNetworks {
		t.Fatalf("by default: %+v, %v", c, err)
	}
	if _, err = load("tracking_basis: legitimate_interest"); err == nil || !strings.Contains(err.Error(), "tracking_reason") {
		t.Errorf("a ground without words: %v", err)
	}
	if _, err = load("tracking_basis: legitimate_interest", "tracking_reason: weighed on 2026-11-02"); err != nil {
		t.Errorf("a ground with words: %v", err)
	}
	if _, err = load("tracking_basis: curiosity", "tracking_reason: we like to know"); err == nil {
		t.Error("a ground that does not exist")
	}
	if _, err = load(`topics: [{name: tracking, kind: transactional}]`); err == nil || !strings.Contains(err.Error(), "built in") {
		t.Errorf("the built-in topic of another kind: %v", err)
	}
	if _, err = load(`topics: [{name: tracking, kind: marketing, title: {fr: Statistiques}}]`); err != nil {
		t.Errorf("the built-in topic with another title: %v", err)
	}
}
