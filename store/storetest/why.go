package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/access"
	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/rights"
)

// whyPeople is how many people the examination of the why card invents.
const whyPeople = 60

// examineWhy invents people in all circumstances that decide, asks about each
// of them before anything is planned, before anything leaves and after all has
// ended, and compares every answer with what then happened.
func examineWhy(t *testing.T, d *Desk) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	people := d.circumstances(t, rnd)
	for _, s := range []struct{ name, where string }{{"staff", `contact.team == "staff"`}, {"fans", `contact.points >= 40.0`}} {
		if _, err := d.Contacts.PutSegment(t.Context(), s.name, s.name, s.where); err != nil {
			t.Fatal(err)
		}
	}
	d.put(t, "card", "schedule: {now: true}", `audience: {where: 'contact.points > 10.0 && (contact.team != "none" || has(contact.name))', segments: [fans, staff], exclude: [staff]}`)
	foretold := d.foretell(t, "card", people)
	d.start(t, "card")
	d.plan(t)
	d.comparePlanned(t, "card", people, foretold)

	run := d.runs(t, "card")[0]
	d.change(t, rnd, people)
	open := d.queued(t, run)
	underway := map[int64]campaigns.Why{}
	for contact := range open {
		underway[contact] = d.whyOf(t, campaigns.Question{Delivery: rapport.DeliveryID(run.ID, contact)})
	}
	outcomes := []outbox.Settlement{
		{State: outbox.Sent, Server: "mx.example"},
		{State: outbox.Failed, Reason: outbox.UnknownUser, Verdict: "rejected", Code: "550"},
		{State: outbox.Uncertain, Reason: outbox.NoAnswer, Verdict: "uncertain"},
		{State: outbox.Queued, Reason: outbox.WaitRetry, Verdict: "temporary", NotBefore: d.Now().Add(time.Hour)},
	}
	d.send(t, func(x outbox.Delivery) outbox.Settlement { return outcomes[x.Contact%4] })
	d.compareEnded(t, run, open, underway)
}

// circumstances imports people of whom each has something of their own.
func (d *Desk) circumstances(t *testing.T, rnd *rand.Rand) []int64 {
	t.Helper()
	var b strings.Builder
	b.WriteString("external_id,email,name,points,team\n")
	for i := range whyPeople {
		email, name := fmt.Sprintf("w%d@%s", i, []string{"a.example", "b.example", "sub.b.example"}[rnd.IntN(3)]), "Name"
		if rnd.IntN(8) == 0 {
			email = ""
		}
		if rnd.IntN(5) == 0 {
			name = ""
		}
		fmt.Fprintf(&b, "w%d,%s,%s,%d,%s\n", i, email, name, rnd.IntN(100), []string{"", "none", "staff", "crew", "crew"}[rnd.IntN(5)])
	}
	d.Import(t, b.String(), contacts.ImportOptions{Types: map[string]contacts.Type{"points": contacts.Number, "team": contacts.Text, "name": contacts.Text}, Source: "examination"})
	var out []int64
	for i := range whyPeople {
		x := d.get(t, fmt.Sprintf("w%d", i))
		out = append(out, x.ID)
		d.says(t, rnd, x)
		switch rnd.IntN(12) {
		case 0:
			d.forbid(t, rnd, x)
		case 1:
			d.pause(t, x.ID)
		}
	}
	if _, err := d.Consent.SuppressDomain(t.Context(), consent.SuppressedDomain{Kind: "email", Domain: "b.example", Reason: string(outbox.Manual)}); err != nil {
		t.Fatal(err)
	}
	return out
}

// says records what a person says about news.
func (d *Desk) says(t *testing.T, rnd *rand.Rand, x contacts.Contact) {
	t.Helper()
	e := consent.Entry{Contact: x.ID, Driver: mailer, Topic: "news", Source: "examination", State: consent.Granted, Address: "elsewhere@a.example"}
	if a, ok := x.Primary("email"); ok {
		e.Address = a.Value
	}
	switch rnd.IntN(9) {
	case 0:
		return
	case 1:
		e.State = consent.Requested
	case 2:
		e.State = consent.Withdrawn
	case 3:
		e.Address = "elsewhere@a.example"
	case 4:
		e.Expires = d.Now().Add(-time.Hour)
		e.At = d.Now().Add(-48 * time.Hour)
	}
	out, err := d.Consent.Record(t.Context(), e)
	if err != nil || out[0].Err != nil {
		t.Fatalf("record %+v: %v %v", e, err, out)
	}
}

