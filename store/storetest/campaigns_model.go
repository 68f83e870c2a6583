package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/conditions"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
)

// modelConditions are what the audiences of the model are made of; some know
// nothing about some people.
var modelConditions = map[string]string{
	"rich":    "contact.points > 50.0",
	"half":    "contact.points / 2.0 >= 30.0 || contact.vip",
	"berlin":  `contact.city == "Berlin"`,
	"notb":    `!(contact.city == "Berlin")`,
	"german":  `contact.locale.startsWith("de")`,
	"vip":     "contact.vip && contact.points < 90.0",
	"asked":   `consent("mailer", "news")`,
	"hasmail": `has(contact.email) && contact.email.endsWith("@example.com")`,
	"party":   "anniversary(contact.born)",
	"all":     "true",
}

// examineModel plans random audiences over random people and compares who is
// planned, and why the others are not, with what the conditions in memory and
// the gate say.
func examineModel(t *testing.T, d *Desk) {
	rnd := rand.New(rand.NewPCG(7, uint64(noon.Unix())))
	d.Import(t, modelPeople(rnd, 250), contacts.ImportOptions{Types: map[string]contacts.Type{"born": contacts.Date}, Source: "examination"})
	for _, n := range []int{3, 50, 51, 120} {
		if _, err := d.Consent.Suppress(t.Context(), "email", fmt.Sprintf("p%d@example.com", n), consent.Reasons()[n%4], ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{10, 20, 30, 40} { // whose address changed after they agreed
		_, _, err := d.Contacts.Put(t.Context(), contacts.Input{ExternalID: fmt.Sprintf("p%d", n), Addresses: map[string]string{"email": fmt.Sprintf("new%d@example.com", n)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := []string{}
	for name, condition := range modelConditions {
		if _, err := d.Contacts.PutSegment(t.Context(), name, "", condition); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	checked := map[string]*conditions.Condition{}
	for _, condition := range modelConditions {
		c, err := d.Contacts.Check(t.Context(), condition)
		if err != nil {
			t.Fatal(err)
		}
		checked[condition] = c
	}
	people := d.modelled(t)
	some := func(most int) []string {
		var out []string
		for range rnd.IntN(most + 1) {
			out = append(out, names[rnd.IntN(len(names))])
		}
		return out
	}
	for i := range 25 {
		a := campaigns.Audience{Segments: some(2), Exclude: some(2)}
		if rnd.IntN(2) == 0 {
			a.Where = modelConditions[names[rnd.IntN(len(names))]]
		}
		name := fmt.Sprintf("model%d", i)
		c, err := d.Campaigns.Put(t.Context(), campaigns.Definition{Name: name, Topic: "news", Channel: "letters", Template: mailer, Audience: a, Schedule: campaigns.Schedule{Now: true}})
		if err != nil {
			t.Fatal(err)
		}
		b := d.start(t, c.Name)
		d.plan(t)
		d.compare(t, a, people, checked, b.Run)
	}
}

func modelPeople(rnd *rand.Rand, n int) string {
	var b strings.Builder
	b.WriteString("external_id,email,name,locale,time_zone,city,points,vip,born,consent:mailer:news\n")
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	for i := 1; i <= n; i++ {
		mail := fmt.Sprintf("p%d@example.com", i)
		if rnd.IntN(8) == 0 {
			mail = ""
		}
		points := pick("", strconv.Itoa(rnd.IntN(100)), strconv.Itoa(rnd.IntN(100)))
		fmt.Fprintf(&b, "p%d,%s,Name,%s,%s,%s,%s,%s,%s,%s\n", i, mail, pick("", "de", "de-AT", "en"), pick("", "Asia/Tokyo", "America/New_York"),
			pick("", "Berlin", "Paris"), points, pick("", "true", "false"), pick("", "1980-06-01", "1990-06-02", "1970-01-31"), pick("", "granted", "granted", "granted", "withdrawn", "pending"))
	}
	return b.String()
}

// modelled is a contact with what the model knows of them.
type modelled struct {
	contacts.Contact
	person conditions.Person
	want   outbox.Reason // of planning
}

func (d *Desk) modelled(t *testing.T) []modelled {
	t.Helper()
	list, err := d.Contacts.List(t.Context(), contacts.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]modelled, len(list))
	for i, c := range list {
		m := modelled{Contact: c, person: conditions.Person{ID: c.UID, ExternalID: c.ExternalID, Locale: c.Locale, TimeZone: c.Zone, Zone: time.UTC, Addresses: map[string]string{}}}
		if c.Zone != "" {
			m.person.Zone = conditions.Zone(c.Zone, time.UTC)
		}
		if err := json.Unmarshal(c.Attributes, &m.person.Attributes); err != nil {
			t.Fatal(err)
		}
		var x outbox.Candidate
		for _, a := range c.Addresses {
			m.person.Addresses[a.Kind] = a.Value
			if a.Kind == "email" {
				x.Address = a.Value
			}
		}
		sheet, err := d.Consent.Show(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		answers := answered{}
		for _, s := range sheet.Standing {
			x.Consent, x.ConsentAddress = string(s.Answer), s.Address
			answers[s.Driver+s.Topic] = s.Answer == consent.Yes
		}
		m.person.History = answers
		if x.Address != "" {
			if s, ok, err := d.Store.Suppressed(t.Context(), "email", hashOf(c, x.Address)); err != nil {
				t.Fatal(err)
			} else if ok {
				x.Suppression = s.Reason
			}
		}
		m.want = outbox.Skip(x)
		out[i] = m
	}
	return out
}

func hashOf(c contacts.Contact, value string) string {
	for _, a := range c.Addresses {
		if a.Value == value {
			return a.Hash
		}
	}
	return ""
}

// answered is the history of somebody who has only answered.
type answered map[string]bool

// Consented implements conditions.History.
func (a answered) Consented(_ context.Context, driver, topic string) (bool, time.Time, error) {
	return a[driver+topic], time.Time{}, nil
}

// Last implements conditions.History.
func (answered) Last(context.Context, conditions.PastKind, string) (time.Time, error) {
	return time.Time{}, nil
}

// Happened implements conditions.History.
func (answered) Happened(context.Context, string, time.Time, time.Time) (int64, error) {
	return 0, nil
}

// compare asks the model about everybody and the store about the run.
func (d *Desk) compare(t *testing.T, a campaigns.Audience, people []modelled, checked map[string]*conditions.Condition, run *campaigns.Run) {
	t.Helper()
	got := map[string]string{}
	list, err := d.Store.Deliveries(t.Context(), campaigns.Filter{Run: run.UID, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		got[x.ExternalID] = "planned"
	}
	skipped, err := d.Store.NotPlanned(t.Context(), run.ID, "", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range skipped {
		got[x.ExternalID] = string(x.Reason)
	}
	all := 0
	for _, p := range people {
		want := ""
		if meant(t, checked, a, p, run.StartedAt) {
			all++
			if want = string(p.want); want == "" {
				want = "planned"
			}
		}
		if got[p.ExternalID] != want {
			t.Errorf("%+v: %s is %q, the model says %q (%s)", a, p.ExternalID, got[p.ExternalID], want, p.Attributes)
		}
	}
	acc, err := d.Store.Account(t.Context(), run.UID)
	if err != nil {
		t.Fatal(err)
	}
	sum := acc.Planned
	for _, n := range acc.NotPlanned {
		sum += n
	}
	if sum != int64(all) {
		t.Errorf("%+v: the account knows %d people, the model %d", a, sum, all)
	}
}

func meant(t *testing.T, checked map[string]*conditions.Condition, a campaigns.Audience, p modelled, now time.Time) bool {
	t.Helper()
	matches := func(source string) bool {
		yes, err := checked[source].Eval(t.Context(), &p.person, now)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	in := len(a.Segments) == 0
	for _, name := range a.Segments {
		in = in || matches(modelConditions[name])
	}
	if !in || a.Where != "" && !matches(a.Where) {
		return false
	}
	return !slices.ContainsFunc(a.Exclude, func(name string) bool { return matches(modelConditions[name]) })
}
