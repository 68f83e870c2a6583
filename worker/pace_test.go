package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"rapport/channels"
	"rapport/internal/testkit"
	"rapport/outbox"
	"rapport/store"
)

// flock says that every tenth loft stands in a village that is slow.
func flock(address string) string {
	if strings.HasSuffix(address, "0") {
		return "slow.example"
	}
	return "other.example"
}

// paced makes a rig's worker share pace through its store.
func paced(o store.Options, s *store.Store) func(*Options) {
	return func(w *Options) {
		w.Data, w.Paces = o.Data, s
		realRedis(w)
	}
}

func TestADomainThatAsksForLessHoldsOnlyItself(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		t.Parallel()
		db := seed(t, o, 600, 100)
		do(t, db, `UPDATE batches SET pace = 'slow.example' WHERE id = 6`) // and mixed all the same
		s, l := testkit.Open(t, o), newLoft()
		var asked atomic.Int64
		l.behave(func(m channels.Message) error {
			if flock(m.To) != "slow.example" {
				return nil
			}
			if n := asked.Add(1); n == 30 || n == 31 { // by then there is something to halve
				return &channels.Failure{
					Verdict: channels.Throttled, Scope: channels.OneDomain, After: 500 * time.Millisecond,
					Code: "421 4.7.0", Err: errors.New("slower, not so many for " + m.To),
				}
			}
			return nil
		})
		lanes := birds(l)
		lane := lanes["birds"]
		lane.Domain = flock
		lanes["birds"] = lane
		r := newRig(t, s, lanes, paced(o, s))
		r.start()
		l.until(t, "a domain that asks", func() bool { return asked.Load() > 0 })
		a := r.done()
		honest(t, db, a)
		if a.States[outbox.Sent] != 600 || l.count() != 600 || len(l.twice()) > 0 {
			t.Errorf("account %v, %d arrived, twice %v", a.States, l.count(), l.twice())
		}
		select {
		case h := <-r.held:
			t.Errorf("the whole channel was held: %+v", h)
		default:
		}
		list, err := s.Slows(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("slowed domains: %v, %v", list, err)
		}
		slow := list[0]
		if slow.Channel != "birds" || slow.Domain != "slow.example" || slow.Every <= 0 || !strings.Contains(slow.Detail, "421 4.7.0") {
			t.Errorf("slowed: %+v", slow)
		}
		if strings.Contains(slow.Detail, "loft-") {
			t.Errorf("it names a person: %q", slow.Detail)
		}
		r.stop() // and it survives
		r.start()
		if err := r.w.share(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.w.lanes["birds"].throttle.every("slow.example"); got != slow.Every {
			t.Errorf("after a restart one each %s, before each %s", got, slow.Every)
		}
		if got := testutil.ToFloat64(r.w.meter.slow.WithLabelValues("birds", "slow.example")); got != slow.PerMinute() {
			t.Errorf("the metric says %v a minute, the database %v", got, slow.PerMinute())
		}
	})
}

func TestWarmupOverProcessesAndDays(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		t.Parallel()
		db := seed(t, o, 120, 40)
		s, l := testkit.Open(t, o), newLoft()
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		lanes := birds(l)
		lane := lanes["birds"]
		lane.Warmup = &outbox.Warmup{Start: time.Now().UTC(), Days: []int64{30, 50}}
		lanes["birds"] = lane
		r := newRig(t, s, lanes, func(w *Options) {
			paced(o, s)(w)
			w.Now, w.Jitter = now, func() float64 { return 0 }
		})
		r.start()
		l.until(t, "the first day's", func() bool { return l.count() >= 30 })
		for r.w.lanes["birds"].warm.waits().IsZero() {
			time.Sleep(time.Millisecond) // until it notices
		}
		r.stop()
		r.start()
		if got, _, err := s.Warm(t.Context(), "birds", now().UTC().Format(time.DateOnly), 30, 1); err != nil || got != 0 {
			t.Errorf("the day has room for %d more, %v", got, err)
		}
		for range 3 {
			r.w.Poke()
			for r.w.lanes["birds"].warm.waits().IsZero() {
				time.Sleep(time.Millisecond)
			}
		}
		if l.count() != 30 {
			t.Errorf("%d left on the first day, 30 are planned", l.count())
		}
		if n := number(t, db, `SELECT COUNT(*) FROM deliveries WHERE state = 'queued' AND reason = 'warmup'`); n == 0 {
			t.Error("nobody waits for the warm-up")
		}
		ahead.Store(int64(24 * time.Hour))
		r.w.Poke()
		l.until(t, "the second day's", func() bool { return l.count() >= 80 })
		if l.count() != 80 {
			t.Errorf("%d left in two days, 80 are planned", l.count())
		}
		ahead.Store(int64(48 * time.Hour))
		r.w.Poke()
		honest(t, db, r.done())
		if l.count() != 120 || len(l.twice()) > 0 {
			t.Errorf("%d arrived, twice %v", l.count(), l.twice())
		}
	})
}

func TestRateThatIsChangedWhileSending(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		t.Parallel()
		db := seed(t, o, 400, 100)
		s, l := testkit.Open(t, o), newLoft()
		if err := s.SetRate(t.Context(), outbox.LiveRate{Channel: "birds", N: 20, Per: time.Second, Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, s, birds(l), paced(o, s))
		w, err := New(t.Context(), r.o)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.share(t.Context()); err != nil { // a process knows within a second; here before it begins
			t.Fatal(err)
		}
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Stop(context.WithoutCancel(t.Context())) })
		l.until(t, "forty", func() bool { return l.count() >= 40 })
		var early []time.Time
		l.note(func() { early = append(early, l.times[:40]...) })
		if most := peak(early, time.Second); most > 20+1+defaultConcurrency {
			t.Errorf("%d within a second at twenty a second", most)
		}
		if was, err := s.ResetRate(t.Context(), "birds"); err != nil || !was {
			t.Errorf("reset: %v, %v", was, err)
		}
		honest(t, db, r.done())
		if was, err := s.ResetRate(t.Context(), "birds"); err != nil || was {
			t.Errorf("reset again: %v, %v", was, err)
		}
	})
}

func TestAChannelThatRestedBeginsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer("birds", 10, nil, "x", "me", time.Now)
		if n := p.abreast(8); n != 8 {
			t.Errorf("%d abreast", n)
		}
		p.rise()
		if n := p.abreast(8); n != 1 {
			t.Errorf("%d abreast at the begin of a ramp", n)
		}
		began := time.Now()
		times := depart(t, 400, p)
		within := func(d time.Duration) (n int) {
			for _, at := range times {
				if at.Sub(began) < d {
					n++
				}
			}
			return n
		}
		if n := within(6 * time.Second); n < 4 || n > 15 {
			t.Errorf("%d in the first six seconds, of 60 at full pace", n)
		}
		if n := within(time.Minute); n < 250 || n > 400 {
			t.Errorf("%d in the first minute, of 600 at full pace", n)
		}
		if most := peak(times, time.Second); most > 11 {
			t.Errorf("%d within a second", most)
		}
		synctest.Wait()
	})
}

// TestALimitOfItsOwnIsTakenWithTheChannels: neither is overstepped in any
// window, by two processes on one Redis, and the own limit does not hold the
// channel.
func TestALimitOfItsOwnIsTakenWithTheChannels(t *testing.T) {
	t.Parallel()
	c, in := sharedRedis(t), space()
	const rate, own = 200.0, 20.0
	pacers := []*pacer{newPacer("birds", rate, c, in, "one", time.Now), newPacer("birds", rate, c, in, "two", time.Now)}
	var mu sync.Mutex
	var all, slow []time.Time
	send := func(n int, key string) {
		var sends sync.WaitGroup
		for i := range n {
			sends.Go(func() {
				if err := pacers[i%2].wait(t.Context(), key); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, time.Now())
				if key != "" {
					slow = append(slow, time.Now())
				}
			})
		}
		sends.Wait()
	}
	for _, p := range pacers {
		p.own = func(string) time.Duration { return between(own) }
	}
	began := time.Now()
	var both sync.WaitGroup
	both.Go(func() { send(40, "slow.example") })
	both.Go(func() { send(300, "") })
	both.Wait()
	took := time.Since(began).Seconds()
	// A fifth of a second is for the step from the clock of Redis to ours.
	if most := peak(slow, time.Second); most > int(own*1.2)+1+2 {
		t.Errorf("%d to the slow domain within a second, %v allowed", most, own)
	}
	if took < (340-1)/rate-0.2 || took < (40-1)/own-0.2 {
		t.Errorf("340 messages left within %.2f s", took)
	}
	// A process that comes back goes on behind what was given out.
	again := newPacer("birds", 0.5, c, in, "three", time.Now)
	for range 2 {
		if n, first := again.take(t.Context(), again.lines[""], asked{want: 5, every: 2 * time.Second}); n > 1 || first < 0 {
			t.Errorf("%d departures, the first in %s", n, first)
		}
	}
	if n, first := again.take(t.Context(), again.lines[""], asked{want: 1, every: 2 * time.Second}); n != 0 || first < time.Second {
		t.Errorf("%d departures, the first in %s: a rate of one in two seconds was overstepped", n, first)
	}
}

func TestALimitOfItsOwnInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer("birds", 50, nil, "x", "me", time.Now)
		p.own = func(key string) time.Duration {
			if key == "slow.example" {
				return 500 * time.Millisecond
			}
			return 0
		}
		var mu sync.Mutex
		times := map[string][]time.Time{}
		var sends sync.WaitGroup
		for i := range 520 {
			key := "fast.example"
			if i < 20 {
				key = "slow.example"
			}
			sends.Go(func() {
				for errors.Is(p.wait(t.Context(), key), errLate) {
					time.Sleep(time.Second) // as a row that was put back
				}
				mu.Lock()
				defer mu.Unlock()
				times[key] = append(times[key], time.Now())
				times["all"] = append(times["all"], time.Now())
			})
		}
		sends.Wait()
		for key, most := range map[string]int{"slow.example": 3, "all": 51} {
			if got := peak(times[key], time.Second); got > most {
				t.Errorf("%s: %d within a second, %d allowed", key, got, most)
			}
		}
		fast := times["fast.example"]
		if took := fast[len(fast)-1].Sub(fast[0]); took > 11*time.Second {
			t.Errorf("500 to others took %s, ten seconds would do", took)
		}
		synctest.Wait()
	})
}

func TestRateOfAServerStandsBesideTheChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Worker{lanes: map[string]*lane{"birds": newLane("birds", Lane{}, newPacer("birds", 0, nil, "x", "me", time.Now), nil, func() {})}}
		began := time.Now()
		for range 5 {
			if err := w.Pace(t.Context(), "birds", "one:25", 2); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("five at two a second took %s", took)
		}
		began = time.Now()
		if err := w.Pace(t.Context(), "birds", "two:25", 2); err != nil || time.Since(began) > 0 {
			t.Errorf("another server waited %s: %v", time.Since(began), err)
		}
		if w.Pace(t.Context(), "nobody", "x", 1) == nil {
			t.Error("a channel nobody drives")
		}
		synctest.Wait()
	})
}
