package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/store"
)

// House is the rooms of people and consent over one store.
type House struct {
	Store    *store.Store
	Contacts *contacts.Service
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
		"import":          examineImport,
		"bad rows":        examineBadRows,
		"odd values":      examineOddValues,
		"same file twice": examineTwice,
		"upsert":          examineUpsert,
		"who is who":      examineIdentity,
		"clear":           examineClear,
		"dry run":         examineDryRun,
		"resume":          examineResume,
		"permissions":     examinePermissions,
		"round trip":      examineRoundTrip,
		"put and find":    examinePut,
		"erase":           examineErase,
		"segments":        examineSegments,
		"pepper":          examinePepper,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewHouse(t, open(t))) })
	}
}

const people = `external_id,email,locale,time_zone,city,points,vip,born,seen,zip,tags
a1,Anna@Example.com,de_DE,Europe/Berlin,Köln,120,true,1990-02-28,2026-01-31T09:00:00+01:00,01067,"{""a"":[1,2]}"
b2,bob@example.com,en,,"Paris, ""Nord""",-3.50,FALSE,2000-12-31,2026-01-31 08:00,10115,
c3,,fr,,,,,,,,
`

func examineImport(t *testing.T, h *House) {
	rep := h.Import(t, people, contacts.ImportOptions{})
	if rep.Rows != 3 || rep.Created != 3 || rep.Errors != 0 {
		t.Fatalf("report %+v", rep)
	}
	wantTypes := map[string]contacts.Type{
		"city": contacts.Text, "points": contacts.Number, "vip": contacts.Bool, "born": contacts.Date,
		"seen": contacts.Time, "zip": contacts.Text, "tags": contacts.JSON,
	}
	if d := cmp.Diff(wantTypes, rep.Attributes); d != "" {
		t.Fatal(d)
	}
	anna := h.get(t, "email:anna@example.COM")
	want := map[string]any{
		"city": "Köln", "points": 120.0, "vip": true, "born": "1990-02-28",
		"seen": 1769846400e6, "zip": "01067", "tags": map[string]any{"a": []any{1.0, 2.0}},
	}
	if d := cmp.Diff(want, attributes(t, anna)); d != "" {
		t.Fatal(d)
	}
	if anna.ExternalID != "a1" || anna.Locale != "de-DE" || anna.Zone != "Europe/Berlin" {
		t.Fatalf("contact %+v", anna)
	}
	mail, _ := anna.Primary(channels.Email.Kind)
	home, _ := anna.Primary(loft)
	if mail.Value != "anna@example.com" || mail.Display != "Anna@Example.com" || mail.Hash == "" || home.Value != "a1" {
		t.Fatalf("addresses %+v", anna.Addresses)
	}
}

func examineBadRows(t *testing.T, h *House) {
	text := "external_id,email,points,locale,time_zone\n" +
		"1,one@example.com,1,de,Europe/Berlin\n" +
		"2,not an address,2,de,\n" +
		"3,three@example.com,many,de,\n" +
		"4,four@example.com\n" +
		"5,five@example.com,5,not_a_locale!,\n" +
		"6,six@example.com,6,,Mars/Base\n" +
		",,7,,\n" +
		"8,one@example.com,8,,\n" +
		"9,nul\x00@example.com,9,,\n" +
		"\"10\"x,ten@example.com,10,,\n" +
		",,,,\n" +
		"11,eleven@example.com,11,,\n"
	var list bytes.Buffer
	rep := h.Import(t, text, contacts.ImportOptions{Errors: &list, Types: map[string]contacts.Type{"points": contacts.Number}})
	if rep.Created != 2 || rep.Errors != 9 || rep.Rows != 11 {
		t.Fatalf("report %+v", rep)
	}
	for i, line := range []int{3, 4, 5, 6, 7, 8, 9, 10, 11} {
		if rep.Listed[i].Line != line {
			t.Errorf("listed %d is %+v, want line %d", i, rep.Listed[i], line)
		}
	}
	for i, part := range map[int]string{0: "email", 1: "points: \"many\" is not a number", 2: "2 cells", 3: "locale", 4: "time zone", 5: "names nobody", 6: "belongs to contact 1 already", 7: "zero byte", 8: "quoted cell"} {
		if !strings.Contains(rep.Listed[i].Reason, part) {
			t.Errorf("line %d says %q, want %q in it", rep.Listed[i].Line, rep.Listed[i].Reason, part)
		}
	}
	rows, err := csv.NewReader(&list).ReadAll()
	if err != nil || len(rows) != 10 {
		t.Fatalf("%d rows in the list of errors, %v", len(rows), err)
	}
}

