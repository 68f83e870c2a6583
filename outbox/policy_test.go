package outbox_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"rapport/channels"
	"rapport/outbox"
)

func failed(v channels.Verdict) *channels.Failure {
	return &channels.Failure{Verdict: v, Code: "550", Server: "mx1", Err: errors.New("no")}
}

func try(attempt int, err error) outbox.Attempt {
	return outbox.Attempt{Delivery: outbox.Delivery{ID: 7, Turn: 3, Attempt: attempt}, Channel: "mail", At: noon, Err: err}
}

func TestPolicyTable(t *testing.T) {
	t.Parallel()
	once := outbox.Policy{Tries: 3, Backoff: []time.Duration{time.Minute, time.Hour}}
	twice := once
	twice.Repeat = true
	tests := []struct {
		name   string
		policy outbox.Policy
		in     outbox.Attempt
		state  outbox.State
		reason outbox.Reason
		charge bool
		wait   time.Duration // for Queued
	}{
		{"taken", once, try(0, nil), outbox.Sent, "", true, 0},
		{"temporary, first", once, try(0, failed(channels.Temporary)), outbox.Queued, outbox.WaitRetry, true, time.Minute},
		{"temporary, second", once, try(1, failed(channels.Temporary)), outbox.Queued, outbox.WaitRetry, true, time.Hour},
		{"temporary, last", once, try(2, failed(channels.Temporary)), outbox.Failed, outbox.Connection, true, 0},
		{"unclassified", once, try(0, errors.New("?")), outbox.Queued, outbox.WaitRetry, true, time.Minute},
		{"throttled", once, try(2, failed(channels.Throttled)), outbox.Queued, outbox.WaitRetry, false, 30 * time.Second},
		{"broken", once, try(2, failed(channels.Broken)), outbox.Queued, outbox.WaitHeld, false, 0},
		{"rejected", once, try(0, failed(channels.Rejected)), outbox.Failed, outbox.UnknownUser, true, 0},
		{"malformed", once, try(0, failed(channels.Malformed)), outbox.Failed, outbox.Refused, true, 0},
		{"uncertain, at most once", once, try(0, failed(channels.Uncertain)), outbox.Uncertain, outbox.NoAnswer, true, 0},
		{"uncertain, at least once", twice, try(0, failed(channels.Uncertain)), outbox.Queued, outbox.WaitRetry, true, time.Minute},
		{"uncertain, at least once, last", twice, try(2, failed(channels.Uncertain)), outbox.Uncertain, outbox.NoAnswer, true, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := test.policy.Next(test.in)
			if s.State != test.state || s.Reason != test.reason || s.Charge != test.charge {
				t.Errorf("got %s %q charge %v", s.State, s.Reason, s.Charge)
			}
			if s.Delivery != 7 || s.Turn != 3 || !s.At.Equal(noon) {
				t.Errorf("of delivery %d turn %d at %s", s.Delivery, s.Turn, s.At)
			}
			if s.State == outbox.Queued && !s.NotBefore.Equal(noon.Add(test.wait)) {
				t.Errorf("waits until %s, want %s later", s.NotBefore, test.wait)
			}
			if s.State != outbox.Queued && !s.NotBefore.IsZero() {
				t.Errorf("ended, and waits until %s", s.NotBefore)
			}
		})
	}
}

func TestWhatAVerdictMeansForAddressAndChannel(t *testing.T) {
	t.Parallel()
	var p outbox.Policy
	for _, v := range channels.Verdicts() {
		f := failed(v)
		f.Strike = true
		s := p.Next(try(0, f))
		if s.Suppress != (v == channels.Rejected) {
			t.Errorf("%s suppresses: %v", v, s.Suppress)
		}
		if s.Strike != (v == channels.Malformed) {
			t.Errorf("%s strikes: %v", v, s.Strike)
		}
		holds := v == channels.Broken || v == channels.Throttled
		if (s.Hold != nil) != holds {
			t.Errorf("%s holds: %v", v, s.Hold)
		}
		if s.Hold != nil && (s.Hold.Channel != "mail" || s.Hold.Until.IsZero() != (v == channels.Broken)) {
			t.Errorf("%s: hold %+v", v, *s.Hold)
		}
		if s.Verdict != v.String() || s.Code != "550" || s.Server != "mx1" || s.Detail == "" {
			t.Errorf("%s: evidence %+v", v, s)
		}
	}
}

