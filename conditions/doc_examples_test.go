package conditions_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/conditions"
)

// guide is docs/conditions.md, which promises that its examples are true.
func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "conditions.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns what stands in the page's code blocks of that kind.
func blocks(t *testing.T, page, kind string) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile("(?s)```"+kind+"\n(.*?)```").FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		t.Fatalf("the page has no block of kind %s", kind)
	}
	return out
}

func guideSchema() conditions.Schema {
	return conditions.Schema{
		Attributes: map[string]conditions.Type{
			"first_name": "text", "city": "text", "country": "text", "tier": "text", "points": "number", "spent": "number",
			"visits": "number", "vip": "bool", "birthday": "date", "voucher_until": "date", "last_order": "time", "preferences": "json",
		},
		Addresses: []string{"email", "phone", "slack"},
		Drivers:   []string{"email", "slack"},
		Topics:    []string{"newsletter", "offers"},
		Campaigns: []string{"spring", "autumn"},
		Events:    []string{"order.placed", "order.returned"},
	}
}

// guidePerson reads the person whom the examples are about from the page.
func guidePerson(t *testing.T, page string) *conditions.Person {
	t.Helper()
	source := []byte(blocks(t, page, "json")[0])
	var known struct {
		ExternalID string               `json:"external_id"`
		Email      string               `json:"email"`
		Locale     string               `json:"locale"`
		TimeZone   string               `json:"time_zone"`
		Consents   []string             `json:"consents"`
		Received   map[string]time.Time `json:"received"`
		Opened     map[string]time.Time `json:"opened"`
		Clicked    map[string]time.Time `json:"clicked"`

		Events map[string][]time.Time `json:"events"`
	}
	values := map[string]any{}
	for _, into := range []any{&known, &values} {
		if err := json.Unmarshal(source, into); err != nil {
			t.Fatal(err)
		}
	}
	attributes := map[string]any{}
	for name, kind := range guideSchema().Attributes {
		attributes[name] = values[name]
		if kind != "time" {
			continue
		}
		at, err := time.Parse(time.RFC3339, values[name].(string))
		if err != nil {
			t.Fatal(err)
		}
		attributes[name] = at
	}
	history := past{consents: map[string]bool{}, last: map[string]time.Time{}, events: known.Events}
	for _, c := range known.Consents {
		history.consents[c] = true
	}
	for kind, list := range map[string]map[string]time.Time{"received": known.Received, "opened": known.Opened, "clicked": known.Clicked} {
		for campaign, at := range list {
			history.last[kind+":"+campaign] = at
		}
	}
	return &conditions.Person{
		ID: "u1", ExternalID: known.ExternalID, Locale: known.Locale, TimeZone: known.TimeZone, Zone: zone(t, known.TimeZone),
		Attributes: attributes, Addresses: map[string]string{"email": known.Email}, History: history,
	}
}

// TestGuideTellsTheTruth evaluates every example of docs/conditions.md.
func TestGuideTellsTheTruth(t *testing.T) {
	page := guide(t)
	person := guidePerson(t, page)
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	examples := 0
	for _, block := range blocks(t, page, "cel") {
		for line := range strings.Lines(block) {
			source, answer, found := strings.Cut(strings.TrimSpace(line), "//")
			answer = strings.TrimSpace(answer)
			if !found || !slices.Contains([]string{"yes", "no"}, answer) {
				t.Errorf("no answer behind %s", line)
				continue
			}
			examples++
			c, err := conditions.Check(line, guideSchema())
			if err != nil {
				t.Errorf("%s: %v", source, err)
				continue
			}
			got, err := c.Eval(t.Context(), person, at)
			if err != nil || got != (answer == "yes") {
				t.Errorf("%s: %v, %v; the page says %s", source, got, err, answer)
			}
		}
	}
	if examples < 25 {
		t.Errorf("only %d examples found", examples)
	}
}

// TestGuideShowsTheSentences compares the mistakes that docs/conditions.md
// shows with what a person sees.
func TestGuideShowsTheSentences(t *testing.T) {
	for _, block := range blocks(t, guide(t), "text") {
		for mistake := range strings.SplitSeq(strings.TrimSpace(block), "\n\n") {
			source, want, _ := strings.Cut(mistake, "\n->\n")
			if _, err := conditions.Check(source, guideSchema()); errorText(err) != want {
				t.Errorf("%s\nsays\n%s\nand the page says\n%s", source, errorText(err), want)
			}
		}
	}
}
