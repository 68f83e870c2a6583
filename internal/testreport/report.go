package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is a line of go test -json (go doc test2json), and of the build
// before it.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

// report counts tests, shows a line for each package and the output of what
// failed, and remembers why something was skipped.
type report struct {
	out     io.Writer
	output  map[string][]string // what a test or package has said so far
	broken  map[string]bool     // packages with a failed test already shown
	skips   map[string]int      // reason → tests
	passed  int
	failed  int
	skipped int
	lacking int // skipped for want of something
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string][]string{}, broken: map[string]bool{}, skips: map[string]int{}}
}

func (r *report) printf(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format, args...) }

// read takes the lines as they come; what is not an event is shown as it is.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				r.printf("%s", line)
			} else {
				r.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		r.printf("%s", e.Output)
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.pack(e, r.output[key])
		} else {
			r.test(e, r.output[key])
		}
		delete(r.output, key)
	}
}

func (r *report) test(e event, output []string) {
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		r.broken[e.Package] = true
		r.show(output)
	case "skip":
		r.skipped++
		why := reason(output)
		r.skips[why]++
		if !strings.HasPrefix(why, "does not apply") {
			r.lacking++
		}
	}
}

func (r *report) pack(e event, output []string) {
	switch e.Action {
	case "pass":
		r.printf("ok   %s  %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		// A crash or a time-out ends a test without a word: its output is what
		// is left. A failed build has no test at all.
		cut := false
		for _, key := range slices.Sorted(maps.Keys(r.output)) {
			if strings.HasPrefix(key, e.Package+" ") && key != e.Package+" " {
				r.show(r.output[key])
				delete(r.output, key)
				cut = true
			}
		}
		if cut || !r.broken[e.Package] {
			r.failed++
			r.show(output)
		}
		r.printf("FAIL %s  %.1fs\n", e.Package, e.Elapsed)
	case "skip": // a package without tests
	}
}

// show prints what was said, without what go test says about its progress.
func (r *report) show(output []string) {
	for _, line := range output {
		if !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "FAIL\t") && line != "FAIL\n" {
			r.printf("%s", line)
		}
	}
}

// said is the place that go test puts before what a test said.
var said = regexp.MustCompile(`^\s*[\w./-]+\.go:\d+: `)

// reason is the last thing a skipped test said.
func reason(output []string) string {
	why := ""
	for _, line := range output {
		if said.MatchString(line) {
			why = strings.TrimSpace(said.ReplaceAllString(line, ""))
		}
	}
	if why == "" {
		return "no reason given"
	}
	return why
}

// close writes the last lines: what was not run and why, then the sum.
func (r *report) close(env func(string) string, find func(string) (string, error)) {
	var notes []string
	for _, why := range slices.Sorted(maps.Keys(r.skips)) {
		notes = append(notes, fmt.Sprintf("%d × %s", r.skips[why], why))
	}
	if env("RAPPORT_TEST_REDIS") == "" {
		notes = append(notes, "RAPPORT_TEST_REDIS is not set: the queue was the one inside the process")
	}
	if env("RAPPORT_TEST_POSTGRES") == "" {
		notes = append(notes, "RAPPORT_TEST_POSTGRES is not set: the database was SQLite")
	}
	if _, err := find("chromium"); err != nil {
		notes = append(notes, "chromium is not installed: no page was looked at in a browser")
	}
	if len(notes) > 0 {
		r.printf("\nNot run:\n  %s\n\n", strings.Join(notes, "\n  "))
	}
	r.printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}
