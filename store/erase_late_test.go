package store

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"rapport"
	"rapport/campaigns"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/rights"
)

// forgotten erases the first person as the service does.
func forgotten(ctx context.Context, s *Store) error {
	const contact = 1
	_, err := s.Forget(ctx, contact, rights.Erasure{
		Actor: "cli:anna", Note: noteOf("rights.erase", contact),
		Salt: func() ([]byte, error) { return []byte("0123456789abcdef"), nil },
		Mark: func(kind, value string) string { return "hash of " + kind + " " + value },
		Kind: func(string) string { return "loft" },
	})
	return err
}

// holding lists the columns of text in which a word stands.
func (s *Store) holding(t *testing.T, word string) (out []string) {
	t.Helper()
	for _, q := range []query{
		`SELECT COALESCE(address, '') || ' ' || COALESCE(data, '') || ' ' || provider_id || ' ' || server || ' ' || code FROM deliveries`,
		`SELECT detail || ' ' || server || ' ' || code FROM attempts`, `SELECT detail FROM holds`, `SELECT detail || ' ' || agent FROM responses`,
		`SELECT note FROM runs`, `SELECT note FROM campaigns`, `SELECT name || ' ' || report FROM imports`, `SELECT CAST(evidence AS TEXT) FROM consent_evidence`,
		`SELECT value FROM addresses`, `SELECT address FROM consents`, `SELECT COALESCE(value, '') || ' ' || detail FROM suppressions`,
	} {
		rows, err := collect(t.Context(), s.reader(), q, scalar[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range rows {
			if strings.Contains(strings.ToLower(text), word) {
				out = append(out, fmt.Sprintf("%s: %s", q, text))
			}
		}
	}
	return out
}

// A message was on its way while its person was erased: what became of it is
// counted, and nothing of the person comes back with it.
func TestAnOutcomeAfterAnErasureNamesNobody(t *testing.T) {
	said := outbox.Settlement{Turn: 1, Charge: true, Code: "250 2.0.0", ProviderID: "for loft-1", Server: "mx.loft-1", Detail: "loft-1 said", At: start}
	for name, m := range map[string]outbox.Settlement{
		"sent":      {State: outbox.Sent},
		"failed":    {State: outbox.Failed, Reason: outbox.Refused, Verdict: "permanent"},
		"uncertain": {State: outbox.Uncertain, Reason: outbox.NoAnswer, Verdict: "uncertain"},
		"held":      {State: outbox.Queued, Reason: outbox.WaitHeld, NotBefore: start, Verdict: "policy", Hold: &outbox.Hold{Channel: "birds", Reason: outbox.Refused, Detail: "550 loft-1 is bad", Since: start}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *Store) {
				s.people(t, "marketing", 1)
				seat, list := claimAll(t, s, 1)
				exchangeAll(t, s, seat, nil, tickets(list))
				if err := forgotten(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				out := said
				out.State, out.Reason, out.Verdict, out.Hold, out.NotBefore = m.State, m.Reason, m.Verdict, m.Hold, m.NotBefore
				out.Delivery, out.Turn = list[0].ID, list[0].Turn
				exchangeAll(t, s, seat, []outbox.Settlement{out}, nil)
				if a := s.accountOf(t, 1); a.States[m.State] != 1 {
					t.Errorf("account %v", a.States)
				}
				if found := s.holding(t, "loft-1"); len(found) > 0 {
					t.Errorf("it came back: %q", found)
				}
			})
		})
	}
}

// An erasure is whole or it is not: what could not be taken out of notes is not
// left there without anybody who could ask for it again.
func TestAnErasureThatFailsChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 1)
		s.do(t, `INSERT INTO imports (digest, name, report, started_at) VALUES ('d', 'loft-1.csv', 'broken', 1)`)
		if err := forgotten(t.Context(), s); err == nil {
			t.Fatal("a report that cannot be read was passed over")
		}
		s.do(t, `UPDATE imports SET report = '{}'`)
		if err := forgotten(t.Context(), s); err != nil {
			t.Errorf("it cannot be done again: %v", err)
		}
		if found := s.holding(t, "loft-1"); len(found) > 0 {
			t.Errorf("left: %q", found)
		}
	})
}

// Whoever writes about a person while they are erased is waited for, or finds
// nobody.
func TestAnErasureWaitsForWhoWritesAboutThePerson(t *testing.T) {
	aim := campaigns.Aim{Driver: "pigeon", Kind: "loft", Topic: "news", Now: start}
	for name, write := range map[string]func(ctx context.Context, x tx) error{
		"planning": func(ctx context.Context, x tx) error {
			_, err := x.planPage(ctx, 2, aim, 0, window{people: []member{{id: 1}}, cursor: 1, last: true}, nil)
			return err
		},
		"one message": func(ctx context.Context, x tx) error {
			return x.sendOne(ctx, campaigns.Run{ID: 2, Driver: "pigeon", Kind: "loft", Channel: "birds", Class: channels.Marketing},
				campaigns.One{Contact: 1, Data: []byte(`{"name":"loft-1"}`), NotBefore: start})
		},
		"an entry": func(ctx context.Context, x tx) error {
			_, err := x.record(ctx, []consent.Entry{{
				Contact: 1, Driver: "pigeon", Kind: "loft", Topic: "other", Address: "loft-1", State: consent.Granted, Basis: consent.ByConsent,
				Source: "card of loft-1", Actor: "cli:anna", At: start, Salt: []byte("0123456789abcdef"),
			}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := waiting(t)
			s.people(t, "marketing", 1)
			s.do(t, `ALTER TABLE batches ALTER COLUMN id RESTART WITH 9`, `ALTER TABLE deliveries ALTER COLUMN id RESTART WITH 9`,
				`INSERT INTO topics (id, name, kind, created_at) VALUES (2, 'other', 'marketing', 1)`,
				`INSERT INTO runs (id, uid, campaign_id, name, channel, driver, kind, topic_id, class, revision_id, state, scheduled_for, started_at)
				 VALUES (2, 'r2', 1, 'summer', 'birds', 'pigeon', 'loft', 1, 'marketing', 1, 'planning', 2, 1)`)
			s.whileAsked(t, func(x tx) error { return write(t.Context(), x) }, forgotten)
			if found := s.holding(t, "loft-1"); len(found) > 0 {
				t.Errorf("left: %q", found)
			}
			if _, err := s.Contact(t.Context(), contacts.Key{ID: 1}); rapport.KindOf(err) != rapport.NotFound {
				t.Errorf("the contact is there: %v", err)
			}
		})
	}
}
