package email

import (
	"strings"
	"testing"
	"time"

	"rapport/channels"
)

// Reasons that the table of replies gives.
const (
	unknownUser     = "unknown_user"
	badDomain       = "bad_domain"
	disabledUser    = "disabled_user"
	mailboxFull     = "mailbox_full"
	greylisted      = "greylisted"
	rateLimited     = "rate_limited"
	policy          = "policy"
	reputation      = "reputation"
	unauthenticated = "unauthenticated"
	senderRefused   = "sender_refused"
	relayDenied     = "relay_denied"
	contentRefused  = "content_refused"
	serverTrouble   = "server_trouble"
)

// TestJudge is the table of what a server may say and what it means. Texts
// marked gmail are from Google's public page on SMTP errors, those marked
// microsoft from Microsoft's page on non-delivery reports, both shortened;
// the others follow RFC 5321, RFC 3463 and the IANA registry of status codes.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		at     phase
		reply  reply
		want   channels.Verdict
		reason string
		strike bool
		after  time.Duration
	}{
		// No answer.
		{at: atConnect, want: channels.Temporary, reason: lostConnection},
		{at: atMail, want: channels.Temporary, reason: lostConnection},
		{at: atRcpt, want: channels.Temporary, reason: lostConnection},
		{at: atData, want: channels.Temporary, reason: lostConnection},
		{at: atBody, want: channels.Temporary, reason: lostConnection},
		{at: atDot, want: channels.Uncertain, reason: lostConnection},
		// An answer that is none.
		{at: atMail, reply: reply{code: 354}, want: channels.Temporary, reason: refused},
		{at: atDot, reply: reply{code: 354}, want: channels.Uncertain, reason: refused},

		// 4xx: never permanent, whatever the words.
		{at: atConnect, reply: reply{421, "4.3.2", "too busy"}, want: channels.Throttled, reason: rateLimited},
		{at: atMail, reply: reply{421, "4.7.0", "Try again later, closing connection."}, want: channels.Throttled, reason: rateLimited}, // gmail
		{at: atRcpt, reply: reply{421, "4.4.5", "Server busy, try again later."}, want: channels.Throttled, reason: rateLimited},        // gmail
		{at: atDot, reply: reply{421, "4.7.28", "unusual rate of unsolicited mail"}, want: channels.Throttled, reason: rateLimited},
		{at: atMail, reply: reply{451, "4.7.1", "rate limit exceeded, wait 10 minutes"}, want: channels.Throttled, reason: rateLimited, after: 10 * time.Minute},
		{at: atMail, reply: reply{450, "", "too many connections"}, want: channels.Throttled, reason: rateLimited},
		{at: atRcpt, reply: reply{450, "4.2.1", "The user you are trying to contact is receiving mail too quickly."}, want: channels.Temporary, reason: rateLimited}, // gmail
		{at: atRcpt, reply: reply{450, "4.2.0", "Greylisted, try again in 300 seconds"}, want: channels.Temporary, reason: greylisted, after: 5 * time.Minute},
		{at: atRcpt, reply: reply{451, "4.7.1", "greylisting in action, please come back in 5 minutes"}, want: channels.Temporary, reason: greylisted, after: 5 * time.Minute},
		{at: atRcpt, reply: reply{452, "4.2.2", "The email account that you tried to reach is over quota."}, want: channels.Temporary, reason: mailboxFull}, // gmail
		{at: atRcpt, reply: reply{452, "", "mailbox full"}, want: channels.Temporary, reason: mailboxFull},
		{at: atRcpt, reply: reply{450, "4.1.1", "user unknown for now"}, want: channels.Temporary, reason: refused},
		{at: atRcpt, reply: reply{450, "4.7.1", "policy service is not available"}, want: channels.Temporary, reason: policy},
		{at: atAuth, reply: reply{454, "4.7.0", "Cannot authenticate due to a temporary system problem."}, want: channels.Temporary, reason: authentication}, // gmail
		{at: atTLS, reply: reply{454, "4.7.0", "TLS not available"}, want: channels.Temporary, reason: tlsTrouble},
		{at: atDot, reply: reply{451, "4.3.0", "Mail server temporarily rejected message."}, want: channels.Temporary, reason: serverTrouble}, // gmail
		{at: atData, reply: reply{451, "", "local error"}, want: channels.Temporary, reason: serverTrouble},

		// The address is wrong: suppress.
		{at: atRcpt, reply: reply{550, "5.1.1", "The email account that you tried to reach does not exist."}, want: channels.Rejected, reason: unknownUser}, // gmail
		{at: atRcpt, reply: reply{501, "5.1.3", "bad address syntax"}, want: channels.Rejected, reason: unknownUser},
		{at: atRcpt, reply: reply{551, "5.1.6", "has moved"}, want: channels.Rejected, reason: unknownUser},
		{at: atRcpt, reply: reply{550, "5.1.2", "host unknown"}, want: channels.Rejected, reason: badDomain},
		{at: atRcpt, reply: reply{556, "5.1.10", "recipient address has null MX"}, want: channels.Rejected, reason: badDomain},
		{at: atRcpt, reply: reply{550, "5.1.10", "RESOLVER.ADR.RecipientNotFound"}, want: channels.Rejected, reason: unknownUser}, // microsoft
		{at: atDot, reply: reply{550, "5.1.1", "no such user"}, want: channels.Rejected, reason: unknownUser},

		// Something about this address, not sure enough: a strike.
		{at: atRcpt, reply: reply{550, "", "no such user here"}, want: channels.Malformed, reason: unknownUser, strike: true},
		{at: atRcpt, reply: reply{550, "5.2.1", "mailbox disabled"}, want: channels.Malformed, reason: disabledUser, strike: true},
		{at: atRcpt, reply: reply{550, "5.0.0", "no"}, want: channels.Malformed, reason: refused, strike: true},
		{at: atRcpt, reply: reply{550, "5.7.13", "user account disabled"}, want: channels.Malformed, reason: disabledUser, strike: true},
		{at: atRcpt, reply: reply{550, "5.7.1", "<anna@example.org>: user unknown"}, want: channels.Malformed, reason: unknownUser, strike: true},
		{at: atRcpt, reply: reply{553, "", "mailbox name not allowed"}, want: channels.Malformed, reason: refused, strike: true},
		// About the command or a full box: no strike.
		{at: atRcpt, reply: reply{503, "5.5.1", "bad sequence"}, want: channels.Malformed, reason: refused},
		{at: atRcpt, reply: reply{552, "5.2.2", "mailbox full"}, want: channels.Temporary, reason: mailboxFull},
		{at: atRcpt, reply: reply{552, "", "exceeded storage allocation"}, want: channels.Temporary, reason: mailboxFull},
		{at: atDot, reply: reply{552, "5.2.2", "over quota"}, want: channels.Temporary, reason: mailboxFull},

		// Policy, reputation, credentials: the channel, in any phase.
		{at: atConnect, reply: reply{554, "5.7.1", "your address is on a list"}, want: channels.Broken, reason: policy},
		{at: atHello, reply: reply{550, "", "we do not like your name"}, want: channels.Broken, reason: policy},
		{at: atTLS, reply: reply{554, "5.7.3", "no"}, want: channels.Broken, reason: tlsTrouble},
		{at: atAuth, reply: reply{535, "5.7.8", "Username and Password not accepted."}, want: channels.Broken, reason: authentication}, // gmail
		{at: atMail, reply: reply{530, "5.7.0", "Authentication Required."}, want: channels.Broken, reason: authentication},            // gmail
		{at: atMail, reply: reply{530, "5.7.57", "Client was not authenticated"}, want: channels.Broken, reason: authentication},       // microsoft
		{at: atMail, reply: reply{550, "5.7.1", "sender refused"}, want: channels.Broken, reason: policy},
		{at: atMail, reply: reply{501, "5.1.8", "Bad sender address"}, want: channels.Broken, reason: senderRefused}, // microsoft
		{at: atMail, reply: reply{553, "", "sender not owned by user"}, want: channels.Broken, reason: senderRefused},
		{at: atRcpt, reply: reply{550, "5.7.1", "Unable to relay"}, want: channels.Broken, reason: relayDenied}, // microsoft
		{at: atRcpt, reply: reply{530, "", "authenticate first"}, want: channels.Broken, reason: authentication},
		{at: atDot, reply: reply{550, "5.7.515", "Access denied, sending domain does not meet the required authentication level"}, want: channels.Broken, reason: unauthenticated}, // microsoft
		{at: atDot, reply: reply{550, "5.7.26", "This mail has been blocked because the sender is unauthenticated."}, want: channels.Broken, reason: unauthenticated},              // gmail
		{at: atDot, reply: reply{550, "5.4.5", "Daily SMTP relay limit exceeded for user."}, want: channels.Throttled, reason: rateLimited, after: time.Hour},                      // gmail

		// This letter will never work.
		{at: atMail, reply: reply{552, "5.3.4", "message too big"}, want: channels.Malformed, reason: tooLarge},
		{at: atMail, reply: reply{552, "", "message size exceeds fixed limit"}, want: channels.Malformed, reason: tooLarge},
		{at: atRcpt, reply: reply{523, "5.2.3", "longer than the mailbox takes"}, want: channels.Malformed, reason: tooLarge},
		{at: atMail, reply: reply{550, "5.6.7", "non-ASCII addresses not permitted"}, want: channels.Malformed, reason: noSMTPUTF8},
		{at: atRcpt, reply: reply{553, "5.6.7", "non-ASCII addresses not permitted"}, want: channels.Malformed, reason: noSMTPUTF8},
		{at: atData, reply: reply{554, "", "no"}, want: channels.Malformed, reason: contentRefused},
		{at: atBody, reply: reply{552, "5.3.4", "too big"}, want: channels.Malformed, reason: tooLarge},
		{at: atBody, reply: reply{554, "5.6.0", "stop"}, want: channels.Malformed, reason: contentRefused},
		{at: atDot, reply: reply{554, "5.6.0", "conversion failed"}, want: channels.Malformed, reason: contentRefused},
		{at: atDot, reply: reply{550, "", "looks like spam"}, want: channels.Malformed, reason: contentRefused},
	} {
		f := judge(c.at, c.reply)
		if f.Verdict != c.want || f.Reason != c.reason || f.Strike != c.strike || f.After != c.after {
			t.Errorf("%s: %s %q\n got %s %s strike=%v after=%s\nwant %s %s strike=%v after=%s", c.at, c.reply, c.reply.text,
				f.Verdict, f.Reason, f.Strike, f.After, c.want, c.reason, c.strike, c.after)
		}
		if f.Code != c.reply.String() {
			t.Errorf("code %q, want %q", f.Code, c.reply.String())
		}
	}
}

