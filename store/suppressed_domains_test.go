package store

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/consent"
	"rapport/outbox"
)

// mailboxes gives the people of s.people addresses with domains.
func (s *Store) mailboxes(t *testing.T, values ...string) {
	t.Helper()
	for i, v := range values {
		id := i + 1
		s.do(t,
			fmt.Sprintf(`UPDATE addresses SET value = '%s' WHERE contact_id = %d`, v, id),
			fmt.Sprintf(`UPDATE consents SET address = '%s' WHERE contact_id = %d`, v, id),
			fmt.Sprintf(`UPDATE deliveries SET address = '%s' WHERE contact_id = %d`, v, id),
		)
	}
}

func suppressedDomains() []consent.SuppressedDomain {
	return []consent.SuppressedDomain{
		{Kind: "loft", Domain: "closed.example", Reason: consent.Legal, At: start},
		{Kind: "loft", Domain: "wide.example", Subdomains: true, Reason: consent.Manual, At: start},
		{Kind: "loft", Domain: "deep.wide.example", Reason: consent.Complaint, At: start},
		{Kind: "nest", Domain: "other.example", Reason: consent.Manual, At: start},
	}
}

// domainCases are addresses and what the domains of suppressedDomains make of
// them.
func domainCases() (values []string, want []outbox.Reason) {
	for _, c := range []struct {
		value string
		want  outbox.Reason
	}{
		{"a@closed.example", outbox.LegalGround},
		{"b@sub.closed.example", ""}, // the domain alone
		{"c@wide.example", outbox.Manual},
		{"d@a.b.wide.example", outbox.Manual},
		{"e@deep.wide.example", outbox.Complaint}, // its own row goes before the one above
		{"f@notwide.example", ""},                 // the end of a name is no domain below
		{"g@other.example", ""},                   // of another kind
		{"wide.example@open.example", ""},         // before the separator
		{"x.wide.example@open.example", ""},
	} {
		values, want = append(values, c.value), append(want, c.want)
	}
	return values, want
}

func TestTheSeparatorIsWhatStatementsSay(t *testing.T) {
	if !strings.Contains(domainOfAddress, "'"+consent.DomainSeparator+"'") {
		t.Error(domainOfAddress)
	}
}

func TestASuppressedDomainStopsAtTheGate(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		values, want := domainCases()
		s.people(t, "marketing", len(values))
		s.mailboxes(t, values...)
		seat, list := claimAll(t, s, len(values))
		if n, err := s.SuppressDomains(t.Context(), suppressedDomains()); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		for i, a := range exchangeAll(t, s, seat, nil, tickets(list)) {
			if a.Reason != want[i] || a.Go != (want[i] == "") {
				t.Errorf("%s: %+v, want %q", values[i], a, want[i])
			}
			x, ok, err := s.DomainOf(t.Context(), "loft", values[i])
			if err != nil || ok != (want[i] != "") || ok && x.Reason != string(want[i]) {
				t.Errorf("%s: %+v, %t, %v", values[i], x, ok, err)
			}
		}
		s.accountOf(t, 1)
	})
}

func TestASuppressedDomainIsNotPlanned(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		values, want := domainCases()
		s.people(t, "marketing", len(values))
		s.mailboxes(t, values...)
		s.do(t, `DELETE FROM deliveries`, `DELETE FROM batches`, `DELETE FROM runs`)
		if _, err := s.SuppressDomains(t.Context(), suppressedDomains()); err != nil {
			t.Fatal(err)
		}
		run := s.planned(t, 1)
		aim := campaigns.Aim{Driver: "pigeon", Kind: "loft", Topic: "news", Now: start}
		s.planAll(t, run, aim)
		for i, v := range values {
			got, _, err := one(t.Context(), s.reader(), `SELECT reason FROM not_planned WHERE run_id = $1 AND contact_id = $2`, scalar[outbox.Reason], run, i+1)
			if err != nil || got != want[i] {
				t.Errorf("%s: %q, want %q, %v", v, got, want[i], err)
			}
		}
		groups, err := s.CountAudience(t.Context(), aim, nil)
		if err != nil {
			t.Fatal(err)
		}
		counted := map[outbox.Reason]int64{}
		for _, g := range groups {
			counted[g.Reason] += g.N
		}
		if counted[outbox.Manual] != 2 || counted[outbox.Complaint] != 1 {
			t.Errorf("the audience counts %v", counted)
		}
	})
}

