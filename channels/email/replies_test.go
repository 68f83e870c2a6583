package email

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/channels"
	"rapport/outbox"
)

// answer reads a reply as it stands in a log: code, enhanced code, words.
func answer(t testing.TB, line string) reply {
	t.Helper()
	code, rest, _ := strings.Cut(line, " ")
	n, err := strconv.Atoi(code)
	if err != nil {
		t.Fatalf("%q does not begin with a code", line)
	}
	r := reply{code: n}
	r.text = string(trimEnhanced(&r, []byte(rest)))
	return r
}

// phasesOf lists the phases of a row.
func (r *rule) phasesOf() (list []phase) {
	for at := atConnect; at <= atDot; at++ {
		if r.phases&(1<<at) != 0 {
			list = append(list, at)
		}
	}
	return list
}

// TestEveryReply walks all rows. A row that is applied has a public source, and
// its example is judged by it and by no other in each of its phases: so no row
// is in the shadow of an earlier one, and the order is right.
func TestEveryReply(t *testing.T) {
	k := known()
	seen := map[string]bool{}
	for i := range k.Replies {
		r := &k.Replies[i]
		if r.ID == "" || seen[r.ID] {
			t.Errorf("row %d: %q is not a name of its own", i, r.ID)
		}
		seen[r.ID] = true
		if r.Verified && (r.Source == "" || !strings.HasPrefix(k.Sources[r.Source].URL, "http") || k.Sources[r.Source].Name == "") {
			t.Errorf("%s has no public source", r.ID)
		}
		said := answer(t, r.Example)
		for _, at := range r.phasesOf() {
			h := hear(at, said)
			if !r.fits(h) {
				t.Errorf("%s does not fit its own example at %s", r.ID, at)
			}
			got := k.find(h)
			if r.Verified && got != r || !r.Verified && got == r {
				t.Errorf("%s at %s: %q is judged by %v", r.ID, at, r.Example, got.ID)
			}
		}
	}
	for name := range k.Sources {
		if !slices.ContainsFunc(k.Replies, func(r rule) bool { return r.Source == name }) {
			t.Errorf("no row has the source %s", name)
		}
	}
}

// TestEveryMeaning: what a row may do, whatever it says. An answer of 4xx never
// ends a delivery or holds a channel; only an answer after a recipient was
// named, about an address, suppresses or strikes one.
func TestEveryMeaning(t *testing.T) {
	k := known()
	for i := range k.Replies {
		r, m := &k.Replies[i], k.Replies[i].meaning
		verdict := channels.Verdict(m.Verdict)
		later := verdict == channels.Temporary || verdict == channels.Throttled
		if slices.ContainsFunc(r.codes, func(s span) bool { return s.from < 500 }) && (!later || m.Strike) {
			t.Errorf("%s makes a temporary answer %s", r.ID, verdict)
		}
		first := r.phasesOf()[0]
		if (verdict == channels.Rejected || m.Strike) && first < atRcpt && r.From == "" {
			t.Errorf("%s punishes an address before it was named", r.ID)
		}
		if verdict == channels.Uncertain {
			t.Errorf("%s: an answer is not a doubt", r.ID)
		}
	}
	for _, m := range k.Meanings {
		verdict := channels.Verdict(m.Verdict)
		if m.Scope != 0 && verdict != channels.Throttled || m.Wait != 0 && verdict != channels.Throttled {
			t.Errorf("%s: scope and wait are about throttles", m.Name)
		}
		if m.Strike && verdict != channels.Malformed {
			t.Errorf("%s: only a failed delivery strikes", m.Name)
		}
		if outbox.ReasonOf(m.Reason, "") == "" {
			t.Errorf("%s: the reason %q is not in the closed list", m.Name, m.Reason)
		}
		if m.Means == "" || m.Does == "" || m.Todo == "" {
			t.Errorf("%s does not tell a person what it is", m.Name)
		}
		if !slices.ContainsFunc(k.Replies, func(r rule) bool { return r.Means == m.Name }) {
			t.Errorf("no row means %s", m.Name)
		}
	}
}

