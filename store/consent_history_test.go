package store_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/consent"
	"rapport/internal/testkit"
	"rapport/store"
	"rapport/store/storetest"
)

// moment is what Show said at a time.
type moment struct {
	at       time.Time
	standing []consent.Current
}

// act is an entry that was written, as the test remembers it.
type act struct {
	consent.Entry
	line int64
}

// past is a random history of one person and what the test remembers of it.
type past struct {
	h       *storetest.House
	svc     *consent.Service
	who     int64
	now     time.Time
	seen    []moment
	written []act
}

func (p *past) step(t *rapid.T) {
	p.now = p.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "hours")) * time.Hour)
	if rapid.IntRange(0, 5).Draw(t, "what") == 0 {
		if _, err := p.svc.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
	} else {
		e := consent.Entry{
			Contact: p.who, Driver: "mailer", Source: "form", Address: rapid.SampledFrom([]string{"a@example.com", "b@example.com"}).Draw(t, "address"),
			Topic:       rapid.SampledFrom([]string{"news", "service"}).Draw(t, "topic"),
			State:       rapid.SampledFrom([]consent.State{consent.Requested, consent.Granted, consent.Confirmed, consent.Withdrawn, consent.Objected}).Draw(t, "state"),
			Resubscribe: rapid.Bool().Draw(t, "resubscribe"),
			At:          p.now.Add(-time.Duration(rapid.SampledFrom([]int{0, 0, 0, 30, 900}).Draw(t, "late")) * time.Hour),
		}
		if e.State.Answer() == consent.Yes && rapid.Bool().Draw(t, "ends") {
			e.Expires = e.At.Add(time.Duration(rapid.IntRange(1, 1500).Draw(t, "end")) * time.Hour)
		}
		out, err := p.svc.Record(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Written {
			p.written = append(p.written, act{e, out[0].Entry})
		}
	}
	sheet, err := p.svc.Show(t.Context(), p.who)
	if err != nil {
		t.Fatal(err)
	}
	p.seen = append(p.seen, moment{p.now, sheet.Standing})
}

// knownAt is what was seen last by then, less what has ended since.
func (p *past) knownAt(at time.Time) map[string]string {
	out := map[string]string{}
	for _, m := range p.seen {
		if m.at.After(at) {
			break
		}
		clear(out)
		for _, c := range m.standing {
			if c.Expires.IsZero() || at.Before(c.Expires) {
				out[c.Topic] = fmt.Sprintf("%s %s entry %d until %s", c.Answer, c.Address, c.Entry, c.Expires)
			}
		}
	}
	return out
}

// actedAt is what follows from the acts by then: the last that was written down
// decides, and what has ended is nothing.
func (p *past) actedAt(at time.Time) map[string]string {
	out := map[string]string{}
	for _, a := range p.written {
		if a.At.After(at) {
			continue
		}
		switch {
		case a.State == consent.Withdrawn || a.State == consent.Objected:
			out[a.Topic] = fmt.Sprintf("withdrawn entry %d", a.line)
		case !a.Expires.IsZero() && !at.Before(a.Expires):
			delete(out, a.Topic)
		case a.State == consent.Requested:
			out[a.Topic] = fmt.Sprintf("pending entry %d", a.line)
		default:
			out[a.Topic] = fmt.Sprintf("granted entry %d", a.line)
		}
	}
	return out
}

func spoken(list []consent.Current, say func(consent.Current) string) map[string]string {
	out := map[string]string{}
	for _, c := range list {
		if c.Answer != consent.None {
			out[c.Topic] = say(c)
		}
	}
	return out
}

