package storetest

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
)

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

// Of a row that is left out each "no" is heard all the same, by whichever word.
func examineNoOfDuplicates(t *testing.T, h *House) {
	for word, rows := range map[string]string{
		"withdrawn": "email,event:granted.at,event:withdrawn.at\nwithdrawn@example.com,2024-01-01,\nwithdrawn@example.com,,2025-01-01\n",
		"objected":  "email,event:granted.at,event:objected.at\nobjected@example.com,2024-01-01,\nobjected@example.com,,2025-01-01\n",
	} {
		rep := h.Import(t, rows, contacts.ImportOptions{Source: "form", About: []contacts.Grant{{Driver: mailer, Topic: "news"}}})
		if rep.Created != 1 || rep.Duplicates != 1 {
			t.Fatalf("%s: %+v", word, rep)
		}
		sheet, err := h.Consent.Show(t.Context(), h.get(t, word+"@example.com").ID)
		if err != nil || len(sheet.Standing) != 1 || sheet.Standing[0].Answer != consent.No || string(sheet.Standing[0].State) != word {
			t.Errorf("%s: %+v, %v", word, sheet.Standing, err)
		}
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
