package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	aRow  = regexp.MustCompile(`(?m)^\| T(\d+) \|(.*)\|$`)
	aCase = regexp.MustCompile(`"(T\d+_[a-zA-Z0-9_]+)`)
	aTest = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
	aName = regexp.MustCompile("`((?:T\\d+_|Test)[a-zA-Z0-9_]+)`")
)

// TestFaultsPage: docs/faults.md has a row for each fault, names only tests
// that there are, and names every case of the matrix with its engines.
func TestFaultsPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, cases := examined(t)
	engines := map[string]string{}
	for _, list := range matrix() {
		for _, f := range list {
			engines[f.name] = strings.Join(f.engines, " ")
		}
	}
	rows, named := 0, map[string]bool{}
	for _, row := range aRow.FindAllStringSubmatch(string(text), -1) {
		rows++
		if row[1] != strconv.Itoa(rows) {
			t.Errorf("row %d is T%s", rows, row[1])
		}
		cells := strings.Split(row[2], "|")
		if len(cells) != 5 {
			t.Fatalf("T%s has %d cells", row[1], len(cells))
		}
		names, state := aName.FindAllStringSubmatch(cells[2], -1), strings.TrimSpace(cells[4])
		if len(names) == 0 && !strings.Contains(state, "not built yet") {
			t.Errorf("T%s has no test and is said to be: %s", row[1], state)
		}
		on := map[string]bool{}
		for _, m := range names {
			name := m[1]
			named[name] = true
			if strings.HasPrefix(name, "Test") != tests[name] || !strings.HasPrefix(name, "Test") != cases[name] {
				t.Errorf("T%s names %s, which is no test", row[1], name)
			}
			if number, _, is := strings.Cut(name, "_"); is && number != "T"+row[1] {
				t.Errorf("T%s names %s", row[1], name)
			}
			for e := range strings.FieldsSeq(engines[name]) {
				on[e] = true
			}
		}
		for letter, engine := range map[string]string{"S": "embedded", "P": "postgres"} {
			if on[engine] && !strings.Contains(cells[3], letter) {
				t.Errorf("T%s is tried on %s, and the page does not say so", row[1], engine)
			}
		}
	}
	if rows != 57 {
		t.Errorf("%d rows, want 57", rows)
	}
	for name := range cases {
		if !named[name] {
			t.Errorf("%s is not on the page", name)
		}
	}
}

// examined lists the tests of the tree and the cases of the matrix.
func examined(t *testing.T) (tests, cases map[string]bool) {
	t.Helper()
	tests, cases = map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range aTest.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
		if strings.HasPrefix(path, filepath.Join("..", "e2e", "matrix_")) {
			for _, m := range aCase.FindAllStringSubmatch(string(text), -1) {
				cases[m[1]] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests, cases
}
