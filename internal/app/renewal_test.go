package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/responses"
	"rapport/templates"
)

// letterOf puts a template and returns its name.
func (n *newsstand) letterOf(name, html string) string {
	n.t.Helper()
	src, err := templates.Load(fstest.MapFS{
		"template.yaml":     {Data: []byte("name: " + name + "\ndriver: email\nlocale: en\n")},
		"en/subject.liquid": {Data: []byte("News")},
		"en/html.liquid":    {Data: []byte("<!doctype html><html lang=\"en\"><head><title>News</title></head><body>" + html + "</body></html>")},
	}, n.Drivers)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.Templates.Put(n.t.Context(), src); err != nil {
		n.t.Fatal(err)
	}
	return name
}

// campaign sends one to everybody about news and waits for its end.
func (n *newsstand) campaign(name, template string) outbox.Account {
	n.t.Helper()
	ctx := n.t.Context()
	if _, err := n.Campaigns.Put(ctx, campaigns.Definition{Name: name, Channel: "post", Topic: "news", Template: template, Schedule: campaigns.Schedule{Now: true}}); err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.Campaigns.Start(ctx, name); err != nil {
		n.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if a, err := n.Campaigns.Status(ctx, name, ""); err == nil && a.State == outbox.Finished {
			return a
		}
	}
	n.t.Fatalf("campaign %s does not end", name)
	return outbox.Account{}
}

// TestCampaignsReachWhoConfirmed: nobody is written to who has only asked, and
// everybody who has confirmed is.
func TestCampaignsReachWhoConfirmed(t *testing.T) {
	n := openNewsstand(t)
	letter := n.letterOf("note", `<p>News for you. <a href="{{ links.unsubscribe }}">Leave</a></p>`)
	n.sign("join", "yes@example.com")
	n.sign("join", "not-yet@example.com")
	link := n.link(n.letter("yes@example.com", 1))
	n.letter("not-yet@example.com", 1)
	if a := n.campaign("early", letter); a.Planned != 0 || a.NotPlanned[outbox.PendingConsent] != 2 {
		t.Errorf("before: %+v", a)
	}
	n.ask("POST", link, url.Values{"confirm": {"yes"}})
	if a := n.campaign("later", letter); a.Planned != 1 || a.States[outbox.Sent] != 1 || a.NotPlanned[outbox.PendingConsent] != 1 {
		t.Errorf("after: %+v", a)
	}
	if n.letter("yes@example.com", 2).Subject != "News" || len(n.letters("not-yet@example.com")) != 1 {
		t.Error("the letter went to somebody else")
	}
}

// TestRenewal: a letter that asks for it leads to a button, behind which the
// consent begins anew.
func TestRenewal(t *testing.T) {
	n := openNewsstand(t, "consent: {expires: {news: 100d}}")
	n.sign("join", "stay@example.com")
	n.ask("POST", n.link(n.letter("stay@example.com", 1)), url.Values{"confirm": {"yes"}})
	who, err := n.Contacts.Get(t.Context(), "stay@example.com")
	if err != nil {
		t.Fatal(err)
	}
	ends := func() time.Time {
		sheet, err := n.Consent.Show(t.Context(), who.ID)
		if err != nil || len(sheet.Standing) != 2 {
			t.Fatalf("%+v, %v", sheet.Standing, err)
		}
		return sheet.Standing[1].Expires
	}
	first := ends()
	n.later(90 * 24 * time.Hour)
	n.campaign("stay-with-us", n.letterOf("renew", `<p><a href="{{ links.renew }}">Stay</a> <a href="{{ links.unsubscribe }}">Leave</a></p>`))
	link := n.link(n.letter("stay@example.com", 2))
	lines := len(n.history("stay@example.com"))
	for range 20 {
		if code, text, _ := n.ask("GET", link, nil); code != http.StatusOK || !strings.Contains(text, "Stay subscribed") || !strings.Contains(text, "<li>News</li>") {
			t.Fatalf("%d %s", code, text)
		}
	}
	if got := n.history("stay@example.com"); len(got) != lines || !ends().Equal(first) {
		t.Errorf("looking changed something: %d lines", len(got))
	}
	for range 3 {
		if code, text, _ := n.ask("POST", link, url.Values{"confirm": {"yes"}}); code != http.StatusOK || !strings.Contains(text, "You stay subscribed") {
			t.Fatalf("%d %s", code, text)
		}
	}
	history := n.history("stay@example.com")
	last := history[len(history)-1]
	if len(history) != lines+1 || last.State != consent.Confirmed || last.Evidence.Method != consent.ByLink || last.Evidence.MessageID != n.letter("stay@example.com", 2).MessageID {
		t.Errorf("%d lines instead of %d, the last %+v %+v", len(history), lines+1, last, last.Evidence)
	}
	if moved := ends().Sub(first); moved < 89*24*time.Hour || moved > 91*24*time.Hour {
		t.Errorf("the end moved by %s", moved)
	}
	if _, err := n.Consent.Withdraw(t.Context(), consent.Entry{Contact: who.ID, Driver: "email", Topic: "news", Source: "test"}); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := n.ask("POST", link, url.Values{"confirm": {"yes"}}); code != http.StatusNotFound || n.answers("stay@example.com") != "confirmations=granted news=withdrawn" {
		t.Errorf("a link of yesterday overturns a no: %d %s", code, n.answers("stay@example.com"))
	}
	for _, subject := range []responses.Subject{{Contact: 999, Driver: "email", Topic: "news"}, {Contact: who.ID, Driver: "slack", Topic: "news"}} {
		path := strings.TrimPrefix(n.links.For(subject, true).Renew(), n.PublicURL())
		if code, _, _ := n.ask("GET", path, nil); code != http.StatusNotFound {
			t.Errorf("%+v: %d", subject, code)
		}
	}
}

