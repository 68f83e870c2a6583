package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// everyLine is how often progress is told where nobody looks at a bar.
const everyLine = 5 * time.Second

// meter shows how far long work is: a bar on a terminal, otherwise a line every
// few seconds. It is safe for concurrent use.
type meter struct {
	c    *cli
	what string
	mu   sync.Mutex
	bar  *progressbar.ProgressBar // nil: lines
	last time.Time
}

// meter begins to show progress of what on stderr, or nothing with --quiet.
func (c *cli) meter(what string) *meter {
	m := &meter{c: c, what: what, last: c.now()}
	if !c.quiet && terminal(c.stderr) {
		m.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(c.stderr), progressbar.OptionSetDescription(what),
			progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowElapsedTimeOnFinish())
	}
	return m
}

// set says that done of total is done (total 0: nobody knows how much there
// is), with a few words about it.
func (m *meter) set(done, total int64, words string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.c.quiet:
	case m.bar != nil:
		m.bar.Describe(m.what + ": " + words)
		if total > 0 && m.bar.GetMax64() != total {
			m.bar.ChangeMax64(total)
		}
		_ = m.bar.Set64(min(done, max(total, 1))) // a bar that cannot be drawn changes nothing
	case m.c.now().Sub(m.last) >= everyLine:
		m.last = m.c.now()
		percent := ""
		if total > 0 {
			percent = fmt.Sprintf(" (%d%%)", 100*done/total)
		}
		_, _ = fmt.Fprintf(m.c.stderr, "%s: %s%s\n", m.what, words, percent)
	}
}

// end takes the bar away.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		_ = m.bar.Clear() // as above
	}
}