// TestTemporaryStaysTemporary: no words make a 4xx answer permanent, in any phase.
func TestTemporaryStaysTemporary(t *testing.T) {
	for at := atConnect; at <= atDot; at++ {
		for _, enhanced := range []string{"", "4.1.1", "4.2.1", "4.2.2", "4.3.4", "4.7.1", "4.7.8"} {
			for _, text := range []string{"user unknown", "blocked for ever", "message too large", "mailbox disabled"} {
				f := judge(at, reply{450, enhanced, text})
				if f.Verdict != channels.Temporary && f.Verdict != channels.Throttled || f.Strike {
					t.Errorf("%s 450 %s %q: %s strike=%v", at, enhanced, text, f.Verdict, f.Strike)
				}
			}
		}
	}
}

// TestOnlyTheRecipientIsPunished: an address is suppressed or struck only for
// an answer that is about an address.
func TestOnlyTheRecipientIsPunished(t *testing.T) {
	for at := atConnect; at <= atDot; at++ {
		for code := 400; code < 600; code++ {
			for _, enhanced := range []string{"", ".5.0", ".5.1", ".7.0", ".7.1", ".7.8", ".3.0", ".6.0"} {
				if enhanced != "" {
					enhanced = string(rune('0'+code/100)) + enhanced
				}
				if code == 556 {
					continue // says that the domain takes no mail (RFC 7504)
				}
				f := judge(at, reply{code, enhanced, "no"})
				if f.Verdict == channels.Rejected || f.Strike && at != atRcpt {
					t.Errorf("%s %d %s: %s strike=%v", at, code, enhanced, f.Verdict, f.Strike)
				}
			}
		}
	}
}

func TestPublicText(t *testing.T) {
	for text, want := range map[string]string{
		"<anna@example.org>: Recipient address rejected": "(address): Recipient address rejected",
		"user anna@example.org unknown":                  "user (address) unknown",
		"two\r\nlines":                                   "two lines",
		strings.Repeat("x", 400):                         strings.Repeat("x", 300) + "…",
	} {
		if got := publicText(text); got != want {
			t.Errorf("publicText(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestQueueID(t *testing.T) {
	for text, want := range map[string]string{
		"Ok: queued as 4F2A91C0B2":    "4F2A91C0B2",
		"OK id=1qXyZ-0003Ab-Cd":       "1qXyZ-0003Ab-Cd",
		"taken <anna@example.org> 12": "taken (address) 12",
		"":                            "",
	} {
		if got := queueID(text); got != want {
			t.Errorf("queueID(%q) = %q, want %q", text, got, want)
		}
	}
}
