package e2e

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/imapd"
	"rapport/internal/fake/smtpd"
)

// inboxFaults are the faults of what comes back by mail.
func inboxFaults() []fault {
	return []fault{
		{"T39_bounces", onBoth, bounces},
		{"T39_bounce_before_the_outcome", onBoth, early},
		{"T40_not_failed", onEmbedded, notFailed},
		{"T41_complaints", onBoth, complainers},
	}
}

// post is an installation with two mailboxes, after a first campaign.
type post struct {
	*rig

	boxes   [2]*imapd.Server
	letters map[string]opened
	sent    map[string]smtpd.Message
	n       int
}

// newPost makes people, and sends them first-offers. On PostgreSQL the serving
// process sends too.
func newPost(t *testing.T, s setup) *post {
	t.Helper()
	p := &post{letters: map[string]opened{}, sent: map[string]smtpd.Message{}}
	var b strings.Builder
	b.WriteString(s.config + "mailboxes:\n")
	for i := range p.boxes {
		box, err := imapd.Start(imapd.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = box.Close() })
		p.boxes[i] = box
		fmt.Fprintf(&b, "  - {name: box%d, url: %q, address: stop@shop.example}\n", i, box.URL())
	}
	s.config = b.String()
	p.rig = newRig(t, s)
	p.stock("first-offers")
	p.serve()
	p.must("campaigns", "start", "first-offers")
	p.finished("first-offers")
	for _, m := range p.mail.Messages() {
		p.letters[m.EnvelopeTo[0]], p.sent[m.EnvelopeTo[0]] = open(t, m), m
	}
	return p
}

// put lays a mail into a mailbox.
func (p *post) put(box int, raw string) {
	p.t.Helper()
	if err := p.boxes[box].Put("INBOX", []byte(strings.ReplaceAll(raw, "\n", "\r\n"))); err != nil {
		p.t.Fatal(err)
	}
}

// next numbers mails, so that no two are copies.
func (p *post) next() int { p.n++; return p.n }

// read waits until n mails had the outcome.
func (p *post) read(outcome string, n int) {
	p.t.Helper()
	name := `rapport_inbox_mails_total{outcome="` + outcome + `"}`
	eventually(p.t, fmt.Sprintf("%d mails are %s", n, outcome), patience, 50*time.Millisecond, func() bool { return p.gauge(name) >= float64(n) })
	if got := p.gauge(name); got != float64(n) {
		p.t.Errorf("%v mails are %s, want %d", got, outcome, n)
	}
}

// responses waits until a contact has so many responses of a kind to a run of
// the campaign.
func (p *post) responses(kind, to, campaign string, want int) {
	p.t.Helper()
	query := fmt.Sprintf(`SELECT COUNT(*) FROM responses p JOIN addresses a ON a.contact_id = p.contact_id JOIN runs r ON r.id = p.run_id
		WHERE p.kind = '%s' AND a.value = '%s' AND r.name = '%s'`, kind, to, campaign)
	got := 0
	eventually(p.t, kind+" by "+to, patience, 50*time.Millisecond, func() bool { got = p.one(query); return got >= want })
	if got != want {
		p.t.Errorf("%s by %s: %d, want %d", kind, to, got, want)
	}
}

// answer is what stands for offers.
func (p *post) answer(to string) string {
	p.t.Helper()
	return map[int]string{0: "none", 1: "granted", 2: "withdrawn"}[p.one(fmt.Sprintf(
		`SELECT COALESCE(MAX(CASE k.state WHEN 'granted' THEN 1 WHEN 'withdrawn' THEN 2 ELSE 3 END), 0) FROM consents k
		JOIN addresses a ON a.contact_id = k.contact_id JOIN topics t ON t.id = k.topic_id WHERE a.value = '%s' AND t.name = 'offers'`, to))]
}

func (p *post) expect(to, want string) {
	p.t.Helper()
	if got := p.answer(to); got != want {
		p.t.Errorf("%s has %s, want %s", to, got, want)
	}
}

var aMailto = regexp.MustCompile(`<mailto:([^?>]+)\?subject=([^>]+)>`)

// mailto is what a mail program would write to leave.
func (p *post) mailto(to string) (address, subject string) {
	p.t.Helper()
	m := aMailto.FindStringSubmatch(p.letters[to].header.Get("List-Unsubscribe"))
	if m == nil {
		p.t.Fatalf("no mailto in %q", p.letters[to].header.Get("List-Unsubscribe"))
	}
	subject, err := url.QueryUnescape(m[2])
	if err != nil {
		p.t.Fatal(err)
	}
	return m[1], subject
}

