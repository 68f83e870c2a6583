package public

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/internal/throttle"
	"rapport/responses"
)

// A ticket is good once, for its own form, when somebody had the time to fill
// it in.
func TestTickets(t *testing.T) {
	tokens, err := responses.NewTokens(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	now, number := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), int64(0)
	tk := newTickets(tokens, func() time.Time { return now }, func() int64 { number++; return number })
	a, b, foreign := tk.issue("join", prompt), tk.issue("join", patient), tk.issue("other", prompt)
	view := tokens.Sign(responses.ForPreferences, responses.Subject{Run: now.Unix(), Contact: 1, Driver: prompt, Topic: "join"})
	judge := func(ticket string, want judgement) {
		t.Helper()
		if got := tk.judge("join", ticket); got != want {
			t.Errorf("after %s: %d, want %d", now.Format(time.TimeOnly), got, want)
		}
	}
	judge(a, early)
	judge(b, early)
	judge(foreign, unknown)
	judge(view, unknown)
	judge("", unknown)
	now = now.Add(2 * time.Second)
	judge(a, quickReady)
	judge(b, early)
	now = now.Add(18 * time.Second)
	judge(b, waited)
	if !tk.spend(a) || tk.spend(a) || tk.spend("x") {
		t.Error("a ticket is not good exactly once")
	}
	judge(a, unknown)
	now = now.Add(12 * time.Hour)
	judge(b, unknown)
	for range 3 * mostSpent {
		if !tk.spend(tk.issue("join", prompt)) {
			t.Fatal("a new ticket is no good")
		}
		if len(tk.spent)+len(tk.last) > 2*mostSpent {
			t.Fatal("what is remembered grows without end")
		}
	}
}

func TestWork(t *testing.T) {
	e := entry{Ticket: "ticket", Address: "anna@example.com"}
	n := 0
	for ; !worked(e); n++ {
		e.Work = strconv.Itoa(n)
	}
	if n < 10 {
		t.Errorf("the puzzle is solved after %d tries", n)
	}
	for _, other := range []entry{
		{Ticket: "ticket", Address: "otto@example.com", Work: e.Work},
		{Ticket: "Ticket", Address: e.Address, Work: e.Work},
		{Ticket: "ticket", Address: e.Address},
		{Ticket: "ticket", Address: e.Address, Work: strings.Repeat("0", 20) + e.Work},
	} {
		if worked(other) {
			t.Errorf("%+v is taken for solved", other)
		}
	}
}

func TestNetworks(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	d := doors{networks: throttle.New[netip.Prefix](func() time.Time { return now }, signUpRate())}
	allow := func(remote string) bool { return !d.full(remote) }
	networkBurst := signUpRate().Burst
	many := func(remote string) int {
		for i := range 1000 {
			if !allow(remote) {
				return i
			}
		}
		return 1000
	}
	for remote, want := range map[string]int{
		"203.0.113.7:1": networkBurst, "[2001:db8:0:1::7]:1": networkBurst, "127.0.0.1:1": 1000, "10.1.2.3:1": 1000, "nobody": 1000,
	} {
		if got := many(remote); got != want {
			t.Errorf("%s: %d at once, want %d", remote, got, want)
		}
	}
	if allow("203.0.113.200:9") || allow("[2001:db8:0:2::1]:9") || !allow("203.0.114.7:1") {
		t.Error("networks are not kept apart as they should be")
	}
	now = now.Add(signUpRate().Every)
	if !allow("203.0.113.7:1") || allow("203.0.113.7:1") {
		t.Error("not one more after its time")
	}
}

func TestPick(t *testing.T) {
	texts := map[string]string{"de": "a", "en": "b", "pt-BR": "c"}
	for lang, want := range map[string]string{"de": "de", "de-AT": "de", "pt-BR": "pt-BR", "fr": "en", "": "en"} {
		if got := pick(texts, lang, ""); got != want {
			t.Errorf("%q: %q, want %q", lang, got, want)
		}
	}
	if got := pick(texts, "fr", "de-CH"); got != "de" {
		t.Errorf("the fallback: %q", got)
	}
	if pick(nil, "de", "en") != "" || pick(map[string]string{"nl": "x"}, "de", "en") != "nl" {
		t.Error("nothing, or the only one there is")
	}
}
