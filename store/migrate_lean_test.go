package store

import (
	"strings"
	"testing"
)

// TestSchemaStillRefusesUnknownWords: migration 0008 writes rules of SQLite's
// schema in place. They must hold as before, in a schema that is sound.
func TestSchemaStillRefusesUnknownWords(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 1)
		for _, wrong := range []string{
			`UPDATE deliveries SET state = 'lost' WHERE id = 1`,
			`UPDATE consents SET state = 'maybe' WHERE contact_id = 1`,
			`INSERT INTO consent_entries (contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) VALUES (1, 'pigeon', 1, 'maybe', '', 1, 1, '')`,
		} {
			err := s.update(t.Context(), quick, func(x tx) error {
				_, err := x.tx.ExecContext(t.Context(), wrong)
				return err
			})
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), "check") {
				t.Errorf("%s: %v", wrong, err)
			}
		}
		for _, state := range []string{"queued", "claimed", "sending", "sent", "failed", "uncertain", "suppressed", "cancelled", "expired"} {
			s.do(t, `UPDATE deliveries SET state = '`+state+`' WHERE id = 1`)
		}
		if s.d != &sqliteDialect {
			return
		}
		for _, pool := range []query{"PRAGMA integrity_check", "PRAGMA foreign_key_check"} {
			found, err := collect(t.Context(), s.reader(), pool, scalar[string])
			if err != nil || (len(found) > 0 && found[0] != "ok") {
				t.Errorf("%s: %v %v", pool, found, err)
			}
		}
		left, err := collect(t.Context(), s.reader(), `SELECT name FROM sqlite_schema WHERE name IN ('deliveries', 'consents', 'consent_entries') AND sql LIKE '%state IN (%'`, scalar[string])
		if err != nil || len(left) > 0 {
			t.Errorf("the slow rule is still there: %v %v", left, err)
		}
	})
}
