package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	const in = `{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"pass","Package":"a","Test":"TestOne","Elapsed":0.1}
{"Action":"output","Package":"a","Test":"TestTwo","Output":"=== RUN   TestTwo\n"}
{"Action":"output","Package":"a","Test":"TestTwo","Output":"    two_test.go:7: no server at hand\n"}
{"Action":"output","Package":"a","Test":"TestTwo","Output":"--- SKIP: TestTwo (0.00s)\n"}
{"Action":"skip","Package":"a","Test":"TestTwo","Elapsed":0}
{"Action":"output","Package":"a","Test":"TestThree","Output":"    three_test.go:7: does not apply: nothing to stall\n"}
{"Action":"skip","Package":"a","Test":"TestThree","Elapsed":0}
{"Action":"pass","Package":"a","Elapsed":0.25}
{"Action":"output","Package":"b","Test":"TestBad","Output":"    bad_test.go:3: 1, want 2\n"}
{"Action":"fail","Package":"b","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"b","Output":"FAIL\n"}
{"Action":"fail","Package":"b","Elapsed":1}
{"Action":"output","Package":"c","Test":"TestSlow","Output":"=== RUN   TestSlow\n"}
{"Action":"output","Package":"c","Test":"TestSlow","Output":"panic: test timed out\n"}
{"Action":"output","Package":"c","Output":"FAIL\tc\t2s\n"}
{"Action":"fail","Package":"c","Elapsed":2}
{"ImportPath":"d","Action":"build-output","Output":"d/d.go:1:1: expected 'package'\n"}
{"ImportPath":"d","Action":"build-fail"}
{"Action":"fail","Package":"d","Elapsed":0,"FailedBuild":"d"}
{"Action":"skip","Package":"e","Elapsed":0}
go: a line that is no event
`
	const want = `ok   a  0.2s
    bad_test.go:3: 1, want 2
FAIL b  1.0s
panic: test timed out
FAIL c  2.0s
d/d.go:1:1: expected 'package'
FAIL d  0.0s
go: a line that is no event

Not run:
  1 × does not apply: nothing to stall
  1 × no server at hand
  RAPPORT_TEST_POSTGRES is not set: the database was SQLite
  chromium is not installed: no page was looked at in a browser

1 passed, 3 failed, 2 skipped
`
	var out bytes.Buffer
	r := newReport(&out)
	if err := r.read(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	r.close(func(name string) string {
		if name == "RAPPORT_TEST_REDIS" {
			return "redis://x"
		}
		return ""
	}, func(string) (string, error) { return "", errors.New("none") })
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if r.lacking != 1 {
		t.Errorf("%d lacking, want 1", r.lacking)
	}
}
