package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/rights"
)

// Retention finds rows before the transaction that removes them; who is
// restricted in between keeps them.
func TestRetentionSparesWhoIsRestrictedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		s.do(t, `INSERT INTO attempts (id, delivery_id, turn, at, verdict) VALUES (1, 1, 1, 1, 'permanent'), (2, 2, 1, 1, 'permanent')`,
			`INSERT INTO responses (id, kind, run_id, contact_id, agent, dedupe, at) VALUES (1, 'clicked', 1, 1, 'browser', 'a', 1), (2, 'clicked', 1, 2, 'browser', 'b', 1)`)
		if err := s.Restrict(t.Context(), 1, rights.Marks{RestrictedAt: start, Reason: "x", Actor: "x"}, noteOf("rights.restrict", 1)); err != nil {
			t.Fatal(err)
		}
		for _, q := range []query{qDropAttempts, qDropAgents, qDropResponses} {
			err := s.update(t.Context(), bulk, func(x tx) error {
				n, err := x.exec(t.Context(), q, idsJSON([]int64{1, 2}))
				if n != 1 {
					t.Errorf("%s: %d rows", q, n)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A wish and an objection are signs of a person.
func TestWhoAsksForSomethingIsNotIdle(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 3)
		s.do(t, `UPDATE deliveries SET state = 'sent', updated_at = 1`)
		if err := s.SetPreference(t.Context(), 1, consent.Preference{Every: 7 * 24 * time.Hour}, start); err != nil {
			t.Fatal(err)
		}
		if err := s.Object(t.Context(), 2, start, noteOf("rights.object", 2)); err != nil {
			t.Fatal(err)
		}
		list, err := s.IdleContacts(t.Context(), start, 0, 10)
		if err != nil || !slices.Equal(list, []int64{3}) {
			t.Errorf("%v, %v", list, err)
		}
	})
}

// Between the list of who is idle and the erasure somebody may be heard of.
func TestWhoIsHeardOfMeanwhileIsNotErased(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 3)
		s.do(t, `UPDATE deliveries SET state = 'sent', updated_at = 1`)
		if list, err := s.IdleContacts(t.Context(), start, 0, 10); err != nil || len(list) != 3 {
			t.Fatal(list, err)
		}
		s.do(t, fmt.Sprintf(`INSERT INTO responses (kind, run_id, contact_id, dedupe, at) VALUES ('clicked', 1, 1, 'a', %d)`, micros(start)),
			`UPDATE contacts SET restricted_at = 1 WHERE id = 2`)
		e := rights.Erasure{Actor: "retention", Salt: func() ([]byte, error) { return []byte("0123456789abcdef"), nil }, IdleSince: start}
		for who, want := range map[int64]rapport.Kind{1: rapport.Conflict, 2: rapport.Conflict} {
			if _, err := s.Forget(t.Context(), who, e); rapport.KindOf(err) != want {
				t.Errorf("contact %d: %v", who, err)
			}
		}
		if _, err := s.Forget(t.Context(), 3, e); err != nil {
			t.Error(err)
		}
		if n, _, err := one(t.Context(), s.reader(), `SELECT COUNT(*) FROM contacts`, scalar[int64]); n != 2 || err != nil {
			t.Errorf("%d are left, %v", n, err)
		}
	})
}

// A run ended long ago; who clicks in its letter today is heard of today.
func TestAYoungHitIsNotFolded(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		old, young := start.AddDate(-3, 0, 0), start.Add(-2*time.Hour)
		s.do(t, fmt.Sprintf(`UPDATE runs SET state = 'finished', finished_at = %d`, micros(old)),
			fmt.Sprintf(`UPDATE deliveries SET state = 'sent', updated_at = %d`, micros(old)),
			fmt.Sprintf(`INSERT INTO responses (kind, run_id, contact_id, dedupe, at) VALUES ('clicked', 1, 1, 'a', %d), ('clicked', 1, 2, 'b', %d)`, micros(old), micros(young)))
		if n := s.retain(t, rights.Responses, start.AddDate(-1, 0, 0)); n != 1 {
			t.Errorf("%d went", n)
		}
		if list, err := s.IdleContacts(t.Context(), start.AddDate(-1, 0, 0), 0, 10); err != nil || !slices.Equal(list, []int64{1}) {
			t.Errorf("%v, %v", list, err)
		}
	})
}
