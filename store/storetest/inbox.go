package storetest

import (
	"testing"
	"time"

	"rapport"
	"rapport/inbox"
	"rapport/responses"
	"rapport/store"
)

// Inbox examines what inbox asks of a store. open opens a fresh one.
func Inbox(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, examine := range map[string]func(*testing.T, *House){
		"a mail counts once": examineMailOnce,
		"second strike":      examineMailStrike,
		"cursors":            examineMailCursor,
		"who has it":         examineMailOwner,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewHouse(t, open(t))) })
	}
}

func (h *House) take(t testing.TB, f inbox.Fact) inbox.Taken {
	t.Helper()
	out, err := h.Store.TakeMail(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *House) taken(t testing.TB, digest string) bool {
	t.Helper()
	known, err := h.Store.MailTaken(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func bounceOf(run, contact int64, at time.Time) *responses.Event {
	return &responses.Event{Kind: responses.Bounced, Run: run, Contact: contact, Detail: "550 5.1.1", At: at}
}

func examineMailOnce(t *testing.T, h *House) {
	f := inbox.Fact{Digest: "a", At: hitTime(), Event: bounceOf(1, 7, hitTime())}
	if h.taken(t, "a") {
		t.Error("a mail is known before it came")
	}
	if out := h.take(t, f); out != (inbox.Taken{First: true, New: true}) {
		t.Errorf("the first time: %+v", out)
	}
	if out := h.take(t, f); out != (inbox.Taken{}) {
		t.Errorf("again: %+v", out)
	}
	f.Digest = "b" // another mail about the same
	if out := h.take(t, f); out != (inbox.Taken{First: true}) {
		t.Errorf("another mail about the same: %+v", out)
	}
	if out := h.take(t, inbox.Fact{Digest: "c", At: hitTime().Add(time.Hour)}); out != (inbox.Taken{First: true}) {
		t.Errorf("a mail that means nothing: %+v", out)
	}
	events, err := h.Store.ResponsesOf(t.Context(), 7, 10)
	if err != nil || len(events) != 1 || events[0].Detail != "550 5.1.1" {
		t.Errorf("events %+v, %v", events, err)
	}
	n, err := h.Store.ForgetMails(t.Context(), hitTime().Add(time.Minute))
	if err != nil || n != 2 || h.taken(t, "a") || !h.taken(t, "c") {
		t.Errorf("forgot %d, %v", n, err)
	}
}

func examineMailStrike(t *testing.T, h *House) {
	strike := func(digest string, run int64, at time.Time) inbox.Taken {
		t.Helper()
		return h.take(t, inbox.Fact{Digest: digest, At: at, Event: bounceOf(run, 7, at), Strike: true, Kind: "loft", Hash: "x"})
	}
	if out := strike("a", 1, hitTime()); !out.New || out.Struck {
		t.Errorf("the first: %+v", out)
	}
	if out := strike("a", 1, hitTime()); out.First || out.Struck {
		t.Errorf("the same mail: %+v", out)
	}
	if out := strike("b", 1, hitTime().Add(time.Hour)); !out.First || out.New || out.Struck {
		t.Errorf("the same message bounces once more: %+v", out)
	}
	if out := strike("c", 2, hitTime().Add(24*time.Hour)); !out.Struck || h.taken(t, "c") {
		t.Errorf("another message within a week: %+v", out)
	}
	if out := strike("d", 3, hitTime().Add(9*24*time.Hour)); out.Struck || !out.New {
		t.Errorf("after more than a week: %+v", out)
	}
}

func examineMailCursor(t *testing.T, h *House) {
	for _, want := range []inbox.Cursor{{Mailbox: "m"}, {Mailbox: "m", Validity: 1<<32 - 1, UID: 7}, {Mailbox: "m", Validity: 3, UID: 1<<32 - 1}} {
		if want.Validity != 0 {
			if err := h.Store.PutMailCursor(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := h.Store.MailCursor(t.Context(), "m"); err != nil || got != want {
			t.Errorf("cursor %+v, %v, want %+v", got, err, want)
		}
	}
}

func examineMailOwner(t *testing.T, h *House) {
	if _, err := h.Store.MailOwner(t.Context(), "loft", "nobody"); rapport.KindOf(err) != rapport.NotFound {
		t.Errorf("nobody: %v", err)
	}
	if _, err := h.Store.MailLetter(t.Context(), 1, 1); rapport.KindOf(err) != rapport.NotFound {
		t.Errorf("no letter: %v", err)
	}
}
