package worker

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// peak is the largest number of times within any span.
func peak(times []time.Time, span time.Duration) int {
	slices.SortFunc(times, time.Time.Compare)
	most, first := 0, 0
	for i, t := range times {
		for t.Sub(times[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// depart lets n messages through a pacer from several goroutines.
func depart(t *testing.T, n int, pacers ...*pacer) []time.Time {
	t.Helper()
	var mu sync.Mutex
	var times []time.Time
	var all sync.WaitGroup
	for i := range n {
		p := pacers[i%len(pacers)]
		all.Go(func() {
			if err := p.wait(t.Context(), ""); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			times = append(times, time.Now())
			mu.Unlock()
		})
	}
	all.Wait()
	return times
}

func TestPaceOfOneProcess(t *testing.T) {
	for _, rate := range []float64{0.2, 3, 50, 4000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPacer("birds", rate, nil, "x", "me", time.Now)
				n := min(int(rate*20)+5, 2000)
				began := time.Now()
				times := depart(t, n, p)
				for _, span := range []time.Duration{time.Second, 10 * time.Second} {
					if most, allowed := peak(times, span), int(rate*span.Seconds())+1; most > allowed {
						t.Errorf("%d within %s, %d allowed", most, span, allowed)
					}
				}
				took := time.Since(began).Seconds()
				if want := float64(n-1) / rate; took > want*1.1+1 {
					t.Errorf("%d messages took %.1f s, %.1f s would do", n, took, want)
				}
				synctest.Wait()
			})
		})
	}
}

func TestNoPaceNoWait(t *testing.T) {
	t.Parallel()
	p := newPacer("birds", 0, nil, "x", "me", time.Now)
	if err := p.wait(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if n := p.abreast(16); n != 16 {
		t.Errorf("%d abreast", n)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if p.wait(gone, "") == nil {
		t.Error("leaves although it was called back")
	}
}

func TestFewWaitForASlowPace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rate float64
		want int
	}{{0.01, 1}, {0.1, 1}, {0.5, 5}, {1, 10}, {100, 16}} {
		if got := newPacer("b", test.rate, nil, "x", "me", time.Now).abreast(16); got != test.want {
			t.Errorf("rate %v: %d abreast, want %d", test.rate, got, test.want)
		}
	}
}

func TestWhoLeavesTheQueueTakesNoDeparture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer("birds", 1, nil, "x", "me", time.Now)
		depart(t, 1, p)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := p.wait(ctx, ""); err == nil {
			t.Error("left before its time")
		}
		time.Sleep(5 * time.Second)
		began := time.Now()
		depart(t, 1, p)
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("the next one waited %s", took)
		}
		synctest.Wait()
	})
}

func TestPaceAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		offset := time.Duration(0)
		p := newPacer("birds", 10, nil, "x", "me", func() time.Time { return time.Now().Add(offset) })
		depart(t, 3, p)
		offset = -2 * time.Hour
		began := time.Now()
		depart(t, 3, p)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("a clock set back stopped the channel for %s", took)
		}
		synctest.Wait()
	})
}

// sharedRedis is a client of the tests' Redis, or of an embedded one.
func sharedRedis(t *testing.T) redis.UniversalClient {
	t.Helper()
	if address := os.Getenv("RAPPORT_TEST_REDIS"); address != "" {
		c, err := OpenRedis(address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c, own := openEmbedded("secret", time.Now())
	t.Cleanup(func() {
		_ = c.Close()
		own.server.Close()
	})
	return c
}

func space() string { return "test-" + strconv.FormatInt(time.Now().UnixNano(), 36) }

func TestPaceOfTwoProcesses(t *testing.T) {
	t.Parallel()
	c, in := sharedRedis(t), space()
	const rate, messages = 200.0, 200
	one, two := newPacer("birds", rate, c, in, "one", time.Now), newPacer("birds", rate, c, in, "two", time.Now)
	began := time.Now()
	if got := len(depart(t, messages, one, two)); got != messages {
		t.Errorf("%d left", got)
	}
	// A fifth of a second is for the step from the clock of Redis to ours.
	if took := time.Since(began).Seconds(); took < (messages-1)/rate-0.2 {
		t.Errorf("%d messages left within %.2f s at %v a second", messages, took, rate)
	}
	if one.peers != 2 && two.peers != 2 {
		t.Errorf("the processes know of %d and %d", one.peers, two.peers)
	}
	if got := c.TTL(t.Context(), one.tag+"pace").Val(); got <= 0 {
		t.Errorf("the pace stays in Redis for ever: %s", got)
	}
}

func TestPaceWithoutRedisIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
		defer func() { _ = away.Close() }()
		p := newPacer("birds", 10, away, "x", "me", time.Now)
		p.peers = 2 // seen while Redis was there
		p.shared = nil
		times := depart(t, 20, p)
		if most := peak(times, 2*time.Second); most > 11 {
			t.Errorf("%d within two seconds at half of ten a second", most)
		}
		synctest.Wait()
	})
}
