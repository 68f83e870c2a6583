package rights_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"rapport/rights"
)

func TestAge(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		age    rights.Age
		text   string
		before time.Time
	}{
		{rights.Age{}, "off", now},
		{rights.Age{Days: 30}, "30 days", now.AddDate(0, 0, -30)},
		{rights.Age{Months: 13}, "13 months", now.AddDate(0, -13, 0)},
		{rights.Age{Months: 12}, "1 year", now.AddDate(-1, 0, 0)},
		{rights.Age{Months: 1, Days: 1}, "1 month and 1 day", now.AddDate(0, -1, -1)},
	} {
		if got := c.age.String(); got != c.text {
			t.Errorf("%+v is %q", c.age, got)
		}
		if got := c.age.Before(now); !got.Equal(c.before) {
			t.Errorf("%+v before %s", c.age, got)
		}
	}
}

func TestCertificateIsEscapedAndInBothLanguages(t *testing.T) {
	c := rights.Certificate{Controller: "<script>Shop</script>", Number: 7, Actor: "cli:anna", Removed: []rights.Count{{Where: "addresses", What: "addresses", N: 2}}, Hashes: []rights.Hash{{Kind: "email", Hash: "abc"}}, Copies: 1}
	for locale, title := range map[string]string{"en": "Certificate of erasure", "de-AT": "Löschbescheinigung", "fr": "Certificate of erasure"} {
		var out bytes.Buffer
		if err := c.WriteHTML(&out, locale); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if !strings.Contains(text, title) || strings.Contains(text, "<script>") || strings.Contains(text, "no value") {
			t.Errorf("%s: %s", locale, text)
		}
		if strings.Contains(text, "http://") || strings.Contains(text, "https://") {
			t.Errorf("%s: the page leads elsewhere", locale)
		}
	}
}
