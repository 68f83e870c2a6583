package rights

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"rapport/consent"
	"rapport/events"
)

// TestPageOfAPerson: a rhythm is told in days, a list without a line says so,
// and the one responsible stands at the top.
func TestPageOfAPerson(t *testing.T) {
	for _, c := range []struct{ locale, rhythm, nothing, kept, once string }{
		{"en", "<td>14 days</td>", `<td colspan="5">Nothing.</td>`, "Messages to you: 13 months", "Reports of imported files: 1 month and 3 days"},
		{"de-AT", "<td>14 Tagen</td>", `<td colspan="5">Nichts.</td>`, "Nachrichten an Sie: 13 Monate", "Berichte über eingelesene Dateien: 1 Monat und 3 Tage"},
	} {
		var page bytes.Buffer
		err := writePage(&page, person{
			Locale: c.locale, MadeAt: time.Unix(0, 0), Controller: "Example Shop Ltd, 1 High Street",
			Keep:        []Kept{{Rule: Deliveries, Keep: "13 months"}, {Rule: Imports, Keep: "1 month and 3 days"}},
			Preferences: []consent.Preference{{Driver: "mail", Topic: "news", Every: 14 * 24 * time.Hour}},
		}, lists{
			deliveries: func(row func(Delivery) error) error { return row(Delivery{Campaign: "spring"}) },
			responses:  func(func(Response) error) error { return nil },
			events:     func(func(events.Event) error) error { return nil },
			skips:      func(row func(Skip) error) error { return row(Skip{Campaign: "summer", Reason: "no_consent"}) },
			looks:      func(row func(Look) error) error { return row(Look{By: "cli:berta", What: "contacts.show"}) },
		})
		if err != nil {
			t.Fatal(err)
		}
		text := page.String()
		if !strings.Contains(text, c.kept) || !strings.Contains(text, c.once+"<") {
			t.Errorf("%s: it does not say how long what is kept: %s", c.locale, text)
		}
		if !strings.Contains(text, "<td>summer · </td><td></td><td>no_consent</td>") || !strings.Contains(text, "<td>cli:berta</td><td>contacts.show </td>") {
			t.Errorf("%s: it does not say what was left out and who looked: %s", c.locale, text)
		}
		if !strings.Contains(text, c.rhythm) || strings.Count(text, c.nothing) != 2 || !strings.Contains(text, "Example Shop Ltd, 1 High Street") {
			t.Errorf("%s: %s", c.locale, text)
		}
	}
}

// TestWishesAsData: a rhythm is a number with its unit, and no count of
// nanoseconds.
func TestWishesAsData(t *testing.T) {
	data, err := json.Marshal(wishes([]consent.Preference{{Driver: "mail", Topic: "news", Every: 14 * 24 * time.Hour}}))
	if want := `[{"driver":"mail","topic":"news","at_most_one_in_hours":336}]`; err != nil || string(data) != want {
		t.Errorf("%s %v, want %s", data, err, want)
	}
}
