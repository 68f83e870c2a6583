package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

// The moods of the mail server, in one campaign of people who each meet one of
// them. Whoever is blamed on the server itself stands between others who are
// not, so that it is not given up as a whole. The late ones are few: their time
// is up when the others are through, so they stand in a row.
func mailMoods(n int, dot time.Duration) groups {
	first := func(a smtpd.Action, stage smtpd.Stage) smtpd.Script { return smtpd.OnAttempts(1, 1, a.At(stage)) }
	return groups{
		{name: "t27-grey", people: n, mood: first(smtpd.Reply(451, "4.7.1", "greylisted, come back later"), smtpd.Rcpt), state: "sent", taken: 1, tries: 2},
		{name: "t30-rcpt", people: n / 4, mood: first(smtpd.CloseBefore(), smtpd.Rcpt), state: "sent", taken: 1, tries: 2},
		{name: "t27-busy", people: n, mood: smtpd.OnAttempts(1, 2, smtpd.Reply(450, "4.2.0", "mailbox busy").At(smtpd.Rcpt)), state: "sent", taken: 1, tries: 3},
		{name: "t30-data", people: n / 4, mood: first(smtpd.CloseBefore(), smtpd.Data), state: "sent", taken: 1, tries: 2},
		{name: "t29-unknown", people: n, mood: smtpd.Reply(550, "5.1.1", "user unknown").At(smtpd.Rcpt), state: "failed", reason: "unknown_user", tries: 1},
		{name: "t30-dot", people: n / 4, mood: smtpd.CloseBefore().At(smtpd.Dot), state: "uncertain", reason: "connection", tries: 1},
		{name: "t29-data", people: n, mood: smtpd.Reply(554, "", "not here").At(smtpd.Data), state: "failed", reason: "content_refused", tries: 1},
		{name: "t30-lost", people: n / 4, mood: smtpd.AcceptThenClose().At(smtpd.Dot), state: "uncertain", reason: "connection", taken: 1, tries: 1},
		{name: "t29-dot", people: n, mood: smtpd.Reply(554, "5.6.0", "a strange letter").At(smtpd.Dot), state: "failed", reason: "content_refused", tries: 1},
		{name: "t30-late", people: n / 50, mood: smtpd.ReplyAfter(2 * dot).At(smtpd.Dot), state: "uncertain", reason: "timeout", taken: 1, tries: 1},
		{name: "plain", people: n, mood: smtpd.Delay(5 * time.Millisecond).At(smtpd.Rcpt), state: "sent", taken: 1, tries: 1},
		{name: "t36-jürgen", people: n / 10, state: "failed", reason: "no_smtputf8"},
		{name: "t36-idn", people: n, domain: "bücher.example", state: "sent", taken: 1, tries: 1},
	}
}

