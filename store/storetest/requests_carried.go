package storetest

import (
	"slices"

	"rapport/consent"
	"rapport/requests"
)

// carrying: what lies in the person goes with them to a new address, what lies
// in the mailbox stays with that one.
func (h *hall) carrying() {
	ctx := h.t.Context()
	for _, reason := range consent.Reasons() {
		old, fresh := "old-"+reason+"@example.com", "new-"+reason+"@example.com"
		h.ask(old, "news")
		if _, err := h.Confirm(ctx, h.box.token(h.t, h.who(old)), requests.Confirmation{}); err != nil {
			h.t.Fatal(err)
		}
		if err := h.Ask(ctx, requests.Ask{Kind: requests.Move, Contact: h.who(old), Driver: mailer, Address: fresh, Method: consent.ByLink}); err != nil {
			h.t.Fatal(err)
		}
		token := h.box.token(h.t, h.who(fresh))
		h.suppress(h.t, old, reason)
		if _, err := h.Confirm(ctx, token, requests.Confirmation{}); err != nil {
			h.t.Fatal(err)
		}
		want := ""
		if slices.Contains(consent.PersonalReasons(), reason) {
			want = reason
		}
		if got := h.reason(h.t, fresh); got != want {
			h.t.Errorf("suppressed as %s, the new address is %q, want %q", reason, got, want)
		}
		if got := h.reason(h.t, old); got != reason {
			h.t.Errorf("suppressed as %s, the old address is %q", reason, got)
		}
	}
}
