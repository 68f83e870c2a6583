package email

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"rapport/channels"
)

// phase is how far a conversation had come when it ended.
type phase uint8

// The phases of a conversation, in their order.
const (
	atConnect phase = iota // the greeting
	atHello                // EHLO
	atTLS                  // STARTTLS and the handshake
	atAuth                 // AUTH
	atMail                 // MAIL FROM
	atRcpt                 // RCPT TO
	atData                 // DATA, before its 354
	atBody                 // inside the letter, before the final dot was written
	atDot                  // after the final dot was written
)

// Reasons, words of the closed list in outbox.
const (
	unknownUser    = "unknown_user"
	badDomain      = "bad_domain"
	mailboxFull    = "mailbox_full"
	greylisted     = "greylisted"
	rateLimited    = "rate_limited"
	policy         = "policy"
	authentication = "authentication"
	contentRefused = "content_refused"
	tooLarge       = "too_large"
	lostConnection = "connection"
	tlsTrouble     = "tls"
	timedOut       = "timeout"
	noSMTPUTF8     = "no_smtputf8"
	refused        = "refused"
)

// reply is what a server answered: the code of RFC 5321, the enhanced code of
// RFC 3463 as "5.1.1" (empty when it gave none) and the text without both.
// The zero reply means that none came.
type reply struct {
	code     int
	enhanced string
	text     string
}

// String is the code as failures carry it, "550 5.1.1".
func (r reply) String() string {
	if r.code == 0 {
		return ""
	}
	return strings.TrimSpace(strconv.Itoa(r.code) + " " + r.enhanced)
}

func (r reply) ok() bool { return r.code/100 == 2 }

// is says whether the subject and detail of the enhanced code are one of
// those given, whatever its class: is("7.8") holds for 5.7.8 and 4.7.8.
func (r reply) is(details ...string) bool {
	_, rest, _ := strings.Cut(r.enhanced, ".")
	for _, d := range details {
		if rest == d || strings.HasSuffix(d, ".") && strings.HasPrefix(rest, d) {
			return true
		}
	}
	return false
}

