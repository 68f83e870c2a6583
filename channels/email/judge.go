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

// Reasons that are given without a row of the table, words of the closed list
// in outbox.
const (
	authentication = "authentication"
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

// judge turns an answer that is not a success into a failure: by the table of
// replies, and by the phase when no answer came. It is pure; the texts of Err
// and Server are the caller's.
func judge(at phase, r reply) channels.Failure {
	var f channels.Failure
	switch {
	case r.code == 0:
		f.Reason = lostConnection
	case r.code < 400: // answers nothing we asked; at the dot it may be taken
		f.Reason = refused
	default:
		row := known().find(hear(at, r))
		if row == nil { // a test proves that the table leaves nothing open
			row = &rule{meaning: &meaning{Reason: refused}}
		}
		f = row.meaning.failure(at, r.text)
	}
	if r.code < 400 && at == atDot {
		f.Verdict = channels.Uncertain
	}
	f.Code = r.String()
	return f
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
