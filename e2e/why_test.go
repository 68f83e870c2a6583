package e2e

import (
	"strings"
	"testing"

	"rapport/internal/fake/smtpd"
)

// why is the card of one person.
type why struct {
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Sentence string `json:"sentence"`
	Entry    int64  `json:"entry"`
	Decided  *struct {
		Gate, Outcome, Reason string
		Row                   *struct{ Table, Key, Actor string }
	} `json:"decided"`
	Gates []struct {
		Gate, Outcome string
		Parts         []struct {
			Condition string
			Holds     *bool
			Values    map[string]string
		}
	} `json:"gates"`
	Story []struct{ Gate string } `json:"story"`
}

func (r *rig) why(args ...string) why {
	r.t.Helper()
	return decode[why](r.t, r.must(append([]string{"deliveries", "why", "--json"}, args...)...).stdout)
}

// TestWhyCard: before, in the middle and after, the card names what decided and
// the row it rests on.
func TestWhyCard(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.mail = smtpd.Options{Script: smtpd.ByRecipient(map[string]smtpd.Script{"gone@*": smtpd.Reply(550, "5.1.1", "no such user").At(smtpd.Rcpt)})}
			whyCard(t, newRig(t, s))
		})
	}
}

func whyCard(t *testing.T, r *rig) {
	r.must("contacts", "import", r.file("people.csv", `external_id,email,first_name,last_name,city,points,tier,consent:email:offers,consent_at,consent_source
yes,yes@mail.example,Y,Y,Berlin,900,gold,granted,2026-01-02T10:00:00Z,form
no,no@mail.example,N,N,Berlin,900,gold,withdrawn,2026-02-02T10:00:00Z,a call
poor,poor@mail.example,P,P,Berlin,3,gold,granted,2026-01-02T10:00:00Z,form
gone,gone@mail.example,G,G,Berlin,900,gold,granted,2026-01-02T10:00:00Z,form
late,late@mail.example,L,L,Berlin,900,gold,granted,2026-01-02T10:00:00Z,form
`))
	r.must("templates", "put", r.letter())
	r.create("rich-offers", "audience: {where: 'contact.points > 100.0 && contact.city == \"Berlin\"'}\n")

	ask := func(who string) why { return r.why("--contact", who, "--campaign", "rich-offers") }
	decided := func(w why, gate, reason, table string) {
		t.Helper()
		if w.Decided == nil || w.Decided.Gate != gate || w.Decided.Reason != reason || (table != "" && (w.Decided.Row == nil || w.Decided.Row.Table != table || w.Decided.Row.Key == "")) {
			t.Errorf("want %s for %q by a row of %s, the card says %+v: %s", gate, reason, table, w.Decided, w.Sentence)
		}
	}
	decided(ask("yes"), "run", "", "campaigns") // a draft waits
	decided(ask("no"), "consent", "withdrawn", "consent_entries")
	poor := ask("poor")
	decided(poor, "audience", "", "")
	if !strings.Contains(poor.Sentence, "contact.points > 100") || !strings.Contains(poor.Sentence, "points is 3") {
		t.Errorf("the part that failed is not named with its value: %s", poor.Sentence)
	}

	r.must("campaigns", "start", "rich-offers")
	r.must("channels", "hold", "news", "--why", "a repair")
	r.serve()
	r.await("rich-offers", "planned", func(a account) bool { return a.State == "running" && a.Planned == 3 })
	decided(ask("late"), "channel", "held", "holds")
	r.must("consent", "withdraw", "late", "email:offers", "--source", "a call")
	decided(ask("late"), "consent", "withdrawn", "consent_entries")
	r.must("channels", "release", "news")
	a := r.finished("rich-offers")
	if a.States["sent"] != 1 || a.States["failed"] != 1 || a.States["suppressed"] != 1 || a.NotPlanned["withdrawn"] != 1 {
		t.Fatalf("the account: %+v", a)
	}
	sent := ask("yes")
	if sent.State != "sent" || sent.Decided != nil || sent.Entry == 0 || len(sent.Story) == 0 {
		t.Errorf("who was sent it: %+v", sent)
	}
	decided(ask("no"), "consent", "withdrawn", "consent_entries")
	decided(ask("late"), "consent", "withdrawn", "consent_entries")
	decided(ask("gone"), "receiver", "unknown_user", "attempts")
	if res := r.must("deliveries", "why", "--contact", "gone", "--campaign", "rich-offers"); !strings.Contains(res.stdout, "no such mailbox") || !strings.Contains(res.stdout, "550") {
		t.Errorf("for people:\n%s", res.stdout)
	}
	r.refused(2, "Name a campaign", "deliveries", "why", "--contact", "yes")
	r.refused(3, "", "deliveries", "why", "--contact", "nobody", "--campaign", "rich-offers")
}
