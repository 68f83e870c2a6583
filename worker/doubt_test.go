package worker

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"rapport/channels"
	"rapport/outbox"
)

// TestUnjudgedErrorIsADoubt: a channel that fails in its own way after the
// departure has proven nothing. What may have arrived is not sent again.
func TestUnjudgedErrorIsADoubt(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 20, 20)
	l.behave(func(msg channels.Message) error {
		l.note(func() { l.taken[msg.Key]++ }) // it arrived, and the channel does not know
		return fmt.Errorf("strange: %w", errors.New("unexpected answer"))
	})
	r := newRig(t, m, birds(l), func(o *Options) {
		o.Policy = func(channels.Class, string) outbox.Policy {
			return outbox.Policy{Tries: 3, Backoff: []time.Duration{time.Millisecond}}
		}
	})
	r.start()
	a := r.done()
	if a.States[outbox.Uncertain] != 20 {
		t.Errorf("account %+v", a)
	}
	for key, n := range l.taken {
		if n != 1 {
			t.Errorf("%s arrived %d times", key, n)
		}
	}
}

// TestDoubt is what a worker makes of an error, by whether permission was given.
func TestDoubt(t *testing.T) {
	t.Parallel()
	said := func(v channels.Verdict) error {
		return fmt.Errorf("wrapped: %w", &channels.Failure{Verdict: v, Reason: "x"})
	}
	for _, c := range []struct {
		departed bool
		err      error
		want     channels.Verdict
	}{
		{false, errors.New("?"), channels.Temporary},
		{true, errors.New("?"), channels.Uncertain},
		{true, errHome, channels.Uncertain},
		{false, said(channels.Uncertain), channels.Temporary},
		{true, said(channels.Uncertain), channels.Uncertain},
		{true, said(channels.Temporary), channels.Temporary},
		{true, said(channels.Malformed), channels.Malformed},
		{false, said(channels.Broken), channels.Broken},
	} {
		a := &attempt{departed: c.departed}
		if got := channels.Judge(a.doubt(c.err)).Verdict; got != c.want {
			t.Errorf("departed %v, %v: %s, want %s", c.departed, c.err, got, c.want)
		}
	}
	if (&attempt{departed: true}).doubt(nil) != nil {
		t.Error("no error is a doubt")
	}
}