func TestDomainsAreWidenedAndEnd(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		put := func(x consent.SuppressedDomain) int {
			t.Helper()
			x.Kind, x.Domain = "loft", "a.example"
			n, err := s.SuppressDomains(ctx, []consent.SuppressedDomain{x, x})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		read := func() consent.SuppressedDomain {
			t.Helper()
			list, err := s.SuppressedDomains(ctx, "", "", 10)
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			return list[0]
		}
		soon, later := start.Add(time.Hour), start.Add(2*time.Hour)
		if n := put(consent.SuppressedDomain{Reason: consent.Manual, At: start, Expires: soon}); n != 1 {
			t.Error(n)
		}
		if n := put(consent.SuppressedDomain{Reason: consent.Legal, At: start, Expires: later, Subdomains: true}); n != 0 {
			t.Error(n)
		}
		if x := read(); x.Reason != consent.Manual || !x.Subdomains || !x.Expires.Equal(later) {
			t.Errorf("%+v", x)
		}
		put(consent.SuppressedDomain{Reason: consent.Manual, At: start, Expires: soon})
		if x := read(); !x.Subdomains || !x.Expires.Equal(later) {
			t.Errorf("narrowed to %+v", x)
		}
		if n, err := s.EndDomains(ctx, soon); n != 0 || err != nil {
			t.Error(n, err)
		}
		if n, err := s.EndDomains(ctx, later); n != 1 || err != nil {
			t.Error(n, err)
		}
		put(consent.SuppressedDomain{Reason: consent.Manual, At: start, Expires: soon})
		put(consent.SuppressedDomain{Reason: consent.Manual, At: start})
		if n, err := s.EndDomains(ctx, later.Add(time.Hour)); n != 0 || err != nil {
			t.Error("one without an end ended", n, err)
		}
		if ok, err := s.UnsuppressDomain(ctx, "loft", "a.example"); !ok || err != nil {
			t.Error(ok, err)
		}
		if ok, err := s.UnsuppressDomain(ctx, "loft", "a.example"); ok || err != nil {
			t.Error(ok, err)
		}
	})
}

// On PostgreSQL a domain that is being suppressed waits for whoever asks the
// gate, and nobody who comes after passes it.
func TestSuppressingADomainWaitsForTheGate(t *testing.T) {
	url := os.Getenv("RAPPORT_TEST_POSTGRES")
	if url == "" {
		t.Skip("RAPPORT_TEST_POSTGRES is not set")
	}
	s := opened(t, Options{Data: t.TempDir(), Database: ownSchema(t, url)})
	s.people(t, "marketing", 2)
	s.mailboxes(t, "a@closed.example", "b@closed.example")
	seat, list := claimAll(t, s, 2)
	asked, goOn := make(chan struct{}), make(chan struct{})
	var first []outbox.Admission
	gate := make(chan error, 1)
	go func() {
		gate <- s.update(context.WithoutCancel(t.Context()), durable, func(x tx) error {
			found, err := x.facts(t.Context(), nil, tickets(list)[:1])
			if err != nil {
				return err
			}
			var e exchange
			first = append(first, e.admit(found, tickets(list)[0], seat.ID(), start.Add(time.Second)))
			close(asked)
			<-goOn
			return e.write(t.Context(), x)
		})
	}()
	<-asked
	suppressing := make(chan error, 1)
	go func() {
		_, err := s.SuppressDomains(context.WithoutCancel(t.Context()), suppressedDomains())
		suppressing <- err
	}()
	waiting := func() bool {
		n, _, err := one(t.Context(), s.reader(), `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND objid = CAST(CAST(CAST('suppressed_domains' AS regclass) AS BIGINT) AS oid)`, scalar[int64])
		if err != nil {
			t.Error(err)
		}
		return n > 0
	}
	for !waiting() {
		select {
		case err := <-suppressing:
			t.Fatalf("the domain is suppressed beside an open gate: %v", err)
		default:
		}
	}
	// Whoever asks now waits behind it and finds the domain suppressed.
	second := make(chan []outbox.Admission, 1)
	go func() {
		a, err := s.exchanged(context.WithoutCancel(t.Context()), seat.ID(), nil, tickets(list)[1:], start.Add(time.Second))
		if err != nil {
			t.Error(err)
		}
		second <- a
	}()
	close(goOn)
	if err := <-gate; err != nil {
		t.Fatal(err)
	}
	if err := <-suppressing; err != nil {
		t.Fatal(err)
	}
	if !first[0].Go {
		t.Errorf("who asked before: %+v", first)
	}
	if a := <-second; len(a) != 1 || a[0].Go || a[0].Reason != outbox.LegalGround {
		t.Errorf("who asked after: %+v", a)
	}
}

