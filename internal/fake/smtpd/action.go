package smtpd

import (
	"strconv"
	"strings"
	"time"
)

// ending says how an action leaves the connection.
type ending uint8

const (
	goOn ending = iota
	cutBefore
	cutAfter
	resetNow
	takeAndCut
	silent
	stalled
)

// Action is what the server does at a stage. The zero value is what a good server
// does. Actions are made by the functions below and refined by their methods, as
// in Reply(421, "4.3.2", "closing").AndClose().
type Action struct {
	raw        string // the whole answer with its CR LF
	code       int
	enhanced   string
	text       string
	before     time.Duration
	afterwards time.Duration
	drip       time.Duration
	end        ending
}

// Reply answers with a code, an enhanced status code (RFC 3463; empty for none)
// and a text, whose line breaks make an answer of several lines. A positive code
// leaves the command its effect, any other takes it away. Inside the body a reply
// is sent at once and the connection is closed.
func Reply(code int, enhanced, text string) Action {
	return Action{code: code, enhanced: enhanced, text: text}
}

// Raw answers with these octets and nothing else, not even a line end. Its first
// three digits, if it has them, decide like the code of Reply; without them the
// command has no effect.
func Raw(octets string) Action {
	code := 0
	if len(octets) >= 3 {
		if n, err := strconv.Atoi(octets[:3]); err == nil && n >= 200 {
			code = n
		}
	}
	return Action{code: code, raw: octets}
}

// Delay waits before the command has its effect, and then goes on as usual. At
// Body it waits before each reading, which makes a slow reader.
func Delay(d time.Duration) Action { return Action{before: d} }

// ReplyAfter lets the command have its effect at once and holds the answer back.
// At Dot the message is taken and the sender learns it late.
func ReplyAfter(d time.Duration) Action { return Action{afterwards: d} }

// Drip sends the answer octet by octet with a pause before each.
func Drip(pause time.Duration) Action { return Action{drip: pause} }

// CloseBefore closes the connection without effect and without an answer. What
// was answered before still arrives, also when the sender is far ahead.
func CloseBefore() Action { return Action{end: cutBefore} }

// CloseAfter answers as usual and then closes the connection.
func CloseAfter() Action { return Action{end: cutAfter} }

// ConnectionReset ends the connection without effect by a TCP reset.
func ConnectionReset() Action { return Action{end: resetNow} }

// AcceptThenClose lets the command have its effect and closes the connection
// before the answer. At Dot the message is taken and the sender never learns it.
func AcceptThenClose() Action { return Action{end: takeAndCut} }

// Silence lets the command have its effect, never answers, and keeps the
// connection open until the sender gives up. At Dot the message is taken.
func Silence() Action { return Action{end: silent} }

// Stall neither has an effect nor answers nor reads on; the connection stays open
// until the server closes or the idle limit ends it. At Dot the message is not taken.
func Stall() Action { return Action{end: stalled} }

// After waits before the action's effect.
func (a Action) After(d time.Duration) Action { a.before = d; return a }

// Late holds the action's answer back.
func (a Action) Late(d time.Duration) Action { a.afterwards = d; return a }

// Dripping sends the action's answer octet by octet with a pause before each.
func (a Action) Dripping(pause time.Duration) Action { a.drip = pause; return a }

// AndClose closes the connection after the action's answer.
func (a Action) AndClose() Action { a.end = cutAfter; return a }

// At is the script that acts at the given stages and nowhere else.
func (a Action) At(stages ...Stage) Script {
	var set uint32
	for _, s := range stages {
		set |= 1 << s
	}
	return func(step Step) Action {
		if set&(1<<step.Stage) == 0 {
			return Action{}
		}
		return a
	}
}

// Everywhere is the script that acts at every stage but inside the body:
// Delay(time.Minute).Everywhere() is a tarpit, Drip(time.Second).Everywhere() a
// line of one octet a second.
func (a Action) Everywhere() Script {
	return a.At(Connect, Hello, TLSStart, Auth, Mail, Rcpt, Data, Dot, Reset, Noop, Quit)
}

// answers reports whether the action has an answer of its own.
func (a Action) answers() bool { return a.code != 0 || a.raw != "" }

// reply is an answer of the server before it is written.
type reply struct {
	code     int
	enhanced string
	text     string
	raw      string
}

// positive reports whether the reply lets the command have its effect. DATA asks
// for more with 3xx, and so does AUTH.
func (r reply) positive(stage Stage) bool {
	if stage == Data {
		return r.code/100 == 3
	}
	return r.code/100 == 2
}

// append writes the reply with its CR LF, one line for each line of its text.
func (r reply) append(out []byte, enhanced bool) []byte {
	if r.raw != "" {
		return append(out, r.raw...)
	}
	for rest, more := r.text, true; more; {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		out = strconv.AppendInt(out, int64(r.code), 10)
		if more {
			out = append(out, '-')
		} else {
			out = append(out, ' ')
		}
		if enhanced && r.enhanced != "" {
			out = append(append(out, r.enhanced...), ' ')
		}
		out = append(append(out, line...), "\r\n"...)
	}
	return out
}
