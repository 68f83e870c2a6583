package config_test

import (
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
