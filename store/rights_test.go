package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"rapport"
	"rapport/access"
	"rapport/campaigns"
	"rapport/consent"
	"rapport/outbox"
	"rapport/rights"
)

func noteOf(action string, contact int64) access.Line {
	return access.Line{At: start, Actor: "cli:anna", Action: action, Contact: contact}
}

// leave claims everything of batch 1 and asks the gate.
func (s *Store) leave(t *testing.T) map[int64]outbox.Admission {
	t.Helper()
	const w = 77
	list, err := s.Claim(t.Context(), 1, w, 100, start)
	if err != nil {
		t.Fatal(err)
	}
	var wanted []outbox.Ticket
	who := map[int64]int64{}
	for _, d := range list {
		wanted = append(wanted, outbox.Ticket{Delivery: d.ID, Turn: d.Turn})
		who[d.ID] = d.Contact
	}
	got, err := s.exchanged(t.Context(), w, nil, wanted, start)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int64]outbox.Admission{}
	for _, a := range got {
		out[who[a.Delivery]] = a
	}
	return out
}

func TestRestrictedPassNoGate(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 4)
		mark := rights.Marks{RestrictedAt: start, Reason: "birthday", Actor: "cli:anna"}
		for _, who := range []int64{2, 3} {
			if err := s.Restrict(t.Context(), who, mark, noteOf("rights.restrict", who)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Restrict(t.Context(), 2, mark, noteOf("rights.restrict", 2)); rapport.KindOf(err) != rapport.Conflict {
			t.Errorf("restricted twice: %v", err)
		}
		if err := s.Restrict(t.Context(), 99, mark, noteOf("rights.restrict", 99)); rapport.KindOf(err) != rapport.NotFound {
			t.Errorf("nobody restricted: %v", err)
		}
		// What the law demands is sent all the same.
		s.do(t, `INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) VALUES (500, 3, 'pigeon', 1, 'granted', 'legal_duty', 1, 1, '')`,
			`UPDATE consents SET entry_id = 500 WHERE contact_id = 3`)
		got := s.leave(t)
		for who, want := range map[int64]outbox.Reason{1: "", 2: outbox.Restricted, 3: "", 4: ""} {
			if a := got[who]; a.Reason != want || a.Go != (want == "") {
				t.Errorf("contact %d: %+v", who, a)
			}
		}
		if a := s.accountOf(t, 1); a.Reasons[outbox.Suppressed][outbox.Restricted] != 1 {
			t.Errorf("account %+v", a)
		}
		m, err := s.Marks(t.Context(), 2)
		if err != nil || m.Reason != "birthday" || !m.RestrictedAt.Equal(start) {
			t.Errorf("%+v, %v", m, err)
		}
		if err := s.Release(t.Context(), 2, noteOf("rights.release", 2)); err != nil {
			t.Fatal(err)
		}
		if m, err := s.Marks(t.Context(), 2); err != nil || m != (rights.Marks{}) {
			t.Errorf("%+v, %v", m, err)
		}
		acts, err := s.Acts(t.Context(), access.Filter{Contact: 2, Limit: 10})
		if err != nil || len(acts) != 2 || acts[0].Action != "rights.release" {
			t.Errorf("%+v, %v", acts, err)
		}
	})
}

func TestRestrictedAreNotPlannedAndCounted(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.crowd(t, 20)
		if err := s.Restrict(t.Context(), 7, rights.Marks{RestrictedAt: start, Reason: "x"}, noteOf("rights.restrict", 7)); err != nil {
			t.Fatal(err)
		}
		run := s.planned(t, 1)
		aim := campaigns.Aim{Driver: "pigeon", Kind: "loft", Topic: "news", Now: start}
		s.planAll(t, run, aim)
		if a := s.accountOf(t, run); a.NotPlanned[outbox.Restricted] != 1 {
			t.Errorf("not planned %v", a.NotPlanned)
		}
	})
}