func equalWords(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// TestStateOnAnyDate plays random histories and compares what stood on any date
// with what the test remembers: as it was seen then, and by the acts.
func TestStateOnAnyDate(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		p := &past{now: time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)}
		o.Now = func() time.Time { return p.now }
		s := testkit.Open(t, o)
		p.h = storetest.NewHouse(t, s)
		p.svc = consent.New(consent.Options{Store: s, Drivers: p.h.Drivers, Now: o.Now, Random: rand.Reader})
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			ref := fmt.Sprintf("p%d@example.com", n)
			p.h.Import(t, "email\n"+ref+"\n", noOptions())
			c, err := p.h.Contacts.Get(t.Context(), ref)
			if err != nil {
				rt.Fatal(err)
			}
			p.who, p.seen, p.written = c.ID, nil, nil
			begun := p.now
			for range rapid.IntRange(1, 12).Draw(rt, "length") {
				p.step(rt)
			}
			for range 6 {
				at := begun.Add(time.Duration(rapid.Int64Range(-900, int64(p.now.Sub(begun)/time.Hour)+1500).Draw(rt, "date")) * time.Hour)
				known, err := p.svc.StateKnownAt(t.Context(), p.who, at)
				if err != nil {
					rt.Fatal(err)
				}
				got := spoken(known, func(c consent.Current) string {
					return fmt.Sprintf("%s %s entry %d until %s", c.Answer, c.Address, c.Entry, c.Expires)
				})
				if want := p.knownAt(at); !equalWords(got, want) {
					rt.Fatalf("known at %s: %v, want %v", at, got, want)
				}
				acted, err := p.svc.StateAt(t.Context(), p.who, at)
				if err != nil {
					rt.Fatal(err)
				}
				got = spoken(acted, func(c consent.Current) string { return fmt.Sprintf("%s entry %d", c.Answer, c.Entry) })
				if want := p.actedAt(at); !equalWords(got, want) {
					rt.Fatalf("by the acts at %s: %v, want %v", at, got, want)
				}
			}
		})
		if rep, err := p.svc.Verify(t.Context(), nil); err != nil || rep.Bad != nil {
			t.Fatalf("%+v, %v", rep.Bad, err)
		}
	})
}

// TestWordings puts texts, refers to them, and is refused another text.
func TestWordings(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		h := storetest.NewHouse(t, testkit.Open(t, o))
		put := func(texts map[string]string) (int, bool) {
			version, isNew, err := h.Consent.PutWording(t.Context(), consent.Wording{Name: "sign-up", Texts: texts})
			if err != nil {
				t.Fatal(err)
			}
			return version, isNew
		}
		one := map[string]string{"de": "Dürfen wir?", "en": "May we?"}
		for i, want := range []struct {
			texts   map[string]string
			version int
			isNew   bool
		}{{one, 1, true}, {one, 1, false}, {map[string]string{"en": "May we?"}, 2, true}, {map[string]string{"en": "May we? "}, 3, true}, {one, 4, true}} {
			if version, isNew := put(want.texts); version != want.version || isNew != want.isNew {
				t.Fatalf("put %d: version %d, new %v", i, version, isNew)
			}
		}
		if w, err := h.Consent.LatestWording(t.Context(), "sign-up", "de-AT"); err != nil || w.Text != "Dürfen wir?" || w.Version != 4 || w.Hash != consent.TextHash(w.Text) {
			t.Fatalf("%+v, %v", w, err)
		}
		if w, err := h.Consent.Wording(t.Context(), "sign-up", 3, "en"); err != nil || w.Text != "May we? " {
			t.Fatalf("%+v, %v", w, err)
		}
		for _, bad := range []consent.NoticeRef{{Name: "sign-in"}, {Name: "sign-up", Version: 5}, {Name: "sign-up", Version: 2, Locale: "de"}} {
			if _, err := h.Consent.Wording(t.Context(), bad.Name, bad.Version, bad.Locale); err == nil {
				t.Errorf("%+v was found", bad)
			}
		}
		list, err := h.Consent.Wordings(t.Context())
		if err != nil || len(list) != 4 || len(list[0].Texts) != 2 || list[3].Version != 4 {
			t.Fatalf("%+v, %v", list, err)
		}
		h.Import(t, "email\na@example.com\n", noOptions())
		c, err := h.Contacts.Get(t.Context(), "a@example.com")
		if err != nil {
			t.Fatal(err)
		}
		e := consent.Entry{Contact: c.ID, Driver: "mailer", Topic: "news", Source: "form", State: consent.Granted}
		for _, bad := range []consent.NoticeRef{{Name: "sign-in", Locale: "de"}, {Name: "sign-up", Version: 9, Locale: "de"}, {Name: "sign-up", Locale: "fr"}, {Name: "sign-up", Locale: "de", Hash: "00"}} {
			e.Notice = bad
			if out, err := h.Consent.Record(t.Context(), e); err == nil {
				t.Errorf("an entry refers to %+v: %+v", bad, out)
			}
		}
		e.Notice = consent.NoticeRef{Name: "sign-up", Locale: "de"}
		if _, err := h.Consent.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		sheet, err := h.Consent.Show(t.Context(), c.ID)
		if err != nil || len(sheet.History) != 1 || *sheet.History[0].Evidence.Notice != (consent.NoticeRef{Name: "sign-up", Version: 4, Locale: "de", Hash: consent.TextHash("Dürfen wir?")}) {
			t.Fatalf("%+v, %v", sheet, err)
		}
		if rep, err := h.Consent.Verify(t.Context(), nil); err != nil || rep.Bad != nil || rep.Wordings != 6 {
			t.Fatalf("%+v, %v", rep, err)
		}
	})
}

