//go:build !failpoints

package failpoint

import "time"

// At marks a moment of the walk; in this build it does nothing.
func At(string) {}

// For marks the passage of one; in this build it does nothing.
func For(string, string) {}

// Clock returns the clock it is given.
func Clock(now func() time.Time) func() time.Time { return now }