// forbid suppresses an address or restricts its person.
func (d *Desk) forbid(t *testing.T, rnd *rand.Rand, x contacts.Contact) {
	t.Helper()
	a, ok := x.Primary("email")
	if !ok || rnd.IntN(3) == 0 {
		m := rights.Marks{RestrictedAt: d.Now(), Reason: "the examination", Actor: "examination"}
		if err := d.Store.Restrict(t.Context(), x.ID, m, access.Line{At: d.Now(), Actor: "examination", Action: "restrict"}); err != nil && rapport.KindOf(err) != rapport.Conflict {
			t.Fatal(err)
		}
		return
	}
	reason := []outbox.Reason{outbox.Complaint, outbox.Manual, outbox.HardBounce}[rnd.IntN(3)]
	if _, err := d.Consent.Suppress(t.Context(), "email", a.Value, string(reason), ""); err != nil {
		t.Fatal(err)
	}
}

// pause asks for a pause that is longer than any message keeps.
func (d *Desk) pause(t *testing.T, contact int64) {
	t.Helper()
	if err := d.Consent.SetPreference(t.Context(), contact, consent.Preference{PausedUntil: time.Now().AddDate(0, 0, 30)}); err != nil {
		t.Fatal(err)
	}
}

// change lets things happen between planning and sending.
func (d *Desk) change(t *testing.T, rnd *rand.Rand, people []int64) {
	t.Helper()
	for _, id := range people {
		x, err := d.Store.Contact(t.Context(), contacts.Key{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		switch rnd.IntN(7) {
		case 0:
			if _, err := d.Consent.Withdraw(t.Context(), consent.Entry{Contact: id, Driver: mailer, Topic: "news", Source: "a call"}); err != nil {
				t.Fatal(err)
			}
		case 1:
			d.forbid(t, rnd, x)
		case 2:
			if err := d.Contacts.Erase(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		case 3:
			if _, ok := x.Primary("email"); ok {
				d.Import(t, fmt.Sprintf("external_id,email\n%s,new%d@a.example\n", x.ExternalID, id), contacts.ImportOptions{Source: "examination"})
			}
		case 4:
			d.pause(t, id)
		}
	}
}

// examineWhyDomain: who is stopped with a whole domain is told which entry did
// it, the domain's own before one above it, when it was made and by whom;
// before planning, and of what was left out.
func examineWhyDomain(t *testing.T, d *Desk) {
	ctx := rapport.WithActor(t.Context(), rapport.Actor{Name: "cli:berta"})
	d.Import(t, "external_id,email\nbelow,a@deep.sub.example\nown,a@own.sub.example\nfree,a@sub.example.net\n",
		contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "examination"})
	for _, x := range []consent.SuppressedDomain{
		{Kind: "email", Domain: "sub.example", Subdomains: true, Reason: string(outbox.Manual), Detail: "a partner asked"},
		{Kind: "email", Domain: "own.sub.example", Reason: string(outbox.Manual)},
	} {
		if _, err := d.Consent.SuppressDomain(ctx, x); err != nil {
			t.Fatal(err)
		}
	}
	d.put(t, "card", atOnce)
	for _, when := range []string{"before", "after"} {
		if when == "after" {
			d.start(t, "card")
			d.plan(t)
			d.Set(d.Now().Add(time.Minute))
		}
		for who, want := range map[string]campaigns.Row{
			"below": {Table: "suppressed_domains", Key: "email sub.example", Detail: "with what is below it: a partner asked"},
			"own":   {Table: "suppressed_domains", Key: "email own.sub.example"},
		} {
			w := d.whyOf(t, campaigns.Question{Contact: who, Campaign: "card"})
			if w.Decided == nil || w.Decided.Name != "suppressed domain" || w.Decided.Row == nil || w.Decided.Row.At == nil {
				t.Errorf("%s, %s: %+v decided: %s", when, who, w.Decided, w.Sentence)
				continue
			}
			got := *w.Decided.Row
			if got.At.IsZero() || got.Actor != "cli:berta" || !strings.Contains(w.Sentence, want.Key) || !strings.Contains(w.Sentence, "by cli:berta") {
				t.Errorf("%s, %s: %+v, %s", when, who, got, w.Sentence)
			}
			if got.At, got.Actor = nil, ""; got != want {
				t.Errorf("%s, %s rests on %+v, want %+v", when, who, got, want)
			}
		}
	}
	if w := d.whyOf(t, campaigns.Question{Contact: "free", Campaign: "card"}); w.Decided != nil && w.Decided.Outcome == campaigns.Stops {
		t.Errorf("another domain: %s", w.Sentence)
	}
}

func (d *Desk) whyOf(t *testing.T, q campaigns.Question) campaigns.Why {
	t.Helper()
	w, err := d.Campaigns.Why(t.Context(), q)
	if err != nil {
		t.Fatalf("why %+v: %v", q, err)
	}
	if w.Sentence == "" || len(w.Gates) == 0 {
		t.Errorf("an answer without words: %+v", w)
	}
	for _, g := range w.Gates {
		if g.Says == "" || (g.Outcome == campaigns.Stops && g.Reason == "" && g.Name != "audience" && g.Name != "exclusions" && g.Name != "run") {
			t.Errorf("gate %s says nothing: %+v", g.Name, g)
		}
	}
	return w
}

func (d *Desk) foretell(t *testing.T, campaign string, people []int64) map[int64]campaigns.Why {
	t.Helper()
	out := map[int64]campaigns.Why{}
	for i, id := range people {
		out[id] = d.whyOf(t, campaigns.Question{Contact: fmt.Sprintf("w%d", i), Campaign: campaign})
	}
	return out
}

// queued lists who has a delivery that waits.
func (d *Desk) queued(t *testing.T, run campaigns.Run) map[int64]campaigns.Delivery {
	t.Helper()
	list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{Running: run.ID})
	if err != nil {
		t.Fatal(err)
	}
	out := map[int64]campaigns.Delivery{}
	for _, x := range list {
		out[x.ContactNo] = x
	}
	return out
}

// comparePlanned holds every prediction against what planning did.
func (d *Desk) comparePlanned(t *testing.T, campaign string, people []int64, foretold map[int64]campaigns.Why) {
	t.Helper()
	run := d.runs(t, campaign)[0]
	got := d.queued(t, run)
	left := map[int64]outbox.Reason{}
	list, err := d.Campaigns.NotPlanned(t.Context(), campaign, "", "", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		left[x.Number] = x.Reason
	}
	met := map[string]int{}
	for i, id := range people {
		w := foretold[id]
		stop := slices.IndexFunc(w.Gates, func(g campaigns.Gate) bool { return g.Outcome == campaigns.Stops })
		name := "planned"
		if stop >= 0 {
			name = w.Gates[stop].Name
			if w.Decided == nil || w.Decided.Name != name {
				t.Errorf("w%d: %s stops first, and %+v is named", i, name, w.Decided)
			}
		}
		met[name]++
		_, planned := got[id]
		reason, skipped := left[id]
		switch name {
		case "planned":
			if !planned {
				t.Errorf("w%d would be planned, said %q, and was not: %s", i, w.Sentence, reason)
			}
		case "audience", "exclusions":
			if planned || skipped {
				t.Errorf("w%d is not meant, said %q, and has a row", i, w.Sentence)
			}
		default:
			if !skipped || reason != w.Reason {
				t.Errorf("w%d would be left out for %s, said %q, and is: planned %v, %s", i, w.Reason, w.Sentence, planned, reason)
			}
		}
		after := d.whyOf(t, campaigns.Question{Contact: fmt.Sprintf("w%d", i), Campaign: campaign})
		if skipped && (after.Reason != reason || after.Decided == nil || after.Decided.Reason != reason) {
			t.Errorf("w%d was left out for %s, and the card says %s: %q", i, reason, after.Reason, after.Sentence)
		}
	}
	for _, name := range []string{"planned", "audience", "exclusions", "address", "consent", "suppressed domain"} {
		if met[name] == 0 {
			t.Logf("nobody met %q this time: %v", name, met)
		}
	}
}

// compareEnded holds the answers of before the gate against what the gate did,
// and those of after against the account.
func (d *Desk) compareEnded(t *testing.T, run campaigns.Run, open map[int64]campaigns.Delivery, underway map[int64]campaigns.Why) {
	t.Helper()
	ended := d.queued(t, run)
	for contact := range open {
		x, w := ended[contact], underway[contact]
		after := d.whyOf(t, campaigns.Question{Delivery: x.ID})
		if after.State != x.State || after.Reason != x.Reason {
			t.Errorf("%s is %s %s, and the card says %s %s", x.ID, x.State, x.Reason, after.State, after.Reason)
		}
		if (x.State == outbox.Suppressed || x.State == outbox.Failed || x.State == outbox.Uncertain) && (after.Decided == nil || after.Decided.Reason != x.Reason || after.Decided.Row == nil) {
			t.Errorf("%s is %s %s, and the card names %+v", x.ID, x.State, x.Reason, after.Decided)
		}
		switch {
		case w.Decided == nil:
			if x.State == outbox.Suppressed || x.Reason == outbox.AskedPause {
				t.Errorf("%s would leave, said %q, and is %s %s", x.ID, w.Sentence, x.State, x.Reason)
			}
		case w.Decided.Outcome == campaigns.Stops:
			if x.State != outbox.Suppressed && x.State != outbox.Expired || x.Reason != w.Decided.Reason {
				t.Errorf("%s would stop at %s (%s), said %q, and is %s %s", x.ID, w.Decided.Name, w.Decided.Reason, w.Sentence, x.State, x.Reason)
			}
		default:
			if x.State != outbox.Queued && x.State != outbox.Suppressed || x.Reason != w.Decided.Reason {
				t.Errorf("%s would wait for %s, said %q, and is %s %s", x.ID, w.Decided.Reason, w.Sentence, x.State, x.Reason)
			}
		}
	}
}
