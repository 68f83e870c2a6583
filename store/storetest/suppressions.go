package storetest

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/store"
)

// Suppressions examines what forbids an address, through every door.
func Suppressions(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, examine := range map[string]func(*testing.T, *House){
		"stays through every door": examineDoors,
		"goes with the person":     examineCarry,
		"released by its owner":    examineRelease,
		"taken back by operators":  examineTakeBack,
		"complained meanwhile":     examineOvertaken,
		"after an erasure":         examineErasedAddresses,
		"history":                  examineHistory,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewHouse(t, open(t))) })
	}
}

func (h *House) reason(t testing.TB, address string) string {
	t.Helper()
	x, _, err := h.Consent.Suppressed(t.Context(), channels.Email.Kind, address)
	if err != nil {
		t.Fatal(err)
	}
	return x.Reason
}

func (h *House) suppress(t testing.TB, address, reason string) {
	t.Helper()
	if _, err := h.Consent.Suppress(t.Context(), channels.Email.Kind, address, reason, ""); err != nil {
		t.Fatal(err)
	}
}

// Imports and calls leave a suppression as it is, whatever they say.
func examineDoors(t *testing.T, h *House) {
	for _, reason := range consent.Reasons() {
		address := reason + "@example.com"
		h.suppress(t, address, reason)
		rep := h.Import(t, "email,consent:mailer:news,consent_at\n"+address+",granted,2099-01-01T00:00:00Z\n", contacts.ImportOptions{Source: "form"})
		if rep.Errors != 1 { // a time ahead is no way round either
			t.Errorf("%s: %+v", reason, rep)
		}
		rep = h.Import(t, "email\n"+address+"\n", contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "form", Resubscribe: true})
		if rep.People["suppressed"] != 1 || rep.People["permitted"] != 0 {
			t.Errorf("%s: %+v", reason, rep)
		}
		who := h.somebody(t, address)
		if _, err := h.Consent.Grant(t.Context(), news(who)); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Contacts.ImportHistory(t.Context(), File("email,event,at,driver,topic,source\n"+address+",confirmed,"+time.Now().Add(time.Hour).Format(time.RFC3339)+",mailer,news,form\n"), contacts.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := h.reason(t, address); got != reason {
			t.Errorf("%s became %q", reason, got)
		}
	}
}

// What lies in the person goes with them to a new address, by import and call.
func examineCarry(t *testing.T, h *House) {
	for _, reason := range consent.Reasons() {
		follows := slices.Contains(consent.PersonalReasons(), reason)
		old, next, last := reason+"-old@example.com", reason+"-next@example.com", reason+"-last@example.com"
		h.Import(t, "external_id,email\n"+reason+","+old+"\n", contacts.ImportOptions{})
		h.suppress(t, old, reason)
		h.Import(t, "external_id,email\n"+reason+","+next+"\n", contacts.ImportOptions{})
		if _, _, err := h.Contacts.Put(t.Context(), contacts.Input{ExternalID: reason, Addresses: map[string]string{channels.Email.Kind: last}}); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{next, last} {
			if got := h.reason(t, address); (got != "") != follows || follows && got != reason {
				t.Errorf("%s of %s: %q", address, reason, got)
			}
		}
	}
}

func examineRelease(t *testing.T, h *House) {
	ctx := t.Context()
	later := func(e consent.Entry) consent.Entry {
		e.At = time.Now().Add(30 * time.Second)
		return e
	}
	state := func(s consent.State, m consent.Method) func(consent.Entry) consent.Entry {
		return func(e consent.Entry) consent.Entry {
			e.State, e.Method = s, m
			return later(e)
		}
	}
	said := []string{consent.Complaint, consent.Unsubscribed, consent.Manual}
	for name, c := range map[string]struct {
		entry    func(consent.Entry) consent.Entry
		releases []string
	}{
		"confirmed": {state(consent.Confirmed, consent.ByLink), append(slices.Clone(said), consent.Gone)},
		"confirmed by letter": {func(e consent.Entry) consent.Entry {
			e.MessageID = "<x@example.com>"
			return state(consent.Confirmed, consent.ByLink)(e)
		}, append(slices.Clone(said), consent.Gone, consent.HardBounce, consent.Strike)},
		"confirmed before": {func(e consent.Entry) consent.Entry {
			e.State, e.At = consent.Confirmed, time.Now().Add(-time.Hour)
			return e
		}, nil},
		"anew": {func(e consent.Entry) consent.Entry {
			e.Resubscribe = true
			return state(consent.Granted, consent.ByPaper)(e)
		}, said},
		"granted": {state(consent.Granted, consent.ByPaper), nil},
		"by file": {state(consent.Confirmed, consent.ByImport), nil},
		"other ground": {func(e consent.Entry) consent.Entry {
			e.Basis = consent.ByContract
			return state(consent.Confirmed, consent.ByLink)(e)
		}, nil},
	} {
		for _, reason := range consent.Reasons() {
			address := reason + "@" + strings.ReplaceAll(name, " ", "-") + ".example.com"
			who := h.somebody(t, address)
			h.suppress(t, address, reason)
			if _, err := h.Consent.Record(ctx, c.entry(news(who))); err != nil {
				t.Fatal(name, err)
			}
			released := slices.Contains(c.releases, reason)
			if got := h.reason(t, address); (got == "") != released {
				t.Errorf("%s after %s: %q", reason, name, got)
			}
		}
	}
}

