package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/templates"
)

const atOnce = "schedule: {now: true}"

func examineStartNow(t *testing.T, d *Desk) {
	d.People(t, 7)
	d.Import(t, "external_id,email\nsilent,silent@example.com\nnowhere,\n", contacts.ImportOptions{})
	if _, err := d.Consent.Suppress(t.Context(), "email", "p3@example.com", consent.Complaint, ""); err != nil {
		t.Fatal(err)
	}
	d.put(t, "spring", atOnce, "data: {word: hi}", "reply_to: shop@example.com", "window: {from: \"08:00\", to: \"20:00\"}")
	b := d.start(t, "spring")
	if b.Run == nil || b.Campaign.State != campaigns.Running || d.pokes.Load() == 0 {
		t.Fatalf("start said %+v", b)
	}
	d.plan(t)
	a := d.account(t, "spring")
	want := map[outbox.Reason]int64{outbox.NoConsent: 1, outbox.NoAddress: 1, outbox.Complaint: 1}
	if a.Planned != 6 || a.States[outbox.Queued] != 6 || !maps.Equal(a.NotPlanned, want) || a.State != outbox.Running || a.Run != b.Run.UID {
		t.Fatalf("account %+v", a)
	}
	list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{Campaign: "spring"})
	if err != nil || len(list) != 6 {
		t.Fatalf("%d deliveries, %v", len(list), err)
	}
	if x := list[0]; x.Address != "p1@example.com" || !x.NotBefore.Equal(noon) || !x.ExpiresAt.Equal(noon.Add(campaigns.ExpiresMarketing)) {
		t.Errorf("delivery %+v", x)
	}
	run, err := d.Store.Run(t.Context(), b.Run.ID)
	if err != nil || run.ReplyTo != "shop@example.com" || run.Window == nil || run.Driver != mailer || run.Topic != "news" {
		t.Errorf("run %+v, %v", run, err)
	}
	seen := ""
	n := d.send(t, func(x outbox.Delivery) outbox.Settlement {
		seen = string(x.Data)
		return outbox.Settlement{State: outbox.Sent}
	})
	a = d.account(t, "spring")
	if n != 6 || !strings.Contains(seen, "hi") || a.State != outbox.Finished || a.States[outbox.Sent] != 6 || d.state(t, "spring") != campaigns.Finished {
		t.Errorf("sent %d with data %s: %+v", n, seen, a)
	}
	if _, err := d.Campaigns.Pause(t.Context(), "spring"); rapport.KindOf(err) != rapport.Conflict {
		t.Errorf("pause of a finished campaign: %v", err)
	}
}

func examineAudience(t *testing.T, d *Desk) {
	d.People(t, 10)
	for name, condition := range map[string]string{"few": "contact.points <= 3.0", "many": "contact.points >= 8.0", "five": "contact.points == 5.0", "nobody": "contact.points > 100.0"} {
		if _, err := d.Contacts.PutSegment(t.Context(), name, "", condition); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []struct{ audience, want string }{
		{"{}", "1 2 3 4 5 6 7 8 9 10"},
		{"{where: contact.points > 8.0}", "9 10"},
		{"{segments: [few]}", "1 2 3"},
		{"{segments: [few, many]}", "1 2 3 8 9 10"},
		{"{segments: [few, many], where: contact.points != 2.0}", "1 3 8 9 10"},
		{"{exclude: [few, many]}", "4 5 6 7"},
		{"{segments: [few, five], exclude: [five, nobody]}", "1 2 3"},
		{"{segments: [nobody]}", ""},
	} {
		name := fmt.Sprintf("c%d", i)
		d.put(t, name, atOnce, "audience: "+c.audience)
		d.start(t, name)
		d.plan(t)
		list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{Campaign: name})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range list {
			got = append(got, strings.TrimPrefix(x.ExternalID, "p"))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: planned %v, want %s", c.audience, got, c.want)
		}
	}
	// About whom an exclusion knows nothing, they are not excluded.
	d.Import(t, "external_id,email\nblank,blank@example.com\n", contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "examination"})
	d.put(t, "blank", atOnce, "audience: {exclude: [few]}")
	d.start(t, "blank")
	d.plan(t)
	if a := d.account(t, "blank"); a.Planned != 8 {
		t.Errorf("planned %d, want the seven others and the blank one", a.Planned)
	}
}