// examineOddValues stores beside others what an engine might refuse: a row that
// cannot be stored is listed, and the rest goes in and can be asked for.
func examineOddValues(t *testing.T, h *House) {
	types := map[string]contacts.Type{"j": contacts.JSON, "n": contacts.Number}
	var file strings.Builder
	file.WriteString("external_id;j;n\nfirst;{};5\n")
	odd := []string{
		`"{""a"":""\u0000""}";1`, `"[""\ud800""]";1`, `[1e999999];1`, strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + ";1",
		`{};1` + strings.Repeat("0", 400), `{};0.` + strings.Repeat("0", 400) + "1", `{};` + strings.Repeat("9", 60_000),
	}
	for i, cells := range odd {
		fmt.Fprintf(&file, "odd%d;%s\n", i, cells)
	}
	file.WriteString("last;{};7\n")
	rep := h.Import(t, file.String(), contacts.ImportOptions{Types: types})
	if rep.Created != 2 || rep.Errors != int64(len(odd)) {
		t.Fatalf("report %+v", rep)
	}
	if _, err := h.Contacts.PutSegment(t.Context(), "many", "", "contact.n > 4.0"); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Contacts.Count(t.Context(), "many"); err != nil || n != 2 {
		t.Fatalf("%d members, %v", n, err)
	}
	_, _, err := h.Contacts.Put(t.Context(), contacts.Input{ExternalID: "x", Attributes: map[string]any{"j": map[string]any{"a": "\x00"}}})
	wantKind(t, err, rapport.Invalid)
}

func examineTwice(t *testing.T, h *House) {
	text := "email,points,plan,consent:mailer:news,consent_source\nx@example.com,1.50,\"{\"\"n\"\": 1e3}\",granted,form\nX@example.com,2,,granted,form\ny@example.com,3,,withdrawn,\n"
	first := h.Import(t, text, contacts.ImportOptions{})
	if first.Created != 2 || first.Duplicates != 1 || first.Consents["granted"] != 1 || first.Consents["withdrawn"] != 1 {
		t.Fatalf("first %+v", first)
	}
	before := h.get(t, "x@example.com")
	again := h.Import(t, text, contacts.ImportOptions{})
	if again.Unchanged != 2 || again.Duplicates != 1 || again.Changed != 0 || again.Consents["unchanged"] != 2 || len(again.Consents) != 1 {
		t.Fatalf("second %+v", again)
	}
	after := h.get(t, "x@example.com")
	if d := cmp.Diff(before, after); d != "" {
		t.Fatalf("the second import changed the contact: %s", d)
	}
	sheet, err := h.Consent.Show(t.Context(), after.ID)
	if err != nil || len(sheet.History) != 1 {
		t.Fatalf("%d entries, %v", len(sheet.History), err)
	}
}

func examineUpsert(t *testing.T, h *House) {
	h.Import(t, "external_id,email,city,points\n1,one@example.com,Rom,1\n", contacts.ImportOptions{})
	h.Import(t, "email,city\nTWO@example.com,Bern\n", contacts.ImportOptions{})
	rep := h.Import(t, "external_id,email,city,points\n1,new@example.com,,2\n2,two@example.com,Genf,\n", contacts.ImportOptions{})
	if rep.Changed != 2 {
		t.Fatalf("report %+v", rep)
	}
	one := h.get(t, "1")
	if d := cmp.Diff(map[string]any{"city": "Rom", "points": 2.0}, attributes(t, one)); d != "" {
		t.Fatal(d)
	}
	if mail, _ := one.Primary(channels.Email.Kind); mail.Value != "new@example.com" {
		t.Fatalf("addresses %+v", one.Addresses)
	}
	if _, err := h.Contacts.Get(t.Context(), "one@example.com"); rapport.KindOf(err) != rapport.NotFound {
		t.Fatalf("the old address still finds somebody: %v", err)
	}
	if two := h.get(t, "two@example.com"); two.ExternalID != "2" {
		t.Fatalf("the external ID was not taken over: %+v", two)
	}
}