func examineTakeBack(t *testing.T, h *House) {
	ctx, kind := t.Context(), channels.Email.Kind
	for _, reason := range consent.Reasons() {
		address := reason + "@example.com"
		who := h.somebody(t, address)
		h.suppress(t, address, reason)
		owners := reason == consent.Complaint || reason == consent.Unsubscribed || reason == consent.Gone
		err := h.Consent.Unsuppress(ctx, kind, address)
		if !owners {
			if err != nil {
				t.Errorf("%s: %v", reason, err)
			}
			continue
		}
		wantKind(t, err, rapport.Denied)
		// What a file claims does not help; what the person did does.
		h.Import(t, "email\n"+address+"\n", contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "form"})
		wantKind(t, h.Consent.Unsuppress(ctx, kind, address), rapport.Denied)
		e := news(who)
		e.Topic, e.At = "service", time.Now().Add(30*time.Second)
		if _, err := h.Consent.Grant(ctx, e); err != nil {
			t.Fatal(err)
		}
		if err := h.Consent.Unsuppress(ctx, kind, address); err != nil {
			t.Errorf("%s after a later act: %v", reason, err)
		}
	}
}

// overtaken is a store in which somebody complains right after a look.
type overtaken struct {
	*store.Store
	meanwhile func()
}

// Suppressed implements consent.SuppressionStore.
func (o overtaken) Suppressed(ctx context.Context, kind, hash string) (consent.Suppression, bool, error) {
	x, ok, err := o.Store.Suppressed(ctx, kind, hash)
	o.meanwhile()
	return x, ok, err
}

// An operator takes back what they saw, and nothing that came after it.
func examineOvertaken(t *testing.T, h *House) {
	h.suppress(t, "a@example.com", consent.Manual)
	slow := consent.New(consent.Options{
		Store: overtaken{h.Store, func() { h.suppress(t, "a@example.com", consent.Complaint) }}, Drivers: h.Drivers,
		Fingerprint: contacts.NewFingerprint([]byte("pepper of the examination")), Now: time.Now, Random: rand.Reader,
	})
	wantKind(t, slow.Unsuppress(t.Context(), channels.Email.Kind, "a@example.com"), rapport.Conflict)
	if got := h.reason(t, "a@example.com"); got != consent.Complaint {
		t.Errorf("the complaint became %q", got)
	}
}

// Every address an erased person ever had stays forbidden when it comes back.
func examineErasedAddresses(t *testing.T, h *House) {
	for _, address := range []string{"first@example.com", "second@example.com", "third@example.com"} {
		h.Import(t, "external_id,email\n7,"+address+"\n", contacts.ImportOptions{})
	}
	if err := h.Contacts.Erase(t.Context(), h.get(t, "7").ID); err != nil {
		t.Fatal(err)
	}
	rep := h.Import(t, "email\nfirst@example.com\nsecond@example.com\nthird@example.com\nfourth@example.com\n", contacts.ImportOptions{
		Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "form",
	})
	if rep.People["suppressed"] != 3 || rep.People["permitted"] != 1 {
		t.Errorf("%+v", rep)
	}
	for _, address := range []string{"first@example.com", "second@example.com", "third@example.com"} {
		if got := h.reason(t, address); got != consent.Gone {
			t.Errorf("%s: %q", address, got)
		}
	}
}

func examineHistory(t *testing.T, h *House) {
	const file = "email,event,at,driver,topic,source\n" +
		"a@example.com,withdrawn,2021-01-01,mailer,news,\n" +
		"a@example.com,granted,2020-01-01,mailer,news,form\n" +
		"a@example.com,confirmed,2022-01-01,mailer,news,form\n" +
		"b@example.com,complained,2022-01-01,mailer,news,\n" +
		"c@example.com,bounced,2022-01-01,mailer,,\n"
	for range 2 {
		if _, err := h.Contacts.ImportHistory(t.Context(), File(file), contacts.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := h.answer(t, h.get(t, "a@example.com").ID); got != consent.Yes {
			t.Errorf("a: %q", got)
		}
		if h.reason(t, "b@example.com") != consent.Complaint || h.reason(t, "c@example.com") != consent.HardBounce {
			t.Error(h.reason(t, "b@example.com"), h.reason(t, "c@example.com"))
		}
	}
	sheet, err := h.Consent.Show(t.Context(), h.get(t, "a@example.com").ID)
	if err != nil || len(sheet.History) != 3 {
		t.Errorf("%d lines, %v", len(sheet.History), err)
	}
	// A later import of an old "yes" never overturns a "no".
	if _, err := h.Contacts.ImportHistory(t.Context(), File("email,event,at,driver,topic,source\na@example.com,objected,2023-01-01,mailer,news,\na@example.com,granted,2022-06-01,mailer,news,form\n"), contacts.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := h.answer(t, h.get(t, "a@example.com").ID); got != consent.No {
		t.Errorf("a: %q", got)
	}
	if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil {
		t.Errorf("%+v, %v", rep.Bad, err)
	}
}
