package store

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/conditions"
	"rapport/rights"
)

// TestEventsAgree: whatever happened to whom and whatever the clock says, both
// readings count the same events.
func TestEventsAgree(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		furnish(t, s)
		matched := 0
		rapid.Check(t, func(r *rapid.T) {
			now := time.UnixMicro(rapid.Int64Range(1e15, 3e15).Draw(r, "now"))
			if chance(r, 5) {
				now = pick(r, someNows)
			}
			people := make([]soul, rapid.IntRange(1, 6).Draw(r, "people"))
			for i := range people {
				people[i].person = conditions.Person{ID: fmt.Sprintf("u%d", i+1), CreatedAt: now}
				for range rapid.IntRange(0, 8).Draw(r, "events") {
					people[i].events = append(people[i].events, told{pick(r, conditionSchema().Events), randomTime(r, now)})
				}
			}
			if err := settle(r.Context(), s, people); err != nil {
				r.Fatal(err)
			}
			g := grammar{r, now}
			for range 3 {
				c, err := conditions.Check(fmt.Sprintf("%s %s %d || %s + 1 %s %s * 2", g.events(), g.op(), rapid.IntRange(0, 4).Draw(r, "n"), g.events(), g.op(), g.events()), conditionSchema())
				if err != nil {
					r.Fatal(err)
				}
				matched += agree(r, s, c, people, now)
			}
		})
		if matched == 0 {
			t.Error("nobody ever matched: these people prove nothing")
		}
	})
}

// story makes two people with n events each, one a day back from the start of
// the clock; the second one is restricted.
func (s *Store) story(t *testing.T, n int) {
	t.Helper()
	s.do(t, `INSERT INTO event_names (id, name, created_at) VALUES (1, 'order.placed', 1)`,
		`INSERT INTO contacts (id, uid, attributes, created_at, updated_at) VALUES (1, 'u1', {{json '"x"'}}, 1, 1), (2, 'u2', {{json '"x"'}}, 1, 1)`,
		`UPDATE contacts SET restricted_at = 1 WHERE id = 2`)
	for who := 1; who <= 2; who++ {
		s.do(t, s.serie(n, fmt.Sprintf(`INSERT INTO events (key, contact_id, name_id, at, recorded_at, digest)
		 SELECT '%d-' || CAST(i AS TEXT), %d, 1, %d - i * 86400000000, 1, i`, who, who, micros(start))))
	}
}

func TestRetentionOfEvents(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.story(t, 1300)
		before := start.AddDate(0, 0, -100)
		due, err := s.Old(t.Context(), rights.Events, before)
		if err != nil || due != 1200 {
			t.Fatalf("%d are old, %v", due, err)
		}
		if n := s.retain(t, rights.Events, before); n != due {
			t.Errorf("%d went and %d were due", n, due)
		}
		if n := s.retain(t, rights.Events, before); n != 0 {
			t.Errorf("%d went once more", n)
		}
		for who, want := range map[int64]int64{1: 100, 2: 1300} {
			n, _, err := one(t.Context(), s.reader(), `SELECT COUNT(*) FROM events WHERE contact_id = $1`, scalar[int64], who)
			if err != nil || n != want {
				t.Errorf("contact %d has %d events, %v", who, n, err)
			}
		}
	})
}

// TestAnEventIsASign: whoever something happened to is not idle.
func TestAnEventIsASign(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.story(t, 3)
		s.do(t, `UPDATE contacts SET restricted_at = NULL`, `DELETE FROM events WHERE contact_id = 1`)
		idle, err := s.IdleContacts(t.Context(), start.AddDate(0, 0, -10), 0, 10)
		if err != nil || len(idle) != 1 || idle[0] != 1 {
			t.Errorf("idle are %v, %v", idle, err)
		}
	})
}
