package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// quoted finds what a page names in backticks.
var quoted = regexp.MustCompile("`([^`\n]+)`")

// aPath is a word in backticks that means a file or folder of this tree.
var aPath = regexp.MustCompile(`^[A-Za-z.][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*/?$`)

// TestPathsExist: whatever CONTRIBUTING.md names is there.
func TestPathsExist(t *testing.T) {
	found := 0
	for _, m := range quoted.FindAllStringSubmatch(page(t, "CONTRIBUTING.md"), -1) {
		word := m[1]
		if !aPath.MatchString(word) || !strings.Contains(word, "/") && filepath.Ext(word) == "" {
			continue
		}
		found++
		if _, err := os.Stat(filepath.Join(root, word)); err != nil {
			t.Errorf("CONTRIBUTING.md names %s, which does not exist", word)
		}
	}
	if found < 10 {
		t.Errorf("only %d paths found; does the page still name them in backticks?", found)
	}
}

// TestChangelogNamesMigrations: whoever upgrades learns of every change of
// the database.
func TestChangelogNamesMigrations(t *testing.T) {
	log := page(t, "CHANGELOG.md")
	files, err := filepath.Glob(filepath.Join(root, "store/migrations/*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	for _, f := range files {
		// A file for each engine is one migration.
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		if !strings.Contains(log, name) {
			t.Errorf("CHANGELOG.md does not name the migration %s", name)
		}
	}
}

// code is what Markdown shows as it is.
var code = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")

// aLink is a link of Markdown to another file.
var aLink = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinksLead: links between the pages lead somewhere.
func TestLinksLead(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, files...)
	}
	for _, p := range pages {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range aLink.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(p), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", p, m[1])
			}
		}
	}
}

// TestADRNumbers: decisions are numbered without gaps and listed in order.
func TestADRNumbers(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs/adr/[0-9]*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d decisions, %v", len(files), err)
	}
	for i, f := range files {
		if want := fmt.Sprintf("%04d", i+1); !strings.HasPrefix(filepath.Base(f), want+"-") {
			t.Errorf("%s should be number %s", f, want)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"## Context", "## Choice", "## Price", "## When to think again"} {
			if !strings.Contains(string(text), part+"\n") {
				t.Errorf("%s has no part %q", f, part)
			}
		}
	}
}