func TestProviderSaysWhen(t *testing.T) {
	t.Parallel()
	p := outbox.Policy{Tries: 5, Backoff: []time.Duration{time.Minute}}
	for _, test := range []struct {
		verdict     channels.Verdict
		after, want time.Duration
	}{
		{channels.Temporary, time.Hour, time.Hour},
		{channels.Temporary, time.Second, time.Minute},
		{channels.Throttled, 5 * time.Second, 5 * time.Second},
		{channels.Throttled, 30 * time.Hour, time.Hour},
	} {
		f := failed(test.verdict)
		f.After = test.after
		if s := p.Next(try(0, f)); !s.NotBefore.Equal(noon.Add(test.want)) {
			t.Errorf("%s after %s: waits %s, want %s", test.verdict, test.after, s.NotBefore.Sub(noon), test.want)
		}
	}
}

func TestNoRetryAfterTheEnd(t *testing.T) {
	t.Parallel()
	p := outbox.PolicyFor(channels.Transactional, false, nil)
	a := try(0, failed(channels.Temporary))
	a.Delivery.ExpiresAt = noon.Add(time.Minute) // the first retry would come just then
	if s := p.Next(a); s.State != outbox.Failed || s.Reason != outbox.Timeout {
		t.Errorf("got %s %s", s.State, s.Reason)
	}
	a.Err = failed(channels.Uncertain)
	if s := p.Next(a); s.State != outbox.Uncertain {
		t.Errorf("a doubt that comes too late for a repeat became %s", s.State)
	}
	a.Delivery.ExpiresAt = noon.Add(time.Hour)
	if s := p.Next(a); s.State != outbox.Queued {
		t.Errorf("there was time and it became %s", s.State)
	}
}

func TestClassesTryAsLongAsPromised(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		class    channels.Class
		min, max time.Duration
		repeat   bool
	}{
		{channels.Marketing, 24 * time.Hour, 48 * time.Hour, false},
		{channels.Transactional, 4 * 24 * time.Hour, 5 * 24 * time.Hour, true},
	} {
		p := outbox.PolicyFor(test.class, false, func() float64 { return 0.5 })
		if p.Repeat != test.repeat {
			t.Errorf("%s repeats after a doubt: %v", test.class, p.Repeat)
		}
		var total time.Duration
		n := 0
		for ; n < 100; n++ {
			s := p.Next(try(n, failed(channels.Temporary)))
			if s.State != outbox.Queued {
				break
			}
			total += s.NotBefore.Sub(noon)
		}
		if total < test.min || total > test.max {
			t.Errorf("%s gives up after %s (%d tries), promised %s to %s", test.class, total, n+1, test.min, test.max)
		}
	}
	if !outbox.PolicyFor(channels.Marketing, true, nil).Repeat {
		t.Error("a channel that drops repeats is not repeated on")
	}
}

func TestPolicyMovesOnlyLegally(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := outbox.Policy{
			Repeat: rapid.Bool().Draw(t, "repeat"), Tries: rapid.IntRange(0, 9).Draw(t, "tries"),
			Backoff: []time.Duration{time.Minute, time.Hour}[:rapid.IntRange(0, 2).Draw(t, "steps")],
			Jitter:  func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") },
		}
		f := failed(rapid.SampledFrom(channels.Verdicts()).Draw(t, "verdict"))
		f.Reason = rapid.SampledFrom([]string{"", "timeout", "nonsense"}).Draw(t, "reason")
		f.After = time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "after"))
		a := try(rapid.IntRange(0, 12).Draw(t, "attempt"), f)
		if rapid.Bool().Draw(t, "expires") {
			a.Delivery.ExpiresAt = noon.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "in")))
		}
		s := p.Next(a)
		if !outbox.Legal(outbox.Sending, s.State) {
			t.Fatalf("sending → %s", s.State)
		}
		if s.Reason == "" || string(s.Reason) == "nonsense" {
			t.Fatalf("reason %q", s.Reason)
		}
		if s.State == outbox.Queued && s.NotBefore.Before(noon) {
			t.Fatalf("tries again in the past: %s", s.NotBefore)
		}
		if f.Verdict == channels.Uncertain && !p.Repeat && s.State != outbox.Uncertain {
			t.Fatalf("a doubt became %s", s.State)
		}
	})
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		repeat   bool
		from     outbox.State
		attempts int
		state    outbox.State
		reason   outbox.Reason
	}{
		{false, outbox.Claimed, 0, outbox.Queued, ""},
		{true, outbox.Claimed, 2, outbox.Queued, ""},
		{false, outbox.Sending, 0, outbox.Uncertain, outbox.ProcessDied},
		{true, outbox.Sending, 0, outbox.Queued, outbox.WaitRetry},
		{true, outbox.Sending, 1, outbox.Queued, outbox.WaitRetry},
		{true, outbox.Sending, 2, outbox.Uncertain, outbox.Crashed},
	} {
		state, reason := outbox.Policy{Repeat: test.repeat, Tries: 3}.Orphan(test.from, test.attempts)
		if state != test.state || reason != test.reason || !outbox.Legal(test.from, state) {
			t.Errorf("%s, repeat %v: %s %q", test.from, test.repeat, state, reason)
		}
	}
}

