package store_test

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"rapport/consent"
	"rapport/internal/testkit"
	"rapport/store"
	"rapport/store/storetest"
)

// hidden opens a ledger whose rules are gone, and the number of somebody in it
// who has nothing about the topic service.
func hidden(t *testing.T, o store.Options) (h *storetest.House, who int64, run func(text string, args ...any)) {
	t.Helper()
	h = ledger(t, testkit.Open(t, o))
	db := unbind(t, o)
	c, err := h.Contacts.Get(t.Context(), "a@example.com")
	if err != nil {
		t.Fatal(err)
	}
	return h, c.ID, func(text string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), text, args...); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func found(t *testing.T, h *storetest.House, table, what string) {
	t.Helper()
	rep, err := h.Consent.Verify(t.Context(), nil)
	if err != nil || rep.Bad == nil || rep.Bad.Table != table {
		t.Errorf("%s: %+v, %v", what, rep.Bad, err)
	}
}

// A line in front of all others is under no seal: it could be put in for a
// message and taken out again.
func TestALineBeforeTheFirstIsFound(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		h, who, run := hidden(t, o)
		at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, contact := range []int64{who, -7} {
			r, err := consent.Draft(consent.Entry{
				Contact: contact, Driver: "mailer", Topic: "service", State: consent.Granted, Basis: consent.ByConsent, At: at, Source: "form",
				Address: "a@example.com", Salt: []byte("0123456789abcdef"),
			}, 2, at)
			if err != nil {
				t.Fatal(err)
			}
			run(`INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment, schema) VALUES (-5, $1, 'mailer', 2, 'granted', 'consent', $2, $2, $3, 2)`, contact, at.UnixMicro(), r.Commitment)
			run(`INSERT INTO consent_evidence (entry_id, salt, evidence) VALUES (-5, $1, $2)`, r.Salt, r.Evidence)
			run(`INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) VALUES ($1, 'mailer', 2, 'granted', 'a@example.com', -5, $2)`, contact, at.UnixMicro())
			found(t, h, "consent_entries", "a line with the number -5")
			run(`DELETE FROM consents WHERE entry_id = -5`)
			run(`DELETE FROM consent_evidence WHERE entry_id = -5`)
			run(`DELETE FROM consent_entries WHERE id = -5`)
		}
		if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil {
			t.Errorf("the ledger was not put back: %+v, %v", rep.Bad, err)
		}
	})
}

// There is one way to write a salt.
func TestASaltThatIsSpeltOtherwiseIsFound(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		h, _, run := hidden(t, o)
		db := shell(t, o)
		was := column(t, db, "SELECT salt FROM consent_evidence WHERE entry_id = 1")[0]
		key, err := base64.StdEncoding.DecodeString(was)
		if err != nil {
			t.Fatal(err)
		}
		last := was[len(was)-3]
		for what, salt := range map[string]string{
			"a line break": was + "\n",
			"spare bits":   was[:len(was)-3] + string(last+1) + "==",
			"a zero more":  base64.StdEncoding.EncodeToString(append(key, 0)),
		} {
			run(`UPDATE consent_evidence SET salt = $1 WHERE entry_id = 1`, salt)
			found(t, h, "consent_evidence", what)
		}
		run(`UPDATE consent_evidence SET salt = $1 WHERE entry_id = 1`, was)
		if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil {
			t.Errorf("the ledger was not put back: %+v, %v", rep.Bad, err)
		}
	})
}

// Who is erased is erased from everything: a line that says so about one thing
// excuses no missing evidence of another.
func TestErasedFromOneThingExcusesNothing(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		h, who, run := hidden(t, o)
		run(`INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment, schema) VALUES (2000, $1, 'mailer', 2, 'erased', 'legal_duty', 1, 1, 'x', 2)`, who)
		run(`DELETE FROM consent_evidence WHERE entry_id = 1`)
		found(t, h, "consent_evidence", "evidence taken away under a false erasure")
	})
}
