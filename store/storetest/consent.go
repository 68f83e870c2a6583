package storetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/store"
)

// Consent examines what consent asks of a store. open opens a fresh one.
func Consent(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, examine := range map[string]func(*testing.T, *House){
		"topics":            examineTopics,
		"grant and no":      examineGrant,
		"who is not there":  examineUnknown,
		"past":              examinePast,
		"seal and verify":   examineSeal,
		"sealers race":      examineSealers,
		"yes and no race":   examineRace,
		"export":            examineExport,
		"suppressions":      examineSuppressions,
		"suppressions file": examineSuppressionFile,
		"preferences":       examinePreferences,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewHouse(t, open(t))) })
	}
}

// somebody makes a contact with an address and returns its number.
func (h *House) somebody(t testing.TB, address string) int64 {
	t.Helper()
	c, _, err := h.Contacts.Put(t.Context(), contacts.Input{Addresses: map[string]string{channels.Email.Kind: address}})
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

func (h *House) answer(t testing.TB, contact int64) consent.Answer {
	t.Helper()
	sheet, err := h.Consent.Show(t.Context(), contact)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sheet.Standing {
		if c.Driver == mailer && c.Topic == "news" {
			return c.Answer
		}
	}
	return consent.None
}

func news(contact int64) consent.Entry {
	return consent.Entry{Contact: contact, Driver: mailer, Topic: "news", Source: "form"}
}

func examineTopics(t *testing.T, h *House) {
	ctx := t.Context()
	put := func(kind string) error {
		return h.Consent.PutTopics(ctx, []consent.Topic{{Name: "news", Kind: kind, Title: map[string]string{"de": "Neues"}}})
	}
	for _, kind := range []string{consent.Transactional, consent.Marketing} {
		if err := put(kind); err != nil {
			t.Fatalf("an unused topic becomes %s: %v", kind, err)
		}
	}
	if _, err := h.Consent.Grant(ctx, news(h.somebody(t, "a@example.com"))); err != nil {
		t.Fatal(err)
	}
	wantKind(t, put(consent.Transactional), rapport.Conflict)
	_, err := h.Consent.Topic(ctx, "nows")
	wantKind(t, err, rapport.NotFound)
	if topic, err := h.Consent.Topic(ctx, "news"); err != nil || topic.Title["de"] != "Neues" || topic.Priority != consent.Normal {
		t.Fatalf("%+v, %v", topic, err)
	}
}

func examineGrant(t *testing.T, h *House) {
	ctx := t.Context()
	who := h.somebody(t, "a@example.com")
	e := news(who)
	e.Source = ""
	_, err := h.Consent.Grant(ctx, e)
	wantKind(t, err, rapport.Invalid)
	out, err := h.Consent.Grant(ctx, news(who))
	if err != nil || !out.Written || h.answer(t, who) != consent.Yes {
		t.Fatal(out, err)
	}
	if out, err = h.Consent.Grant(ctx, news(who)); err != nil || out.Written {
		t.Fatalf("the same again: %+v, %v", out, err)
	}
	if out, err = h.Consent.Withdraw(ctx, news(who)); err != nil || out.Answer != consent.No || h.answer(t, who) != consent.No {
		t.Fatal(out, err)
	}
	if out, err = h.Consent.Withdraw(ctx, news(who)); err != nil || out.Written {
		t.Fatalf("no again: %+v, %v", out, err)
	}
	_, err = h.Consent.Grant(ctx, news(who))
	if wantKind(t, err, rapport.Denied); !errors.Is(err, consent.ErrWithdrawn) {
		t.Fatal(err)
	}
	e = news(who)
	e.Resubscribe = true
	if out, err = h.Consent.Grant(ctx, e); err != nil || h.answer(t, who) != consent.Yes {
		t.Fatal(out, err)
	}
	e.State = consent.Expired
	if _, err := h.Consent.Record(ctx, e); err != nil || h.answer(t, who) != consent.Yes {
		t.Fatalf("a yes without an end has expired: %v", err)
	}
	who = h.somebody(t, "b@example.com")
	// Several entries about one person in one call are judged one after another.
	no := news(who)
	no.State = consent.Withdrawn
	yes := news(who)
	yes.State = consent.Requested
	outs, err := h.Consent.Record(ctx, yes, no, yes)
	if err != nil || outs[0].Answer != consent.Wait || outs[1].Answer != consent.No || !errors.Is(outs[2].Err, consent.ErrWithdrawn) || h.answer(t, who) != consent.No {
		t.Fatalf("%+v, %v", outs, err)
	}
	if rep, err := h.Consent.Verify(ctx, nil); err != nil || rep.Bad != nil {
		t.Fatalf("%+v, %v", rep.Bad, err)
	}
}

func examineUnknown(t *testing.T, h *House) {
	_, err := h.Consent.Grant(t.Context(), news(12345))
	wantKind(t, err, rapport.NotFound)
	who := h.somebody(t, "a@example.com")
	e := news(who)
	e.Topic = "nows"
	_, err = h.Consent.Grant(t.Context(), e)
	if wantKind(t, err, rapport.NotFound); !strings.Contains(err.Error(), "known: news, service") {
		t.Fatal(err)
	}
	e = news(who)
	e.Driver = "owl"
	_, err = h.Consent.Grant(t.Context(), e)
	wantKind(t, err, rapport.NotFound)
	e = news(who)
	e.Basis = "whim"
	_, err = h.Consent.Grant(t.Context(), e)
	wantKind(t, err, rapport.Invalid)
}

func examinePast(t *testing.T, h *House) {
	who := h.somebody(t, "a@example.com")
	e := news(who)
	e.At = time.Date(2020, 5, 1, 0, 0, 0, 0, time.UTC)
	if _, err := h.Consent.Grant(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Consent.Withdraw(t.Context(), news(who)); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]int{e.At.Add(-time.Second): 0, e.At: 1} {
		list, err := h.Consent.StateAt(t.Context(), who, at)
		if err != nil || len(list) != want {
			t.Fatalf("at %v: %+v, %v", at, list, err)
		}
		if want == 1 && (list[0].Answer != consent.Yes || list[0].Address != "a@example.com") {
			t.Fatalf("%+v", list[0])
		}
	}
}

func (h *House) crowd(t testing.TB, n int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("external_id,email\n")
	for i := range n {
		id := time.Duration(i).String()
		b.WriteString(id + "," + id + "@example.com\n")
	}
	h.Import(t, b.String(), contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "form"})
}