// TestInvite: people of a file who wait for their confirmation are asked once,
// each in their language.
func TestInvite(t *testing.T) {
	n := openNewsstand(t)
	ctx := t.Context()
	file := "email,locale,external_id\na@example.com,de,a1\nb@example.com,en,b1\n"
	rep, err := n.Contacts.Import(ctx, contacts.Source{Name: "fair.csv", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file)), nil }},
		contacts.ImportOptions{Grants: []contacts.Grant{{Driver: "email", Topic: "news"}}, Pending: true, Source: "fair 2026, paper forms"})
	if err != nil || rep.Consents["pending"] != 2 {
		t.Fatalf("%+v, %v", rep, err)
	}
	for i, want := range []int{2, 0} {
		if asked, err := n.Invite(ctx, "join", 100); err != nil || asked != want {
			t.Errorf("time %d: %d, %v", i, asked, err)
		}
	}
	m := n.letter("a@example.com", 1)
	if m.Subject != "Bitte bestätigen Sie Ihre Anmeldung" {
		t.Errorf("the letter is %q", m.Subject)
	}
	n.letter("b@example.com", 1)
	n.ask("POST", n.link(m), url.Values{"confirm": {"yes"}})
	if got := n.answers("a@example.com"); got != "invitations=granted news=granted" {
		t.Errorf("confirmed: %s", got)
	}
	n.later(31 * 24 * time.Hour)
	if _, err := n.RunChores(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if got := n.answers("b@example.com"); got != "invitations=granted" { // their own contact stays
		t.Errorf("never confirmed: %s", got)
	}
	n.verified()
}

// TestChores: whoever takes a chore on does it, others leave it alone, and one
// that fails is taken on again after an hour, not the next minute.
func TestChores(t *testing.T) {
	now := time.Now()
	drivers := registry(t)
	h, err := Open(t.Context(), Options{Config: conf(t, drivers, "data: "+t.TempDir()), Drivers: drivers, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	n, fail := 0, true
	h.daily = nil
	h.Daily(DailyChore{Name: "count", What: "counts", Do: func(context.Context) (map[string]int, error) {
		if n++; fail {
			return nil, io.ErrUnexpectedEOF
		}
		return map[string]int{"n": n}, nil
	}})
	for _, c := range []struct {
		after time.Duration
		fail  bool
		want  int
	}{{0, true, 1}, {time.Minute, true, 1}, {time.Hour, false, 2}, {time.Minute, false, 2}, {23 * time.Hour, false, 2}, {time.Hour, false, 3}} {
		now, fail = now.Add(c.after), c.fail
		if err := h.dueChores(t.Context()); (err != nil) != (c.fail && n == c.want && c.after != time.Minute) || n != c.want {
			t.Errorf("after %s: done %d times, want %d: %v", c.after, n, c.want, err)
		}
	}
	if done, err := h.RunChores(t.Context(), "count"); err != nil || len(done) != 1 || done[0].Did["n"] != 4 {
		t.Errorf("by hand: %+v, %v", done, err)
	}
	if _, err := h.RunChores(t.Context(), "cuont"); err == nil {
		t.Error("an unknown chore is done")
	}
}

// TestChoresThatDidNothing: the log of an ordinary day says what was done, not
// what there was not to do.
func TestChoresThatDidNothing(t *testing.T) {
	drivers := registry(t)
	var log bytes.Buffer
	h, err := Open(t.Context(), Options{
		Config: conf(t, drivers, "data: "+t.TempDir()), Drivers: drivers, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	h.Daily(DailyChore{Name: "idle", What: "finds nothing", Do: func(context.Context) (map[string]int, error) { return map[string]int{"found": 0, "left": 0}, nil }})
	h.Daily(DailyChore{Name: "busy", What: "finds something", Do: func(context.Context) (map[string]int, error) { return map[string]int{"found": 0, "left": 2}, nil }})
	if err := h.dueChores(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "chore=") != 1 || !strings.Contains(got, "chore=busy") || !strings.Contains(got, "left:2") {
		t.Errorf("the log of a new house says\n%s", got)
	}
}
