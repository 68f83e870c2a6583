package outbox_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"rapport/outbox"
)

var noonThen = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestADomainThatAsksForLess(t *testing.T) {
	t.Parallel()
	s := outbox.Slow{Channel: "letters", Domain: "example.com"}
	s = s.Fall(outbox.Call{At: noonThen, Rate: 2, Reason: outbox.Greylisted, Detail: "421 4.7.0 slower"})
	if s.PerMinute() != 60 || !s.Until.Equal(noonThen.Add(30*time.Second)) || !s.Since.Equal(noonThen) || s.Reason != outbox.Greylisted {
		t.Fatalf("after the first call: %+v, %v a minute", s, s.PerMinute())
	}
	echo := s.Fall(outbox.Call{At: noonThen.Add(time.Second), Rate: 2})
	if echo != s {
		t.Errorf("what left with it halves again: %+v", echo)
	}
	if longer := s.Fall(outbox.Call{At: noonThen.Add(time.Second), After: time.Minute}); !longer.Until.Equal(noonThen.Add(61*time.Second)) || longer.Every != s.Every {
		t.Errorf("a longer pause: %+v", longer)
	}
	again := s.Fall(outbox.Call{At: noonThen.Add(31 * time.Second), Rate: 900, After: 5 * time.Hour})
	if again.PerMinute() != 30 || !again.Since.Equal(noonThen) || again.Until.Sub(noonThen) != time.Hour+31*time.Second {
		t.Errorf("asked again: %+v, %v a minute", again, again.PerMinute())
	}
}

func TestADomainClimbs(t *testing.T) {
	t.Parallel()
	s := outbox.Slow{}.Fall(outbox.Call{At: noonThen, Rate: 10})
	if _, changed := s.Climb(noonThen.Add(time.Hour)); changed {
		t.Error("climbs although nothing was accepted")
	}
	s.Good = 10
	if _, changed := s.Climb(noonThen.Add(59 * time.Second)); changed {
		t.Error("climbs within a minute")
	}
	now, minutes := noonThen, 0
	for ; !s.Free() && minutes < 100; minutes++ {
		now, s.Good = now.Add(time.Minute), 10
		s, _ = s.Climb(now)
	}
	if minutes != 5 {
		t.Errorf("free after %d minutes, 5 are expected from half of it", minutes)
	}
}

// TestThePaceOfADomainStaysInItsBounds: whatever is called and accepted, the
// pace of a slowed domain lies between one a minute and what it was before,
// falls by half, climbs by a step, and a domain that is accepted is free again.
func TestThePaceOfADomainStaysInItsBounds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		var s outbox.Slow
		now := noonThen
		for range 300 {
			now = now.Add(time.Duration(r.Int64N(int64(2 * time.Minute))))
			before := s
			if r.IntN(3) == 0 {
				s = s.Fall(outbox.Call{At: now, Rate: r.Float64() * 100, After: time.Duration(r.Int64N(int64(10 * time.Minute)))})
				if s.Free() || s.Until.Before(now) || s.Until.Sub(now) > time.Hour {
					t.Fatalf("seed %d: after a call %+v", seed, s)
				}
				if !before.Free() && s.Every < before.Every {
					t.Fatalf("seed %d: faster after a call: %+v then %+v", seed, before, s)
				}
				if !before.Free() && float64(s.Every) > 2.001*float64(before.Every) {
					t.Fatalf("seed %d: more than halved: %+v then %+v", seed, before, s)
				}
			} else {
				s.Good += r.Int64N(20)
				var changed bool
				if s, changed = s.Climb(now); changed && !s.Free() {
					step := 1/s.Every.Seconds() - 1/before.Every.Seconds()
					if most := max(0.1/s.Before.Seconds(), 1.0/60); step <= 0 || step > most*1.01 {
						t.Fatalf("seed %d: climbs by %v a second, at most %v", seed, step, most)
					}
				}
			}
			if !s.Free() && (s.Every > outbox.SlowestPace || s.Every < s.Before || math.IsInf(s.PerMinute(), 0)) {
				t.Fatalf("seed %d: out of bounds: %+v", seed, s)
			}
			if s != before && !s.Changed.After(before.Changed) && s.Good == before.Good {
				t.Fatalf("seed %d: two states of one moment: %+v then %+v", seed, before, s)
			}
		}
		for minutes := 0; !s.Free(); minutes++ {
			if minutes > 200 {
				t.Fatalf("seed %d: never free again: %+v", seed, s)
			}
			now = now.Add(time.Hour)
			s.Good += 10
			s, _ = s.Climb(now)
		}
	}
}

func TestLiveRates(t *testing.T) {
	t.Parallel()
	if got := (outbox.LiveRate{N: 600, Per: time.Minute}).PerSecond(); got != 10 {
		t.Errorf("600/m is %v a second", got)
	}
	if got := (outbox.LiveRate{}).PerSecond(); got != 0 {
		t.Errorf("no limit is %v a second", got)
	}
}