func (p *post) reply(from, answers, text string) string {
	return fmt.Sprintf("Return-Path: <%s>\nFrom: <%s>\nTo: news@shop.example\nMessage-ID: <reply-%d@mua.example>\nIn-Reply-To: %s\nSubject: Re: points\n\n%s\n", from, from, p.next(), answers, text)
}

// report writes a report of non-delivery (RFC 3464) as a server would.
func (p *post) report(to, action, status, diagnostic string) string {
	n := p.next()
	return fmt.Sprintf(`Return-Path: <>
Delivered-To: %[1]s
From: MAILER-DAEMON@mx.example (Mail Delivery System)
To: %[1]s
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: <report-%[2]d@mx.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b%[2]d"

--b%[2]d
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example. I could not deliver a message.

--b%[2]d
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
Arrival-Date: Mon, 24 Nov 2026 12:00:00 +0000 (UTC)

Final-Recipient: rfc822; somebody@mx.example
Action: %[3]s
Status: %[4]s
Diagnostic-Code: smtp; %[5]s

--b%[2]d
Content-Type: text/rfc822-headers

Subject: points

--b%[2]d--
`, to, n, action, status, diagnostic)
}

// complaint writes a report of abuse (RFC 5965) about a letter.
func (p *post) complaint(to, kind string) string {
	m, n := p.sent[to], p.next()
	return fmt.Sprintf(`From: <feedback@receiver.example>
To: <fbl@shop.example>
Subject: FW: points
Message-ID: <fbl-%[2]d@receiver.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b%[2]d"

--b%[2]d
Content-Type: text/plain

This is an email abuse report.

--b%[2]d
Content-Type: message/feedback-report

Feedback-Type: %[3]s
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <%[4]s>
Arrival-Date: Mon, 24 Nov 2026 12:00:00 +0000

--b%[2]d
Content-Type: message/rfc822
Content-Disposition: inline

%[1]s
--b%[2]d--
`, strings.ReplaceAll(string(m.Header), "\r\n", "\n"), n, kind, m.EnvelopeFrom)
}

// bounces (T39): a report counts once, only with our signature, and does to the
// address what the same words would have done during the conversation.
func bounces(t *testing.T, s setup) {
	s.people = 30
	p := newPost(t, s)
	who := p.people.willing()
	gone, shaky, full, forged := who[0], who[1], who[2], who[3]
	const unknown = "550 5.1.1 <x@mx.example>: Recipient address rejected: User unknown"
	first := p.report(p.sent[gone].EnvelopeFrom, "failed", "5.1.1", unknown)
	p.put(0, first)
	p.read("bounced", 1)
	p.put(1, "Received: from elsewhere\n"+first)
	p.read("repeated", 1)
	p.put(1, p.report(strings.ToUpper(p.sent[gone].EnvelopeFrom), "failed", "5.1.1", unknown)) // another mail about the same
	p.read("bounced", 2)
	p.responses("bounced", gone, "first-offers", 1)

	p.put(0, p.report(p.sent[shaky].EnvelopeFrom, "failed", "5.0.0", "550 something that nobody has written down"))
	p.put(0, p.report(p.sent[full].EnvelopeFrom, "failed", "5.2.2", "552 5.2.2 Mailbox full"))
	p.read("bounced", 4)

	// Guesses, other tokens of ours, and reports without any.
	guess := []byte(p.sent[forged].EnvelopeFrom)
	guess[12] ^= 1
	_, subject := p.mailto(forged)
	for _, to := range []string{string(guess), "bounce+" + strings.Fields(subject)[1] + "@shop.example", "bounce@shop.example", "bounce+" + strings.Repeat("0", 40) + "@shop.example"} {
		p.put(0, p.report(to, "failed", "5.1.1", unknown))
	}
	p.read("foreign", 4)
	if list := p.suppressed(); len(list) != 1 || list[0] != gone {
		t.Errorf("suppressed %v, want %s", list, gone)
	}

	// The second refusal within a week suppresses.
	p.create("second-offers", "")
	p.must("campaigns", "start", "second-offers")
	p.finished("second-offers")
	m, ok := p.mail.Latest(shaky)
	if !ok || m.EnvelopeFrom == p.sent[shaky].EnvelopeFrom {
		t.Fatalf("no second letter for %s", shaky)
	}
	p.put(0, p.report(m.EnvelopeFrom, "failed", "5.0.0", "550 something that nobody has written down"))
	p.read("bounced", 5)
	p.responses("bounced", shaky, "second-offers", 1)
	if list := p.suppressed(); len(list) != 2 {
		t.Errorf("suppressed %v, want %s and %s", list, gone, shaky)
	}
	p.well()
}

