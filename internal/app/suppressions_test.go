package app

import (
	"net/url"
	"testing"
	"time"

	"rapport/consent"
)

// TestWhoeverComplainedCanComeBack: a person whose address is suppressed is
// asked, and the letter and their press of the button take back what is theirs
// to take back; a whole domain stays.
func TestWhoeverComplainedCanComeBack(t *testing.T) {
	n := openNewsstand(t)
	ctx := t.Context()
	for _, reason := range []string{consent.Complaint, consent.HardBounce, consent.Gone} {
		who := reason + "@example.com"
		if _, err := n.Consent.Suppress(ctx, "email", who, reason, ""); err != nil {
			t.Fatal(err)
		}
		n.later(time.Minute)
		n.sign("join", who)
		n.ask("POST", n.link(n.letter(who, 1)), url.Values{"confirm": {"yes"}})
		if x, still, err := n.Consent.Suppressed(ctx, "email", who); err != nil || still {
			t.Errorf("%s stays after a confirmation: %+v, %v", reason, x, err)
		}
	}
	if _, err := n.Consent.SuppressDomain(ctx, consent.SuppressedDomain{Kind: "email", Domain: "closed.example"}); err != nil {
		t.Fatal(err)
	}
	n.sign("join", "somebody@closed.example")
	n.sign("join", "open@example.com")
	n.letter("open@example.com", 1)
	if got := len(n.letters("somebody@closed.example")); got != 0 {
		t.Errorf("%d letters to a suppressed domain", got)
	}
}

// TestWhoeverSaidYesAndBouncedCanComeBack: an old yes that stands is no reason to
// keep back the letter from somebody whose address is suppressed; it comes once a
// day, and its confirmation takes back what is theirs to take back.
func TestWhoeverSaidYesAndBouncedCanComeBack(t *testing.T) {
	onBoth(t, func(t *testing.T, n *newsstand) {
		ctx := t.Context()
		for _, reason := range []string{consent.Complaint, consent.HardBounce, consent.Gone} {
			who := "old-" + reason + "@example.com"
			n.subscriber(who)
			n.later(25 * time.Hour)
			_, plain := n.sign("join", who)
			if got := len(n.letters(who)); got != 1 {
				t.Errorf("%d letters to somebody who is subscribed", got)
			}
			n.later(25 * time.Hour)
			if _, err := n.Consent.Suppress(ctx, "email", who, reason, ""); err != nil {
				t.Fatal(err)
			}
			n.later(time.Minute)
			for range 2 { // one letter a day
				if _, text := n.sign("join", who); text != plain {
					t.Error("the answer tells that an address is suppressed")
				}
			}
			n.ask("POST", n.link(n.letter(who, 2)), url.Values{"confirm": {"yes"}})
			if x, still, err := n.Consent.Suppressed(ctx, "email", who); err != nil || still {
				t.Errorf("%s stays after a confirmation: %+v, %v", reason, x, err)
			}
		}
		n.subscriber("never@example.com")
		n.later(25 * time.Hour)
		if _, err := n.Consent.Suppress(ctx, "email", "never@example.com", consent.Legal, ""); err != nil {
			t.Fatal(err)
		}
		n.sign("join", "never@example.com")
		n.sign("join", "last@example.com")
		n.letter("last@example.com", 1)
		if got := len(n.letters("never@example.com")); got != 1 {
			t.Errorf("%d letters to an address that is suppressed by law, want the one from before", got)
		}
	})
}