func examineSeal(t *testing.T, h *House) {
	ctx := t.Context()
	h.crowd(t, 30)
	if n, err := h.Consent.Seal(ctx); err != nil || n != 30 {
		t.Fatalf("sealed %d, %v", n, err)
	}
	if n, err := h.Consent.Seal(ctx); err != nil || n != 0 {
		t.Fatalf("sealed %d again, %v", n, err)
	}
	if _, err := h.Consent.Withdraw(ctx, news(h.get(t, "5ns").ID)); err != nil {
		t.Fatal(err)
	}
	rep, err := h.Consent.Verify(ctx, nil)
	if err != nil || rep.Bad != nil || rep.Entries != 31 || rep.Seals != 1 || rep.Unsealed != 1 || rep.Answers != 30 || rep.Head == "" {
		t.Fatalf("%+v %+v, %v", rep, rep.Bad, err)
	}
}

// examineSealers lets sealers and writers run at once: whatever order numbers
// are committed in, the chain must hold.
func examineSealers(t *testing.T, h *House) {
	ctx := t.Context()
	var people []int64
	for _, name := range []string{"a", "b", "c", "d"} {
		people = append(people, h.somebody(t, name+"@example.com"))
	}
	var all sync.WaitGroup
	errs := make(chan error, 1000)
	for _, who := range people {
		all.Go(func() {
			for i := range 12 {
				e := news(who)
				e.Resubscribe = true
				var err error
				if i%2 == 0 {
					_, err = h.Consent.Grant(ctx, e)
				} else {
					_, err = h.Consent.Withdraw(ctx, e)
				}
				errs <- err
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for range 15 {
				_, err := h.Consent.Seal(ctx)
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil && !errors.Is(err, consent.ErrWithdrawn) {
			t.Fatal(err)
		}
	}
	if _, err := h.Consent.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	rep, err := h.Consent.Verify(ctx, nil)
	if err != nil || rep.Bad != nil || rep.Unsealed != 0 || rep.Entries < 8 {
		t.Fatalf("%+v %+v, %v", rep, rep.Bad, err)
	}
}

// examineRace says yes and no at once, many times: "no" must stand whoever was
// first.
func examineRace(t *testing.T, h *House) {
	for i := range 10 {
		who := h.somebody(t, time.Duration(i).String()+"@example.com")
		var both sync.WaitGroup
		for _, do := range []func(context.Context, consent.Entry) (consent.Outcome, error){h.Consent.Grant, h.Consent.Withdraw} {
			both.Go(func() {
				if _, err := do(t.Context(), news(who)); err != nil && !errors.Is(err, consent.ErrWithdrawn) {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if got := h.answer(t, who); got != consent.No {
			t.Fatalf("after a yes and a no the answer is %q", got)
		}
	}
	if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil {
		t.Fatalf("%+v, %v", rep.Bad, err)
	}
}

func examineExport(t *testing.T, h *House) {
	h.crowd(t, 3)
	for format, lines := range map[string]int{"ndjson": 3, "csv": 4} {
		var b bytes.Buffer
		n, err := h.Consent.Export(t.Context(), &b, format)
		if err != nil || n != 3 || strings.Count(b.String(), "\n") != lines || !strings.Contains(b.String(), "1ns@example.com") {
			t.Fatalf("%s: %d, %v\n%s", format, n, err, b.String())
		}
	}
}

func examineSuppressions(t *testing.T, h *House) {
	ctx, kind := t.Context(), channels.Email.Kind
	if isNew, err := h.Consent.Suppress(ctx, kind, "A@example.com", consent.HardBounce, "550 5.1.1"); err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	if isNew, err := h.Consent.Suppress(ctx, kind, "a@example.com", "", ""); err != nil || isNew {
		t.Fatal(isNew, err)
	}
	sup, found, err := h.Consent.Suppressed(ctx, kind, "a@EXAMPLE.com")
	if err != nil || !found || sup.Reason != consent.HardBounce || sup.Value != "a@example.com" {
		t.Fatalf("%+v, %v", sup, err)
	}
	for _, bad := range [][3]string{{"smoke", "x", ""}, {kind, "x", ""}, {kind, "b@example.com", "mood"}} {
		if _, err := h.Consent.Suppress(ctx, bad[0], bad[1], bad[2], ""); rapport.KindOf(err) != rapport.Invalid && rapport.KindOf(err) != rapport.NotFound {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if err := h.Consent.Unsuppress(ctx, kind, "a@example.com"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, h.Consent.Unsuppress(ctx, kind, "a@example.com"), rapport.NotFound)
}

func examineSuppressionFile(t *testing.T, h *House) {
	ctx := t.Context()
	rep, err := h.Consent.ImportSuppressions(ctx, strings.NewReader("\ufeffkind,value,reason\nemail,a@example.com,complaint\nemail,A@example.com,\nemail,nonsense,\nphone,+49 30 123456,\n"))
	if err != nil || rep.Rows != 4 || rep.Added != 2 || rep.Known != 1 || rep.Errors != 1 || rep.Listed[0].Line != 4 {
		t.Fatalf("%+v, %v", rep, err)
	}
	var b bytes.Buffer
	n, hidden, err := h.Consent.ExportSuppressions(ctx, &b)
	if err != nil || n != 2 || hidden != 0 || !strings.Contains(b.String(), "email,a@example.com,complaint") {
		t.Fatalf("%d, %v\n%s", n, err, b.String())
	}
	list, err := h.Consent.Suppressions(ctx, consent.Suppression{}, 10)
	if err != nil || len(list) != 2 || list[0].Value != "a@example.com" {
		t.Fatal(list, err)
	}
}
