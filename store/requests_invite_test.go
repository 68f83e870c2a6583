package store

import (
	"testing"

	"rapport/consent"
	"rapport/rights"
)

// Nobody asked for an invitation: who may not be written to is not invited, who
// was invited once is not again, and an import brings nobody back by waiting
// for their confirmation.
func TestWhoMayNotBeWrittenToIsNotInvited(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 6)
		s.do(t, `UPDATE consents SET state = 'pending'`, `UPDATE contacts SET objected_at = 1 WHERE id = 4`,
			`INSERT INTO topics (id, name, kind, created_at) VALUES (9, 'invitations', 'transactional', 1)`,
			`INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) VALUES (6, 'pigeon', 9, 'granted', 'loft-6', 106, 1)`)
		for who, reason := range map[string]string{"1": consent.Gone, "2": consent.Complaint} {
			if _, err := s.Suppress(t.Context(), []consent.Suppression{{Kind: "loft", Hash: "h" + who, Reason: reason, At: start}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Restrict(t.Context(), 3, rights.Marks{RestrictedAt: start, Reason: "x", Actor: "x"}, noteOf("rights.restrict", 3)); err != nil {
			t.Fatal(err)
		}
		list, err := s.Uninvited(t.Context(), "pigeon", "loft", []string{"news"}, 0, 100)
		if err != nil || len(list) != 1 || list[0].Contact != 5 {
			t.Errorf("invited are %+v, %v; want 5 alone", list, err)
		}
	})
}