// TestNotedHead verifies against heads that were noted outside.
func TestNotedHead(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		h := ledger(t, testkit.Open(t, o))
		rep, err := h.Consent.Verify(t.Context(), nil)
		if err != nil || rep.Bad != nil {
			t.Fatal(rep.Bad, err)
		}
		if rep, err := h.Consent.VerifyNoted(t.Context(), rep.Head, nil); err != nil || rep.Bad != nil {
			t.Fatalf("%+v, %v", rep.Bad, err)
		}
		if rep, err := h.Consent.VerifyNoted(t.Context(), strings.Repeat("0", 64), nil); err != nil || rep.Bad == nil {
			t.Fatalf("a head that never was is found: %+v, %v", rep, err)
		}
	})
}

// TestTerms asks for what the configuration adds to an entry.
func TestTerms(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		o.Terms = consent.Terms{
			Controller: "Example Ltd", Jurisdiction: "DE", Categories: []string{"address"},
			Expires: map[string]consent.Span{"news": {Months: 24}},
		}
		h := storetest.NewHouse(t, testkit.Open(t, o))
		h.Import(t, "email\na@example.com\n", noOptions())
		c, err := h.Contacts.Get(t.Context(), "a@example.com")
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
		e := consent.Entry{Contact: c.ID, Driver: "mailer", Topic: "news", Source: "form", At: at, Address: "A@Example.com"}
		if _, err := h.Consent.Grant(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		e.Topic, e.Basis, e.At = "service", consent.ByContract, time.Time{}
		if _, err := h.Consent.Grant(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		sheet, err := h.Consent.Show(t.Context(), c.ID)
		if err != nil || len(sheet.History) != 2 {
			t.Fatalf("%+v, %v", sheet, err)
		}
		first, second := sheet.History[0], sheet.History[1]
		if !first.Expires.Equal(at.AddDate(2, 0, 0)) || first.Evidence.Controller != "Example Ltd" || first.Evidence.Jurisdiction != "DE" ||
			first.Evidence.Clock != consent.StatedClock || first.Evidence.Given != "A@Example.com" || first.Evidence.Address != "a@example.com" || !slices.Equal(first.Evidence.Categories, []string{"address"}) {
			t.Errorf("%+v %+v", first, first.Evidence)
		}
		if !second.Expires.IsZero() || second.Evidence.Clock != consent.OurClock {
			t.Errorf("%+v %+v", second, second.Evidence)
		}
		if n, err := h.Consent.Expire(t.Context()); err != nil || n != 1 {
			t.Fatalf("expired %d, %v", n, err)
		}
		if n, err := h.Consent.Expire(t.Context()); err != nil || n != 0 {
			t.Fatalf("expired %d again, %v", n, err)
		}
		sheet, err = h.Consent.Show(t.Context(), c.ID)
		if err != nil || len(sheet.Standing) != 1 || sheet.Standing[0].Topic != "service" || sheet.History[2].State != consent.Expired || !sheet.History[2].At.Equal(first.Expires) {
			t.Fatalf("%+v, %v", sheet, err)
		}
		// A file that names no time gives nothing again; an act of today does.
		e.Topic, e.Basis, e.State, e.Undated = "news", consent.ByConsent, consent.Granted, true
		out, err := h.Consent.Record(t.Context(), e)
		if err != nil || out[0].Written || !errors.Is(out[0].Err, consent.ErrEnded) {
			t.Fatalf("%+v, %v", out, err)
		}
		e.Undated = false
		if out, err = h.Consent.Record(t.Context(), e); err != nil || out[0].Answer != consent.Yes {
			t.Fatalf("%+v, %v", out, err)
		}
	})
}