// TestNoReplyIsLeftOpen: whatever a server says, in any phase, a row fits.
func TestNoReplyIsLeftOpen(t *testing.T) {
	for at := atConnect; at <= atDot; at++ {
		for code := 400; code < 600; code++ {
			for _, rest := range []string{"", ".0.0", ".1.0", ".1.1", ".2.9", ".3.3", ".4.4", ".5.5", ".6.6", ".7.7", ".8.8", ".9.999"} {
				r := reply{code: code, text: "no"}
				if rest != "" {
					r.enhanced = strconv.Itoa(code/100) + rest
				}
				if known().find(hear(at, r)) == nil {
					t.Errorf("nothing fits %s at %s", r, at)
				}
			}
		}
	}
}

// TestRealReplies are answers as people have met them, beyond the examples of
// the rows, each with where it was found.
func TestRealReplies(t *testing.T) {
	for _, c := range []struct {
		at     phase
		said   string
		means  string
		source string
	}{
		{atRcpt, "452 4.2.2 The email account that you tried to reach is over quota. Please direct the recipient to this article.", "mailbox_full", "https://www.entertop.net/knowledge/smtp-error-reference/"},
		{atRcpt, "550 5.2.1 The email account that you tried to reach is inactive.", "disabled_user", "https://support.google.com/a/answer/3726730"},
		{atDot, "550 5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy.", "unauthenticated", "https://support.google.com/a/answer/3726730"},
		{atDot, "421 4.7.0 [192.0.2.1] Our system has detected that this message is suspicious due to the nature of the content and/or the links within.", "reputation_slow", "https://smtpfieldmanual.com/provider/google"},
		{atDot, "554 5.6.0 Email message is malformed. Not accepted.", "content_refused", "https://support.google.com/a/answer/3726730"},
		{atAuth, "454 4.7.0 Too many login attempts, please try again later.", "login_later", "https://support.google.com/a/answer/3726730"},
		{atAuth, "504 5.7.40 Unrecognized authentication type.", "login", "https://support.google.com/a/answer/3726730"},
		{atRcpt, "550 5.0.0 Depot returns error: <552 5.2.2 Over quota>", "refused_user", "http://www.sitepackage.de/service/dokumentation/auswertung/typische-fehlermeldungen-bei-unzustellbarkeit.html"},
		{atConnect, "421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a limit, closing transmission channel. PRX8 []", "server_busy", "https://smtpfieldmanual.com/spamfilter/exchangeonline"},
		{atMail, "451 4.7.0 Temporary server error. Please try again later. PRX4 NextHop: []", "policy_later", "https://smtpfieldmanual.com/spamfilter/exchangeonline"},
		{atRcpt, "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To request removal from this list see (AS16012611)", "reputation", "https://smtpfieldmanual.com/spamfilter/exchangeonline"},
		{atMail, "550 SC-001 (BAY004-MC4F49) Unfortunately, messages from 192.0.2.1 weren't sent. Please contact your Internet service provider since part of their network is on our block list.", "reputation", "https://support.binarylane.com.au/support/solutions/articles/11000047583-emails-to-hotmail-and-outlook-are-blocked"},
		{atRcpt, "530 5.7.1 Client was not authenticated", "login", "https://campus.barracuda.com/product/essentials/doc/169287426/email-cache-policies"},
		{atRcpt, "450 4.7.1 <mx0va6z@example.com>: Recipient address rejected: Greylisted by greyfix 0.4.0, try again in 30 seconds.", "greylisting", "https://gist.github.com/sc68cal/ca19c404371dfcd088d4"},
		{atRcpt, "451 4.7.1 greylisting, please try again later", "greylisting", "https://pastebin.com/gzYuEyr5"},
		{atRcpt, "450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]", "setup_later", "https://support.onesystems.ch/722126-%C3%9Cbersicht-h%C3%A4ufig-vorkommender-Fehlermeldungen"},
		{atRcpt, "554 5.7.1 <anna@example.com>: Recipient address rejected: User unknown", "unsure_user", "https://support.onesystems.ch/722126-%C3%9Cbersicht-h%C3%A4ufig-vorkommender-Fehlermeldungen"},
		{atRcpt, "550 5.1.1 <anna@example.com>: Recipient address rejected: User unknown in virtual mailbox table", "unknown_user", "https://www.postfix.org/VIRTUAL_README.html"},
		{atRcpt, "552 5.2.2 Over STORAGE quota", "mailbox_full", "http://www.sitepackage.de/service/dokumentation/auswertung/typische-fehlermeldungen-bei-unzustellbarkeit.html"},
		{atRcpt, "550 MAILBOX NOT FOUND", "unsure_user", "http://www.sitepackage.de/service/dokumentation/auswertung/typische-fehlermeldungen-bei-unzustellbarkeit.html"},
		{atMail, "421 4.7.0 [TS02] Temporarily deferred", "reputation_slow", "http://www.smtp-error-codes.info/bounce/yahoo/bounce_421_4.7.0_TS02.php"},
		{atMail, "421 4.7.1 [TS03] All messages from 192.0.2.1 permanently deferred", "reputation_slow", "http://help.yahoo.com/kb/index?page=content&y=PROD_MAIL_MOBILE&locale=en_US&id=SLN3436"},
		{atRcpt, "550 5.1.6 recipient no longer on server: anna@icloud.com", "unknown_user", "https://github.com/sisimai/p5-sisimai/blob/master/lib/Sisimai/Rhost/Apple.pm"},
		{atRcpt, "552 5.2.2 <anna@icloud.com>: user is over quota (in reply to RCPT TO command)", "mailbox_full", "https://github.com/sisimai/p5-sisimai/blob/master/lib/Sisimai/Rhost/Apple.pm"},
		{atMail, "451 4.7.1 Service unavailable - try again later", "domain_rate", "https://smtp.codes/icloud"},
		{atRcpt, "550 5.7.1 : Recipient address rejected: User email address is marked as invalid.", "refused_user", "https://www.spambrella.com/faq/email-delivery-error-codes/"},
		{atRcpt, "452 4.3.1 Insufficient system resources", "server_trouble", "https://www.spambrella.com/faq/email-delivery-error-codes/"},
		{atConnect, "421 Too many concurrent SMTP connections from this IP address; please try again later.", "server_busy", "https://pastebin.com/9ViZSXyu"},
		{atMail, "452 4.3.2 Connection rate limit exceeded.", "server_busy", "https://metacpan.org/pod/Sisimai::Reason::TooManyConn"},
		{atRcpt, "450 4.4.1 <anna@example.com>: The recipient's server was temporarily unavailable to accept your message (G6)", "server_trouble", "https://smtp.codes/rackspace"},
		{atRcpt, "554 5.7.1 Requested action not taken: message refused", "policy", "http://www.sitepackage.de/service/dokumentation/auswertung/typische-fehlermeldungen-bei-unzustellbarkeit.html"},
	} {
		got := known().find(hear(c.at, answer(t, c.said)))
		if got.Means != c.means {
			t.Errorf("%s at %s means %s (%s), want %s; see %s", c.said, c.at, got.Means, got.ID, c.means, c.source)
		}
	}
}

