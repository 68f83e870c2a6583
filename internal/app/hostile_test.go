package app

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/consent"
	"rapport/contacts"
	"rapport/internal/testkit"
	"rapport/requests"
	"rapport/responses"
	"rapport/store"
)

// onBoth runs a test on a newsstand over each engine at hand.
func onBoth(t *testing.T, test func(t *testing.T, n *newsstand), lines ...string) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		l := lines
		if o.Database != "" {
			l = append([]string{"database: " + o.Database}, lines...)
		}
		test(t, openNewsstand(t, l...))
	})
}

// subscriber signs somebody up, confirmed, and returns their number.
func (n *newsstand) subscriber(address string) int64 {
	n.t.Helper()
	n.sign("join", address)
	n.ask("POST", n.link(n.letter(address, 1)), url.Values{"confirm": {"yes"}})
	who, err := n.Contacts.Get(n.t.Context(), address)
	if err != nil {
		n.t.Fatal(err)
	}
	return who.ID
}

// centre is the path of somebody's preference page.
func (n *newsstand) centre(contact int64) string {
	s := responses.Subject{Run: 1, Contact: contact, Driver: "email", Topic: "news"}
	return strings.TrimPrefix(n.links.For(s, false).Preferences(), n.PublicURL())
}

// TestHostileFields: whatever somebody types into a field of a form, the button
// in the letter works, and what is kept is text.
func TestHostileFields(t *testing.T) {
	onBoth(t, func(t *testing.T, n *newsstand) {
		for i, typed := range []string{
			"<script>alert(1)</script>", "An\x00na", "Anna\r\nBcc: all@example.com", "\xff\xfe", "\u202eanna", strings.Repeat("x", 1000), "{{ contact.email }}", "=1+1",
		} {
			address := fmt.Sprintf("hostile%d@example.com", i)
			if code, text := n.sign("join", address, "a:first_name", typed); code == http.StatusUnprocessableEntity {
				if strings.Contains(text, "<script>") {
					t.Errorf("%q is written as it is", typed)
				}
				continue
			} else if code != http.StatusOK {
				t.Errorf("%q: %d", typed, code)
				continue
			}
			m := n.letter(address, 1)
			if strings.Contains(m.Text+m.HTML+string(m.Source), "all@example.com") {
				t.Errorf("%q is in the letter", typed)
			}
			if code, _, _ := n.ask("POST", n.link(m), url.Values{"confirm": {"yes"}}); code != http.StatusOK {
				t.Errorf("%q: the button is answered %d", typed, code)
			}
			if got := n.answers(address); got != "confirmations=granted news=granted" {
				t.Errorf("%q: %s", typed, got)
			}
			if who, err := n.Contacts.Get(t.Context(), address); err != nil || !json.Valid(who.Attributes) {
				t.Errorf("%q: %v", typed, err)
			}
		}
	})
}

// TestMoveIsNoCannon: whoever holds one link cannot have letters sent to many
// addresses.
func TestMoveIsNoCannon(t *testing.T) {
	onBoth(t, func(t *testing.T, n *newsstand) {
		who := n.subscriber("owner@example.com")
		page := n.centre(who)
		move := func(to string) {
			t.Helper()
			if code, text, _ := n.ask("POST", page, url.Values{"do": {"move"}, "way": {"email"}, "address": {to}}); code != http.StatusOK || !strings.Contains(text, "on its way to the new address") {
				t.Fatalf("%s: %d %s", to, code, text)
			}
		}
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() { move(fmt.Sprintf("victim%d@example.com", i)) })
		}
		all.Wait()
		if err := n.Requests.Resume(t.Context()); err != nil {
			t.Error(err)
		}
		n.subscriber("last@example.com") // whose letter comes after all others
		got := 0
		for i := range 12 {
			got += len(n.letters(fmt.Sprintf("victim%d@example.com", i)))
		}
		if got == 0 || got > requests.MovesADay {
			t.Errorf("one link made %d letters to strangers", got)
		}
		n.later(25 * time.Hour)
		move("tomorrow@example.com")
		n.letter("tomorrow@example.com", 1)
	})
}

// TestForwardedLetterHandsOverNothing: who has a forwarded letter can have the
// address changed to their own, of which the owner is told; but the owner's data
// is not theirs to fetch or to delete.
func TestForwardedLetterHandsOverNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, n *newsstand) {
		who := n.subscriber("owner@example.com")
		page := n.centre(who)
		n.ask("POST", page, url.Values{"do": {"move"}, "way": {"email"}, "address": {"thief@example.com"}})
		n.ask("POST", n.link(n.letter("thief@example.com", 1)), url.Values{"confirm": {"yes"}})
		n.letter("owner@example.com", 2) // the note
		for i, do := range []string{"see", "erase"} {
			if code, text, _ := n.ask("POST", page, url.Values{"do": {do}, "way": {"email"}}); code != http.StatusOK {
				t.Fatalf("%s: %d %s", do, code, text)
			}
			m := n.letter("owner@example.com", 3+i)
			if got := len(n.letters("thief@example.com")); got != 1 {
				t.Fatalf("%s is asked of the new address: %d letters", do, got)
			}
			if do == "see" {
				link := n.link(m)
				if code, text, _ := n.ask("POST", link, url.Values{"confirm": {"yes"}}); code != http.StatusOK || !strings.Contains(text, "Your copy is ready") {
					t.Errorf("the owner: %d %s", code, text)
				}
				code, zip, _ := n.ask("GET", strings.Replace(link, "/r/", "/a/", 1), nil)
				if code != http.StatusOK || !strings.HasPrefix(zip, "PK") {
					t.Errorf("the owner's copy: %d", code)
				}
			}
		}
		// Later the new address is the only one there is.
		n.later(31 * 24 * time.Hour)
		if _, err := n.RunChores(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		n.ask("POST", page, url.Values{"do": {"see"}, "way": {"email"}})
		n.letter("thief@example.com", 2)
		n.verified()
	})
}