func TestDetailIsKeptShortAndWhole(t *testing.T) {
	t.Parallel()
	var p outbox.Policy
	for n := 290; n < 310; n++ {
		s := p.Next(try(0, errors.New(strings.Repeat("x", n)+strings.Repeat("ü", 50))))
		if len(s.Detail) > 310 || !utf8.ValidString(s.Detail) {
			t.Errorf("%d octets, valid %v", len(s.Detail), utf8.ValidString(s.Detail))
		}
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	make := func(state outbox.RunState) outbox.Account {
		return outbox.Account{
			State: state, Planned: 10, StartedAt: noon.Add(-10 * time.Second),
			States:  map[outbox.State]int64{outbox.Queued: 4, outbox.Sending: 1, outbox.Sent: 5},
			Reasons: map[outbox.State]map[outbox.Reason]int64{}, Waiting: map[outbox.Reason]int64{outbox.WaitRetry: 2},
		}
	}
	a := make(outbox.Running)
	a.Explain(false)
	a.Pace(noon)
	if !a.Balanced() || a.Open() != 5 || a.Waiting[outbox.WaitRetry] != 2 || a.Rate != 0.5 || a.Left == nil || *a.Left != 10 {
		t.Errorf("running: %+v", a)
	}
	a = make(outbox.Cancelling)
	a.Explain(false)
	if !a.Balanced() || a.States[outbox.Cancelled] != 4 || a.Reasons[outbox.Cancelled][outbox.ByPerson] != 4 || a.Open() != 1 || len(a.Waiting) != 0 {
		t.Errorf("cancelling: %+v", a)
	}
	a = make(outbox.Paused)
	a.Explain(true)
	a.Pace(noon)
	if a.Waiting[outbox.WaitPaused] != 4 || len(a.Waiting) != 1 || a.Left != nil {
		t.Errorf("paused: %+v", a)
	}
	a = make(outbox.Running)
	a.Explain(true)
	if a.Waiting[outbox.WaitHeld] != 4 || len(a.Waiting) != 1 {
		t.Errorf("held: %+v", a)
	}
	a.States[outbox.Sent]++
	if a.Balanced() {
		t.Error("an account that is off by one adds up")
	}
}

func TestDoubling(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		first, longest time.Duration
		want           []time.Duration
	}{
		{time.Minute, 5 * time.Minute, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute}},
		{2 * time.Second, 2 * time.Second, []time.Duration{2 * time.Second}},
		{time.Hour, time.Minute, []time.Duration{time.Hour}},
		{0, 90 * time.Second, []time.Duration{time.Minute, 90 * time.Second}},
	} {
		if got := outbox.Doubling(test.first, test.longest); !slices.Equal(got, test.want) {
			t.Errorf("from %s to %s: %v, want %v", test.first, test.longest, got, test.want)
		}
	}
}

// TestAccountIsWrittenInTheOrderOfTheWalk: people read the JSON, too.
func TestAccountIsWrittenInTheOrderOfTheWalk(t *testing.T) {
	a := outbox.Account{Planned: 45, States: outbox.Counts{}}
	for i, s := range outbox.States() {
		a.States[s] = int64(i + 1)
	}
	text, err := json.Marshal(a)
	want := `"states":{"queued":1,"claimed":2,"sending":3,"sent":4,"failed":5,"uncertain":6,"suppressed":7,"cancelled":8,"expired":9}`
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	var back outbox.Account
	if err := json.Unmarshal(text, &back); err != nil || !back.Balanced() || !maps.Equal(back.States, a.States) {
		t.Errorf("read back: %+v, %v", back, err)
	}
	for some, want := range map[string]outbox.Counts{"{}": nil, `{"sending":0,"sent":1}`: {outbox.Sent: 1, outbox.Sending: 0}} {
		if text, err := json.Marshal(want); err != nil || string(text) != some {
			t.Errorf("%s, %v, want %s", text, err, some)
		}
	}
}
