package channels

import (
	"errors"
	"time"
)

// Verdict is what a failed attempt means for the delivery, for the address
// and for the channel. What each one does is decided in one place,
// outbox.Policy.
type Verdict uint8

// The six words for failure. Temporary is the zero value: whatever nobody
// classified before a message left is tried again later.
const (
	Temporary Verdict = iota // try again later; also every error nobody classified before the message left
	Throttled                // slow the channel down; the attempt does not count
	Broken                   // the channel itself is unusable: hold it, tell a human
	Rejected                 // this address is wrong and will never work: suppress it
	Malformed                // this message will never work: fail it, keep the address
	Uncertain                // it may have arrived: never repeat without a rule
)

// Verdicts lists all six, for tables and metrics.
func Verdicts() []Verdict {
	return []Verdict{Temporary, Throttled, Broken, Rejected, Malformed, Uncertain}
}

// String returns the verdict's name in lower case.
func (v Verdict) String() string {
	switch v {
	case Temporary:
		return "temporary"
	case Throttled:
		return "throttled"
	case Broken:
		return "broken"
	case Rejected:
		return "rejected"
	case Malformed:
		return "malformed"
	case Uncertain:
		return "uncertain"
	}
	return "temporary"
}

// Scope is how much of a channel a throttle is about.
type Scope uint8

// A provider slows down a whole channel, one of its servers, or whatever goes
// to one receiving domain (Address.Domain of the driver).
const (
	WholeChannel Scope = iota
	OneServer
	OneDomain
)

// Failure is a failed attempt, judged by the adapter that knows the provider.
type Failure struct {
	Verdict Verdict
	Reason  string        // word of the closed list in outbox, e.g. "unknown_user"; empty: the verdict's own
	Strike  bool          // a refusal that suppresses the address if it happens again within a week
	After   time.Duration // earliest next try, when the provider said so
	Scope   Scope         // what a Throttled one is about: how much has to slow down
	Code    string        // provider's code, e.g. "550 5.1.1" or "invalid_auth"
	Server  string        // which server of the channel said so
	Err     error         // what happened, in words; never with a secret in it
}

// Error returns the cause in words, with the provider's code before it.
func (f *Failure) Error() string {
	switch {
	case f.Err == nil && f.Code == "":
		return f.Verdict.String()
	case f.Err == nil:
		return f.Code
	case f.Code == "":
		return f.Err.Error()
	}
	return f.Code + ": " + f.Err.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Judge reads the failure out of any error; an unclassified one is Temporary.
// It is for messages that have not left: see JudgeDeparted.
func Judge(err error) Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return *f
	}
	return Failure{Verdict: Temporary, Err: err}
}

// JudgeDeparted is Judge for a message that had its permission and may have
// left: an error that nobody classified proves nothing, so it is Uncertain.
func JudgeDeparted(err error) Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return *f
	}
	return Failure{Verdict: Uncertain, Reason: "no_answer", Err: err}
}
