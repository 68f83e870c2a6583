package templates_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rapport/channels"
	"rapport/channels/all"
	"rapport/templates"
)

// guideBlocks returns what stands in the code blocks of a kind of
// docs/templates.md, which promises that its examples are true.
func guideBlocks(t *testing.T, kind string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "templates.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)```"+kind+"\n(.*?)```").FindAllSubmatch(page, -1) {
		out = append(out, string(m[1]))
	}
	if len(out) == 0 {
		t.Fatalf("the page has no block of kind %s", kind)
	}
	return out
}

// guideView is the person of the page, with numbers as the house reads them.
func guideView(t *testing.T) templates.View {
	t.Helper()
	var view templates.View
	dec := json.NewDecoder(bytes.NewReader([]byte(guideBlocks(t, "json")[0])))
	dec.UseNumber()
	if err := dec.Decode(&struct{ Contact, Data *map[string]any }{&view.Contact, &view.Data}); err != nil {
		t.Fatal(err)
	}
	whole(t, view.Contact)
	whole(t, view.Data)
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	view.Locale, view.Zone, view.Campaign, view.Now = "en-GB", zone, "spring", time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	return view
}

// whole turns the numbers of a JSON value, all of which are whole, into int64.
func whole(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	case map[string]any:
		for k, one := range v {
			v[k] = whole(t, one)
		}
	case []any:
		for i, one := range v {
			v[i] = whole(t, one)
		}
	}
	return v
}

// place is where the examples of a kind of block stand.
type place struct{ driver, part string }

func places() map[string]place {
	return map[string]place{
		"liquid": {"email", "text"}, "html": {"email", "html"}, "mrkdwn": {"slack", "text"}, "payload": {"webhook", "payload"},
	}
}

func guideDriver(t *testing.T, name string) channels.Driver {
	t.Helper()
	registry, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		t.Fatal(err)
	}
	d, err := registry.Driver(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// guideContent is a template of which one part is the example.
func guideContent(d channels.Driver, part, source string) templates.Content {
	parts := map[string]string{}
	for _, p := range d.Parts {
		if p.Required {
			parts[p.Name] = "Hello"
		}
	}
	parts[part] = source
	return templates.Content{Locale: "en", Sources: map[string]map[string]string{"en": parts}}
}

// TestGuideTellsTheTruth renders every example of docs/templates.md.
func TestGuideTellsTheTruth(t *testing.T) {
	view := guideView(t)
	spaces := regexp.MustCompile(`\s+`)
	examples := 0
	for kind, at := range places() {
		d := guideDriver(t, at.driver)
		for line := range strings.Lines(strings.Join(guideBlocks(t, kind), "")) {
			source, want, found := strings.Cut(strings.TrimSpace(line), " → ")
			if !found {
				t.Errorf("no result behind %s", line)
				continue
			}
			examples++
			source, want = strings.TrimSpace(source), strings.TrimSpace(want)
			letter, err := templates.Compile(templates.Revision{Content: guideContent(d, at.part, source)}, d)
			if err != nil {
				t.Errorf("%s: %v", source, err)
				continue
			}
			out, err := letter.Render(t.Context(), view)
			if err != nil {
				t.Errorf("%s: %v", source, err)
				continue
			}
			if got := spaces.ReplaceAllString(strings.TrimSpace(out.Content[at.part]), " "); got != want {
				t.Errorf("%s\ngives   %s\nthe page says %s", source, got, want)
			}
		}
	}
	if examples < 18 {
		t.Errorf("only %d examples found", examples)
	}
}

// TestGuideShowsTheSentences compares the mistakes that docs/templates.md
// shows with what a person sees.
func TestGuideShowsTheSentences(t *testing.T) {
	d := guideDriver(t, "email")
	for mistake := range strings.SplitSeq(strings.TrimSpace(guideBlocks(t, "problems")[0]), "\n\n") {
		source, want, _ := strings.Cut(mistake, "\n->\n")
		found := templates.Lint(guideContent(d, "html", source), d, templates.Schema{})
		if len(found) == 0 || found[0].Msg != want {
			t.Errorf("%s\nsays\n%v\nand the page says\n%s", source, found, want)
		}
	}
}