// early (T39): a report may be here before we know that the letter was taken. It
// counts, once, and the delivery becomes what its own conversation says.
func early(t *testing.T, s setup) {
	var mood switchboard
	s.people, s.mail.Script = 10, mood.script
	p := newPost(t, s)
	who := p.people.willing()[0]
	mood.set(smtpd.ByRecipient(map[string]smtpd.Script{who: smtpd.ReplyAfter(8 * time.Second).At(smtpd.Dot)}))
	p.create("second-offers", "")
	p.must("campaigns", "start", "second-offers")
	var m smtpd.Message
	eventually(t, "the second letter is taken", patience, 20*time.Millisecond, func() (ok bool) {
		m, ok = p.mail.Latest(who)
		return ok && m.EnvelopeFrom != p.sent[who].EnvelopeFrom
	})
	in := func(state string) bool {
		return p.one(fmt.Sprintf(`SELECT COUNT(*) FROM deliveries d JOIN runs r ON r.id = d.run_id JOIN addresses a ON a.contact_id = d.contact_id
			WHERE r.name = 'second-offers' AND a.value = '%s' AND d.state = '%s'`, who, state)) == 1
	}
	p.put(0, p.report(m.EnvelopeFrom, "failed", "5.1.1", "550 5.1.1 User unknown"))
	p.read("bounced", 1)
	p.responses("bounced", who, "second-offers", 1)
	if !in("sending") {
		t.Error("the report was not read before the outcome was known")
	}
	p.finished("second-offers")
	if !in("sent") {
		t.Error("the server took the letter, and the delivery is not sent")
	}
	if list := p.suppressed(); len(list) != 1 || list[0] != who {
		t.Errorf("suppressed %v, want %s", list, who)
	}
	p.responses("bounced", who, "second-offers", 1)
	p.well()
}

// notFailed (T40): what has not failed, or not yet, changes nothing.
func notFailed(t *testing.T, s setup) {
	s.people = 10
	p := newPost(t, s)
	who := p.people.willing()[0]
	for _, action := range []string{"delayed", "relayed", "expanded", "delivered"} {
		p.put(0, p.report(p.sent[who].EnvelopeFrom, action, "4.0.0", "451 4.7.1 try again later"))
	}
	p.read("notice", 4)
	if list := p.suppressed(); len(list) != 0 {
		t.Errorf("suppressed %v", list)
	}
	if n := p.one("SELECT COUNT(*) FROM responses WHERE kind = 'bounced'"); n != 0 {
		t.Errorf("%d bounces", n)
	}
	p.expect(who, "granted")
	p.well()
}

// complainers (T41): who calls a letter spam is written to no more, and a run
// that many call so is paused.
func complainers(t *testing.T, s setup) {
	s.people = 300
	pace := newBrake(30 * time.Millisecond)
	s.mail = smtpd.Options{Script: pace.script}
	p := newPost(t, s)
	who := p.people.willing()
	p.put(0, p.complaint(who[0], "not-spam"))
	p.read("notice", 1)
	p.expect(who[0], "granted")
	mail := p.complaint(who[0], "abuse")
	for i := range 4 {
		p.put(i%2, "Received: by "+strconv.Itoa(i)+"\n"+mail)
	}
	p.read("repeated", 3)
	p.read("complaint", 1)
	p.responses("complained", who[0], "first-offers", 1)
	p.expect(who[0], "withdrawn")
	if list := p.suppressed(); len(list) != 1 || list[0] != who[0] {
		t.Errorf("suppressed %v, want %s", list, who[0])
	}

	pace.on()
	p.create("second-offers", "")
	before := p.mail.Journal().Len()
	p.must("campaigns", "start", "second-offers")
	p.taken(before + 20)
	n := 0
	for _, m := range p.mail.Messages() {
		to := m.EnvelopeTo[0]
		if m.EnvelopeFrom == p.sent[to].EnvelopeFrom || n == 3 {
			continue
		}
		p.sent[to] = m
		p.put(0, p.complaint(to, "abuse"))
		n++
	}
	p.await("second-offers", "paused", func(a account) bool { return a.State == "paused" })
	if !strings.Contains(p.must("campaigns", "status", "second-offers").stdout, "spam") {
		t.Error("nobody is told why the run is paused")
	}
	p.well()
}