// examineFrozen: a run means what it meant when it began.
func examineFrozen(t *testing.T, d *Desk) {
	d.People(t, 4)
	if _, err := d.Contacts.PutSegment(t.Context(), "some", "", "contact.points <= 2.0"); err != nil {
		t.Fatal(err)
	}
	d.put(t, "spring", atOnce, "audience: {segments: [some]}")
	before, _, err := d.Templates.Get(t.Context(), mailer)
	if err != nil {
		t.Fatal(err)
	}
	b := d.start(t, "spring")
	if _, err := d.Contacts.PutSegment(t.Context(), "some", "", "contact.points > 2.0"); err != nil {
		t.Fatal(err)
	}
	src, err := d.Templates.Source(t.Context(), mailer)
	if err != nil {
		t.Fatal(err)
	}
	src.Content.Sources["en"] = map[string]string{"subject": "Changed", "html": src.Content.Sources["en"]["html"]}
	if _, err := d.Templates.Put(t.Context(), templates.Source{Template: src.Template, Content: src.Content}); err != nil {
		t.Fatal(err)
	}
	d.plan(t)
	list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{Run: b.Run.UID})
	if err != nil || len(list) != 2 || list[0].ExternalID != "p1" || list[1].ExternalID != "p2" {
		t.Errorf("planned %+v, %v", list, err)
	}
	if run, err := d.Store.Run(t.Context(), b.Run.ID); err != nil || run.Revision != before.Revision {
		t.Errorf("the run uses revision %d, began with %d (%v)", run.Revision, before.Revision, err)
	}
}

// examineMoves walks through every action from every standing.
func examineMoves(t *testing.T, d *Desk) {
	d.People(t, 3)
	ctx := t.Context()
	later := `schedule: {at: "2026-07-01T09:00"}`
	prepare := map[string]func(name string){
		"draft":     func(string) {},
		"scheduled": func(n string) { d.start(t, n) },
		"planning":  func(n string) { d.start(t, n) },
		"running":   func(n string) { d.start(t, n); d.plan(t) },
		"paused":    func(n string) { d.start(t, n); d.plan(t); d.must(t, n, d.Campaigns.Pause) },
		"cancelled": func(n string) { d.start(t, n); d.plan(t); d.must(t, n, d.Campaigns.Cancel) },
	}
	do := map[string]func(name string) error{
		"pause":      func(n string) error { _, err := d.Campaigns.Pause(ctx, n); return err },
		"resume":     func(n string) error { _, err := d.Campaigns.Resume(ctx, n); return err },
		"cancel":     func(n string) error { _, err := d.Campaigns.Cancel(ctx, n); return err },
		"unschedule": func(n string) error { _, err := d.Campaigns.Unschedule(ctx, n); return err },
	}
	want := map[string]string{
		"scheduled pause": "paused/", "scheduled cancel": "cancelled/", "scheduled unschedule": "draft/",
		"planning pause": "paused/paused", "planning cancel": "cancelled/cancelling", "planning unschedule": "running/planning",
		"running pause": "paused/paused", "running cancel": "cancelled/cancelling", "running unschedule": "running/running",
		"paused resume": "running/running", "paused cancel": "cancelled/cancelling", "paused unschedule": "paused/paused",
	}
	i := 0
	for _, from := range slices.Sorted(maps.Keys(prepare)) {
		for _, what := range slices.Sorted(maps.Keys(do)) {
			i++
			name, key := fmt.Sprintf("m%d", i), from+" "+what
			schedule := atOnce
			if from == "scheduled" {
				schedule = later
			}
			d.put(t, name, schedule)
			prepare[from](name)
			err := do[what](name)
			stands, allowed := want[key]
			if !allowed {
				if rapport.KindOf(err) != rapport.Conflict {
					t.Errorf("%s: error %v, want a conflict", key, err)
				}
			} else if got := d.stands(t, name); err != nil || got != stands {
				t.Errorf("%s: stands %s (%v), want %s", key, got, err, stands)
			}
			d.plan(t) // what stayed in planning must not meet the next case
		}
	}
}

