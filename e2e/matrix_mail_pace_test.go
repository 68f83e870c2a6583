package e2e

import (
	"testing"
	"time"
)

// TestMatrixMailPace: a rate is never exceeded in any span, whatever starts,
// stops and dies meanwhile; the receiver's record is the measure (T38).
func TestMatrixMailPace(t *testing.T) {
	t.Parallel()
	for engine, s := range engines() {
		t.Run("T38_rate/"+engine, func(t *testing.T) {
			t.Parallel()
			const rate = 50
			s.people, s.channel = 240*scale(t), "    rate: 50/s\n"
			r := newRig(t, s)
			r.stock("paced-offers")
			r.must("campaigns", "start", "paced-offers")
			processes := 1
			if r.database == "" {
				p := r.serve()
				r.taken(60)
				p.stop()
				p = r.serve()
				r.taken(120)
				p.kill()
				r.serve()
			} else {
				processes = 2
				one, two := r.start("one", "work"), r.start("two", "work")
				r.taken(60)
				one.stop()
				r.start("one", "work")
				r.taken(120)
				two.kill()
				r.start("two", "work")
			}
			r.finishes("paced-offers")
			doubt := doubts(1, r.connections)
			r.judge("paced-offers", r.people.willing(), r.mail.Journal().Entries(), bounds{uncertain: doubt})
			for _, span := range []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second} {
				most := int(span*rate/time.Second) + processes*r.connections
				if n := r.mail.Journal().Peak(span); n > most {
					t.Errorf("%d messages in %v, at most %d may be", n, span, most)
				}
			}
		})
	}
}
