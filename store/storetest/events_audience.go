package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"rapport/consent"
	"rapport/contacts"
	"rapport/events"
	"rapport/outbox"
	"rapport/rights"
)

// examineEventSegments: an event counts at once, and only while it is recent
// enough.
func examineEventSegments(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{})
	h.load(t, events.LoadOptions{}, append(happened("a1", 1, 80, 100), happened("b2", 1)...)...)
	segment := func(name, where string, want ...string) {
		t.Helper()
		if _, err := h.Contacts.PutSegment(t.Context(), name, "", where); err != nil {
			t.Fatal(err)
		}
		list, err := h.Contacts.Members(t.Context(), name, 0, 10)
		var who []string
		for _, c := range list {
			who = append(who, c.ExternalID)
		}
		n, err2 := h.Contacts.Count(t.Context(), name)
		if err := errors.Join(err, err2); err != nil || !slices.Equal(who, want) || n != len(want) {
			t.Errorf("%s: %v (%d), %v; want %v", where, who, n, err, want)
		}
	}
	segment("often", `event("order.placed", duration("2160h")) >= 2`, "a1")
	segment("ever", `event("order.placed") >= 3`, "a1")
	segment("never", `event("order.placed") == 0`, "c3")
	h.load(t, events.LoadOptions{}, happened("b2", 1, 2, 3)...)
	segment("often", `event("order.placed", duration("2160h")) >= 2`, "a1", "b2")
	segment("week", `event("order.placed", duration("168h")) == 1 && contact.points > 0`, "a1")
}

// examineEventAudience: a campaign is planned for whom something happened to,
// and marketing never for whoever objects, whatever happened to them.
func examineEventAudience(t *testing.T, d *Desk) {
	d.People(t, 6)
	at := func(days int) string {
		return d.Now().Add(-time.Duration(days) * 24 * time.Hour).Format(time.RFC3339)
	}
	var lines []string
	for who, days := range map[string][]int{"p1": {1, 2}, "p2": {1, 100}, "p3": {100, 101}, "p4": {1, 2, 3}} {
		for i, n := range days {
			lines = append(lines, fmt.Sprintf(`{"id": "%s-%d", "name": "order.placed", "contact": {"email": "%s@example.com"}, "at": "%s"}`, who, i, who, at(n)))
		}
	}
	d.load(t, events.LoadOptions{}, lines...)
	who := d.get(t, "p4").ID
	law := rights.New(rights.Options{Store: d.Store, Contacts: d.Contacts, Consent: d.Consent, Drivers: d.Drivers, Now: d.Now, Random: rand.Reader})
	if _, err := law.Object(t.Context(), who, "letter of 3 May"); err != nil {
		t.Fatal(err)
	}
	d.put(t, "thanks", "audience:", `  where: event("order.placed", duration("2160h")) >= 2`, "schedule: {now: true}")
	d.start(t, "thanks")
	d.plan(t)
	a := d.account(t, "thanks")
	if a.Planned != 1 || a.NotPlanned[outbox.Withdrawn] != 1 {
		t.Errorf("%+v", a)
	}
	// What is about a contract goes on, and counts their events.
	if _, err := d.Consent.Grant(t.Context(), consent.Entry{Contact: who, Driver: mailer, Topic: "service", Basis: consent.ByContract, Source: "order"}); err != nil {
		t.Fatal(err)
	}
	_, err := d.Campaigns.Create(t.Context(), "case.yaml", []byte("name: case\ntopic: service\nchannel: letters\ntemplate: mailer\naudience:\n  where: event(\"order.placed\", duration(\"2160h\")) >= 2\nschedule: {now: true}\n"))
	if err != nil {
		t.Fatal(err)
	}
	d.start(t, "case")
	d.plan(t)
	if a := d.account(t, "case"); a.Planned != 1 || a.NotPlanned[outbox.NoConsent] != 1 {
		t.Errorf("%+v", a)
	}
	if n := d.sendAll(t); n != 2 {
		t.Errorf("%d were sent", n)
	}
}
