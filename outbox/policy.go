package outbox

import (
	"time"
	"unicode/utf8"

	"rapport/channels"
)

// Policy decides what becomes of a delivery after an attempt. It is the only
// place that knows what a verdict means.
type Policy struct {
	Repeat  bool              // after a doubt: the topic is transactional, or the channel drops repeats
	Tries   int               // how many charged attempts before giving up
	Backoff []time.Duration   // wait after the n-th charged attempt; the last one repeats
	Causes  map[Reason]Rhythm // what heals in its own time
	Limit   time.Duration     // how long a class is tried at most; Configured keeps to it
	Jitter  func() float64    // in [0, 1): spreads retries; injected
}

// Rhythm is how a cause is tried again that heals in its own time. Its wait
// doubles with each charged attempt, up to the longest of the policy.
type Rhythm struct {
	First time.Duration // wait after the first attempt
	Tries int           // at most; 0: as many as the policy allows
	Obeys bool          // a time that the server named is taken instead, at least a tenth of First
}

// Defaults for the two classes (P7): marketing gives up after a day or two,
// transactional after four to five days.
var (
	marketingBackoff     = []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour}
	transactionalBackoff = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
)

const (
	marketingLimit     = 48 * time.Hour
	transactionalLimit = 5 * 24 * time.Hour
	marketingFull      = 4 // tries at a full mailbox
	transactionalFull  = 6
	usualFirst         = time.Minute // what the rhythms of causes are made for
)

// PolicyFor returns the policy of a class on a channel.
func PolicyFor(class channels.Class, dropsRepeats bool, jitter func() float64) Policy {
	p := Policy{Repeat: dropsRepeats, Tries: 8, Backoff: marketingBackoff, Limit: marketingLimit, Jitter: jitter}
	full := marketingFull
	if class == channels.Transactional {
		p.Repeat, p.Tries, p.Backoff, p.Limit = true, 12, transactionalBackoff, transactionalLimit
		full = transactionalFull
	}
	p.Causes = map[Reason]Rhythm{
		Greylisted:    {First: 5 * time.Minute, Obeys: true},
		RateLimited:   {First: 10 * time.Minute},
		PolicyRefused: {First: 15 * time.Minute},
		Unproven:      {First: 15 * time.Minute},
		MailboxFull:   {First: time.Hour, Tries: full},
	}
	return p
}

// Configured is the policy with the retries of a configuration: at most so many
// tries, the first wait, doubling up to the longest. The limit of the class
// stays. Who waits less than a minute at first, in a test or a demo, has the
// rhythms of causes shortened alike.
func (p Policy) Configured(first, longest time.Duration, tries int) Policy {
	p.Backoff = Doubling(first, longest)
	p.Tries = tries
	if p.Limit > 0 {
		var total time.Duration
		for n := 1; n < tries; n++ {
			if total += p.step(n); total > p.Limit {
				p.Tries = n
				break
			}
		}
	}
	if first <= 0 || first >= usualFirst {
		return p
	}
	causes := make(map[Reason]Rhythm, len(p.Causes))
	for reason, r := range p.Causes {
		r.First = max(time.Duration(float64(r.First)*float64(first)/float64(usualFirst)), time.Millisecond)
		causes[reason] = r
	}
	p.Causes = causes
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
		s.State, s.Reason, s.NotBefore = Queued, WaitRetry, a.At.Add(wait+p.later(wait))
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
	tries, most := a.Delivery.Attempt+1, p.Tries
	rhythm := p.Causes[ReasonOf(f.Reason, fallback)]
	if rhythm.Tries > 0 {
		most = min(most, rhythm.Tries)
	}
	at := a.At.Add(p.wait(tries, rhythm, f.After))
	late := !a.Delivery.ExpiresAt.IsZero() && !at.Before(a.Delivery.ExpiresAt)
	switch {
	case tries < most && !late:
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
// least what the provider asked for. What a cause or a provider asks for is
// only ever made longer.
func (p Policy) wait(n int, r Rhythm, after time.Duration) time.Duration {
	switch {
	case r.First > 0 && r.Obeys && after > 0:
		after = max(after, r.First/10)
		return after + p.later(after)
	case r.First > 0:
		d := r.First
		if longest := p.step(len(p.Backoff)); longest > 0 {
			for d = min(d, longest); n > 1 && d < longest; n-- {
				d = min(2*d, longest)
			}
		}
		d = max(d, after)
		return d + p.later(d)
	}
	d := p.step(n)
	if p.Jitter != nil {
		d += time.Duration((p.Jitter() - 0.5) * 0.4 * float64(d))
	}
	if after > d {
		return after + p.later(after)
	}
	return d
}

// step is the n-th wait of the backoff, counted from 1.
func (p Policy) step(n int) time.Duration {
	if len(p.Backoff) == 0 {
		return 0
	}
	return p.Backoff[max(1, min(n, len(p.Backoff)))-1]
}

// later spreads what must not come earlier, by up to a fifth.
func (p Policy) later(d time.Duration) time.Duration {
	if p.Jitter == nil {
		return 0
	}
	return time.Duration(p.Jitter() * 0.2 * float64(d))
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
