package storetest

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/responses"
	"rapport/templates"
)

func examineCheck(t *testing.T, d *Desk) {
	d.People(t, 30)
	d.Import(t, "external_id,email\nblank1,blank1@example.com\nblank2,blank2@example.com\n", contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "examination"})
	d.Import(t, "external_id,email\nsilent,silent@example.com\nnowhere,\n", contacts.ImportOptions{})
	d.put(t, "spring", `schedule: {at: "2026-06-01T13:00"}`)
	got, err := d.Campaigns.Check(t.Context(), "spring")
	if err != nil || got.Err() != nil {
		t.Fatalf("check %+v, %v", got, err)
	}
	if got.Audience != 34 || got.Planned != 32 || got.Skipped[outbox.NoConsent] != 1 || got.Skipped[outbox.NoAddress] != 1 {
		t.Errorf("counts %+v", got)
	}
	if got.Missing["points"] != 2 || got.Missing["name"] != 2 {
		t.Errorf("missing %v", got.Missing)
	}
	start := noon.Add(time.Hour)
	if !got.StartsAt.Equal(start) || got.Rate != 10 || !got.EndsAt.Equal(start.Add(3*time.Second)) {
		t.Errorf("from %s to %s at %v/s", got.StartsAt, got.EndsAt, got.Rate)
	}
	locales := map[string]bool{}
	for _, s := range got.Samples {
		if s.Error != "" || !strings.Contains(s.Content["html"], "points") || s.Address == "" {
			t.Errorf("sample %+v", s)
		}
		c := d.get(t, s.Contact)
		locales[c.Locale] = true
	}
	if len(got.Samples) != 5 || len(locales) != 4 {
		t.Errorf("%d samples of locales %v", len(got.Samples), locales)
	}
	if len(d.runs(t, "spring")) != 0 || d.state(t, "spring") != campaigns.Draft {
		t.Error("checking changed something")
	}
	if err := d.Store.Hold(t.Context(), outbox.Hold{Channel: "letters", Reason: outbox.PolicyRefused, Since: noon}); err != nil {
		t.Fatal(err)
	}
	got, err = d.Campaigns.Check(t.Context(), "spring")
	if err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), "channel letters is held") {
		t.Errorf("a held channel: %v, %v", got.Warnings, err)
	}
	// The rate of the last run counts when it was slower than the limit.
	if _, err := d.Store.Lift(t.Context(), "letters"); err != nil {
		t.Fatal(err)
	}
	d.put(t, "other", atOnce)
	d.start(t, "other")
	d.plan(t)
	d.Set(noon.Add(16 * time.Second))
	d.send(t, allSent)
	if got, err = d.Campaigns.Check(t.Context(), "spring"); err != nil || got.Rate != 2 {
		t.Errorf("rate %v, %v", got.Rate, err)
	}
}

func examineCheckRefuses(t *testing.T, d *Desk) {
	d.People(t, 1)
	src, err := d.Templates.Source(t.Context(), mailer)
	if err != nil {
		t.Fatal(err)
	}
	src.Template.Topic = "service"
	src.Content.Sources["en"] = map[string]string{"subject": "Hi {{ data.word }}", "html": "<p>Hi {{ contact.nmae }}</p>"}
	if _, err := d.Templates.Put(t.Context(), templates.Source{Template: src.Template, Content: src.Content}); err != nil {
		t.Fatal(err)
	}
	d.put(t, "spring", atOnce)
	got, err := d.Campaigns.Check(t.Context(), "spring")
	if err != nil {
		t.Fatal(err)
	}
	errs, warns := strings.Join(got.Errors, "\n"), strings.Join(got.Warnings, "\n")
	if !strings.Contains(errs, "no way to unsubscribe") || !strings.Contains(errs, "contact.nmae") {
		t.Errorf("errors %s", errs)
	}
	if !strings.Contains(warns, "data.word") || !strings.Contains(warns, "meant for topic service") {
		t.Errorf("warnings %s", warns)
	}
	_, err = d.Campaigns.Start(t.Context(), "spring")
	wantKind(t, err, rapport.Invalid)
	if d.state(t, "spring") != campaigns.Draft {
		t.Error("it started all the same")
	}
}