// A confirmation that a person asked for reaches an address that is
// suppressed, as long as its owner may take that back.
func TestAConfirmationPassesWhatItsOwnerMayTakeBack(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		reasons := consent.Reasons()
		s.people(t, "transactional", len(reasons)+1)
		s.do(t, `UPDATE topics SET name = 'confirmations' WHERE id = 1`)
		for i, reason := range reasons {
			s.do(t, fmt.Sprintf(`INSERT INTO suppressions (kind, hash, reason, at) VALUES ('loft', 'h%d', '%s', 1)`, i+1, reason))
		}
		s.mailboxes(t, "a1@x.example", "a2@x.example", "a3@x.example", "a4@x.example", "a5@x.example", "a6@x.example", "a7@x.example", "a8@x.example", "a9@closed.example")
		if _, err := s.SuppressDomains(t.Context(), suppressedDomains()); err != nil {
			t.Fatal(err)
		}
		seat, list := claimAll(t, s, len(reasons)+1)
		got := exchangeAll(t, s, seat, nil, tickets(list))
		for i, reason := range reasons {
			held := reason == consent.Legal || reason == consent.RoleAccount
			if got[i].Go == held {
				t.Errorf("%s: %+v", reason, got[i])
			}
		}
		if last := got[len(reasons)]; last.Go || last.Reason != outbox.LegalGround {
			t.Errorf("a suppressed domain: %+v", last)
		}
	})
}

func TestWhatIsHarderToTakeBackStays(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		put := func(reason string, at time.Time) {
			t.Helper()
			if _, err := s.Suppress(t.Context(), []consent.Suppression{{Kind: "loft", Hash: "h", Reason: reason, At: at, RecordedAt: start}}); err != nil {
				t.Fatal(err)
			}
		}
		want := func(reason string, at time.Time) {
			t.Helper()
			x, _, err := s.Suppressed(t.Context(), "loft", "h")
			if err != nil || x.Reason != reason || !x.At.Equal(at) {
				t.Errorf("%+v, %v; want %s of %s", x, err, reason, at)
			}
		}
		day := func(n int) time.Time { return start.AddDate(0, 0, n) }
		put(consent.HardBounce, day(0))
		put(consent.Manual, day(1))
		want(consent.HardBounce, day(1))
		put(consent.RoleAccount, day(-1))
		want(consent.RoleAccount, day(-1))
		put(consent.HardBounce, day(2))
		want(consent.RoleAccount, day(-1))
		put(consent.Complaint, day(-5))
		want(consent.Complaint, day(-5))
		put(consent.Unsubscribed, day(3))
		want(consent.Complaint, day(3))
		put(consent.Complaint, day(2))
		want(consent.Complaint, day(3))
		put(consent.Legal, day(4))
		put(consent.Complaint, day(5))
		want(consent.Legal, day(4))
	})
}

func TestEveryAddressLeavesItsFingerprint(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 2)
		former := func(contact int) string {
			t.Helper()
			list, err := collect(t.Context(), s.reader(), `SELECT hash FROM former_addresses WHERE contact_id = $1 ORDER BY hash`, scalar[string], contact)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(list)
		}
		s.do(t,
			`DELETE FROM addresses WHERE contact_id = 1`,
			`INSERT INTO addresses (contact_id, kind, value, display, hash) VALUES (1, 'loft', 'second', '-', 'second')`,
			`UPDATE addresses SET display = 'x' WHERE contact_id = 1`,
			`UPDATE addresses SET value = 'third', hash = 'third' WHERE contact_id = 1`,
		)
		if got := former(1); got != "[h1 second]" {
			t.Error(got)
		}
		s.do(t, `UPDATE addresses SET contact_id = 1, position = 1 WHERE contact_id = 2`)
		if got := former(2); got != "[h2]" {
			t.Error(got)
		}
		s.do(t, `DELETE FROM contacts WHERE id = 1`)
		if got := former(1); got != "[]" {
			t.Error("what is left of somebody who is gone:", got)
		}
	})
}
