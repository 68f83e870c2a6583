package outbox_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/channels"
	"rapport/outbox"
)

// because is a temporary failure with a reason and a time the server named.
func because(reason outbox.Reason, after time.Duration) *channels.Failure {
	return &channels.Failure{Verdict: channels.Temporary, Reason: string(reason), After: after}
}

// waits are the pauses of a delivery that fails for the same reason again and
// again, until it is given up.
func waits(p outbox.Policy, f *channels.Failure) (list []time.Duration) {
	for n := range 100 {
		s := p.Next(try(n, f))
		if s.State != outbox.Queued {
			break
		}
		list = append(list, s.NotBefore.Sub(noon))
	}
	return list
}

// TestCausesHealInTheirOwnTime: each cause has its rhythm, with the built-in
// retries of the configuration.
func TestCausesHealInTheirOwnTime(t *testing.T) {
	t.Parallel()
	const minute, hour = time.Minute, time.Hour
	p := outbox.PolicyFor(channels.Marketing, false, nil).Configured(minute, 4*hour, 30)
	for _, test := range []struct {
		reason outbox.Reason
		after  time.Duration
		want   []time.Duration
	}{
		{outbox.Connection, 0, []time.Duration{minute, 2 * minute, 4 * minute, 8 * minute}},
		{outbox.ServerTrouble, 0, []time.Duration{minute, 2 * minute}},
		{outbox.ServerTrouble, hour, []time.Duration{hour, hour}},
		{outbox.Greylisted, 0, []time.Duration{5 * minute, 10 * minute, 20 * minute}},
		{outbox.Greylisted, 5 * minute, []time.Duration{5 * minute, 5 * minute}},
		{outbox.Greylisted, minute, []time.Duration{minute}},                // what the server says
		{outbox.Greylisted, time.Second, []time.Duration{30 * time.Second}}, // but not at once
		{outbox.Greylisted, 12 * hour, []time.Duration{12 * hour}},
		{outbox.RateLimited, 0, []time.Duration{10 * minute, 20 * minute}},
		{outbox.RateLimited, minute, []time.Duration{10 * minute}},
		{outbox.PolicyRefused, 0, []time.Duration{15 * minute, 30 * minute}},
		{outbox.MailboxFull, 0, []time.Duration{hour, 2 * hour, 4 * hour}},
	} {
		got := waits(p, because(test.reason, test.after))
		if len(got) < len(test.want) {
			t.Errorf("%s is given up after %d waits", test.reason, len(got))
			continue
		}
		for i, want := range test.want {
			if got[i] != want {
				t.Errorf("%s after %s: wait %d is %s, want %s", test.reason, test.after, i+1, got[i], want)
			}
		}
	}
}

// TestFullMailboxIsSoft: a few tries, then the delivery fails; the address
// keeps its name.
func TestFullMailboxIsSoft(t *testing.T) {
	t.Parallel()
	for class, tries := range map[channels.Class]int{channels.Marketing: 4, channels.Transactional: 6} {
		p := outbox.PolicyFor(class, false, nil).Configured(time.Minute, 4*time.Hour, 30)
		f := because(outbox.MailboxFull, 0)
		if n := len(waits(p, f)) + 1; n != tries {
			t.Errorf("%s: %d tries, want %d", class, n, tries)
		}
		s := p.Next(try(tries-1, f))
		if s.State != outbox.Failed || s.Reason != outbox.MailboxFull || s.Suppress || s.Strike || s.Hold != nil {
			t.Errorf("%s: ends as %+v", class, s)
		}
		// The configuration has the last word downwards.
		if n := len(waits(p.Configured(time.Minute, time.Hour, 2), f)) + 1; n != 2 {
			t.Errorf("%s: %d tries where two are allowed", class, n)
		}
	}
}

// TestClassesKeepTheirLimit: whatever is configured, marketing gives up after
// two days and a transactional message after five.
func TestClassesKeepTheirLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(int64(time.Second), int64(24*time.Hour)).Draw(t, "first"))
		longest := first + time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(t, "longer"))
		tries := rapid.IntRange(1, 60).Draw(t, "tries")
		reason := rapid.SampledFrom([]outbox.Reason{outbox.Connection, outbox.Greylisted, outbox.MailboxFull, outbox.Refused}).Draw(t, "reason")
		for class, limit := range map[channels.Class]time.Duration{channels.Marketing: 48 * time.Hour, channels.Transactional: 120 * time.Hour} {
			p := outbox.PolicyFor(class, false, nil).Configured(first, longest, tries)
			list := waits(p, because(reason, 0))
			var total time.Duration
			for _, w := range list {
				if w > max(longest, first) {
					t.Fatalf("%s waits %s, longer than the longest %s", reason, w, longest)
				}
				total += w
			}
			if len(list) >= tries || reason == outbox.Connection && total > limit {
				t.Fatalf("%s: %d waits, %s in all", class, len(list), total)
			}
		}
	})
}

// TestRhythmsShrink: a demo that retries after two seconds does not wait five
// minutes for a greylist.
func TestRhythmsShrink(t *testing.T) {
	t.Parallel()
	p := outbox.PolicyFor(channels.Marketing, false, nil).Configured(2*time.Second, time.Minute, 30)
	if got := waits(p, because(outbox.Greylisted, 0))[0]; got != 10*time.Second {
		t.Errorf("waits %s", got)
	}
	if got := waits(p, because(outbox.MailboxFull, 0))[0]; got != time.Minute {
		t.Errorf("a full mailbox waits %s, longer than the longest", got)
	}
}

// TestNeverTooEarly: the spreading never makes a retry come before a server or
// a cause wants it.
func TestNeverTooEarly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := outbox.PolicyFor(channels.Transactional, false, func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") })
		after := time.Duration(rapid.Int64Range(int64(time.Minute), int64(24*time.Hour)).Draw(t, "after"))
		reason := rapid.SampledFrom([]outbox.Reason{outbox.Greylisted, outbox.Connection, outbox.MailboxFull}).Draw(t, "reason")
		n := rapid.IntRange(0, 3).Draw(t, "tries")
		if got := p.Next(try(n, because(reason, after))).NotBefore.Sub(noon); got < after || got > 2*max(after, 24*time.Hour) {
			t.Fatalf("%s asked for %s, comes after %s", reason, after, got)
		}
		if got := p.Next(try(n, because(outbox.Greylisted, 0))).NotBefore.Sub(noon); got < 5*time.Minute {
			t.Fatalf("a greylist is asked again after %s", got)
		}
		f := failed(channels.Throttled)
		f.After = min(after, time.Hour)
		s := p.Next(try(n, f))
		if s.NotBefore.Before(s.Hold.Until) || s.NotBefore.Sub(noon) > f.After+f.After/5 {
			t.Fatalf("throttled for %s, comes after %s", f.After, s.NotBefore.Sub(noon))
		}
	})
}

// TestEndlessThrottle: however often a channel is told to slow down, no try is
// charged and the delivery does not fail for it; its expiry ends it.
func TestEndlessThrottle(t *testing.T) {
	t.Parallel()
	p := outbox.PolicyFor(channels.Marketing, false, nil)
	a := try(0, failed(channels.Throttled))
	a.Delivery.ExpiresAt = noon.Add(24 * time.Hour)
	for range 10_000 {
		s := p.Next(a)
		if s.State != outbox.Queued || s.Charge || !s.NotBefore.After(a.At) {
			t.Fatalf("at %s: %+v", a.At, s)
		}
		a.At = s.NotBefore
	}
}
