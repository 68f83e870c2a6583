package smtpd

import (
	"maps"
	"slices"
	"strings"
)

// Stage is a place in the conversation where a script may act.
type Stage uint8

// The stages in the order a conversation passes them. The server asks the script
// after it has checked the command itself, so a script never sees a command that
// the server refuses by its own rules.
const (
	// Connect is before the greeting.
	Connect Stage = iota
	// Hello is EHLO or HELO.
	Hello
	// TLSStart is STARTTLS, before the handshake.
	TLSStart
	// Auth is an AUTH command, before the password is looked at.
	Auth
	// Mail is MAIL FROM.
	Mail
	// Rcpt is RCPT TO, once for each recipient.
	Rcpt
	// Data is the DATA command, before 354.
	Data
	// Body is inside the message, before each reading of at most 4 KiB; Step.Read
	// tells how much has come.
	Body
	// Dot is after the final dot, before the message is taken.
	Dot
	// Reset is RSET.
	Reset
	// Noop is NOOP.
	Noop
	// Quit is QUIT.
	Quit
)

// String is the stage's name in the journal.
func (s Stage) String() string {
	return [...]string{
		"connect", "hello", "starttls", "auth", "mail", "rcpt", "data", "body", "dot", "rset", "noop", "quit",
	}[s]
}

// To is one recipient of the current envelope.
type To struct {
	// Addr is the address as the sender wrote it.
	Addr string
	// Attempt counts the RCPT commands this server has seen for the address,
	// upper and lower case being the same; the first is 1.
	Attempt int
}

// Step is what a script may decide by.
type Step struct {
	Stage Stage
	// Session numbers the connection, from 1.
	Session uint64
	// Messages is how many messages this session has brought to an end before.
	Messages int
	// Hello is the name the sender gave.
	Hello string
	// TLS tells whether the connection is encrypted.
	TLS bool
	// From is the envelope sender; empty is the null return path.
	From string
	// To is the recipient: the one of this command at Rcpt, the first accepted
	// one at Data, Body and Dot, empty elsewhere.
	To
	// All are the accepted recipients at Data, Body and Dot.
	All []To
	// Read is the number of octets of the message read so far, at Body and Dot.
	Read int64
	// Ahead is how many octets the sender has sent behind this command without
	// waiting for its answer, as far as they have been read (RFC 2920).
	Ahead int
}

// Script decides what the server does at a step. It is called from many sessions
// at once and must not block: waiting is an Action's business.
type Script func(Step) Action

// First asks the scripts in order and takes the first action that is not the
// default.
func First(scripts ...Script) Script {
	return func(step Step) Action {
		for _, script := range scripts {
			if a := script(step); a != (Action{}) {
				return a
			}
		}
		return Action{}
	}
}

// ByRecipient applies a script to the recipients whose address matches its
// pattern, in which * stands for any text and letter case does not count. At
// stages that have no recipient nothing matches. Among several patterns that
// match, the longest counts. With several recipients after Rcpt, the first whose
// script acts decides for all.
//
//	smtpd.ByRecipient(map[string]smtpd.Script{
//		"*+full@*":   smtpd.Reply(452, "4.2.2", "mailbox full").At(smtpd.Rcpt),
//		"*+later@*":  smtpd.OnAttempts(1, 2, smtpd.Reply(451, "4.7.1", "try later").At(smtpd.Rcpt)),
//		"*+silent@*": smtpd.Silence().At(smtpd.Dot),
//	})
func ByRecipient(moods map[string]Script) Script {
	patterns := slices.SortedFunc(maps.Keys(moods), func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	scripts := make([]Script, len(patterns))
	for i, p := range patterns {
		scripts[i] = moods[p]
		patterns[i] = strings.ToLower(p)
	}
	one := func(step Step, to To) Action {
		step.To = to
		addr := strings.ToLower(to.Addr)
		for i, p := range patterns {
			if match(p, addr) {
				return scripts[i](step)
			}
		}
		return Action{}
	}
	return func(step Step) Action {
		if len(step.All) == 0 {
			if step.Addr == "" {
				return Action{}
			}
			return one(step, step.To)
		}
		for _, to := range step.All {
			if a := one(step, to); a != (Action{}) {
				return a
			}
		}
		return Action{}
	}
}

// match reports whether text fits a pattern in which * stands for any text.
func match(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if !strings.HasPrefix(text, head) {
		return false
	}
	text = text[len(head):]
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}

// OnAttempts applies a script to the attempts from first to last of a recipient,
// counted from 1.
func OnAttempts(first, last int, script Script) Script {
	return func(step Step) Action {
		if step.Attempt < first || step.Attempt > last {
			return Action{}
		}
		return script(step)
	}
}

// OnSessions applies a script to the sessions from first to last, counted from 1.
func OnSessions(first, last uint64, script Script) Script {
	return func(step Step) Action {
		if step.Session < first || step.Session > last {
			return Action{}
		}
		return script(step)
	}
}

// OnMessages applies a script from the n-th to the m-th message of a session,
// counted from 1. A stage before MAIL belongs to the message that follows.
func OnMessages(first, last int, script Script) Script {
	return func(step Step) Action {
		if n := step.Messages + 1; n < first || n > last {
			return Action{}
		}
		return script(step)
	}
}

// AfterRead applies a script in the body as soon as n octets have been read.
func AfterRead(n int64, script Script) Script {
	return func(step Step) Action {
		if step.Read < n {
			return Action{}
		}
		return script(step)
	}
}
