package app

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/responses"
)

// invited are people of a file whose invitations wait behind a held channel.
func (n *newsstand) invited(names ...string) map[string]contacts.Contact {
	n.t.Helper()
	ctx := n.t.Context()
	if err := n.Store.Hold(ctx, outbox.Hold{Channel: "post", Reason: outbox.ByPerson, Since: n.now()}); err != nil {
		n.t.Fatal(err)
	}
	file := "email\n"
	for _, name := range names {
		file += name + "@example.com\n"
	}
	_, err := n.Contacts.Import(ctx, contacts.Source{Name: "fair.csv", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file)), nil }},
		contacts.ImportOptions{Grants: []contacts.Grant{{Driver: "email", Topic: "news"}}, Pending: true, Source: "fair 2026, paper forms"})
	if err != nil {
		n.t.Fatal(err)
	}
	if asked, err := n.Invite(ctx, "join", 100); err != nil || asked != len(names) {
		n.t.Fatalf("%d were asked, %v", asked, err)
	}
	people := map[string]contacts.Contact{}
	for _, name := range names {
		if people[name], err = n.Contacts.Get(ctx, name+"@example.com"); err != nil {
			n.t.Fatal(err)
		}
	}
	return people
}

// TestNobodyIsInvitedAgainstTheirWord: whoever was suppressed, complained,
// objected, left, was restricted or erased while their invitation waited gets
// none, and each is accounted for.
func TestNobodyIsInvitedAgainstTheirWord(t *testing.T) {
	onBoth(t, func(t *testing.T, n *newsstand) {
		ctx := rapport.WithActor(t.Context(), rapport.Actor{Name: "cli:anna"})
		said := map[string]struct {
			do   func(ctx context.Context, who contacts.Contact) error
			want outbox.Reason
		}{
			"fine": {func(context.Context, contacts.Contact) error { return nil }, ""},
			"suppressed": {func(ctx context.Context, _ contacts.Contact) error {
				_, err := n.Consent.Suppress(ctx, "email", "suppressed@example.com", consent.Manual, "")
				return err
			}, outbox.Manual},
			"bounced": {func(ctx context.Context, _ contacts.Contact) error {
				_, err := n.Consent.Suppress(ctx, "email", "bounced@example.com", consent.HardBounce, "")
				return err
			}, outbox.HardBounce},
			"complained": {func(ctx context.Context, _ contacts.Contact) error {
				_, err := n.Consent.Suppress(ctx, "email", "complained@example.com", consent.Complaint, "")
				return err
			}, outbox.Complaint},
			"objected": {func(ctx context.Context, who contacts.Contact) error {
				_, err := n.Rights.Object(ctx, who.ID, "letter of 3 May")
				return err
			}, outbox.Withdrawn},
			"left": {func(ctx context.Context, who contacts.Contact) error {
				return n.withdraw(ctx, responses.Withdrawal{Subject: responses.Subject{Contact: who.ID, Driver: "email"}, All: true, Source: "mail", Method: string(consent.ByMail)})
			}, outbox.Withdrawn},
			"restricted": {func(ctx context.Context, who contacts.Contact) error {
				return n.Rights.Restrict(ctx, who.ID, "says it is not theirs")
			}, outbox.Restricted},
			"erased": {func(ctx context.Context, who contacts.Contact) error {
				_, err := n.Rights.Erase(ctx, who.ID)
				return err
			}, outbox.Erased},
		}
		var names []string
		for name := range said {
			names = append(names, name)
		}
		people := n.invited(names...)
		for name, x := range said {
			if err := x.do(ctx, people[name]); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if _, err := n.Store.Lift(ctx, "post"); err != nil {
			t.Fatal(err)
		}
		n.letter("fine@example.com", 1)
		for name, x := range said {
			state, reason := n.ended(people[name].ID)
			if want := map[bool]outbox.State{true: outbox.Sent, false: outbox.Suppressed}[x.want == ""]; state != want || reason != x.want {
				t.Errorf("the invitation of who is %s ended as %s (%s), want %s (%s)", name, state, reason, want, x.want)
			}
			if got := len(n.letters(name + "@example.com")); got != 0 && x.want != "" {
				t.Errorf("who is %s got %d letters", name, got)
			}
		}
		found, err := n.Store.CheckAccounts(ctx)
		if err != nil || len(found) != 0 {
			t.Errorf("the accounts: %v, %v", found, err)
		}
		if asked, err := n.Invite(ctx, "join", 100); err != nil || asked != 0 {
			t.Errorf("%d were asked again, %v", asked, err)
		}
		n.verified()
	})
}

// ended waits until the only delivery of somebody has ended.
func (n *newsstand) ended(contact int64) (outbox.State, outbox.Reason) {
	n.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		list, err := n.Store.Deliveries(n.t.Context(), campaigns.Filter{Contact: contact, Limit: 10})
		if err != nil || len(list) != 1 {
			n.t.Fatalf("contact %d has the deliveries %+v, %v", contact, list, err)
		}
		if d := list[0]; !d.State.Open() {
			return d.State, d.Reason
		}
	}
	n.t.Fatalf("the invitation of contact %d does not end", contact)
	return "", ""
}