func TestObjectionHoldsForTopicsToCome(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "transactional", 2)
		err := s.PutTopics(t.Context(), []consent.Topic{{Name: "later", Kind: "marketing", Priority: "normal"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Object(t.Context(), 1, start, noteOf("rights.object", 1)); err != nil {
			t.Fatal(err)
		}
		say := func(contact int64, topic string, e consent.Entry) error {
			t.Helper()
			e.Contact, e.Driver, e.Kind, e.Topic, e.State, e.Basis, e.Source = contact, "pigeon", "loft", topic, consent.Granted, consent.ByConsent, "import"
			e.Salt = []byte("0123456789abcdef")
			out, err := s.Record(t.Context(), []consent.Entry{e})
			if err != nil {
				t.Fatal(err)
			}
			return out[0].Err
		}
		early := start.Add(-time.Hour)
		if err := say(1, "later", consent.Entry{At: early}); !errors.Is(err, consent.ErrWithdrawn) {
			t.Errorf("an import overturned an objection: %v", err)
		}
		if err := say(1, "later", consent.Entry{At: early, Resubscribe: true}); !errors.Is(err, consent.ErrWithdrawn) {
			t.Errorf("an older act overturned an objection: %v", err)
		}
		if err := say(2, "later", consent.Entry{At: early}); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		if err := say(1, "news", consent.Entry{At: start}); err != nil {
			t.Errorf("what is transactional: %v", err)
		}
		if err := say(1, "later", consent.Entry{At: start.Add(time.Minute), Resubscribe: true}); err != nil {
			t.Errorf("a newer act of the person: %v", err)
		}
	})
}

func TestForgetStopsWhatWaits(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 3)
		s.do(t,
			`UPDATE deliveries SET data = '{"word":"marker"}', provider_id = 'marker', server = 'marker', reason = 'retry' WHERE contact_id = 1`,
			`INSERT INTO attempts (delivery_id, turn, at, verdict, detail, server) VALUES (1, 1, 1, 'temporary', 'marker', 'marker')`,
			`INSERT INTO responses (kind, run_id, contact_id, agent, detail, dedupe, at) VALUES ('clicked', 1, 1, 'browser', 'marker', 'k', 1)`,
			`INSERT INTO consent_evidence (entry_id, salt, evidence) VALUES (101, 's', '{"address":"loft-old","given":"Loft-Old"}')`,
			`UPDATE campaigns SET note = 'paused: <LOFT-1> refused'`,
			`INSERT INTO holds (channel, until, reason, detail, since) VALUES ('birds', 0, 'policy', '550 loft-old is bad', 1)`,
			`INSERT INTO imports (digest, name, report, started_at) VALUES ('d', 'loft-1.csv', '{"rows":3,"listed":[{"line":1,"reason":"loft-1 is bad"}]}', 1)`,
		)
		mark := func(kind, value string) string { return "hash of " + kind + " " + value }
		kind := func(driver string) string {
			if driver == "pigeon" {
				return "loft"
			}
			return ""
		}
		salt := func() ([]byte, error) { return []byte("0123456789abcdef"), nil }
		done, err := s.Forget(t.Context(), 1, rights.Erasure{Actor: "cli:anna", Note: noteOf("rights.erase", 1), Salt: salt, Mark: mark, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		if done.Stopped != 1 || done.Leaving != 0 || len(done.Entries) != 1 {
			t.Errorf("%+v", done)
		}
		var hashes []string
		for _, h := range done.Hashes {
			hashes = append(hashes, h.Hash)
		}
		if want := []string{"h1", "hash of loft loft-1", "hash of loft loft-old"}; !slices.Equal(hashes, want) {
			t.Errorf("hashes %v", hashes)
		}
		if a := s.accountOf(t, 1); a.Reasons[outbox.Suppressed][outbox.Erased] != 1 || a.States[outbox.Queued] != 2 {
			t.Errorf("account %+v", a)
		}
		for table, n := range map[string]int64{"contacts": 2, "consents": 2, "addresses": 2, "consent_entries": 4, "deliveries": 3} {
			got, _, err := one(t.Context(), s.reader(), query("SELECT COUNT(*) FROM "+table), scalar[int64])
			if err != nil || got != n {
				t.Errorf("%d rows of %s, %v", got, table, err)
			}
		}
		for _, q := range []query{
			`SELECT note FROM campaigns`, `SELECT detail FROM holds`, `SELECT name FROM imports`, `SELECT detail || server FROM attempts`,
			`SELECT COALESCE(address, '') || COALESCE(data, '') || provider_id || server FROM deliveries WHERE contact_id = 1`, `SELECT detail || agent FROM responses`,
		} {
			got, _, err := one(t.Context(), s.reader(), q, scalar[string])
			if err != nil || got != "" {
				t.Errorf("%s: %q, %v", q, got, err)
			}
		}
		report, _, err := one(t.Context(), s.reader(), `SELECT report FROM imports`, scalar[string])
		if err != nil || report != `{"rows":3}` {
			t.Errorf("report %s, %v", report, err)
		}
		if _, err := s.Forget(t.Context(), 1, rights.Erasure{Salt: salt}); rapport.KindOf(err) != rapport.NotFound {
			t.Errorf("twice: %v", err)
		}
	})
}

