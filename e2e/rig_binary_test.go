package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// workshop holds the binaries of this run of the tests.
type workshop struct {
	dir string

	mu    sync.Mutex
	built map[string]error
}

var shop workshop

// wide is how many tests run at once unless -parallel says otherwise, whatever
// the number of processors: they wait more than they work.
const wide = 8

func TestMain(m *testing.M) {
	os.Exit(func() int {
		flag.Parse()
		said := false
		flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
		if !said {
			if err := flag.Set("test.parallel", strconv.Itoa(wide)); err != nil {
				_, _ = fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		dir, err := os.MkdirTemp("", "rapport-e2e-")
		if err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		shop = workshop{dir: dir, built: map[string]error{}}
		return m.Run()
	}())
}

// binary builds the program once for all tests, with a build tag if one is
// named, and returns its path. These tests drive a program, so they do not
// apply where only packages are looked at (-short).
func binary(t testing.TB, tag string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("does not apply: whole programs are not run with -short")
	}
	shop.mu.Lock()
	defer shop.mu.Unlock()
	path := filepath.Join(shop.dir, "rapport"+tag)
	err, done := shop.built[tag]
	if !done {
		out, failure := exec.CommandContext(t.Context(), "go", "build", "-tags", tag, "-o", path, "rapport/cmd/rapport").CombinedOutput()
		if failure != nil {
			err = fmt.Errorf("build the program: %w\n%s", failure, out)
		}
		shop.built[tag] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
