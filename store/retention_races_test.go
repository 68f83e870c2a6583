package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rapport"
	"rapport/access"
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

// Rows and the line that says that they go, go together: what is stopped after
// any step lacks none. Where nothing goes nothing is said, and nothing twice.
func TestWhatGoesIsNotedWithIt(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		old := micros(start.AddDate(-4, 0, 0))
		s.do(t, fmt.Sprintf(`UPDATE runs SET state = 'finished', finished_at = %d`, old),
			fmt.Sprintf(`UPDATE deliveries SET state = 'sent', updated_at = %d`, old), `UPDATE batches SET queued = 0, sent = 2`,
			fmt.Sprintf(`INSERT INTO attempts (delivery_id, turn, at, verdict) VALUES (1, 1, %d, 'permanent')`, old),
			fmt.Sprintf(`INSERT INTO responses (kind, run_id, contact_id, agent, dedupe, at) VALUES ('clicked', 1, 1, 'browser', 'a', %d)`, old),
			`INSERT INTO not_planned (run_id, contact_id, reason) VALUES (1, 9, 'no_consent')`,
			`INSERT INTO event_names (id, name, created_at) VALUES (1, 'order.placed', 1)`,
			fmt.Sprintf(`INSERT INTO events (key, name_id, contact_id, at, recorded_at, digest) VALUES ('e', 1, 1, %d, %d, 1)`, old, old),
			fmt.Sprintf(`INSERT INTO imports (digest, name, report, started_at, finished_at) VALUES ('d', 'x.csv', '{"rows":3,"listed":[]}', %d, %d)`, old, old),
			fmt.Sprintf(`INSERT INTO audit (at, actor, action, object, contact_id, detail) VALUES (%d, 'a', 'contacts.show', '', 1, '{}')`, old))
		for _, rule := range rights.Rules() {
			if rule == rights.Idle {
				continue // an erasure each, with its own line
			}
			note := access.Line{At: start, Actor: "retention", Action: "retention.begin", Object: string(rule)}
			said := func() int64 {
				n, _, err := one(t.Context(), s.reader(), `SELECT COUNT(*) FROM audit WHERE action = 'retention.begin' AND object = $1`, scalar[int64], string(rule))
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			var went int64
			for at := (rights.Place{}); ; {
				p, err := s.Prune(t.Context(), rule, start.AddDate(-1, 0, 0), at, note)
				if err != nil {
					t.Fatalf("%s: %v", rule, err)
				}
				if went += p.N; went > 0 {
					note = access.Line{}
				}
				if n := said(); n != min(went, 1) {
					t.Fatalf("%s: %d rows went, and %d lines say so", rule, went, n)
				}
				if at = p.Next; p.Done {
					break
				}
			}
			if went == 0 {
				t.Errorf("nothing of %s went", rule)
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