func (d *Desk) must(t testing.TB, name string, do func(ctx context.Context, ref string) (campaigns.Campaign, error)) {
	t.Helper()
	if _, err := do(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// stands is the campaign's state and its newest run's.
func (d *Desk) stands(t testing.TB, name string) string {
	t.Helper()
	runs, err := d.Campaigns.Runs(t.Context(), name, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	run := ""
	if len(runs) > 0 {
		run = string(runs[0].State)
	}
	return string(d.state(t, name)) + "/" + run
}

// examineOverAndOver pauses and resumes while planning and sending go on:
// everybody gets it once. Then cancel is final.
func examineOverAndOver(t *testing.T, d *Desk) {
	const people = 2500
	d.People(t, people)
	d.put(t, "spring", atOnce)
	d.start(t, "spring")
	got := map[int64]int{}
	for range 60 {
		if _, err := d.Campaigns.PlanSome(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.must(t, "spring", d.Campaigns.Pause)
		if more, err := d.Campaigns.PlanSome(t.Context()); err != nil || more {
			t.Fatalf("a paused run is planned (%v)", err)
		}
		if n := d.send(t, allSent); n != 0 {
			t.Fatalf("%d were sent while paused", n)
		}
		d.must(t, "spring", d.Campaigns.Resume)
		d.send(t, func(x outbox.Delivery) outbox.Settlement {
			got[x.Contact]++
			return outbox.Settlement{State: outbox.Sent}
		})
		if d.state(t, "spring") == campaigns.Finished {
			break
		}
	}
	for contact, n := range got {
		if n != 1 {
			t.Errorf("contact %d got it %d times", contact, n)
		}
	}
	if a := d.account(t, "spring"); len(got) != people || a.States[outbox.Sent] != people || a.State != outbox.Finished {
		t.Errorf("%d people, account %+v", len(got), a)
	}

	d.put(t, "summer", atOnce)
	d.start(t, "summer")
	d.plan(t)
	d.must(t, "summer", d.Campaigns.Cancel)
	if a := d.account(t, "summer"); a.States[outbox.Cancelled] != people {
		t.Errorf("cancelled account %+v", a)
	}
	if n := d.send(t, allSent); n != 0 {
		t.Errorf("%d were sent after the cancel", n)
	}
	for {
		n, err := d.Store.Fold(t.Context(), d.Now())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	d.send(t, allSent)
	if got := d.stands(t, "summer"); got != "cancelled/cancelled" {
		t.Errorf("stands %s", got)
	}
	_, err := d.Campaigns.Retry(t.Context(), "summer", "", "")
	wantKind(t, err, rapport.Conflict)
}

func examineRetry(t *testing.T, d *Desk) {
	const people = 1100 // more than one transaction
	d.People(t, people)
	d.put(t, "spring", atOnce)
	d.start(t, "spring")
	d.plan(t)
	d.send(t, func(x outbox.Delivery) outbox.Settlement {
		switch x.Contact % 4 {
		case 0:
			return outbox.Settlement{State: outbox.Sent}
		case 1:
			return outbox.Settlement{State: outbox.Failed, Reason: outbox.MailboxFull, Verdict: "malformed"}
		default:
			return outbox.Settlement{State: outbox.Failed, Reason: outbox.ContentRefused, Verdict: "malformed"}
		}
	})
	full := int64(people / 4)
	a := d.account(t, "spring")
	if a.State != outbox.Finished || a.Reasons[outbox.Failed][outbox.MailboxFull] != full {
		t.Fatalf("account %+v", a)
	}
	d.Set(noon.Add(48 * time.Hour)) // longer than they live: a person's word begins afresh
	n, err := d.Campaigns.Retry(t.Context(), "spring", "", outbox.MailboxFull)
	if err != nil || n != full {
		t.Fatalf("retried %d, %v", n, err)
	}
	a = d.account(t, "spring")
	if a.State != outbox.Running || a.States[outbox.Queued] != full || d.state(t, "spring") != campaigns.Running || a.FinishedAt != nil {
		t.Fatalf("account after retry %+v", a)
	}
	if folded, err := d.Store.Fold(t.Context(), d.Now()); err != nil || folded != 0 {
		t.Fatalf("%d of them were taken for expired, %v", folded, err)
	}
	turns := map[int64]int64{}
	d.send(t, func(x outbox.Delivery) outbox.Settlement {
		turns[x.Contact] = x.Turn
		if x.Attempt != 0 {
			t.Errorf("attempts are counted from %d", x.Attempt)
		}
		return outbox.Settlement{State: outbox.Sent}
	})
	for contact, turn := range turns {
		if contact%4 != 1 || turn != 3 { // the word raised it, and the claim
			t.Errorf("contact %d was tried again at turn %d", contact, turn)
		}
	}
	if n, err = d.Campaigns.Retry(t.Context(), "spring", "", ""); err != nil || n != people/2 {
		t.Fatalf("retried the rest: %d, %v", n, err)
	}
	d.send(t, allSent)
	if a = d.account(t, "spring"); a.States[outbox.Sent] != people || a.State != outbox.Finished || d.state(t, "spring") != campaigns.Finished {
		t.Errorf("account at the end %+v", a)
	}
	if n, err = d.Campaigns.Retry(t.Context(), "spring", "", ""); err != nil || n != 0 || d.account(t, "spring").State != outbox.Finished {
		t.Errorf("retried %d of nothing, %v", n, err)
	}
}

func examineResolve(t *testing.T, d *Desk) {
	d.People(t, 6)
	d.put(t, "spring", atOnce)
	d.start(t, "spring")
	d.plan(t)
	d.send(t, func(x outbox.Delivery) outbox.Settlement {
		return outbox.Settlement{State: outbox.Uncertain, Reason: outbox.NoAnswer, Verdict: "uncertain"}
	})
	list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{Campaign: "spring", State: outbox.Uncertain, Reason: outbox.NoAnswer})
	if err != nil || len(list) != 6 {
		t.Fatalf("%d uncertain, %v", len(list), err)
	}
	ctx := rapport.WithActor(t.Context(), rapport.Actor{Name: "cli:anna"})
	for i, to := range []outbox.State{outbox.Sent, outbox.Failed, outbox.Queued} {
		if err := d.Campaigns.Resolve(ctx, list[i].ID, to); err != nil {
			t.Fatalf("resolve to %s: %v", to, err)
		}
	}
	wantKind(t, d.Campaigns.Resolve(ctx, list[0].ID, outbox.Failed), rapport.Conflict)
	wantKind(t, d.Campaigns.Resolve(ctx, list[3].ID, outbox.Cancelled), rapport.Invalid)
	wantKind(t, d.Campaigns.Resolve(ctx, rapport.DeliveryID(999, 1), outbox.Sent), rapport.NotFound)
	a := d.account(t, "spring")
	if a.States[outbox.Sent] != 1 || a.States[outbox.Failed] != 1 || a.States[outbox.Queued] != 1 || a.States[outbox.Uncertain] != 3 || a.State != outbox.Running {
		t.Fatalf("account %+v", a)
	}
	story, err := d.Store.DeliveryOf(ctx, runOf(t, list[0].ID), list[0].ContactNo)
	if err != nil || len(story.Tries) != 2 || !strings.Contains(story.Tries[1].Detail, "cli:anna") {
		t.Errorf("story %+v, %v", story, err)
	}
	d.send(t, allSent)
	if n, err := d.Campaigns.ResolveRun(ctx, "spring", "", outbox.Sent); err != nil || n != 3 {
		t.Errorf("resolved %d, %v", n, err)
	}
	if a := d.account(t, "spring"); a.States[outbox.Sent] != 5 || a.State != outbox.Finished {
		t.Errorf("account at the end %+v", a)
	}
}

func runOf(t testing.TB, delivery string) int64 {
	t.Helper()
	run, _, err := rapport.ParseDeliveryID(delivery)
	if err != nil {
		t.Fatal(err)
	}
	return run
}
