package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/events"
	"rapport/store"
)

// House is the rooms of people and consent over one store.
type House struct {
	Store    *store.Store
	Contacts *contacts.Service
	Events   *events.Service
	Consent  *consent.Service
	Drivers  *channels.Registry
}

// mailer and pigeon are the drivers of the examination: one for addresses that
// somebody must give, one for those that everybody has.
const (
	mailer = "mailer"
	pigeon = "pigeon"
	loft   = "loft"
)

// NewHouse opens the rooms over a store, with the topics "news" and "service".
func NewHouse(t testing.TB, s *store.Store) *House {
	t.Helper()
	open := func(context.Context, channels.Env, struct{}) (channels.Channel, error) {
		return nil, errors.New("the examination sends nothing")
	}
	implied := channels.Address{Kind: loft, Implied: true, Normalize: func(v string) (string, error) { return strings.TrimSpace(v), nil }}
	reg, err := channels.NewRegistry(
		channels.Define(channels.Driver{Name: mailer, Address: channels.Email}, open),
		channels.Define(channels.Driver{Name: pigeon, Address: implied}, open))
	if err != nil {
		t.Fatal(err)
	}
	h := &House{Store: s, Drivers: reg}
	mark := contacts.NewFingerprint([]byte("pepper of the examination"))
	h.Contacts = contacts.New(contacts.Options{Store: s, Drivers: reg, Fingerprint: mark, Now: time.Now, Random: rand.Reader})
	h.Events = events.New(events.Options{Store: s, Drivers: reg, Now: time.Now})
	h.Consent = consent.New(consent.Options{Store: s, Drivers: reg, Fingerprint: mark, Now: time.Now, Random: rand.Reader})
	err = h.Consent.PutTopics(t.Context(), []consent.Topic{{Name: "news", Kind: consent.Marketing}, {Name: "service", Kind: consent.Transactional}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// File is a source that holds text.
func File(text string) contacts.Source {
	return contacts.Source{Name: "people.csv", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// Import imports text and fails the test on an error.
func (h *House) Import(t testing.TB, text string, o contacts.ImportOptions) contacts.Report {
	t.Helper()
	rep, err := h.Contacts.Import(t.Context(), File(text), o)
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	return rep
}

func (h *House) get(t testing.TB, ref string) contacts.Contact {
	t.Helper()
	c, err := h.Contacts.Get(t.Context(), ref)
	if err != nil {
		t.Fatalf("get %s: %v", ref, err)
	}
	return c
}

func attributes(t testing.TB, c contacts.Contact) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(c.Attributes, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func wantKind(t testing.TB, err error, kind rapport.Kind) {
	t.Helper()
	if err == nil || rapport.KindOf(err) != kind {
		t.Fatalf("error %v is of kind %v, want %v", err, rapport.KindOf(err), kind)
	}
}

// Contacts examines what contacts asks of a store. open opens a fresh one.
func Contacts(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, examine := range map[string]func(*testing.T, *House){
		"import":           examineImport,
		"bad rows":         examineBadRows,
		"odd values":       examineOddValues,
		"same file twice":  examineTwice,
		"no of duplicates": examineNoOfDuplicates,
		"upsert":           examineUpsert,
		"who is who":       examineIdentity,
		"clear":            examineClear,
		"dry run":          examineDryRun,
		"resume":           examineResume,
		"permissions":      examinePermissions,
		"round trip":       examineRoundTrip,
		"put and find":     examinePut,
		"erase":            examineErase,
		"segments":         examineSegments,
		"pepper":           examinePepper,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewHouse(t, open(t))) })
	}
}

const people = `external_id,email,locale,time_zone,city,points,vip,born,seen,zip,tags
a1,Anna@Example.com,de_DE,Europe/Berlin,Köln,120,true,1990-02-28,2026-01-31T09:00:00+01:00,01067,"{""a"":[1,2]}"
b2,bob@example.com,en,,"Paris, ""Nord""",-3.50,FALSE,2000-12-31,2026-01-31 08:00,10115,
c3,,fr,,,,,,,,
`

func examinePermissions(t *testing.T, h *House) {
	grant := contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "sign-up form v3"}
	if _, err := h.Contacts.Import(t.Context(), File("email\na@example.com\n"), contacts.ImportOptions{Grants: grant.Grants}); rapport.KindOf(err) != rapport.Invalid {
		t.Fatalf("a grant without a source: %v", err)
	}
	_, err := h.Contacts.Import(t.Context(), File("email,consent:mailer:nows\na@example.com,granted\n"), contacts.ImportOptions{})
	if err == nil || !strings.Contains(err.Error(), "known: news, service") {
		t.Fatalf("an unknown topic: %v", err)
	}
	rep := h.Import(t, "external_id,email\n1,a@example.com\n2,b@example.com\n3,\n", grant)
	if rep.Consents["granted"] != 2 || rep.Consents["skipped"] != 1 || len(rep.Skipped) != 1 || rep.Skipped[0].Line != 4 {
		t.Fatalf("report %+v", rep)
	}
	h.Import(t, "external_id,consent:mailer:news\n1,withdrawn\n", contacts.ImportOptions{})
	if rep = h.Import(t, "external_id,email\n1,a@example.com\n2,b@example.com\n", grant); rep.Consents["skipped"] != 1 || rep.Consents["unchanged"] != 1 {
		t.Fatalf("a grant over a withdrawal: %+v", rep)
	}
	newer := grant
	newer.Resubscribe = true
	old := "external_id,email,consent_at\n1,a@example.com,2020-01-01\n"
	if rep = h.Import(t, old, newer); rep.Consents["skipped"] != 1 {
		t.Fatalf("an old consent over a withdrawal: %+v", rep)
	}
	if rep = h.Import(t, "external_id,email\n1,a@example.com\n", newer); rep.Consents["skipped"] != 1 {
		t.Fatalf("a consent of an unknown time over a withdrawal: %+v", rep)
	}
	if rep = h.Import(t, "external_id,email,consent_at\n1,a@example.com,"+time.Now().Format(time.RFC3339Nano)+"\n", newer); rep.Consents["granted"] != 1 {
		t.Fatalf("a newer consent: %+v", rep)
	}
	// A row that is left out is heard where it says no.
	twice := "external_id,email,consent:mailer:news,consent_source\n8,y@example.com,granted,form\n,Y@example.com,withdrawn,form\n,y@example.com,granted,form\n"
	if rep = h.Import(t, twice, contacts.ImportOptions{}); rep.Duplicates != 2 || rep.Consents["withdrawn"] != 1 || h.answer(t, h.get(t, "8").ID) != consent.No {
		t.Fatalf("a no in a duplicate: %+v", rep)
	}
	if rep = h.Import(t, twice, contacts.ImportOptions{}); rep.Consents["unchanged"] != 1 || rep.Consents["skipped"] != 1 {
		t.Fatalf("a no in a duplicate again: %+v", rep)
	}
	// Without a source of their own, rows become known and not granted.
	if rep = h.Import(t, "external_id,email,consent:mailer:news\n9,z@example.com,granted\n", contacts.ImportOptions{}); rep.Created != 1 || rep.Consents["skipped"] != 1 {
		t.Fatalf("no source: %+v", rep)
	}
}

func examineRoundTrip(t *testing.T, h *House) {
	h.Import(t, people+"d4,=cmd@example.com,,,\"'=1+1\",,,,,,\ne5,+x@example.com,,,=2+5,,,,,,\n", contacts.ImportOptions{})
	h.Import(t, "external_id,=1+1\ne5,x\n", contacts.ImportOptions{})
	var out bytes.Buffer
	n, err := h.Contacts.Export(t.Context(), &out, contacts.ExportOptions{})
	if err != nil || n != 5 {
		t.Fatalf("%d rows, %v", n, err)
	}
	if !strings.Contains(out.String(), "'=2+5") || !strings.Contains(out.String(), ",'=1+1,") || !strings.Contains(out.String(), "'-3.5") {
		t.Fatalf("formulas are not protected:\n%s", out.String())
	}
	rep := h.Import(t, out.String(), contacts.ImportOptions{})
	if rep.Unchanged != 5 {
		t.Fatalf("an export read again changes something: %+v\n%s", rep, out.String())
	}
	var raw bytes.Buffer
	if _, err := h.Contacts.Export(t.Context(), &raw, contacts.ExportOptions{Raw: true}); err != nil || strings.Contains(raw.String(), "'=2+5") {
		t.Fatalf("raw export: %v\n%s", err, raw.String())
	}
}

func examinePut(t *testing.T, h *House) {
	in := contacts.Input{ExternalID: "7", Addresses: map[string]string{channels.Email.Kind: "Seven@Example.com"}, Attributes: map[string]any{"points": 5, "tags": []any{"x"}, "name": "Sieben"}}
	c, created, err := h.Contacts.Put(t.Context(), in)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	for _, ref := range []string{c.UID, "7", "seven@example.com", "email:SEVEN@example.com"} {
		if got := h.get(t, ref); got.ID != c.ID {
			t.Errorf("%s finds %d, want %d", ref, got.ID, c.ID)
		}
	}
	in.Attributes = map[string]any{"points": nil, "name": "Acht"}
	c, created, err = h.Contacts.Put(t.Context(), in)
	if err != nil || created {
		t.Fatal(created, err)
	}
	if d := cmp.Diff(map[string]any{"name": "Acht", "tags": []any{"x"}}, attributes(t, c)); d != "" {
		t.Fatal(d)
	}
	_, _, err = h.Contacts.Put(t.Context(), contacts.Input{ExternalID: "8", Addresses: in.Addresses})
	wantKind(t, err, rapport.Conflict)
	_, _, err = h.Contacts.Put(t.Context(), contacts.Input{ExternalID: "8", Attributes: map[string]any{"points": "many"}})
	wantKind(t, err, rapport.Invalid)
	wantKind(t, h.Contacts.Declare(t.Context(), map[string]contacts.Type{"points": contacts.Text}), rapport.Conflict)
	list, err := h.Contacts.List(t.Context(), contacts.Page{Limit: 10, Search: "SEVEN@"})
	if err != nil || len(list) != 1 || len(list[0].Addresses) != 2 {
		t.Fatalf("search found %+v, %v", list, err)
	}
}

func examineErase(t *testing.T, h *House) {
	h.Import(t, "external_id,email\n1,gone@example.com\n", contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "form"})
	c := h.get(t, "1")
	if _, err := h.Consent.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Contacts.Erase(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	_, err := h.Contacts.Get(t.Context(), "gone@example.com")
	wantKind(t, err, rapport.NotFound)
	wantKind(t, h.Contacts.Erase(t.Context(), c.ID), rapport.NotFound)
	sheet, err := h.Consent.Show(t.Context(), c.ID)
	if err != nil || len(sheet.Standing) != 0 || len(sheet.History) != 2 || sheet.History[0].Evidence != nil || sheet.History[1].State != consent.Erased {
		t.Fatalf("%+v, %v", sheet, err)
	}
	sup, found, err := h.Consent.Suppressed(t.Context(), channels.Email.Kind, "Gone@example.com")
	if err != nil || !found || sup.Value != "" || sup.Reason != consent.Gone {
		t.Fatalf("suppression %+v, %v, %v", sup, found, err)
	}
	if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil || rep.Erased != 1 {
		t.Fatalf("verify %+v %+v, %v", rep, rep.Bad, err)
	}
	// Who comes back is a new person with a suppressed address.
	h.Import(t, "external_id,email\n1,gone@example.com\n", contacts.ImportOptions{})
	back := h.get(t, "1")
	if mail, _ := back.Primary(channels.Email.Kind); back.ID == c.ID || mail.Hash != sup.Hash {
		t.Fatalf("back as %+v", back)
	}
}

func examineSegments(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "form"})
	ctx := t.Context()
	_, err := h.Contacts.PutSegment(ctx, "bad", "", "contact.nothing == 1")
	wantKind(t, err, rapport.Invalid)
	for name, want := range map[string]struct {
		condition string
		n         int
	}{
		"rich":  {"contact.points > 100", 1},
		"asked": {`consent("mailer", "news") && contact.locale.startsWith("de")`, 1},
		"all":   {"has(contact.external_id)", 3},
	} {
		if _, err := h.Contacts.PutSegment(ctx, name, "Title", want.condition); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n, err := h.Contacts.Count(ctx, name); err != nil || n != want.n {
			t.Errorf("%s has %d members, %v; want %d", name, n, err, want.n)
		}
	}
	page, err := h.Contacts.Members(ctx, "all", 0, 2)
	if err != nil || len(page) != 2 {
		t.Fatal(len(page), err)
	}
	rest, err := h.Contacts.Members(ctx, "all", page[1].ID, 2)
	if err != nil || len(rest) != 1 || rest[0].ExternalID != "c3" {
		t.Fatal(rest, err)
	}
	list, err := h.Contacts.Segments(ctx)
	if err != nil || len(list) != 3 || list[0].Name != "all" {
		t.Fatal(list, err)
	}
	if err := h.Contacts.DeleteSegment(ctx, "rich"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Contacts.Segment(ctx, "rich")
	if wantKind(t, err, rapport.NotFound); !strings.Contains(err.Error(), "known: all, asked") {
		t.Fatal(err)
	}
}

func examinePepper(t *testing.T, h *House) {
	id := contacts.PepperID([]byte("one"))
	for range 2 {
		if err := h.Contacts.CheckPepper(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, h.Contacts.CheckPepper(t.Context(), contacts.PepperID([]byte("two"))), rapport.Conflict)
}