// says looks for one of the words in the text. Words only refine what the
// codes leave open; they never make a refusal permanent.
func (r reply) says(words ...string) bool {
	text := strings.ToLower(r.text)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

func (r reply) saysRate() bool {
	return r.says("rate", "too many", "too fast", "too quickly", "throttl", "slow down", "limit exceeded")
}

func (r reply) saysUnknown() bool {
	return r.says("user unknown", "unknown user", "no such user", "unknown recipient", "does not exist",
		"no such recipient", "no mailbox", "mailbox not found", "mailbox unavailable")
}

// judge turns an answer that is not a success into a failure: by code and
// enhanced code first, by phase second, by words last. It is pure; the texts
// of Err and Server are the caller's.
func judge(at phase, r reply) channels.Failure {
	f := channels.Failure{Code: r.String()}
	switch {
	case r.code == 0 && at == atDot:
		f.Verdict, f.Reason = channels.Uncertain, lostConnection
	case r.code == 0:
		f.Verdict, f.Reason = channels.Temporary, lostConnection
	case r.code/100 == 4:
		f.Verdict, f.Reason = judgeTemporary(at, r)
		f.After = wait(r.text)
	case r.code/100 == 5:
		f.Verdict, f.Reason, f.Strike = judgePermanent(at, r)
	case at == atDot: // 1xx and 3xx answer nothing we asked; it may be taken
		f.Verdict, f.Reason = channels.Uncertain, refused
	default:
		f.Verdict, f.Reason = channels.Temporary, refused
	}
	return f
}

func judgeTemporary(at phase, r reply) (channels.Verdict, string) {
	switch {
	case r.says("greylist", "graylist", "grey-list", "gray-list", "greylisted"):
		return channels.Temporary, greylisted
	case r.code == 421:
		return channels.Throttled, rateLimited
	case at == atAuth:
		return channels.Temporary, authentication
	case at == atTLS:
		return channels.Temporary, tlsTrouble
	case r.is("2.2"):
		return channels.Temporary, mailboxFull
	case r.is("7.28"), r.is("7.") && r.saysRate(), r.enhanced == "" && at <= atMail && r.saysRate():
		return channels.Throttled, rateLimited
	case r.saysRate():
		return channels.Temporary, rateLimited
	case r.code == 452 && at == atRcpt && r.says("full", "quota", "storage"):
		return channels.Temporary, mailboxFull
	case r.is("7."):
		return channels.Temporary, policy
	}
	return channels.Temporary, refused
}

// judgePermanent reads a 5xx answer. Address trouble counts the same at the
// final dot as at RCPT, because an envelope has one recipient and some servers
// look it up late.
func judgePermanent(at phase, r reply) (v channels.Verdict, reason string, strike bool) {
	switch {
	case at == atTLS:
		return channels.Broken, tlsTrouble, false
	case at == atAuth, r.code == 530, r.code == 534, r.code == 535, r.code == 538, r.is("7.8", "7.9", "7.11"):
		return channels.Broken, authentication, false
	case at < atMail:
		return channels.Broken, policy, false
	case r.is("6.7"):
		return channels.Malformed, noSMTPUTF8, false
	case r.is("3.4", "2.3"), r.code == 552 && r.enhanced == "" && at != atRcpt:
		return channels.Malformed, tooLarge, false
	case r.is("4.5"): // a quota of the sender, which some servers refuse with 5xx until tomorrow
		return channels.Throttled, rateLimited, false
	case at == atMail && r.is("7."):
		return channels.Broken, policy, false
	case at == atMail:
		return channels.Broken, refused, false
	}
	if v, reason, strike, known := judgeAddress(at, r); known {
		return v, reason, strike
	}
	switch {
	case r.is("7."):
		return channels.Broken, policy, false
	case at >= atData:
		return channels.Malformed, contentRefused, false
	case r.code == 500, r.code == 502, r.code == 503, r.code == 504:
		return channels.Malformed, refused, false // about the command, not about the address
	case r.saysUnknown():
		return channels.Malformed, unknownUser, true
	}
	return channels.Malformed, refused, true
}

func judgeAddress(at phase, r reply) (v channels.Verdict, reason string, strike, known bool) {
	switch {
	case r.is("1.1", "1.3", "1.6"):
		return channels.Rejected, unknownUser, false, true
	case r.is("1.10") && r.says("notfound", "not found"): // Exchange's own use of the number
		return channels.Rejected, unknownUser, false, true
	case r.is("1.2", "1.10"):
		return channels.Rejected, badDomain, false, true
	case r.is("2.2"), r.code == 552 && r.enhanced == "" && at == atRcpt:
		return channels.Temporary, mailboxFull, false, true
	case r.is("2.1", "7.13", "7.17"): // disabled, or it belongs to somebody else now
		return channels.Malformed, refused, true, true
	case r.is("7.") && at == atRcpt && r.saysUnknown(): // one person's server must not hold the channel
		return channels.Malformed, unknownUser, true, true
	}
	return channels.Temporary, "", false, false
}

// waitPattern finds "in 300 seconds", "after 5 minutes" and their like.
var waitPattern = regexp.MustCompile(`(?i)\b(?:in|after|for|within|wait)\s+(\d{1,5})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b`)

// wait is how long the text asks to wait, at most a day; 0 when it does not.
func wait(text string) time.Duration {
	m := waitPattern.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	unit := time.Second
	switch m[2][0] {
	case 'm', 'M':
		unit = time.Minute
	case 'h', 'H':
		unit = time.Hour
	}
	return min(time.Duration(n)*unit, 24*time.Hour)
}

// addressPattern finds addresses in a server's text.
var addressPattern = regexp.MustCompile(`<?[^\s<>@:;,]+@[^\s<>@:;,]+>?`)

// publicText is a server's text without addresses, control characters and
// more than a few hundred octets, as it may stand in an error.
func publicText(text string) string {
	text = addressPattern.ReplaceAllString(oneLine(text), "(address)")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
