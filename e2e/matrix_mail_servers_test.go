package e2e

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

// TestMatrixMailServers: what is wrong with a server as a whole: it closes, it
// refuses the sender, it cannot be trusted, it is slow. One installation has a
// channel to each of them.
func TestMatrixMailServers(t *testing.T) {
	t.Parallel()
	n := 200 * scale(t)
	var mood switchboard
	r := newRig(t, setup{mail: smtpd.Options{Script: mood.script}})
	gs := groups{{name: "p", people: n, state: "sent", taken: 1}, {name: "narrow", people: 50, state: "sent", taken: 1}}
	bad := gs[1].address(24)
	narrow := r.mailServer(smtpd.Options{Script: smtpd.ByRecipient(map[string]smtpd.Script{bad: smtpd.Reply(550, "5.1.1", "user unknown").At(smtpd.Rcpt)})})
	r.mailChannel("narrow", narrow, "smtp://{{addr}}?tls=none", 1, "")
	lines := insecure(r)
	tar := r.slowPair()
	r.bring(gs)
	r.serve()

	r.sub(t, "T28_421_everywhere/embedded", func(t *testing.T) { r.closes(t, &mood, gs[0]) })
	r.sub(t, "T29_sender_refused/embedded", func(t *testing.T) { r.refusesUs(t, &mood, gs[0]) })
	r.sub(t, "T31_one_bad_recipient/embedded", func(t *testing.T) {
		r.over("narrow-offers", "narrow", "letter", "narrow-")
		a := r.finishes("narrow-offers")
		if a.States["sent"] != 49 || a.Reasons["failed"]["unknown_user"] != 1 {
			t.Errorf("account %v %v", a.States, a.Reasons)
		}
		if sessions, _, _ := narrow.Sessions(); sessions != 1 {
			t.Errorf("%d connections were made for 50 people of whom one is unknown", sessions)
		}
		if narrow.Journal().Taken() != 49 || narrow.Journal().Accepted(bad) != 0 || len(narrow.Journal().Duplicates()) != 0 {
			t.Errorf("the server took %d", narrow.Journal().Taken())
		}
	})
	r.sub(t, "T33_never_in_the_clear/embedded", func(t *testing.T) { r.neverInTheClear(t, lines, n) })
	r.sub(t, "T37_slow_server/embedded", func(t *testing.T) { r.slowBeside(t, tar, n) })
	r.well()
}

// closes is a server that says 421 at every place, one after the other: in the
// middle of sessions, and to one that just comes. It is a pause, and nothing
// else.
func (r *rig) closes(t *testing.T, mood *switchboard, g group) {
	bye := smtpd.Reply(421, "4.3.2", "closing, try again in 1 seconds").AndClose()
	stages := []smtpd.Stage{smtpd.Rcpt, smtpd.Connect, smtpd.Data, smtpd.Dot, smtpd.Mail}
	var turn atomic.Int64
	mood.set(func(step smtpd.Step) smtpd.Action {
		i := turn.Load()
		ready := step.Stage == smtpd.Connect || step.Messages >= 5
		if int(i) < len(stages) && step.Stage == stages[i] && ready && turn.CompareAndSwap(i, i+1) {
			return bye
		}
		// Slow enough that a loaded machine has stopped before much more has come.
		return smtpd.Delay(20 * time.Millisecond).At(smtpd.Rcpt)(step)
	})
	before := r.mail.Journal().Len()
	r.over("closing-offers", "news", "letter", g.name+"-")
	r.finishes("closing-offers")
	entries := since(r.mail.Journal().Entries(), before)
	run := r.judged("closing-offers", entries)
	run.judge(t, g)
	said := map[string]bool{}
	for _, e := range entries {
		if e.Code != 421 {
			continue
		}
		said[e.Meta["stage"]] = true
		// What is in hand goes on: three letters a connection, those that are
		// at the wire already, and what comes until the word is read. Without a
		// pause it would be 160.
		if n, most := between(entries, e.Time, e.Time.Add(800*time.Millisecond)), 10*r.connections; n > most {
			t.Errorf("%d messages were taken in the 800 ms after the server said 421 at %s, at most %d may be", n, e.Meta["stage"], most)
		}
	}
	if !said["rcpt"] || !said["data"] || !said["dot"] {
		t.Errorf("421 was said only at %v", said)
	}
	if int(turn.Load()) != len(stages) {
		t.Errorf("421 was said at %d of %d places", turn.Load(), len(stages))
	}
	if list := r.suppressed(); len(list) != 0 {
		t.Errorf("%d people are suppressed because a server closes", len(list))
	}
}

