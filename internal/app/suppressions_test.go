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