// TestLeavingByMail: by the mailto of the letter, by a reply, by a subject, in
// several languages, once however many copies there are; and who did not ask,
// or is not who they say, changes nothing.
func TestLeavingByMail(t *testing.T) {
	t.Parallel()
	p := newPost(t, setup{people: 40})
	who := p.people.willing()
	id := func(to string) string { return p.letters[to].header.Get("Message-ID") }

	// mailto, from an address that we do not know: ten copies over two boxes (T58).
	address, subject := p.mailto(who[0])
	if address != "stop@shop.example" {
		t.Errorf("mailto %s", address)
	}
	mail := fmt.Sprintf("From: <phone@other.example>\nTo: <%s>\nMessage-ID: <leave-%d@mua.example>\nSubject: %s\n\n", address, p.next(), subject)
	for i := range 10 {
		p.put(i%2, fmt.Sprintf("Received: by hop %d\nDelivered-To: x%d@shop.example\n", i, i)+mail)
	}
	p.read("repeated", 9)
	p.read("left", 1)
	p.responses("unsubscribed", who[0], "first-offers", 1)
	p.expect(who[0], "withdrawn")
	if n := p.one(fmt.Sprintf(`SELECT COUNT(*) FROM consent_entries e JOIN addresses a ON a.contact_id = e.contact_id WHERE a.value = '%s' AND e.state = 'withdrawn'`, who[0])); n != 1 {
		t.Errorf("%d withdrawals in the ledger, want 1", n)
	}

	// Spelt otherwise by the way.
	_, subject = p.mailto(who[1])
	p.put(0, fmt.Sprintf("From: <%s>\nTo: <stop@shop.example>\nMessage-ID: <leave-%d@mua.example>\nSubject: Re: %s\n\nplease\n", who[1], p.next(), strings.ToUpper(subject)))
	// Replies.
	p.put(0, p.reply(who[2], id(who[2]), "STOP\n\nOn Monday, Example Shop <news@shop.example> wrote:\n> Dear Anna"))
	p.put(1, p.reply(who[3], id(who[3]), "Bitte abmelden, danke!\n\nMit freundlichen Grüßen\nAnna Lind"))
	p.put(1, p.reply(who[4], id(who[4]), "s\u200bt\u200bo\u200bp"))
	p.put(0, p.reply(who[5], id(who[5]), "ＤÉＳＡＢＯＮＮＥＲ"))
	// A mail of one's own, which names no letter.
	p.put(0, fmt.Sprintf("From: Anna <%s>\nTo: news@shop.example\nMessage-ID: <own-%d@mua.example>\nSubject: unsubscribe\n\n", who[6], p.next()))
	p.read("left", 7)
	for _, to := range who[1:7] {
		p.expect(to, "withdrawn")
	}
	for _, to := range who[1:6] {
		p.responses("unsubscribed", to, "first-offers", 1)
	}

	// What changes nothing: questions, other texts, machines, strangers who
	// guess the number of a letter, tokens that were changed.
	_, subject = p.mailto(who[7])
	changed := []byte(subject)
	changed[len(changed)-1] ^= 1
	p.put(0, p.reply(who[7], id(who[7]), "When does the offer stop? I would like to order two pots before that."))
	p.put(0, p.reply(who[7], id(who[7]), "Thank you, that is great!"))
	p.put(0, "Auto-Submitted: auto-replied\n"+p.reply(who[7], id(who[7]), "STOP"))
	p.put(0, p.reply("mallory@evil.example", id(who[7]), "STOP"))
	p.put(0, fmt.Sprintf("From: <mallory@evil.example>\nTo: <stop@shop.example>\nMessage-ID: <x-%d@evil.example>\nSubject: %s\n\n", p.next(), changed))
	p.read("automatic", 1)
	p.read("doubtful", 3)
	p.read("reply", 1)
	p.expect(who[7], "granted")
	p.responses("replied", who[7], "first-offers", 3) // the machine's is marked as one

	// People find what they have to read, and nothing else.
	eventually(t, "the mailboxes are tidy", patience, 50*time.Millisecond, func() bool {
		n, flagged := 0, 0
		for _, b := range p.boxes {
			list, err := b.Mails("INBOX")
			if err != nil {
				t.Fatal(err)
			}
			n += len(list)
			for _, m := range list {
				if m.Flagged {
					flagged++
				}
			}
		}
		return n == 4 && flagged == 3
	})

	// None of it was answered (T60), and nobody who left gets the next letter.
	before := p.mail.Journal().Len()
	if before != len(who) {
		t.Errorf("%d letters went out, want %d", before, len(who))
	}
	p.create("second-offers", "")
	p.must("campaigns", "start", "second-offers")
	a := p.finished("second-offers")
	if a.States["sent"] != len(who)-7 {
		t.Errorf("%d letters, want %d", a.States["sent"], len(who)-7)
	}
	p.well()
}
