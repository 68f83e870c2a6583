package library

import (
	"slices"
	"strings"
	"testing"

	"rapport/templates"
)

// TestLetters renders every letter of the house in both languages: it can be
// sent, says where to press, holds no picture and follows nobody.
func TestLetters(t *testing.T) {
	names, err := Letters()
	if err != nil || len(names) != 5 {
		t.Fatalf("%v, %v", names, err)
	}
	reg := registry(t)
	for _, name := range names {
		src, err := Letter(name, reg)
		if err != nil {
			t.Fatal(err)
		}
		driver, err := reg.Driver(src.Template.Driver)
		if err != nil {
			t.Fatal(err)
		}
		if errs := templates.Lint(src.Content, driver, templates.Schema{Strict: true}).Errors(); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
		letter, err := templates.Compile(templates.Revision{Content: src.Content}, driver)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range src.Content.Samples {
			view := sample.View(now)
			view.Links = links{}
			out, err := letter.Render(t.Context(), view)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			html := out.Content["html"]
			if out.Locale != sample.Locale || strings.Contains(html, "<img") || strings.Contains(html, "/c/") {
				t.Errorf("%s in %s, wanted %s: %s", name, out.Locale, sample.Locale, html)
			}
			if asks := strings.HasPrefix(name, "confirm-"); asks != strings.Contains(html, `href="https://news.example.com/r/token"`) {
				t.Errorf("%s: the link is not where it should be: %s", name, html)
			}
			if text := out.Content["text"]; strings.HasPrefix(name, "confirm-") && !strings.Contains(text, "https://news.example.com/r/token") {
				t.Errorf("%s: the text has no link: %s", name, text)
			}
		}
	}
	if _, err := Letter("no-such", reg); err == nil || !slices.Contains(names, "confirm-subscription") {
		t.Errorf("an unknown letter: %v", err)
	}
}
