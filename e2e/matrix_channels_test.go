package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/receiver"
	"rapport/internal/fake/slack"
	"rapport/internal/fake/webhook"
)

// byBeginning gives those whose name begins so their action.
func byBeginning(moods map[string]func(attempt int) receiver.Action) func(to string, attempt int) receiver.Action {
	return func(to string, attempt int) receiver.Action {
		for begin, mood := range moods {
			if strings.HasPrefix(to, begin+"-") {
				return mood(attempt)
			}
		}
		return receiver.Action{}
	}
}

// always is a mood that does not change; first is one of the first n attempts.
func always(a receiver.Action) func(int) receiver.Action {
	return func(int) receiver.Action { return a }
}

func first(n int, a receiver.Action) func(int) receiver.Action {
	return func(attempt int) receiver.Action {
		if attempt > n {
			return receiver.Action{}
		}
		return a
	}
}

const (
	chatToken  = "xoxb-0123456789-fault-matrix"
	hookSecret = "whsec_ZmF1bHQtbWF0cml4LXdlYmhvb2stc2VjcmV0ISE="
)

// chat starts a Slack workspace and adds a channel to it.
func (r *rig) chat(name string, script slack.Script, more string) *slack.Server {
	r.t.Helper()
	s, err := slack.Start(slack.Options{Token: chatToken, Script: script, Keep: -1, Journal: journal.Memory()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	r.append(fmt.Sprintf("  - name: %s\n    driver: slack\n    token: %s\n    api_url: %s\n    private: [127.0.0.0/8]\n%s", name, chatToken, s.APIURL(), more))
	return s
}

// hook starts a webhook receiver that checks every signature, and adds a
// channel to it.
func (r *rig) hook(name string, script webhook.Script, more string) *webhook.Server {
	r.t.Helper()
	s, err := webhook.Start(webhook.Options{Secret: hookSecret, Script: script, Keep: -1, Journal: journal.Memory()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	r.append(fmt.Sprintf("  - name: %s\n    driver: webhook\n    url: %s\n    secret: %s\n    private: [127.0.0.0/8]\n%s", name, s.Endpoint(), hookSecret, more))
	return s
}

// bringEverywhere imports the groups with an address and a permission for
// every channel, and a template for each.
func (r *rig) bringEverywhere(gs groups) {
	r.t.Helper()
	var b strings.Builder
	b.WriteString("external_id,email,slack,first_name,last_name,city,tier,points,consent:email:offers,consent:slack:offers,consent:webhook:offers,consent_at,consent_source\n")
	for _, g := range gs {
		g.bare = false
		for i := range g.people {
			to := g.address(i)
			fmt.Fprintf(&b, "%s,%s,%s,Anna,Lind,Berlin,gold,%d,granted,granted,granted,2026-03-01T10:00:00Z,sign-up form v3\n", g.id(i), to, to, i+1)
		}
	}
	r.must("contacts", "import", r.file("everywhere.csv", b.String()))
	r.must("templates", "put", r.letter())
	const head = "driver: %s\nlocale: en\nsamples:\n  - {name: Anna, locale: en, contact: {first_name: Anna}}\n"
	r.file("post/template.yaml", "name: post\n"+fmt.Sprintf(head, "slack"))
	r.file("post/en/text.liquid", "*Hello {{ contact.first_name }}*, <{{ links.unsubscribe }}|leave>")
	r.must("templates", "put", r.path("post"))
	r.file("parcel/template.yaml", "name: parcel\n"+fmt.Sprintf(head, "webhook"))
	r.file("parcel/en/payload.liquid", `{"text": "Hello {{ contact.first_name }}", "leave": {{ links.unsubscribe }}}`)
	r.must("templates", "put", r.path("parcel"))
}

// TestMatrixChannels: what webhook receivers and Slack may do, and that a
// channel's trouble is its own.
func TestMatrixChannels(t *testing.T) {
	t.Parallel()
	n := 200 * scale(t)
	r := newRig(t, setup{connections: 8})
	hooks := groups{
		{name: "t50-ok", people: n, bare: true, state: "sent", taken: 1, tries: 1},
		{name: "t50-again", people: n, bare: true, state: "sent", taken: 1, tries: 3},
		{name: "t50-bad", people: n, bare: true, state: "failed", reason: "refused", tries: 1},
		{name: "t50-endless", people: n / 4, bare: true, state: "sent", taken: 1, tries: 1},
		{name: "t50-lost", people: n / 2, bare: true, state: "uncertain", reason: "no_answer", taken: 1, tries: 1},
		{name: "t50-reset", people: n / 2, bare: true, state: "uncertain", reason: "no_answer", tries: 1},
		{name: "t50-hang", people: n / 10, bare: true, state: "uncertain", reason: "no_answer", tries: 1},
		{name: "t50-busy", people: 2, bare: true, state: "sent", taken: 1, tries: 2},
	}
	ofHooks := byBeginning(map[string]func(int) receiver.Action{
		"t50-again":   first(2, receiver.Action{Status: 500}),
		"t50-bad":     always(receiver.Action{Status: 422}),
		"t50-endless": always(receiver.Action{Status: 200, Endless: true}),
		"t50-lost":    always(receiver.Action{LoseReply: true}),
		"t50-reset":   always(receiver.Action{Drop: true}),
		"t50-hang":    always(receiver.Action{Stall: true}),
		"t50-busy":    first(1, receiver.Action{Status: 429, RetryAfter: "1"}),
	})
	posts := groups{
		{name: "t51-ok", people: n, state: "sent", taken: 1, tries: 1},
		{name: "t51-archived", people: n, state: "failed", reason: "unknown_user", tries: 1},
		{name: "t51-long", people: n, state: "failed", reason: "too_large", tries: 1},
		{name: "t51-gone", people: n, state: "failed", reason: "unknown_user"},
		{name: "t51-lost", people: n / 2, state: "uncertain", reason: "no_answer", taken: 1, tries: 1},
		{name: "t51-inner", people: n / 2, state: "uncertain", reason: "no_answer", tries: 1},
		{name: "t51-busy", people: 2, state: "sent", taken: 1, tries: 2},
	}
	ofPosts := byBeginning(map[string]func(int) receiver.Action{
		"t51-archived": always(receiver.Action{Error: "is_archived"}),
		"t51-long":     always(receiver.Action{Error: "msg_too_long"}),
		"t51-lost":     always(receiver.Action{LoseReply: true}),
		"t51-inner":    always(receiver.Action{Error: "internal_error"}),
		"t51-busy":     first(1, receiver.Action{RetryAfter: "1"}),
	})
	shop := r.hook("shop", func(v webhook.Visit) webhook.Action { return ofHooks(v.To, v.Attempt) }, "    concurrency: 50\n    timeout: 2s\n")
	team := r.chat("team", func(v slack.Visit) slack.Action {
		switch {
		case v.Method == "users.lookupByEmail" && strings.HasPrefix(v.To, "t51-gone-"):
			return slack.Action{Error: "users_not_found"}
		case v.Method == "chat.postMessage":
			return ofPosts(v.To, v.Attempt)
		}
		return slack.Action{}
	}, "    concurrency: 50\n")
	dead := r.hook("dead", func(webhook.Visit) webhook.Action { return webhook.Action{Status: 410} }, "")
	moved := r.hook("moved", func(webhook.Visit) webhook.Action {
		return webhook.Action{Status: 302, Location: "http://169.254.169.254/"}
	}, "")
	locked := r.chat("locked", func(slack.Visit) slack.Action { return slack.Action{Error: "token_revoked"} }, "")
	const hanging = 8
	hung := r.hook("hung", func(webhook.Visit) webhook.Action { return webhook.Action{Stall: true} }, fmt.Sprintf("    concurrency: %d\n    timeout: 60s\n", hanging))
	r.bringEverywhere(append(append(groups{}, hooks...), posts...))
	r.serve()

	r.sub(t, "T49_hanging_channel/embedded", func(t *testing.T) {
		r.over("hung-offers", "hung", "parcel", "t50-ok-")
		if err := hung.Journal().WaitFor(t.Context(), func(j *journal.Journal) bool { return j.Len() >= hanging/2 }); err != nil {
			t.Fatal(err)
		}
		r.over("beside-offers", "news", "letter", "t5")
		a := r.finishes("beside-offers")
		if got := r.mail.Journal().Taken(); got != a.Planned || a.States["sent"] != got {
			t.Errorf("beside a channel that hangs: %v, the mail server took %d", a.States, got)
		}
		if got := hung.Journal().Len(); got > hanging {
			t.Errorf("%d calls hang, %d may", got, hanging)
		}
		r.must("campaigns", "cancel", "hung-offers")
	})
	r.sub(t, "T50_webhook_receiver/embedded", func(t *testing.T) {
		r.over("hooked-offers", "shop", "parcel", "t50-")
		r.over("dead-offers", "dead", "parcel", "t50-ok-")
		r.over("moved-offers", "moved", "parcel", "t50-ok-")
		r.finishes("hooked-offers")
		run := r.judged("hooked-offers", shop.Journal().Entries())
		for _, g := range hooks {
			run.judge(t, g)
		}
		oneKeyEach(t, shop.Journal().Entries())
		pauses(t, shop.Journal().Entries(), 429, 50)
		for name, s := range map[string]*webhook.Server{"dead": dead, "moved": moved} {
			r.breaks(t, name, s.Journal(), func() { s.SetScript(nil) }, n)
		}
	})
	r.sub(t, "T51_slack/embedded", func(t *testing.T) {
		r.over("posted-offers", "team", "post", "t51-")
		r.over("locked-offers", "locked", "post", "t51-ok-")
		r.finishes("posted-offers")
		run := r.judged("posted-offers", team.Journal().Entries())
		for _, g := range posts {
			run.judge(t, g)
		}
		oneKeyEach(t, team.Journal().Entries())
		pauses(t, team.Journal().Entries(), 429, 50)
		r.breaks(t, "locked", locked.Journal(), func() { locked.SetScript(nil) }, n)
	})
	r.well()
}

// breaks waits until a channel that cannot be used is held with everybody
// unharmed, mends it, and sees everybody get theirs once.
func (r *rig) breaks(t *testing.T, name string, j *journal.Journal, mend func(), n int) {
	t.Helper()
	campaign := name + "-offers"
	if a := r.held(campaign); a.Waiting["held"] != n || j.Taken() != 0 {
		t.Errorf("%s: %v %v, %d taken", name, a.States, a.Waiting, j.Taken())
	}
	mend()
	r.must("channels", "release", name)
	if a := r.finishes(campaign); a.States["sent"] != n || j.Taken() != n || len(j.Duplicates()) != 0 {
		t.Errorf("%s, mended: %v, %d taken", name, a.States, j.Taken())
	}
}

// oneKeyEach: whatever is tried again has the key it had, and no two people
// share one.
func oneKeyEach(t *testing.T, entries []journal.Entry) {
	t.Helper()
	owner, key := map[string]string{}, map[string]string{}
	for _, e := range entries {
		if to, known := owner[e.Key]; known && to != e.To || e.Key == "" {
			t.Errorf("%s and %s have the key %q", to, e.To, e.Key)
		}
		if k, known := key[e.To]; known && k != e.Key {
			t.Errorf("%s was offered %s and then %s", e.To, k, e.Key)
		}
		owner[e.Key], key[e.To] = e.To, e.Key
	}
}

// pauses: after a receiver asked for a second, what is in hand goes on and
// nothing else.
func pauses(t *testing.T, entries []journal.Entry, code, inHand int) {
	t.Helper()
	said := 0
	for _, e := range entries {
		if e.Code != code {
			continue
		}
		said++
		if n := between(entries, e.Time, e.Time.Add(800*time.Millisecond)); n > 3*inHand {
			t.Errorf("%d messages were taken in the 800 ms after %d with Retry-After: 1, with %d at once", n, code, inHand)
		}
	}
	if said == 0 {
		t.Errorf("nobody was told %d", code)
	}
}
