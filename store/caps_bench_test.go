package store

import (
	"fmt"
	"testing"
	"time"

	"rapport/outbox"
)

// BenchmarkCapOfAFrequentReader is what the gate pays for one message under a
// cap to somebody who has had 10,000, all of them long ago or all of them within
// the time of the cap.
func BenchmarkCapOfAFrequentReader(b *testing.B) {
	const many = 10_000
	s, err := Open(b.Context(), Options{Data: b.TempDir(), Now: func() time.Time { return start }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	s.people(b, "marketing", 1)
	now := start.Add(300 * 24 * time.Hour)
	for _, q := range []string{
		`INSERT INTO runs (id, uid, name, channel, driver, kind, topic_id, class, revision_id, state, scheduled_for, started_at)
SELECT value + 100, 'many-' || value, name, channel, driver, kind, topic_id, class, revision_id, 'finished', scheduled_for + value, started_at FROM runs, generate_series WHERE runs.id = 1`,
		`INSERT INTO deliveries (run_id, batch_id, contact_id, address, state, updated_at)
SELECT value + 100, batch_id, contact_id, address, 'sent', 1 FROM deliveries, generate_series WHERE run_id = 1`,
	} {
		series := fmt.Sprintf("WITH RECURSIVE generate_series (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM generate_series WHERE value < %d) ", many)
		s.do(b, series+q)
	}
	contact := int64(1)
	for name, sent := range map[string]time.Time{"long ago": start, "just now": now.Add(-time.Hour)} {
		b.Run(name, func(b *testing.B) {
			s.do(b, fmt.Sprintf("UPDATE deliveries SET updated_at = %d WHERE run_id > 100", micros(sent)))
			for b.Loop() {
				g := &limiting{caps: &outbox.Limits{Caps: []outbox.Cap{{Most: 3, In: 7 * 24 * time.Hour}}}, letters: map[int64]letter{1: {contact: contact}}}
				if err := s.update(b.Context(), durable, func(t tx) error { return g.gather(b.Context(), t, now) }); err != nil {
					b.Fatal(err)
				}
				if n := len(g.past[contact]); name == "just now" && n < many {
					b.Fatalf("%d were found", n)
				}
			}
		})
	}
}
