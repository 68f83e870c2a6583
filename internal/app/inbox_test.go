package app

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/imapd"
)

// TestMailboxesOfTheHouseAreWatched: operators are told which mailbox cannot be
// read; recipients reach the pages all the same.
func TestMailboxesOfTheHouseAreWatched(t *testing.T) {
	there, err := imapd.Start(imapd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = there.Close() })
	mailbox := func(name, user, addr string) string {
		return "  - {name: " + name + ", url: 'imap://" + user + ":" + imapd.Password + "@" + addr + "?tls=none'}"
	}
	h := build(t, "mailboxes:", mailbox("here", imapd.User, there.Addr()), mailbox("stranger", "nobody", there.Addr()), mailbox("gone", imapd.User, "127.0.0.1:1"))
	for i, reads := range []bool{true, false, false} {
		m := h.Config.Mailboxes[i]
		if err := h.CheckMailbox(t.Context(), m); (err == nil) != reads {
			t.Errorf("check of %s: %v", m.Name, err)
		}
	}
	at, stop := served(t, h)
	if code, text := get(t, "http://"+at.Public+"/readyz"); code != http.StatusOK || text != "ready\n" {
		t.Errorf("public: %d %s", code, text)
	}
	const away = `"unavailable: it cannot be read for now`
	said := func(text string) bool {
		return strings.Contains(text, `"mailbox here":"ok"`) && strings.Contains(text, `"mailbox stranger":`+away) && strings.Contains(text, `"mailbox gone":`+away)
	}
	code, text := get(t, "http://"+at.Admin+"/readyz")
	for tries := 0; !said(text) && tries < 40; tries++ { // answers are kept for a second
		time.Sleep(250 * time.Millisecond)
		code, text = get(t, "http://"+at.Admin+"/readyz")
	}
	if code != http.StatusServiceUnavailable || !said(text) || strings.Contains(text, imapd.Password) {
		t.Errorf("admin: %d %s", code, text)
	}
	stop()
	if left := h.read(); len(left) != 0 {
		t.Errorf("%d mailboxes are watched after the end", len(left))
	}
}