// TestAddressesDoNotJudge: people choose what stands in an address, and
// servers repeat it.
func TestAddressesDoNotJudge(t *testing.T) {
	for _, said := range []string{
		"450 4.1.1 <greylist@example.com>: later",
		"450 4.1.1 spamhaus.greylist@blocked-using.example: later",
		"450 4.1.1 <over.quota@rate-limit.example> later",
	} {
		if got := known().find(hear(atRcpt, answer(t, said))); got.Means != "refused_later" {
			t.Errorf("%s means %s", said, got.Means)
		}
	}
	for _, said := range []string{"550 5.0.0 <does.not.exist@example.com>: no", "550 no, spamhaus@user-unknown.example"} {
		if got := known().find(hear(atRcpt, answer(t, said))); got.Means != "refused_user" {
			t.Errorf("%s means %s", said, got.Means)
		}
	}
}

// TestTableIsReadStrictly: a slip of the pen does not become a rule.
func TestTableIsReadStrictly(t *testing.T) {
	sound := `
sources: {a: {name: A, url: "https://example.com"}}
meanings: [{name: m, verdict: temporary, reason: refused}]
replies: [{id: r, at: rcpt, code: "450", means: m, source: a, verified: true}]
`
	if _, err := readReplies("t", []byte(sound)); err != nil {
		t.Fatalf("a sound table: %v", err)
	}
	for _, slip := range [][2]string{
		{"at: rcpt", "at: recpt"},
		{"at: rcpt", "att: rcpt"},
		{`code: "450"`, `code: "250"`},
		{`code: "450"`, `code: "4x"`},
		{"means: m", "means: n"},
		{"source: a", "source: b"},
		{"temporary", "sometimes"},
		{"reason: refused", "scope: house"},
		{"means: m", "enhanced: 5.1.1, means: m"},
		{"means: m", "enhanced: X.1, means: m"},
		{"means: m", "text: [User], means: m"},
		{"means: m", "text: [ab], means: m"},
		{"means: m", "text: ['anna@example.com is full'], means: m"},
		{"replies:", "more: 1\nreplies:"},
	} {
		spoilt := bytes.Replace([]byte(sound), []byte(slip[0]), []byte(slip[1]), 1)
		if _, err := readReplies("t", spoilt); err == nil {
			t.Errorf("%q instead of %q is taken", slip[1], slip[0])
		}
	}
}