// refusesUs is a server that wants nothing of this sender, in several words:
// the channel is held and a person told, nobody is punished, and when it is
// mended everybody gets theirs once.
func (r *rig) refusesUs(t *testing.T, mood *switchboard, g group) {
	for name, c := range map[string]struct {
		at    smtpd.Stage
		reply smtpd.Action
		word  string
	}{
		"sender":     {smtpd.Mail, smtpd.Reply(550, "5.7.1", "sender not allowed"), "sender not allowed"},
		"login":      {smtpd.Mail, smtpd.Reply(530, "5.7.0", "authentication required"), "authentication required"},
		"reputation": {smtpd.Rcpt, smtpd.Reply(550, "5.7.1", "blocked for reputation"), "blocked for reputation"},
		"spam":       {smtpd.Dot, smtpd.Reply(554, "5.7.1", "looks like spam"), "looks like spam"},
	} {
		mood.set(c.reply.At(c.at))
		before := r.mail.Journal().Len()
		campaign := name + "-offers"
		r.over(campaign, "news", "letter", g.name+"-")
		if a := r.held(campaign); a.States["failed"]+a.States["sent"] != 0 {
			t.Errorf("%s: %v", name, a.States)
		}
		if n := r.mail.Journal().Len() - before; n > 6*r.connections {
			t.Errorf("%s: %d people were offered a message before the channel was held", name, n)
		}
		if list := r.must("channels", "list"); !strings.Contains(list.stdout, c.word) {
			t.Errorf("%s: the list of channels does not say why:\n%s", name, list.stdout)
		}
		mood.set(nil)
		r.must("channels", "release", "news")
		r.finishes(campaign)
		r.judged(campaign, since(r.mail.Journal().Entries(), before)).judge(t, g)
	}
	if list := r.suppressed(); len(list) != 0 {
		t.Errorf("%d people are suppressed because a server refuses the sender", len(list))
	}
}

// insecureLine is a channel whose server cannot be trusted.
type insecureLine struct {
	server *smtpd.Server
	open   bool // the configuration allows clear text
	login  bool // a password is set
	logins *atomic.Int64
}

// insecure adds a channel for everything that can be wrong with TLS.
func insecure(r *rig) map[string]insecureLine {
	users := map[string]string{"shop": "another"}
	const strict, login = "smtp://{{addr}}?tls=require", "smtp://shop:s3cret-word@{{addr}}"
	lines := map[string]insecureLine{}
	for name, c := range map[string]struct {
		server  smtpd.Options
		url     string
		trusted bool
	}{
		"absent":    {smtpd.Options{}, strict, false},
		"untrusted": {smtpd.Options{TLS: smtpd.StartTLS}, strict, false},
		"expired":   {smtpd.Options{TLS: smtpd.StartTLS, Certificate: smtpd.Expired}, strict, true},
		"another":   {smtpd.Options{TLS: smtpd.StartTLS, Certificate: smtpd.OtherName}, strict, true},
		"garbage":   {smtpd.Options{TLS: smtpd.StartTLSGarbage}, strict, true},
		"refused":   {smtpd.Options{TLS: smtpd.StartTLSRefused}, strict, true},
		"stripped":  {smtpd.Options{TLS: smtpd.StartTLS, Users: users}, login + "?tls=require", true},
		"clear":     {smtpd.Options{Users: users}, login + "?tls=opportunistic", false},
		"password":  {smtpd.Options{TLS: smtpd.StartTLS, Users: users, AuthRequired: true}, login + "?tls=require", true},
		"chosen":    {smtpd.Options{}, "smtp://{{addr}}?tls=opportunistic", false},
	} {
		l := insecureLine{open: name == "chosen", login: strings.Contains(c.url, "s3cret"), logins: new(atomic.Int64)}
		c.server.Script = func(step smtpd.Step) smtpd.Action {
			switch {
			case step.Stage == smtpd.Auth && !step.TLS:
				l.logins.Add(1)
			case step.Stage == smtpd.Hello && name == "stripped": // as somebody on the way would
				return smtpd.Reply(250, "", "mx.example.test\nAUTH PLAIN LOGIN")
			}
			return smtpd.Action{}
		}
		l.server = r.mailServer(c.server)
		more := ""
		if c.trusted {
			more = "    ca_file: " + r.file("ca-"+name+".pem", string(l.server.RootPEM())) + "\n"
		}
		r.mailChannel(name, l.server, c.url, 2, more)
		lines[name] = l
	}
	return lines
}

