package demo

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rapport/channels"
	"rapport/channels/all"
	"rapport/config"
	"rapport/contacts"
	"rapport/internal/app"
	"rapport/templates"
)

func registry(t *testing.T) *channels.Registry {
	t.Helper()
	drivers, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		t.Fatal(err)
	}
	return drivers
}

// house opens the house as the demo configures it.
func house(t *testing.T) *app.House {
	t.Helper()
	w, err := startWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	file := filepath.Join(dir, "rapport.yaml")
	text := configuration(filepath.Join(dir, "data"), "127.0.0.1:0", "127.0.0.1:0", "http://127.0.0.1:8080", w)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	drivers := registry(t)
	conf, err := config.Load(file, nil, drivers)
	if err != nil {
		t.Fatal(err)
	}
	h, err := app.Open(t.Context(), app.Options{Config: conf, Drivers: drivers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// The importer takes every invented row, and learns the types that the demo declares.
func TestImporterTakesThePeople(t *testing.T) {
	h := house(t)
	const n = 1200
	var file bytes.Buffer
	crowd := NewCrowd(1, time.Now())
	if err := crowd.WriteContacts(&file, n); err != nil {
		t.Fatal(err)
	}
	report, err := h.Contacts.Import(t.Context(), contacts.Source{
		Name: "people.csv", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file.Bytes())), nil },
	}, contacts.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Created != n || report.Errors != 0 || report.Duplicates != 0 || len(report.Listed)+len(report.Skipped)+len(report.Notes)+len(report.Ignored) > 0 {
		t.Errorf("the report is %+v", report)
	}
	if !maps.Equal(report.Attributes, attributes()) {
		t.Errorf("the types learned are %v, and declared %v", report.Attributes, attributes())
	}
	for _, s := range segments() {
		if _, err := h.Contacts.PutSegment(t.Context(), s.name, s.title, s.condition); err != nil {
			t.Fatal(err)
		}
		if got, err := h.Contacts.Count(t.Context(), s.name); err != nil || got == 0 || got == n {
			t.Errorf("segment %s has %d of %d people: %v", s.name, got, n, err)
		}
	}
	var stops bytes.Buffer
	if err := crowd.WriteSuppressions(&stops, n); err != nil {
		t.Fatal(err)
	}
	if r, err := h.Consent.ImportSuppressions(t.Context(), &stops); err != nil || r.Added == 0 || r.Errors > 0 {
		t.Errorf("the suppressions are %+v: %v", r, err)
	}
}

// The templates have nothing to complain about, in the strict check of a
// marketing campaign, once the people are known.
func TestLettersAreSound(t *testing.T) {
	sources, err := letters(registry(t), "http://127.0.0.1:1/shop")
	if err != nil {
		t.Fatal(err)
	}
	attributes := []string{"first_name", "last_name", "city", "country", "tier", "points", "next_tier_at", "birthday", "last_order", "orders"}
	for _, src := range sources {
		driver, err := registry(t).Driver(src.Template.Driver)
		if err != nil {
			t.Fatal(err)
		}
		schema := templates.Schema{Attributes: attributes, Addresses: []string{channels.Email.Kind, "slack", "webhook"}, Strict: true, Marketing: true}
		for _, p := range templates.Lint(src.Content, driver, schema) {
			t.Errorf("%s: %v (warning: %v)", src.Template.Name, p, p.Warning)
		}
		var locales []string
		for l := range src.Content.Sources {
			locales = append(locales, l)
		}
		if slices.Sort(locales); !slices.Equal(locales, []string{"de", "en"}) {
			t.Errorf("%s is written in %v", src.Template.Name, locales)
		}
	}
}