// TestEveryTableOfAPersonIsForgotten: a new table that names a contact is a
// step of the erasure, or says here why it is none.
func TestEveryTableOfAPersonIsForgotten(t *testing.T) {
	numbersOnly := []string{
		"consent_entries", // the ledger: numbers, and a commitment that says nothing without its salt
		"audit",           // numbers
		"not_planned",     // a number and a reason
	}
	s := opened(t, Options{Data: t.TempDir()})
	covered := map[string]bool{}
	for _, step := range eraseSteps() {
		covered[step.where] = true
	}
	tables, err := collect(t.Context(), s.reader(), `
SELECT DISTINCT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) p
WHERE m.type = 'table' AND (p.name LIKE '%contact%' OR p.name LIKE '%person%' OR p.name LIKE '%address%' OR p.name LIKE '%mailbox%') ORDER BY 1`, scalar[string])
	if err != nil || len(tables) < 10 {
		t.Fatalf("%v, %v", tables, err)
	}
	for _, name := range tables {
		if !covered[name] && !slices.Contains(numbersOnly, name) && !slices.Contains(otherwise(), name) {
			t.Errorf("table %s names a person and is no step of the erasure", name)
		}
	}
}

// otherwise are tables that hold nothing of a person for other reasons.
func otherwise() []string {
	return []string{
		"request_letters", // keyed fingerprints of mailboxes, for a day
		"installation",    // the number of a contact
		"inbox_cursors",   // our own mailboxes
	}
}

func (s *Store) retain(t *testing.T, rule rights.Rule, before time.Time) (n int64) {
	t.Helper()
	at := rights.Place{}
	for range 1000 {
		p, err := s.Prune(t.Context(), rule, before, at, access.Line{})
		if err != nil {
			t.Fatal(err)
		}
		if n, at = n+p.N, p.Next; p.Done {
			return n
		}
	}
	t.Fatal("it never ends")
	return 0
}

func TestRetentionLeavesCountsAsTheyWere(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const people = 1200
		s.do(t, `INSERT INTO topics (id, name, kind, created_at) VALUES (1, 'news', 'marketing', 1)`,
			`INSERT INTO templates (id, uid, name, driver, locale, created_at, updated_at) VALUES (1, 't', 't', 'pigeon', 'en', 1, 1)`,
			`INSERT INTO revisions (id, template_id, number, content, digest, created_at) VALUES (1, 1, 1, '{}', 'x', 1)`,
			`INSERT INTO contacts (id, uid, attributes, created_at, updated_at) VALUES (5, 'u5', {{json '"x"'}}, 1, 1)`)
		for run := 1; run <= 2; run++ { // the second one goes on
			state, ended := "finished", "10"
			if run == 2 {
				state, ended = "running", "NULL"
			}
			s.do(t, fmt.Sprintf(`INSERT INTO runs (id, uid, name, channel, driver, kind, topic_id, class, revision_id, state, scheduled_for, planned_at, started_at, finished_at)
			 VALUES (%d, 'r%d', 'spring', 'birds', 'pigeon', 'loft', 1, 'marketing', 1, '%s', %d, 1, 1, %s)`, run, run, state, run, ended),
				fmt.Sprintf(`INSERT INTO batches (id, run_id, channel, lane, planned, sent, failed, suppressed) VALUES (%d, %d, 'birds', 'bulk', %d, %d, %d, %d)`, run, run, people, people-300, 200, 100),
				s.serie(people, fmt.Sprintf(`INSERT INTO deliveries (run_id, batch_id, contact_id, address, state, reason, tracked, updated_at)
			 SELECT %d, %d, i, 'loft-' || CAST(i AS TEXT), CASE WHEN i %% 12 < 2 THEN 'failed' WHEN i %% 12 = 2 THEN 'suppressed' ELSE 'sent' END,
			   CASE WHEN i %% 12 < 2 THEN 'hard_bounce' WHEN i %% 12 = 2 THEN 'withdrawn' ELSE '' END, CASE WHEN i %% 2 = 0 THEN 0 ELSE NULL END, 1`, run, run)),
				s.serie(700, fmt.Sprintf(`INSERT INTO responses (kind, run_id, contact_id, link, machine, agent, dedupe, at)
			 SELECT CASE WHEN i %% 3 = 0 THEN 'clicked' ELSE 'opened' END, %d, CASE WHEN i %% 10 = 0 THEN 0 ELSE i %% 100 END, i %% 3, CASE WHEN i %% 7 = 0 THEN 1 ELSE 0 END, 'browser', '%d.' || CAST(i AS TEXT), 1`, run, run)),
				s.serie(600, fmt.Sprintf(`INSERT INTO not_planned (run_id, contact_id, reason) SELECT %d, 10000 + i, 'no_consent'`, run)),
				fmt.Sprintf(`INSERT INTO not_planned_counts (run_id, reason, n) VALUES (%d, 'no_consent', 600)`, run),
				fmt.Sprintf(`INSERT INTO attempts (delivery_id, turn, at, verdict) SELECT id, 1, 1, 'permanent' FROM deliveries WHERE run_id = %d AND state = 'failed'`, run))
		}
		if err := s.Restrict(t.Context(), 5, rights.Marks{RestrictedAt: start, Reason: "x"}, noteOf("rights.restrict", 5)); err != nil {
			t.Fatal(err)
		}
		look := func() string {
			t.Helper()
			var all string
			for run := int64(1); run <= 2; run++ {
				a, err := s.account(t.Context(), run, start)
				if err != nil || !a.Balanced() {
					t.Errorf("account %+v, %v", a, err)
				}
				sum, err1 := s.ResponseSummary(t.Context(), run)
				rows, err2 := s.Responses(t.Context(), run)
				tracked, err3 := s.Tracked(t.Context(), run)
				off, err4 := s.CheckAccounts(t.Context())
				if err := errors.Join(err1, err2, err3, err4); err != nil || len(off) > 0 {
					t.Fatalf("%v, off balance %v", err, off)
				}
				all += fmt.Sprint(a.States, a.Reasons, a.NotPlanned, sum, rows, tracked, "\n")
			}
			return all
		}
		before := look()
		for _, c := range []struct {
			rule rights.Rule
			want int64
		}{
			{rights.Agents, 1400 - 14},      // twice 7 of the restricted person
			{rights.Responses, 700 - 7},     // of the run that has ended
			{rights.Attempts, 400},          // of both, by their own age
			{rights.NotPlanned, 600},        //
			{rights.Deliveries, people - 1}, // less the restricted person's
		} {
			due, err := s.Old(t.Context(), c.rule, start)
			if err != nil {
				t.Fatal(err)
			}
			if n := s.retain(t, c.rule, start); n != c.want {
				t.Errorf("%s: %d went, want %d", c.rule, n, c.want)
			}
			if c.rule != rights.Responses && due != c.want {
				t.Errorf("%s: %d were due, want %d", c.rule, due, c.want)
			}
			if n := s.retain(t, c.rule, start); n != 0 {
				t.Errorf("%s: %d went again", c.rule, n)
			}
			if after := look(); after != before {
				t.Errorf("after %s the numbers are others:\n%s\n%s", c.rule, before, after)
			}
		}
		// A hit that comes after the fold counts, and is folded in its turn.
		s.do(t, `INSERT INTO responses (kind, run_id, contact_id, link, machine, dedupe, at) VALUES ('clicked', 1, 999, 1, 0, 'late', 2)`)
		sum, err := s.ResponseSummary(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		s.retain(t, rights.Responses, start)
		again, err := s.ResponseSummary(t.Context(), 1)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(sum) {
			t.Errorf("%+v became %+v, %v", sum, again, err)
		}
	})
}

