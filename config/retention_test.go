package config_test

import (
	"strings"
	"testing"

	"rapport/config"
)

func TestParseAge(t *testing.T) {
	for text, want := range map[string]config.Age{
		"off": {}, "": {}, "30 days": {Days: 30}, "30d": {Days: 30}, "1 day": {Days: 1}, "2 weeks": {Days: 14}, "13 months": {Months: 13},
		"1 month": {Months: 1}, "3 years": {Months: 36}, "3y": {Months: 36}, " 13 Months ": {Months: 13},
	} {
		got, err := config.ParseAge(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
		again, err := config.ParseAge(got.String())
		if err != nil || again != got {
			t.Errorf("%q is written as %q", text, got)
		}
	}
	for _, text := range []string{"0 days", "-3 days", "months", "13", "3 m", "3 fortnights", "1.5 years", "99999999 years"} {
		if got, err := config.ParseAge(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

// What one rule takes away another one must not miss.
func TestRetentionLeavesWhatOthersRestOn(t *testing.T) {
	for text, word := range map[string]string{
		"retention: {idle_contacts: 2 years}":                                                   "retention.responses (13 months)",
		"retention: {idle_contacts: 4 years, responses: off, events: off}":                      "retention.deliveries (3 years)",
		"retention: {idle_contacts: 13 months, responses: 390 days}":                            "retention.responses (390 days)",
		"retention: {idle_contacts: 13 months}":                                                 "",
		"retention: {idle_contacts: 2 years, responses: off}":                                   "retention.events (13 months)",
		"retention: {idle_contacts: 4 years, responses: off, deliveries: 5 years, events: off}": "",
		"retention: {deliveries: 2 weeks}":                                                      "need 31 days",
		"retention: {deliveries: 2 months}\ncaps: [{most: 3, in: 90d}]":                         "need 90 days",
		"retention: {deliveries: 4 months}\ncaps: [{most: 3, in: 90d}, {most: 1, in: day}]":     "",
	} {
		_, err := load(t, text)
		if word == "" && err != nil || word != "" && (err == nil || !strings.Contains(err.Error(), word)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