// TestMatrixMail: what a mail server may do to one message and to the
// connection it goes over. The states are compared with the server's own
// record of what it took.
func TestMatrixMail(t *testing.T) {
	t.Parallel()
	k := scale(t)
	dot := time.Second * time.Duration(k)
	gs := mailMoods(200*k, dot)
	r := newRig(t, setup{
		connections: 40,
		channel:     "    dot_timeout: " + dot.String() + "\n",
		mail:        smtpd.Options{Script: gs.script(), SMTPUTF8: smtpd.Absent},
	})
	r.bring(gs)
	r.over("moods-offers", "news", "letter", "")
	r.serve()
	r.finishes("moods-offers")
	entries := r.mail.Journal().Entries()
	all := r.judged("moods-offers", entries)
	unheard := afterwards(entries, "t30-late-")
	var want []string
	uncertain, failed := 0, 0
	for i, g := range gs {
		if g.domain == "bücher.example" {
			gs[i].domain = "xn--bcher-kva.example"
		}
		for n := range g.people {
			want = append(want, gs[i].address(n))
		}
		switch g.state {
		case "uncertain":
			uncertain += g.people
		case "failed":
			failed += g.people
		}
	}
	r.judge("moods-offers", want, entries, bounds{uncertain: uncertain, failed: failed})
	of := func(t *testing.T, begin string) {
		t.Helper()
		for _, g := range gs {
			if strings.HasPrefix(g.name, begin) {
				all.judge(t, g)
			}
		}
	}

	r.sub(t, "T27_greylisted/embedded", func(t *testing.T) {
		of(t, "t27-")
		for _, g := range gs[:3] {
			if strings.HasPrefix(g.name, "t27-") {
				all.waits(t, g, unheard, 700*time.Millisecond) // retry.first is 1s, spread by a fifth
			}
		}
	})
	r.sub(t, "T29_refused_for_good/embedded", func(t *testing.T) {
		of(t, "t29-")
		for _, to := range r.suppressed() {
			if !strings.HasPrefix(to, "t29-unknown-") {
				t.Errorf("%s is suppressed, and the address was not what the server refused", to)
			}
		}
		if n := len(r.suppressed()); n != 200*k {
			t.Errorf("%d suppressed, want the %d whom the server does not know", n, 200*k)
		}
	})
	r.sub(t, "T30_connection_lost/embedded", func(t *testing.T) { of(t, "t30-") })
	r.sub(t, "T32_one_envelope_each/embedded", func(t *testing.T) { onePersonEach(t, r) })
	r.sub(t, "T36_no_smtputf8/embedded", func(t *testing.T) { of(t, "t36-") })
	r.sub(t, "T37_the_others_got_theirs/embedded", func(t *testing.T) { of(t, "plain") })
	r.well()
}

// afterwards are the entries of a session after one whose sender had given up
// by then: the server went on with what stood behind that letter, and nobody
// read what it said.
func afterwards(entries []journal.Entry, begin string) map[uint64]bool {
	gone, out := map[uint64]bool{}, map[uint64]bool{}
	for _, e := range entries {
		if gone[e.Session] {
			out[e.Seq] = true
		}
		gone[e.Session] = gone[e.Session] || strings.HasPrefix(e.To, begin)
	}
	return out
}

// waits checks that whoever was refused for now was left alone for a while.
func (r run) waits(t *testing.T, g group, unheard map[uint64]bool, least time.Duration) {
	t.Helper()
	early := 0
	for i := range g.people {
		var last time.Time
		for _, e := range r.seen[g.address(i)] {
			if unheard[e.Seq] {
				continue
			}
			if !last.IsZero() && e.Time.Sub(last) < least {
				early++
			}
			last = e.Time
		}
	}
	if early > 0 {
		t.Errorf("%s: %d tries came sooner than %v after the refusal", g.name, early, least)
	}
}

// onePersonEach looks at every mail the server kept: one recipient, named in
// To and nowhere else, and nobody besides.
func onePersonEach(t *testing.T, r *rig) {
	t.Helper()
	mails := r.mail.Messages()
	if len(mails) == 0 {
		t.Fatal("the server kept no mail")
	}
	for _, m := range mails {
		if len(m.EnvelopeTo) != 1 {
			t.Fatalf("an envelope for %d people: %v", len(m.EnvelopeTo), m.EnvelopeTo)
		}
		o := open(t, m)
		to, err := o.header.AddressList("To")
		if err != nil || len(to) != 1 || !strings.EqualFold(to[0].Address, m.EnvelopeTo[0]) {
			t.Errorf("the mail for %s is addressed to %v (%v)", m.EnvelopeTo[0], to, err)
		}
		for _, field := range []string{"Cc", "Bcc", "Resent-To", "Apparently-To"} {
			if o.header.Get(field) != "" {
				t.Errorf("the mail for %s has a field %s: %s", m.EnvelopeTo[0], field, o.header.Get(field))
			}
		}
		head, _, _ := strings.Cut(string(m.Source), "\r\n\r\n")
		strangers := slices.DeleteFunc(anAddress.FindAllString(head, -1), func(a string) bool {
			return strings.EqualFold(a, m.EnvelopeTo[0]) || !strings.HasSuffix(a, "post.example")
		})
		if len(strangers) > 0 {
			t.Errorf("the mail for %s names %v in its header", m.EnvelopeTo[0], strangers)
		}
	}
}

var anAddress = regexp.MustCompile(`[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+`)
