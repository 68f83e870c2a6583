package lifecycle_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rapport/internal/lifecycle"
)

// diary notes what happens in which order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) part(name string, startErr, stopErr error) lifecycle.Part {
	return lifecycle.Part{
		Name:  name,
		Start: func(context.Context) error { d.note("+" + name); return startErr },
		Stop:  func(context.Context) error { d.note("-" + name); return stopErr },
	}
}

func TestOrder(t *testing.T) {
	boom, bang := errors.New("boom"), errors.New("bang")
	for _, c := range []struct {
		name       string
		start      [3]error
		stop       [3]error
		want, werr string
	}{
		{"all well", [3]error{}, [3]error{}, "+a +b +c -c -b -a", ""},
		{"second does not start", [3]error{1: boom}, [3]error{}, "+a +b -a", "start b: boom"},
		{"first does not start", [3]error{boom}, [3]error{}, "+a", "start a: boom"},
		{"stops fail", [3]error{}, [3]error{boom, nil, bang}, "+a +b +c -c -b -a", "stop c: bang\nstop a: boom"},
		{"start and stop fail", [3]error{2: boom}, [3]error{bang}, "+a +b +c -b -a", "start c: boom\nstop a: bang"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &diary{}
			ctx, cancel := context.WithCancel(t.Context())
			err := lifecycle.Run(ctx, func(context.Context, lifecycle.Fail) []lifecycle.Part {
				last := d.part("c", c.start[2], c.stop[2])
				start := last.Start
				last.Start = func(ctx context.Context) error { defer cancel(); return start(ctx) }
				return []lifecycle.Part{d.part("a", c.start[0], c.stop[0]), d.part("b", c.start[1], c.stop[1]), last}
			})
			cancel()
			if got := strings.Join(d.lines, " "); got != c.want {
				t.Errorf("order: %s, want %s", got, c.want)
			}
			if got := text(err); got != c.werr {
				t.Errorf("error: %q, want %q", got, c.werr)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestFailureIsTheCause(t *testing.T) {
	boom := errors.New("boom")
	var cause error
	d := &diary{}
	err := lifecycle.Run(t.Context(), func(ctx context.Context, fail lifecycle.Fail) []lifecycle.Part {
		watcher := d.part("watcher", nil, nil)
		watcher.Start = func(context.Context) error {
			go fail(boom)
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		}
		return []lifecycle.Part{d.part("a", nil, nil), watcher, d.part("never", nil, nil)}
	})
	if !errors.Is(err, boom) || !errors.Is(cause, boom) {
		t.Errorf("error %v, cause %v", err, cause)
	}
	if got := strings.Join(d.lines, " "); got != "+a -watcher -a" {
		t.Error(got)
	}
}

func TestAStopThatWasAskedForIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var cause error
	err := lifecycle.Run(ctx, func(ctx context.Context, _ lifecycle.Fail) []lifecycle.Part {
		return []lifecycle.Part{{
			Name:  "a",
			Start: func(context.Context) error { cancel(); return nil },
			Stop: func(grace context.Context) error {
				cause = context.Cause(ctx)
				return grace.Err() // the grace is not over although the caller's context is
			},
		}}
	})
	if err != nil || !errors.Is(cause, lifecycle.ErrStopping) {
		t.Errorf("error %v, cause %v", err, cause)
	}
}

func TestGraceBoundsEachPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		release := make(chan struct{})
		d := &diary{}
		stuck := lifecycle.Part{Name: "stuck", Grace: 3 * time.Second, Stop: func(context.Context) error { <-release; return nil }}
		var began time.Time
		err := lifecycle.Run(t.Context(), func(_ context.Context, fail lifecycle.Fail) []lifecycle.Part {
			began = time.Now()
			return []lifecycle.Part{d.part("a", nil, nil), stuck, {Name: "end", Start: func(context.Context) error { fail(ctx.Err()); return nil }}}
		})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stop stuck") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
		if got := strings.Join(d.lines, " "); got != "+a -a" {
			t.Error(got)
		}
		close(release)
		synctest.Wait()
	})
}

// TestStress starts and fails parts at random and holds the one promise:
// exactly what started is stopped, in reverse.
func TestStress(t *testing.T) {
	const rounds = 300
	for seed := range uint64(rounds) {
		random := rand.New(rand.NewPCG(seed, 1))
		n := 1 + random.IntN(12)
		broken, failing := random.IntN(2*n), random.IntN(2*n)
		d := &diary{}
		ctx, cancel := context.WithCancel(t.Context())
		err := lifecycle.Run(ctx, func(_ context.Context, fail lifecycle.Fail) []lifecycle.Part {
			var parts []lifecycle.Part
			for i := range n {
				p := d.part(strconv.Itoa(i), nil, nil)
				switch i {
				case broken:
					p = d.part(strconv.Itoa(i), errors.New("broken"), nil)
				case failing:
					start := p.Start
					p.Start = func(ctx context.Context) error {
						for range 3 {
							go fail(errors.New("failed"))
						}
						return start(ctx)
					}
				}
				parts = append(parts, p)
			}
			go cancel()
			return parts
		})
		cancel()
		check(t, seed, d.lines, err)
	}
}

func check(t *testing.T, seed uint64, lines []string, err error) {
	t.Helper()
	var started, stopped []string
	for _, l := range lines {
		if l[0] == '+' {
			started = append(started, l[1:])
		} else {
			stopped = append(stopped, l[1:])
		}
	}
	if err != nil && strings.Contains(err.Error(), "broken") {
		started = started[:len(started)-1]
	}
	slices.Reverse(stopped)
	if !slices.Equal(started, stopped) {
		t.Errorf("seed %d: started %v, stopped in reverse %v, error %v", seed, started, stopped, err)
	}
}