func examineTestCopy(t *testing.T, d *Desk) {
	d.People(t, 2)
	d.put(t, "spring", atOnce, "reply_to: shop@example.com")
	got, err := d.Campaigns.Test(t.Context(), "spring", "p2", "Boss@Example.com")
	if err != nil {
		t.Fatal(err)
	}
	m := got.Message
	if got.Channel != "letters" || m.To != "boss@example.com" || m.Content["subject"] != "[Test] Hello Name 2" || m.ReplyTo != "shop@example.com" || m.List != "news" || !strings.HasPrefix(m.Key, "test-") {
		t.Errorf("copy %+v", m)
	}
	if list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("a test is in the account: %v, %v", list, err)
	}
	// Who may not be written to gets no copy either.
	d.suppress(t, "gone@example.com", consent.Complaint)
	if _, err := d.Consent.SuppressDomain(t.Context(), consent.SuppressedDomain{Kind: "email", Domain: "closed.example"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Consent.Withdraw(t.Context(), consent.Entry{Contact: d.get(t, "p1").ID, Driver: mailer, Topic: "news"}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"Gone@Example.com", "a@CLOSED.example.", "P1@example.com"} {
		_, err = d.Campaigns.Test(t.Context(), "spring", "p2", to)
		wantKind(t, err, rapport.Denied)
	}
	_, err = d.Campaigns.Test(t.Context(), "spring", "p2", "nonsense")
	wantKind(t, err, rapport.Invalid)
	_, err = d.Campaigns.Test(t.Context(), "spring", "ghost", "boss@example.com")
	wantKind(t, err, rapport.NotFound)
	bird, err := d.Campaigns.Create(t.Context(), "b.yaml", []byte("name: bird\ntopic: news\nchannel: birds\ntemplate: pigeon\nschedule: {now: true}\ndata: {word: hi}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err = d.Campaigns.Test(t.Context(), bird.UID, "p1", "tower")
	if err != nil || got.Message.Content["text"] != "[Test] Coo Name 1 hi" {
		t.Errorf("copy %+v, %v", got, err)
	}
}

func examineReport(t *testing.T, d *Desk) {
	d.People(t, 3)
	d.Import(t, "external_id,email,name\n=cmd,cmd@example.com,x\n", contacts.ImportOptions{})
	d.put(t, "spring", atOnce)
	b := d.start(t, "spring")
	d.plan(t)
	d.send(t, func(x outbox.Delivery) outbox.Settlement {
		if x.Address == "p2@example.com" {
			return outbox.Settlement{State: outbox.Failed, Reason: outbox.MailboxFull, Verdict: "malformed", Code: "552 5.2.2", Detail: "full"}
		}
		return outbox.Settlement{State: outbox.Sent, ProviderID: "q1", Server: "mx1"}
	})
	p1 := d.get(t, "p1").ID
	d.responded(t, b.Run.ID, p1, responses.Opened, false, 1)
	d.responded(t, b.Run.ID, p1, responses.Opened, true, 1)
	d.responded(t, b.Run.ID, p1, responses.Clicked, false, 2)
	d.responded(t, b.Run.ID, p1, responses.Unsubscribed, false, 1)
	r, err := d.Campaigns.Report(t.Context(), "spring", "")
	if err != nil || len(r.Links) != 1 || r.Links[0].URL != "https://shop.example.com/" || r.Links[0].N != 2 || r.Links[0].People != 1 {
		t.Fatalf("report %+v, %v", r, err)
	}
	if len(r.Responses) != 3 || r.Account.States[outbox.Sent] != 2 {
		t.Errorf("report %+v", r)
	}
	var out bytes.Buffer
	if n, err := d.Campaigns.WritePeople(t.Context(), &out, "spring", ""); err != nil || n != 4 {
		t.Fatalf("%d rows, %v", n, err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("rows %v, %v", rows, err)
	}
	if got := strings.Join(rows[1][9:], "|"); got != "1|2|1|0|unsubscribed" || rows[1][2] != "p1" || rows[1][4] != "sent" {
		t.Errorf("first row %v", rows[1])
	}
	if rows[2][5] != "mailbox_full" || rows[2][7] != "552 5.2.2" {
		t.Errorf("second row %v", rows[2])
	}
	if last := rows[4]; last[2] != "'=cmd" || last[4] != "not_planned" || last[5] != "no_consent" {
		t.Errorf("last row %v", last)
	}
	out.Reset()
	if n, err := d.Campaigns.WriteLinks(t.Context(), &out, "spring", b.Run.UID); err != nil || n != 1 || !strings.Contains(out.String(), "0,https://shop.example.com/,human,2,1") {
		t.Errorf("links %s, %v", out.String(), err)
	}
	story, err := d.Store.DeliveryOf(t.Context(), b.Run.ID, d.get(t, "p2").ID)
	if err != nil || len(story.Tries) != 1 || story.Tries[0].Detail != "full" || story.Revision != 1 {
		t.Errorf("story %+v, %v", story, err)
	}
	story, err = d.Store.DeliveryOf(t.Context(), b.Run.ID, p1)
	if err != nil || len(story.Reactions) != 4 || story.ProviderID != "q1" {
		t.Errorf("story %+v, %v", story, err)
	}
	for _, f := range []campaigns.Filter{
		{Run: b.Run.UID, State: outbox.Failed}, {Campaign: "spring", Reason: outbox.MailboxFull}, {Address: "p2@example.com", Kind: "email"}, {Contact: d.get(t, "p2").ID},
	} {
		list, err := d.Campaigns.Deliveries(t.Context(), f)
		if err != nil || len(list) != 1 || list[0].ExternalID != "p2" {
			t.Errorf("filter %+v finds %+v, %v", f, list, err)
		}
	}
	skipped, err := d.Campaigns.NotPlanned(t.Context(), "spring", "", outbox.NoConsent, 0, 10)
	if err != nil || len(skipped) != 1 || skipped[0].ExternalID != "=cmd" {
		t.Errorf("not planned %+v, %v", skipped, err)
	}
}

func examineNotes(t *testing.T, d *Desk) {
	d.People(t, 1)
	d.put(t, "spring", atOnce)
	d.start(t, "spring")
	d.plan(t)
	if list, err := d.Campaigns.Finished(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("told before the end: %v, %v", list, err)
	}
	d.send(t, func(outbox.Delivery) outbox.Settlement {
		return outbox.Settlement{State: outbox.Failed, Reason: outbox.Refused, Verdict: "malformed"}
	})
	for i, want := range []int{1, 0} {
		list, err := d.Campaigns.Finished(t.Context())
		if err != nil || len(list) != want {
			t.Errorf("look %d: %+v, %v", i, list, err)
		}
	}
	// A run that goes on is told again when it ends again.
	if _, err := d.Campaigns.Retry(t.Context(), "spring", "", ""); err != nil {
		t.Fatal(err)
	}
	d.send(t, allSent)
	if list, err := d.Campaigns.Finished(t.Context()); err != nil || len(list) != 1 || list[0].States[outbox.Sent] != 1 {
		t.Errorf("after the retry: %+v, %v", list, err)
	}
	if err := d.Store.Hold(t.Context(), outbox.Hold{Channel: "letters", Reason: outbox.Authentication, Since: noon}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		list, err := d.Campaigns.Held(t.Context())
		if err != nil || len(list) != want {
			t.Errorf("hold, look %d: %+v, %v", i, list, err)
		}
	}
}

// responded records that something came back, an hour after the message left.
func (d *Desk) responded(t testing.TB, run, contact int64, kind responses.Kind, machine bool, times int) {
	t.Helper()
	for i := range times {
		e := responses.Event{Kind: kind, Run: run, Contact: contact, Machine: machine, At: d.Now().Add(time.Hour), Dedupe: fmt.Sprint(kind, run, contact, machine, i)}
		if n, err := d.Store.AddResponses(t.Context(), []responses.Event{e}, nil); err != nil || n != 1 {
			t.Fatalf("%d responses added, %v", n, err)
		}
	}
}
