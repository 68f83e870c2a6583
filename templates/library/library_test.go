package library

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rapport/channels"
	"rapport/channels/all"
	"rapport/templates"
)

var update = flag.Bool("update", false, "write the golden files anew")

type links struct{}

func (links) Click(n int) string  { return fmt.Sprintf("https://r.example/c/%d", n) }
func (links) Open() string        { return "https://r.example/o" }
func (links) Unsubscribe() string { return "https://r.example/u" }
func (links) Preferences() string { return "https://r.example/p" }
func (links) View() string        { return "https://r.example/v" }

var now = time.Date(2026, 12, 24, 8, 0, 0, 0, time.UTC)

func registry(t *testing.T) *channels.Registry {
	t.Helper()
	r, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// people are those whom templates meet: with umlauts, emoji, a very long
// name, mark-up in a field, and with nothing known.
func people() []map[string]any {
	return []map[string]any{
		{"first_name": "Jürgen", "last_name": "Größmann-Özdemir", "city": "Köln", "tier": "silver", "points": int64(3240), "points_expiring": int64(400), "points_expire_on": "2027-01-31", "next_tier_at": int64(5000), "external_id": "c-1"},
		{"first_name": "Zoë 🌻", "last_name": "O'Neil & <b>Sons</b>", "city": "Reykjavík", "tier": "gold", "points": int64(61200), "next_tier_at": int64(5000), "external_id": "c-2"},
		{"first_name": "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaftschaferswessenschafe", "external_id": "c-3"},
		{},
	}
}

// TestGolden renders every template for everybody in both languages.
func TestGolden(t *testing.T) {
	names, err := Names()
	if err != nil || len(names) != 10 {
		t.Fatalf("library holds %v, %v", names, err)
	}
	reg := registry(t)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			src, err := Load(name, reg)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", name+".golden"), renderAll(t, src, reg))
		})
	}
}

func renderAll(t *testing.T, src templates.Source, reg *channels.Registry) []byte {
	t.Helper()
	driver, err := reg.Driver(src.Template.Driver)
	if err != nil {
		t.Fatal(err)
	}
	letter, err := templates.Compile(templates.Revision{Content: src.Content}, driver)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, locale := range []string{"en", "de"} {
		for i, contact := range people() {
			view := templates.View{Locale: locale, Now: now, Contact: contact, Campaign: "golden", Links: links{}, Track: true}
			if i < 3 {
				view.Data = src.Content.Samples[0].Data
			}
			got, err := letter.Render(t.Context(), view)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range driver.Parts {
				text, ok := got.Content[part.Name]
				if !ok {
					continue
				}
				checkPart(t, part, text)
				if part.Syntax == channels.HTML && i != 1 {
					continue // one of them shows the mark-up; the words are in the text
				}
				fmt.Fprintf(&out, "-- %s %d %s --\n%s\n", locale, i, part.Name, text)
			}
		}
	}
	return out.Bytes()
}

// checkPart looks for what no letter may have.
func checkPart(t *testing.T, part channels.Part, text string) {
	t.Helper()
	for _, bad := range []string{"{{", "{%", "<b>Sons", " ,", "Hello ,", "Tag ,", "undefined", "<nil>"} {
		if strings.Contains(text, bad) && part.Syntax != channels.JSON {
			t.Errorf("%s has %q in it:\n%s", part.Name, bad, text)
		}
	}
	if part.Syntax == channels.JSON && !json.Valid([]byte(text)) {
		t.Errorf("%s is not JSON: %s", part.Name, text)
	}
	if part.Syntax == channels.HTML && (strings.Contains(text, "http://") || strings.Count(text, "<img") != 1) {
		t.Errorf("%s loads something from elsewhere", part.Name)
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("%s line %d (run with -update to accept)\nwant %s\n got %s", file, i+1, a[i], b[i])
		}
	}
	t.Fatalf("%s has %d lines, now %d (run with -update to accept)", file, len(a), len(b))
}

// No template of the library has anything that the check would complain of,
// but for the personal links that it merely tells of.
func TestLibraryPassesItsOwnCheck(t *testing.T) {
	names, err := Names()
	if err != nil {
		t.Fatal(err)
	}
	reg := registry(t)
	for _, name := range names {
		src, err := Load(name, reg)
		if err != nil {
			t.Fatal(err)
		}
		driver, err := reg.Driver(src.Template.Driver)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range templates.Lint(src.Content, driver, templates.Schema{Marketing: true}) {
			if !p.Warning || !strings.Contains(p.Msg, "clicks are not counted") {
				t.Errorf("%s: %s", name, p.Error())
			}
		}
	}
}

func TestUnknownNameListsTheKnown(t *testing.T) {
	_, err := Folder("newsleter")
	if err == nil || !strings.Contains(err.Error(), "newsletter, offer") {
		t.Errorf("got %v", err)
	}
}
