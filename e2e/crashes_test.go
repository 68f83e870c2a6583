package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestFatalMessage: a message that brings its process down each time it is
// written is set aside after three deaths, with an alarm; everybody else gets
// theirs once, and nobody of the same chunk is punished (T3).
func TestFatalMessage(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.people, s.tag = 200, "failpoints"
			r := newRig(t, s)
			r.stock("fatal-offers")
			willing := r.people.willing()
			guilty := willing[len(willing)/2]
			r.must("campaigns", "start", "fatal-offers")
			deaths := 0
			for ; deaths < 10; deaths++ {
				p := r.start("serve", "serve", "RAPPORT_FAILPOINT=in_render "+guilty)
				if !r.dies(p, "fatal-offers") {
					break
				}
			}
			if deaths != 3 {
				t.Errorf("the process died %d times, want 3", deaths)
			}
			a := r.finished("fatal-offers")
			if a.Reasons["failed"]["crashed"] != 1 {
				t.Errorf("reasons %v", a.Reasons)
			}
			r.judge("fatal-offers", willing, r.mail.Journal().Entries(), bounds{failed: 1, uncertain: doubts(deaths, r.connections)})
			if !strings.Contains(r.outputs(), "a message is set aside: the process died each time it was written") {
				t.Error("no alarm")
			}
			r.well()
		})
	}
}

// dies waits until a process has died or the campaign is over.
func (r *rig) dies(p *process, campaign string) bool {
	r.t.Helper()
	for {
		select {
		case <-p.done:
			return true
		case <-time.After(100 * time.Millisecond):
			if r.status(campaign).State == "finished" {
				return false
			}
		}
	}
}
