//go:build failpoints

package failpoint_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"rapport/internal/failpoint"
)

func TestClockFollowsItsFile(t *testing.T) {
	base := time.Date(2026, 3, 29, 0, 59, 0, 0, time.UTC)
	now := func() time.Time { return base }
	if got := failpoint.Clock(now)(); !got.Equal(base) {
		t.Errorf("without the variable: %v", got)
	}
	file := filepath.Join(t.TempDir(), "clock")
	t.Setenv("RAPPORT_CLOCK", file)
	one, two := failpoint.Clock(now), failpoint.Clock(now)
	if got := one(); !got.Equal(base) {
		t.Errorf("without the file: %v", got)
	}
	for _, c := range []struct {
		text string
		want time.Duration
	}{{"2h\n", 2 * time.Hour}, {"-30m", -30 * time.Minute}, {"nonsense", -30 * time.Minute}, {"24h", 24 * time.Hour}} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // longer than a process trusts what it has read
		for _, clock := range []func() time.Time{one, two} {
			if got := clock().Sub(base); got != c.want {
				t.Errorf("%q: ahead by %v, want %v", c.text, got, c.want)
			}
		}
	}
}
