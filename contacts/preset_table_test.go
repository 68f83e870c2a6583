package contacts

import (
	"slices"
	"strings"
	"testing"

	"rapport/consent"
)

func TestEveryRowOfAPresetSaysSomething(t *testing.T) {
	rows, err := presetColumns()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if r.source == "" || r.header == "" {
			t.Errorf("%+v names no source or header", r)
		}
		if key := r.tool + " " + fold(r.header); seen[key] {
			t.Errorf("%s is there twice", key)
		} else {
			seen[key] = true
		}
		word, rest, _ := strings.Cut(r.is, " ")
		event, field, isEvent := strings.Cut(word, ".")
		switch {
		case isEvent:
			if !slices.Contains(Events(), event) || !slices.Contains(eventFields(), field) {
				t.Errorf("%+v is no event", r)
			}
		case word == "status":
			for from, to := range r.words {
				if to != "-" && !slices.Contains(Events(), to) {
					t.Errorf("%s: %q means %q, which is no event", r.header, from, to)
				}
			}
		case word == "attribute":
			if err := CheckAttributeName(rest); err != nil {
				t.Error(err)
			}
		case !slices.Contains([]string{"ignore", "object", columnExternal, columnLocale, columnZone, "email", "phone"}, word):
			t.Errorf("%+v is nothing", r)
		}
	}
}

// The words of consent, of which this room knows only how they are written.
func TestWordsAreThoseOfConsent(t *testing.T) {
	if !slices.Equal(Bases(), consent.Bases()) {
		t.Error(Bases(), consent.Bases())
	}
	for _, name := range Events() {
		e := Event(name)
		if reason := e.suppresses(); reason != "" && !slices.Contains(consent.Reasons(), reason) {
			t.Errorf("%s suppresses as %q", e, reason)
		}
		if e.answers() && !consent.State(e).Valid() {
			t.Errorf("%s is no state", e)
		}
	}
}