// neverInTheClear sends over every line that cannot be trusted: whatever it
// is, no letter and no password leaves, and nobody is punished for it.
func (r *rig) neverInTheClear(t *testing.T, lines map[string]insecureLine, n int) {
	for name := range lines {
		r.over(name+"-offers", name, "letter", "p-")
	}
	for name, l := range lines {
		campaign := name + "-offers"
		if l.open {
			r.finishes(campaign)
			if l.server.Journal().Taken() != n {
				t.Errorf("%s: clear text was chosen, and %d of %d came", name, l.server.Journal().Taken(), n)
			}
			continue
		}
		a := r.await(campaign, "held or waiting", func(a account) bool {
			return a.Planned > 0 && (a.Waiting["held"] == a.Planned || name == "refused" && a.Waiting["retry"]+a.Waiting["held"] > 0)
		})
		if l.server.Journal().Len() != 0 || a.States["queued"]+a.States["claimed"]+a.States["sending"] != n {
			t.Errorf("%s: %v, and the server's journal has %d entries", name, a.States, l.server.Journal().Len())
		}
		if l.logins.Load() != 0 {
			t.Errorf("%s: the password was sent in the clear", name)
		}
		r.must("campaigns", "cancel", campaign)
	}
}

// slowPair adds a channel over a tarpit, and one over two servers of which one
// sends an octet at a time.
func (r *rig) slowPair() [2]*smtpd.Server {
	tar := r.mailServer(smtpd.Options{Script: smtpd.Delay(time.Second).Everywhere()})
	r.mailChannel("tar", tar, "smtp://{{addr}}?tls=none", 4, "")
	drip := r.mailServer(smtpd.Options{Script: smtpd.Drip(time.Second / 60).Everywhere()})
	r.mailChannel("pair", drip, "smtp://{{addr}}?tls=none", 2, "")
	r.append(fmt.Sprintf("      - url: \"smtp://%s?tls=none\"\n        connections: 4\n", r.mail.Addr()))
	return [2]*smtpd.Server{tar, drip}
}

// slowBeside sends over a tarpit and over a good server at once, and then over
// a channel with a dripping server beside a good one. The slow ones cost their
// own slots; by the time they have taken a tenth of what the others have, the
// others are done.
func (r *rig) slowBeside(t *testing.T, slow [2]*smtpd.Server, n int) {
	before := r.mail.Journal().Len()
	r.over("tar-offers", "tar", "letter", "p-")
	r.over("beside-offers", "news", "letter", "p-")
	r.finishes("beside-offers")
	good := since(r.mail.Journal().Entries(), before)
	if late := takenBy(slow[0].Journal().Entries(), good[len(good)-1].Time); late > n/10 {
		t.Errorf("the tarpit had taken %d when the good server had all of its %d", late, n)
	}
	r.must("campaigns", "cancel", "tar-offers")

	before = r.mail.Journal().Len()
	r.over("pair-offers", "pair", "letter", "p-")
	r.finishes("pair-offers")
	good = since(r.mail.Journal().Entries(), before)
	dripped := slow[1].Journal().Entries()
	if len(good)+len(dripped) != n || len(dripped) > n/10 {
		t.Errorf("the dripping server took %d and the good one %d of %d", len(dripped), len(good), n)
	}
	both := map[string]int{}
	for _, e := range append(good, dripped...) {
		if both[e.To]++; both[e.To] > 1 {
			t.Errorf("%s took it twice", e.To)
		}
	}
}

// takenBy counts what was taken up to a moment.
func takenBy(entries []journal.Entry, at time.Time) int {
	return between(entries, time.Time{}, at)
}
