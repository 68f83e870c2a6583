package rights

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"rapport/consent"
)

// TestPageOfAPerson: a rhythm is told in days, a list without a line says so,
// and the one responsible stands at the top.
func TestPageOfAPerson(t *testing.T) {
	for _, c := range []struct{ locale, rhythm, nothing string }{
		{"en", "<td>14 days</td>", `<td colspan="5">Nothing.</td>`},
		{"de-AT", "<td>14 Tagen</td>", `<td colspan="5">Nichts.</td>`},
	} {
		var page bytes.Buffer
		err := writePage(&page, person{
			Locale: c.locale, MadeAt: time.Unix(0, 0), Controller: "Example Shop Ltd, 1 High Street",
			Preferences: []consent.Preference{{Driver: "mail", Topic: "news", Every: 14 * 24 * time.Hour}},
		}, lists{
			deliveries: func(row func(Delivery) error) error { return row(Delivery{Campaign: "spring"}) },
			responses:  func(func(Response) error) error { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		text := page.String()
		if !strings.Contains(text, c.rhythm) || strings.Count(text, c.nothing) != 1 || !strings.Contains(text, "Example Shop Ltd, 1 High Street") {
			t.Errorf("%s: %s", c.locale, text)
		}
	}
}
