//go:build failpoints

package failpoint

import (
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// lookEvery is how old a process's knowledge of the offset may be.
const lookEvery = 5 * time.Millisecond

// Clock is ahead of now by the offset, a duration like 2h or -30m, that stands
// in the file RAPPORT_CLOCK names; the file may change at any moment and serve
// many processes. Without the variable it is now. A file that is missing or
// cannot be read as a duration leaves the offset as it was. Only what asks this
// clock moves with it: timers and deadlines of connections do not.
func Clock(now func() time.Time) func() time.Time {
	name := os.Getenv("RAPPORT_CLOCK")
	if name == "" {
		return now
	}
	var offset, looked atomic.Int64
	begin := time.Now()
	looked.Store(-int64(lookEvery))
	return func() time.Time {
		since := int64(time.Since(begin))
		if last := looked.Load(); since-last >= int64(lookEvery) && looked.CompareAndSwap(last, since) {
			if text, err := os.ReadFile(name); err == nil {
				if d, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
					offset.Store(int64(d))
				}
			}
		}
		return now().Add(time.Duration(offset.Load()))
	}
}
