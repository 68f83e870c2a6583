package store

import (
	"fmt"
	"testing"
	"time"

	"rapport/rights"
)

// Whoever asks for their data reads also what they did not get, and why, page
// by page and nobody else's.
func TestSkipsOfAPerson(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		const runs = 5
		for run := 2; run <= runs; run++ {
			s.do(t, fmt.Sprintf(`INSERT INTO runs (id, uid, campaign_id, name, channel, driver, kind, topic_id, class, revision_id, state, scheduled_for, planned_at, started_at, finished_at)
			 VALUES (%d, 'r%d', (SELECT MIN(id) FROM campaigns), 'round %d', 'birds', 'pigeon', 'loft', 1, 'marketing', 1, 'finished', %d, %d, 1, 10)`, run, run, run, run, micros(start)))
		}
		s.do(t, `INSERT INTO not_planned (run_id, contact_id, reason) VALUES (2, 1, 'no_consent'), (2, 2, 'withdrawn'), (4, 1, 'asked_pause'), (5, 2, 'withdrawn')`)
		var got []rights.Skip
		for after := int64(0); ; {
			page, err := s.SkipsOf(t.Context(), 1, after, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[0].RunNo
		}
		want := []rights.Skip{
			{RunNo: 2, Campaign: "round 2", Channel: "birds", Topic: "news", Reason: "no_consent", At: start.Truncate(time.Microsecond)},
			{RunNo: 4, Campaign: "round 4", Channel: "birds", Topic: "news", Reason: "asked_pause", At: start.Truncate(time.Microsecond)},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}