// TestWait: what servers ask for is honoured within a day.
func TestWait(t *testing.T) {
	for text, want := range map[string]string{
		"Greylisted, try again in 300 seconds":          "5m0s",
		"Greylisted for 300 seconds":                    "5m0s",
		"please come back after 5 minutes":              "5m0s",
		"wait 2 hours":                                  "2h0m0s",
		"within 1 h":                                    "1h0m0s",
		"try again in 99 hours":                         "24h0m0s",
		"in 0 seconds":                                  "0s",
		"try again later":                               "0s",
		"in the last 10 minutes":                        "0s",
		"in 99999999999999999999 minutes":               "0s",
		"port 25 in 300second":                          "5m0s",
		"over quota since 30 days":                      "0s",
		"try again in 30 seconds, or in 10 minutes":     "30s",
		strings.Repeat("in 1 x ", 300) + "in 7 seconds": "7s",
	} {
		if got := wait(text).String(); got != want {
			t.Errorf("wait(%.60q) = %s, want %s", text, got, want)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	said := answer(b, "550 5.0.0 <anna@example.com>: Recipient address rejected: nobody has ever heard of this one, see https://postmaster.example.com/help")
	known()
	b.ReportAllocs()
	for b.Loop() {
		if f := judge(atRcpt, said); f.Verdict != channels.Malformed {
			b.Fatal(f)
		}
	}
}

// TestMeaningsDoWhatTheySay: what the page promises is what the house does with
// a delivery, an address and a channel.
func TestMeaningsDoWhatTheySay(t *testing.T) {
	p := outbox.PolicyFor(channels.Marketing, false, nil)
	for i := range known().Meanings {
		m := &known().Meanings[i]
		f := m.failure(atRcpt, "")
		s := p.Next(outbox.Attempt{Channel: "letters", At: time.Unix(1_800_000_000, 0), Err: &f})
		says := func(words string) bool { return strings.Contains(m.Does, words) }
		for words, does := range map[string]bool{
			"suppressed at once":              s.Suppress,
			"within a week suppresses it":     s.Strike,
			"channel is held":                 s.Hold != nil && s.Hold.Until.IsZero(),
			"delivery fails":                  s.State == outbox.Failed || m.Name == "mailbox_full",
			"tried again":                     s.State == outbox.Queued && s.Charge,
			"Mail to this domain pauses":      f.Scope == channels.OneDomain,
			"an hour at a time":               f.Scope == channels.WholeChannel && f.After == time.Hour,
			"whole channel pauses":            f.Scope == channels.WholeChannel && f.Verdict == channels.Throttled && f.After == 0,
			"goes to another server":          f.Scope == channels.OneServer,
			"address is not touched":          s.State == outbox.Failed && !s.Suppress && !s.Strike,
			"address is never suppressed for": m.Name == "mailbox_full",
		} {
			if says(words) != does {
				t.Errorf("%s says %q, and the house does %+v", m.Name, m.Does, s)
			}
		}
		if strings.Contains(m.Does, "not count") != (f.Verdict == channels.Throttled) {
			t.Errorf("%s does not say whether its try counts", m.Name)
		}
	}
}