// TestRenewalPressedAtOnce: fifty presses at once are one line.
func TestRenewalPressedAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, n *newsstand) {
		who := n.subscriber("stay@example.com")
		n.later(90 * 24 * time.Hour)
		s := responses.Subject{Contact: who, Driver: "email", Topic: "news"}
		link := strings.TrimPrefix(n.links.For(s, false).Renew(), n.PublicURL())
		before := len(n.history("stay@example.com"))
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if code, text, _ := n.ask("POST", link, url.Values{"confirm": {"yes"}}); code != http.StatusOK {
					t.Errorf("%d %s", code, text)
				}
			})
		}
		all.Wait()
		n.later(time.Minute)
		n.ask("POST", link, url.Values{"confirm": {"yes"}})
		list := n.history("stay@example.com")
		if len(list) != before+1 || list[len(list)-1].State != consent.Confirmed {
			t.Errorf("%d lines more", len(list)-before)
		}
	}, "consent: {expires: {news: 100d}}")
}

// TestLateConfirmationsAreKept: what is confirmed at the last moment counts as
// long as what is confirmed at once: a copy can be fetched for as long as the
// page says, and a change of address is remembered.
func TestLateConfirmationsAreKept(t *testing.T) {
	onBoth(t, func(t *testing.T, n *newsstand) {
		who := n.subscriber("owner@example.com")
		page := n.centre(who)
		n.ask("POST", page, url.Values{"do": {"see"}, "way": {"email"}})
		copied := n.link(n.letter("owner@example.com", 2))
		n.ask("POST", page, url.Values{"do": {"move"}, "way": {"email"}, "address": {"thief@example.com"}})
		moved := n.link(n.letter("thief@example.com", 1))
		n.later(29*24*time.Hour + 20*time.Hour)
		for _, link := range []string{copied, moved} {
			if code, text, _ := n.ask("POST", link, url.Values{"confirm": {"yes"}}); code != http.StatusOK {
				t.Fatalf("%s: %d %s", link, code, text)
			}
		}
		n.letter("owner@example.com", 3) // the note
		n.later(25 * time.Hour)
		if _, err := n.RunChores(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if code, _, _ := n.ask("GET", strings.Replace(copied, "/r/", "/a/", 1), nil); code != http.StatusOK {
			t.Errorf("the copy after a day: %d", code)
		}
		n.ask("POST", page, url.Values{"do": {"erase"}, "way": {"email"}})
		n.letter("owner@example.com", 4)
		if got := len(n.letters("thief@example.com")); got != 1 {
			t.Errorf("%d letters to the new address", got)
		}
	})
}

// TestMovedBack: the owner of a forwarded letter takes the address back with a
// link of their own, and from then on is asked there.
func TestMovedBack(t *testing.T) {
	onBoth(t, func(t *testing.T, n *newsstand) {
		page := n.centre(n.subscriber("owner@example.com"))
		for i, to := range []string{"thief@example.com", "owner@example.com"} {
			n.ask("POST", page, url.Values{"do": {"move"}, "way": {"email"}, "address": {to}})
			m := n.letter(to, 1+2*i)
			n.ask("POST", n.link(m), url.Values{"confirm": {"yes"}})
			n.later(25 * time.Hour)
		}
		if got := n.answers("owner@example.com"); got != "confirmations=granted news=granted" {
			t.Fatalf("taken back: %s", got)
		}
		before := len(n.letters("thief@example.com"))
		n.ask("POST", page, url.Values{"do": {"see"}, "way": {"email"}})
		n.letter("owner@example.com", 4)
		if got := len(n.letters("thief@example.com")); got > max(before, 2) {
			t.Errorf("%d letters to the thief", got)
		}
		n.verified()
	})
}

// TestWhatDoesNotFitIsNotTold: a field of a form that does not fit the type of
// its attribute is left out, without the others, and its value is in no log.
func TestWhatDoesNotFitIsNotTold(t *testing.T) {
	n := openNewsstand(t)
	ctx := t.Context()
	if _, _, err := n.Contacts.Put(ctx, contacts.Input{ExternalID: "1", Attributes: map[string]any{"born": 1980.0}}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	(&requests.Handlers{
		Consent: n.Consent, Contacts: n.Contacts, Store: n.Store, Drivers: n.Drivers, Random: rand.Reader,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}).Register(n.Requests)
	err := n.Requests.Ask(ctx, requests.Ask{
		Kind: requests.Subscribe, Driver: "email", Channel: "post", Address: "anna@example.com", Topics: []string{"news"}, Form: "join",
		Method: consent.ByForm, Locale: "en", Payload: json.RawMessage(`{"attributes":{"born":"the fifth of May","first_name":"Anna","town":"Ulm"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if code, _, _ := n.ask("POST", n.link(n.letter("anna@example.com", 1)), url.Values{"confirm": {"yes"}}); code != http.StatusOK {
		t.Fatalf("%d", code)
	}
	if text := log.String(); strings.Contains(text, "fifth") || !strings.Contains(text, "attribute=born") {
		t.Errorf("the log says: %s", text)
	}
	who, err := n.Contacts.Get(ctx, "anna@example.com")
	if err != nil || string(who.Attributes) != `{"first_name":"Anna","town":"Ulm"}` {
		t.Errorf("%s, %v", who.Attributes, err)
	}
}