// serie runs an INSERT … SELECT over i from 1 to n.
func (s *Store) serie(n int, insert string) string {
	from := " FROM generate_series(1, " + strconv.Itoa(n) + ") AS g (i)"
	if s.d == &sqliteDialect {
		from = " FROM (WITH RECURSIVE g (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < " + strconv.Itoa(n) + ") SELECT i FROM g) g"
	}
	return insert + from
}

func TestRetentionOfTheAuditLog(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for i := range 3 {
			if err := s.AppendAct(t.Context(), access.Line{At: start.AddDate(-i, 0, 0), Actor: "a", Action: "contacts.show"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.retain(t, rights.Audit, start.AddDate(-1, 0, 1)); n != 2 {
			t.Errorf("%d went", n)
		}
		list, err := s.Acts(t.Context(), access.Filter{Limit: 10})
		if err != nil || len(list) != 1 || !list[0].At.Equal(start) {
			t.Errorf("%+v, %v", list, err)
		}
		err = s.update(t.Context(), durable, func(x tx) error {
			_, err := x.tx.ExecContext(t.Context(), "DELETE FROM audit")
			return err
		})
		if err == nil || errors.Is(err, sql.ErrNoRows) {
			t.Error("a younger line went")
		}
	})
}

func TestIdleContacts(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 4)
		s.do(t, `UPDATE deliveries SET state = 'sent', updated_at = 1`,
			fmt.Sprintf(`INSERT INTO responses (kind, run_id, contact_id, dedupe, at) VALUES ('clicked', 1, 2, 'a', %d)`, micros(start)),
			`UPDATE contacts SET restricted_at = 1 WHERE id = 3`)
		list, err := s.IdleContacts(t.Context(), start, 0, 10)
		if err != nil || !slices.Equal(list, []int64{1, 4}) {
			t.Errorf("%v, %v", list, err)
		}
	})
}
