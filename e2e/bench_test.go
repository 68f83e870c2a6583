package e2e

import (
	"encoding/json"
	"slices"
	"testing"

	"rapport/internal/bench"
)

// TestBench: the benchmark of the command line runs, counts at the receiver
// and fills every row.
func TestBench(t *testing.T) {
	t.Parallel()
	res := once(t, patience, t.TempDir(), nil, binary(t, ""), "bench", "--contacts", "500", "--json")
	if res.code != 0 {
		t.Fatalf("exit %d\n%s", res.code, res.stderr)
	}
	var r bench.Report
	if err := json.Unmarshal([]byte(res.stdout), &r); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, row := range r.Rows {
		names = append(names, row.Name)
		if row.Times < 1 || row.Took <= 0 {
			t.Errorf("%s says nothing: %+v", row.Name, row)
		}
	}
	want := []string{"Import", "Count", "Single", "Send", "RoundTrips", "Plan", "Start", "StartToFirst", "SingleBusy"}
	if !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
}
