package outbox

import (
	"time"
)

// How a receiving domain that asked for less is treated.
const (
	// SlowestPace is the most time between two messages to a slowed domain.
	SlowestPace = time.Minute
	// slowPause is how long nothing goes to a domain that named no time.
	slowPause = 30 * time.Second
	// climbEvery is how often the pace of a slowed domain may rise.
	climbEvery = time.Minute
	// climbSteps is in how many steps a domain would climb from nothing.
	climbSteps = 10
	// climbProof is how many accepted messages a step needs at most.
	climbProof = 10
)

// Slow is a receiving domain that asked a channel to slow down. Its pace
// halves each time it asks again and climbs by a tenth of what it was before,
// and at least one a minute, each minute in which messages are accepted.
type Slow struct {
	Channel string        `json:"channel"`
	Domain  string        `json:"domain"`
	Every   time.Duration `json:"-"` // between two departures now
	Before  time.Duration `json:"-"` // between two departures before it asked
	Until   time.Time     `json:"until"`
	Since   time.Time     `json:"since"`
	Changed time.Time     `json:"changed"` // also tells two processes that change it apart
	Good    int64         `json:"accepted"`
	Reason  Reason        `json:"reason"`
	Detail  string        `json:"detail"`
}

// Call is a domain that asks for less: what was measured as the rate to it,
// how long it wants nothing (0: it did not say), and why.
type Call struct {
	At     time.Time
	Rate   float64 // messages a second; at most 0: not known
	After  time.Duration
	Reason Reason
	Detail string
}

// PerMinute is the pace now, in messages a minute.
func (s Slow) PerMinute() float64 {
	if s.Every <= 0 {
		return 0
	}
	return float64(time.Minute) / float64(s.Every)
}

// Free says that the domain is not slowed any more.
func (s Slow) Free() bool { return s.Every == 0 }

// Fall is what a call makes of the domain. Calls that come while it pauses are
// echoes of messages that left together: they lengthen the pause at most.
func (s Slow) Fall(c Call) Slow {
	pause := min(max(c.After, 0), maxThrottle)
	if pause == 0 {
		pause = slowPause
	}
	until := c.At.Add(pause)
	if !s.Free() && c.At.Before(s.Until) {
		if until.After(s.Until) && c.After > 0 {
			s.Until, s.Changed = until, s.next(c.At)
		}
		return s
	}
	if s.Free() {
		s.Before = SlowestPace
		if c.Rate > 0 {
			s.Before = min(interval(c.Rate), SlowestPace)
		}
		s.Every, s.Since = s.Before, c.At
	}
	s.Every = min(2*s.Every, SlowestPace)
	s.Until, s.Changed, s.Good = until, s.next(c.At), 0
	s.Reason, s.Detail = ReasonOf(string(c.Reason), RateLimited), c.Detail
	return s
}

// Climb is what a minute of accepted messages makes of the domain; it says
// whether anything changed. It is free when it has climbed to where it was.
func (s Slow) Climb(now time.Time) (Slow, bool) {
	if s.Free() || now.Before(s.Until) || now.Sub(s.Changed) < climbEvery || s.Good < s.proof() {
		return s, false
	}
	rate := 1/s.Every.Seconds() + max(1/(climbSteps*s.Before.Seconds()), 1/SlowestPace.Seconds())
	s.Every, s.Changed, s.Good = interval(rate), s.next(now), 0
	if s.Every <= s.Before {
		return Slow{Channel: s.Channel, Domain: s.Domain, Changed: s.Changed}, true
	}
	return s, true
}

// proof is how many messages must have been accepted since the last change:
// half of what may leave in a minute, and a few in any case are enough.
func (s Slow) proof() int64 {
	return max(1, min(climbProof, int64(climbEvery/s.Every)/2))
}

// next is a moment after the last change.
func (s Slow) next(now time.Time) time.Time {
	now = now.Truncate(time.Microsecond)
	if !now.After(s.Changed) {
		return s.Changed.Add(time.Microsecond)
	}
	return now
}

// interval is the time between two of so many a second.
func interval(perSecond float64) time.Duration {
	return max(time.Duration(float64(time.Second)/perSecond).Truncate(time.Microsecond), time.Microsecond)
}

// LiveRate is the rate of a channel as somebody set it while it was sending,
// instead of the configured one.
type LiveRate struct {
	Channel string
	N       int64         // 0: as fast as the driver likes
	Per     time.Duration // in which N may leave
	Since   time.Time
}

// PerSecond is the rate as a number a second; 0 for no limit.
func (r LiveRate) PerSecond() float64 {
	if r.N <= 0 || r.Per <= 0 {
		return 0
	}
	return float64(r.N) / r.Per.Seconds()
}
