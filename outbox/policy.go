package outbox

import (
	"time"
	"unicode/utf8"

	"rapport/channels"
)

// Policy decides what becomes of a delivery after an attempt. It is the only
// place that knows what a verdict means.
type Policy struct {
	Repeat  bool            // after a doubt: the topic is transactional, or the channel drops repeats
	Tries   int             // how many charged attempts before giving up
	Backoff []time.Duration // wait after the n-th charged attempt; the last one repeats
	Jitter  func() float64  // in [0, 1): spreads retries; injected
}

// Defaults for the two classes (P7): marketing gives up after a day or two,
// transactional after four to five days.
var (
	marketingBackoff     = []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour}
	transactionalBackoff = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
)

// PolicyFor returns the policy of a class on a channel.
func PolicyFor(class channels.Class, dropsRepeats bool, jitter func() float64) Policy {
	p := Policy{Repeat: dropsRepeats, Tries: 8, Backoff: marketingBackoff, Jitter: jitter}
	if class == channels.Transactional {
		p.Repeat, p.Tries, p.Backoff = true, 12, transactionalBackoff
	}
	return p
}

// Defaults for channels that are told to slow down or are broken.
const (
	throttlePause = 30 * time.Second
	maxThrottle   = time.Hour
	detailLimit   = 300 // octets of a provider's text that are kept
)

// Attempt is one try: which delivery, on which channel, and how it ended.
type Attempt struct {
	Delivery Delivery
	Channel  string
	At       time.Time
	Receipt  channels.Receipt
	Err      error
}

// Next turns the outcome of an attempt into the delivery's next state.
func (p Policy) Next(a Attempt) Settlement {
	s := Settlement{Delivery: a.Delivery.ID, Turn: a.Delivery.Turn, At: a.At}
	if a.Err == nil {
		s.State, s.Charge = Sent, true
		s.ProviderID, s.Server = a.Receipt.ProviderID, a.Receipt.Server
		return s
	}
	f := channels.Judge(a.Err)
	s.Verdict, s.Code, s.Detail, s.Server = f.Verdict.String(), f.Code, shorten(f.Error()), f.Server
	switch f.Verdict {
	case channels.Temporary:
		s.Charge = true
		p.again(&s, a, f, Connection)
	case channels.Throttled:
		wait := throttlePause
		if f.After > 0 {
			wait = min(f.After, maxThrottle)
		}
		s.State, s.Reason, s.NotBefore = Queued, WaitRetry, a.At.Add(wait)
		s.Hold = &Hold{Channel: a.Channel, Until: a.At.Add(wait), Reason: ReasonOf(f.Reason, RateLimited), Detail: s.Detail, Since: a.At}
	case channels.Broken:
		s.State, s.Reason, s.NotBefore = Queued, WaitHeld, a.At
		s.Hold = &Hold{Channel: a.Channel, Reason: ReasonOf(f.Reason, PolicyRefused), Detail: s.Detail, Since: a.At}
	case channels.Rejected:
		s.State, s.Reason, s.Charge, s.Suppress = Failed, ReasonOf(f.Reason, UnknownUser), true, true
	case channels.Malformed:
		s.State, s.Reason, s.Charge, s.Strike = Failed, ReasonOf(f.Reason, Refused), true, f.Strike
	case channels.Uncertain:
		s.Charge = true
		if p.Repeat {
			p.again(&s, a, f, NoAnswer)
			return s
		}
		s.State, s.Reason = Uncertain, ReasonOf(f.Reason, NoAnswer)
	}
	return s
}

// again queues the delivery for later, or ends it when its tries are used up
// or it would be too late.
func (p Policy) again(s *Settlement, a Attempt, f channels.Failure, fallback Reason) {
	tries := a.Delivery.Attempt + 1
	at := a.At.Add(p.wait(tries, f.After))
	late := !a.Delivery.ExpiresAt.IsZero() && !at.Before(a.Delivery.ExpiresAt)
	switch {
	case tries < p.Tries && !late:
		s.State, s.Reason, s.NotBefore = Queued, WaitRetry, at
	case f.Verdict == channels.Uncertain:
		s.State, s.Reason = Uncertain, ReasonOf(f.Reason, fallback)
	case late:
		s.State, s.Reason = Failed, ReasonOf(f.Reason, Timeout)
	default:
		s.State, s.Reason = Failed, ReasonOf(f.Reason, fallback)
	}
}

// wait is the pause after the n-th charged attempt, spread by a fifth, and at
// least what the provider asked for.
func (p Policy) wait(n int, after time.Duration) time.Duration {
	if len(p.Backoff) == 0 {
		return after
	}
	d := p.Backoff[min(n, len(p.Backoff))-1]
	if p.Jitter != nil {
		d += time.Duration((p.Jitter() - 0.5) * 0.4 * float64(d))
	}
	return max(d, after)
}

// Orphan decides what becomes of a delivery whose sender died, after so many
// charged attempts: what was only claimed is free, what was offered is in
// doubt. One that is offered again and again and kills its sender each time
// ends with its tries.
func (p Policy) Orphan(state State, attempts int) (State, Reason) {
	switch {
	case state == Claimed:
		return Queued, ""
	case !p.Repeat:
		return Uncertain, ProcessDied
	case attempts+1 >= p.Tries:
		return Uncertain, Crashed
	}
	return Queued, WaitRetry
}

func shorten(text string) string {
	if len(text) <= detailLimit {
		return text
	}
	cut := detailLimit
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// Doubling is a backoff that begins with first and doubles up to longest.
func Doubling(first, longest time.Duration) []time.Duration {
	if first <= 0 {
		first = time.Minute
	}
	var list []time.Duration
	for d := first; d < longest; d *= 2 {
		list = append(list, d)
	}
	return append(list, max(first, longest))
}
