package store

import (
	"fmt"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/consent"
	"rapport/outbox"
)

// combination is one person as planning may find them.
type combination struct {
	outbox.Candidate
	elsewhere bool // a second address, not the primary one, that matters to nobody
}

func combinations() []combination {
	var out []combination
	suppressed := append([]string{"", "a word nobody knows", string(outbox.Timeout)}, consent.Reasons()...)
	for _, address := range []string{"", "here"} {
		for _, answer := range []string{"", "pending", "granted", "withdrawn"} {
			for _, given := range []string{"here", "there"} {
				for _, reason := range suppressed {
					for _, second := range []bool{false, true} {
						c := outbox.Candidate{Address: address, Consent: answer, ConsentAddress: given, Suppression: reason}
						out = append(out, combination{c, second})
					}
				}
			}
		}
	}
	return out
}

// TestPlanningJudgesLikeTheGate compares the SQL of planning with outbox.Skip
// over every combination of what may be known of a person.
func TestPlanningJudgesLikeTheGate(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		all := combinations()
		s.do(t,
			`INSERT INTO topics (id, name, kind, created_at) VALUES (1, 'news', 'marketing', 1), (2, 'other', 'marketing', 1)`,
			`INSERT INTO templates (id, uid, name, driver, locale, created_at, updated_at) VALUES (1, 't', 't', 'pigeon', 'en', 1, 1)`,
			`INSERT INTO revisions (id, template_id, number, content, digest, created_at) VALUES (1, 1, 1, '{}', 'x', 1)`,
			`INSERT INTO campaigns (id, uid, name, state, definition, created_at, updated_at) VALUES (1, 'c', 'spring', 'running', '{}', 1, 1)`,
		)
		for i, c := range all {
			id := i + 1
			value := func(which string) string { return fmt.Sprintf("%s-%d", which, id) }
			s.do(t, fmt.Sprintf(`INSERT INTO contacts (id, uid, attributes, created_at, updated_at) VALUES (%d, 'u%d', {{json '"x"'}}, 1, 1)`, id, id))
			if c.Address != "" {
				s.do(t, fmt.Sprintf(`INSERT INTO addresses (contact_id, kind, value, display, hash) VALUES (%d, 'loft', '%s', '-', 'h%d')`, id, value(c.Address), id))
			}
			if c.elsewhere {
				s.do(t,
					fmt.Sprintf(`INSERT INTO addresses (contact_id, kind, value, display, hash, position) VALUES (%d, 'loft', 'second-%d', '-', 'second-%d', 1)`, id, id, id),
					fmt.Sprintf(`INSERT INTO addresses (contact_id, kind, value, display, hash) VALUES (%d, 'nest', 'nest-%d', '-', 'h%d')`, id, id, id))
			}
			if c.Suppression != "" {
				s.do(t, fmt.Sprintf(`INSERT INTO suppressions (kind, hash, reason, at) VALUES ('loft', 'h%d', '%s', 1)`, id, c.Suppression))
			}
			s.do(t, fmt.Sprintf(`INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) VALUES (%d, %d, 'pigeon', 1, 'granted', 'consent', 1, 1, '')`, id, id))
			if c.Consent != "" {
				s.do(t, fmt.Sprintf(`INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) VALUES (%d, 'pigeon', 1, '%s', '%s', %d, 1)`, id, c.Consent, value(c.ConsentAddress), id))
			}
			// Answers about something else change nothing.
			s.do(t, fmt.Sprintf(`INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) VALUES (%d, 'pigeon', 2, 'granted', 'here-%d', %d, 1), (%d, 'raven', 1, 'withdrawn', 'here-%d', %d, 1)`, id, id, id, id, id, id))
		}
		run := s.planned(t, 1)
		aim := campaigns.Aim{Driver: "pigeon", Kind: "loft", Topic: "news", Now: start}
		s.planAll(t, run, aim)
		got := map[int64]outbox.Reason{}
		read := func(q query) {
			t.Helper()
			if _, err := collect(t.Context(), s.reader(), q, func(scan func(...any) error) (struct{}, error) {
				var id int64
				var why outbox.Reason
				err := scan(&id, &why)
				if _, twice := got[id]; twice {
					t.Errorf("person %d is both planned and not", id)
				}
				got[id] = why
				return struct{}{}, err
			}, run); err != nil {
				t.Fatal(err)
			}
		}
		read(`SELECT contact_id, '' FROM deliveries WHERE run_id = $1`)
		read(`SELECT contact_id, reason FROM not_planned WHERE run_id = $1`)
		if len(got) != len(all) {
			t.Fatalf("%d people have a fate, of %d", len(got), len(all))
		}
		for i, c := range all {
			if want := outbox.Skip(c.Candidate); got[int64(i+1)] != want {
				t.Errorf("%+v: planning says %q, the gate %q", c, got[int64(i+1)], want)
			}
		}
		s.accountOf(t, run)
	})
}

// TestAddressThatMovesWhileItIsPlanned: the run has a message for the address
// already, so whoever has it now gets none, with a reason.
func TestAddressThatMovesWhileItIsPlanned(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.crowd(t, planAlone+1)
		run := s.planned(t, 1)
		aim := campaigns.Aim{Driver: "pigeon", Kind: "loft", Topic: "news", Now: start}
		if page, err := s.PlanPage(t.Context(), run, aim); err != nil || page.Planned == 0 || page.Done {
			t.Fatalf("first page %+v, %v", page, err)
		}
		last := planAlone + 1
		s.do(t, `UPDATE addresses SET value = 'free' WHERE contact_id = 1`,
			fmt.Sprintf(`UPDATE addresses SET value = 'person-1@mail-1.example' WHERE contact_id = %d`, last),
			fmt.Sprintf(`UPDATE consents SET address = 'person-1@mail-1.example' WHERE contact_id = %d`, last))
		s.planAll(t, run, aim)
		a := s.accountOf(t, run)
		if a.Planned != planAlone || a.NotPlanned[outbox.AddressChanged] != 1 {
			t.Errorf("planned %d, not planned %v", a.Planned, a.NotPlanned)
		}
	})
}

// TestPagesBesideHotWorkFillBatches: small pages share a batch.
func TestPagesBesideHotWorkFillBatches(t *testing.T) {
	s := opened(t, Options{Data: t.TempDir()})
	s.crowd(t, 3*batchSize)
	run := s.planned(t, 1)
	aim := campaigns.Aim{Driver: "pigeon", Kind: "loft", Topic: "news", Now: start}
	pages := 0
	for {
		s.lanes.mu.Lock()
		s.lanes.lately = time.Now().Add(time.Hour) // hot work all the time
		s.lanes.mu.Unlock()
		page, err := s.PlanPage(t.Context(), run, aim)
		if err != nil {
			t.Fatal(err)
		}
		if pages++; page.Planned > planBeside {
			t.Fatalf("%d people in one page beside hot work", page.Planned)
		}
		if page.Done {
			break
		}
	}
	batches, err := collect(t.Context(), s.reader(), `SELECT planned FROM batches WHERE run_id = $1 ORDER BY id`, scalar[int64], run)
	if err != nil || len(batches) != 3 || batches[0] != batchSize {
		t.Errorf("%d pages made batches %v, %v", pages, batches, err)
	}
	s.accountOf(t, run)
}
