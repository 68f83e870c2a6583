package store

import (
	"testing"

	"rapport/access"
)

// SQLite lets a row be replaced by one of the same number, for which no trigger
// on DELETE is asked.
func TestWhatIsAppendOnlyIsNotReplaced(t *testing.T) {
	s := opened(t, Options{Data: t.TempDir()})
	if err := s.AppendAct(t.Context(), access.Line{At: start, Actor: "cli:anna", Action: "contacts.show"}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT OR REPLACE INTO audit (id, at, actor, action) VALUES (1, 1, 'cli:eve', 'contacts.show')`,
		`REPLACE INTO audit (id, at, actor, action) VALUES (1, 1, 'cli:eve', 'contacts.show')`,
		`UPDATE OR REPLACE audit SET actor = 'cli:eve'`,
	} {
		err := s.update(t.Context(), durable, func(x tx) error {
			_, err := x.tx.ExecContext(t.Context(), statement)
			return err
		})
		if err == nil {
			t.Errorf("done: %s", statement)
		}
	}
	s.people(t, "marketing", 1)
	s.do(t, `INSERT INTO ledger_seals (up_to, hash, at) VALUES (101, 'x', 1)`, `INSERT INTO consent_evidence (entry_id, salt, evidence) VALUES (101, 's', '{}')`)
	for _, statement := range []string{
		`REPLACE INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) VALUES (101, 1, 'pigeon', 1, 'withdrawn', 'consent', 1, 1, '')`,
		`REPLACE INTO ledger_seals (up_to, hash, at) VALUES (101, 'y', 1)`,
		`REPLACE INTO consent_evidence (entry_id, salt, evidence) VALUES (101, 's', '{"address":"x"}')`,
		`UPDATE OR REPLACE consent_evidence SET salt = 'y'`,
	} {
		err := s.update(t.Context(), durable, func(x tx) error {
			_, err := x.tx.ExecContext(t.Context(), statement)
			return err
		})
		if err == nil {
			t.Errorf("done: %s", statement)
		}
	}
	list, err := s.Acts(t.Context(), access.Filter{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Actor != "cli:anna" {
		t.Errorf("%+v, %v", list, err)
	}
}