func examineIdentity(t *testing.T, h *House) {
	h.Import(t, "external_id,email\n1,one@example.com\n2,two@example.com\n", contacts.ImportOptions{})
	// Two people change addresses with each other in one file: whoever comes
	// first finds the address still taken, and nothing is lost.
	rep := h.Import(t, "external_id,email\n1,two@example.com\n2,one@example.com\n", contacts.ImportOptions{})
	if rep.Errors != 2 || !strings.Contains(rep.Listed[0].Reason, "belongs to contact 2 already") {
		t.Fatalf("report %+v", rep)
	}
	// A given address that is another's implied one by coincidence.
	h.Import(t, "external_id,loft\n3,four\n", contacts.ImportOptions{})
	h.Import(t, "external_id,email\nfour,four@example.com\n", contacts.ImportOptions{})
	four := h.get(t, "four@example.com")
	if home, _ := four.Primary(loft); home.Value != four.UID {
		t.Fatalf("addresses %+v", four.Addresses)
	}
}

func examineClear(t *testing.T, h *House) {
	h.Import(t, "external_id,city,points,locale\n1,Rom,1,it\n", contacts.ImportOptions{})
	h.Import(t, "external_id,city,points,locale\n1,,2,\n", contacts.ImportOptions{ClearEmpty: true})
	c := h.get(t, "1")
	if d := cmp.Diff(map[string]any{"points": 2.0}, attributes(t, c)); d != "" || c.Locale != "" {
		t.Fatal(d, c.Locale)
	}
}

func examineDryRun(t *testing.T, h *House) {
	h.Import(t, "external_id,city\n1,Rom\n2,Bern\n", contacts.ImportOptions{})
	rep := h.Import(t, "external_id,email,city,bonus,consent:mailer:news\n1,a@example.com,Rom,1,granted\n2,,Bern,2,\n3,b@example.com,,3,withdrawn\n3,,,4,\n4,b@example.com,,5,\n", contacts.ImportOptions{DryRun: true, Source: "form"})
	if rep.Created != 1 || rep.Changed != 2 || rep.Duplicates != 1 || rep.Errors != 1 || rep.Consents["granted"] != 1 || rep.Consents["withdrawn"] != 1 {
		t.Fatalf("report %+v", rep)
	}
	types, err := h.Contacts.Attributes(t.Context())
	if err != nil || len(types) != 1 {
		t.Fatalf("a dry run declared attributes: %v, %v", types, err)
	}
	if _, err := h.Contacts.Get(t.Context(), "3"); rapport.KindOf(err) != rapport.NotFound {
		t.Fatalf("a dry run made a contact: %v", err)
	}
}

// examineResume breaks an import off at a point and lets it go on.
func examineResume(t *testing.T, h *House) {
	var b strings.Builder
	b.WriteString("external_id,email,n\n")
	const rows = 2500
	for i := range rows {
		fmt.Fprintf(&b, "p%d,p%d@example.com,%d\n", i, i, i)
	}
	b.WriteString("p1,p1@example.com,7\nbad,not an address,0\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := h.Contacts.Import(ctx, File(b.String()), contacts.ImportOptions{Progress: func(p contacts.Progress) {
		if p.Rows >= 600 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the import was not broken off: %v", err)
	}
	rep := h.Import(t, b.String(), contacts.ImportOptions{})
	if rep.Resumed < 600 || rep.Resumed >= rows {
		t.Fatalf("resumed after %d rows", rep.Resumed)
	}
	if rep.Rows != rows+2 || rep.Created != rows || rep.Duplicates != 1 || rep.Errors != 1 {
		t.Fatalf("report %+v", rep)
	}
	if c := h.get(t, "p1"); attributes(t, c)["n"] != 1.0 {
		t.Fatalf("a duplicate of a row that was done before changed it: %s", c.Attributes)
	}
}

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
