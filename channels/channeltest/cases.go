package channeltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/channels"
)

// settings: what is missing or unknown is named, and no secret is repeated.
func settings(t *testing.T, e *exam) {
	if err := e.Driver.CheckSettings(e.Settings); err != nil {
		t.Fatalf("the harness's own settings are refused: %v", err)
	}
	given := map[string]json.RawMessage{}
	if err := json.Unmarshal(e.Settings, &given); err != nil {
		t.Fatalf("read the harness's settings: %v", err)
	}
	for _, f := range e.Driver.Fields {
		if f.Help == "" {
			t.Errorf("setting %q has no help", f.Name)
		}
		if !f.Required {
			continue
		}
		err := e.Driver.CheckSettings(without(t, given, f.Name))
		if err == nil || !strings.Contains(err.Error(), f.Name) {
			t.Errorf("without %q: error %v does not name it", f.Name, err)
		}
		e.silent(t, err)
	}
	given["no_such_setting"] = json.RawMessage(`1`)
	if err := e.Driver.CheckSettings(without(t, given, "")); err == nil {
		t.Error("an unknown setting is not refused")
	}
}

func without(t *testing.T, given map[string]json.RawMessage, name string) json.RawMessage {
	t.Helper()
	rest := map[string]json.RawMessage{}
	for k, v := range given {
		if k != name {
			rest[k] = v
		}
	}
	raw, err := json.Marshal(rest)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// faithful: what was given is what the provider got, once, with a receipt.
func faithful(t *testing.T, e *exam) {
	ch := e.open(t)
	m := e.message("0198c5a0-faithful", awkward())
	receipt, err := e.send(t.Context(), t, ch, m)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	if receipt.At.IsZero() {
		t.Error("the receipt has no time")
	}
	e.expect(t, m)

	test := e.message("0198c5a0-test", "a test message has nobody to ask")
	test.Depart = nil
	if _, err := e.send(t.Context(), t, ch, test); err != nil {
		t.Fatalf("Send without Depart: %v", err)
	}
	e.expect(t, m, test)
}

// expect compares what the provider got with what was sent, in any order.
func (e *exam) expect(t *testing.T, sent ...channels.Message) {
	t.Helper()
	got := e.Got()
	if len(got) != len(sent) {
		t.Fatalf("the provider got %d messages, want %d", len(got), len(sent))
	}
	for _, m := range sent {
		i := slices.IndexFunc(got, func(r Received) bool { return r.Key == m.Key })
		if i < 0 {
			t.Fatalf("no message with key %q arrived, the first has %q", m.Key, got[0].Key)
		}
		if got[i].To != m.To {
			t.Errorf("%s went to %q, want %q", m.Key, got[i].To, m.To)
		}
		for part, want := range m.Content {
			if have := got[i].Content[part]; !e.same(part, want, have) {
				t.Errorf("%s: part %q arrived as\n%q\nwant\n%q", m.Key, part, have, want)
			}
		}
		if len(got[i].Raw) == 0 {
			t.Errorf("%s: the harness brings no Raw", m.Key)
		}
	}
}

// judged lists which word each mood must be judged with.
func judged() []struct {
	mood Mood
	want channels.Verdict
} {
	return []struct {
		mood Mood
		want channels.Verdict
	}{
		{Throttle, channels.Throttled},
		{Refuse, channels.Rejected},
		{Spoil, channels.Malformed},
		{Break, channels.Broken},
		{Unavailable, channels.Temporary},
		{LoseReply, channels.Uncertain},
	}
}

// verdicts: six moods, six words; and whatever is not uncertain did not arrive.
func verdicts(t *testing.T, e *exam) {
	ch := e.open(t)
	for i, c := range judged() {
		if why, ok := e.Cannot[c.mood]; ok {
			t.Logf("%s: not examined: %s", c.mood, why)
			continue
		}
		before := len(e.Got())
		e.Set(c.mood)
		_, err := e.send(t.Context(), t, ch, e.message(fmt.Sprintf("0198c5a0-mood-%d", i), "hello"))
		if err == nil {
			t.Errorf("%s: Send says that it was sent", c.mood)
			continue
		}
		f := channels.Judge(err)
		if f.Verdict != c.want {
			t.Errorf("%s: judged %s (%v), want %s", c.mood, f.Verdict, err, c.want)
		}
		if c.mood == Throttle && e.TellsWhen && f.After <= 0 {
			t.Errorf("%s: the provider said when to try again and the failure does not", c.mood)
		}
		if f.Err == nil || strings.TrimSpace(f.Error()) == "" {
			t.Errorf("%s: the failure has no words", c.mood)
		}
		if n := len(e.Got()) - before; n > 0 && f.Verdict != channels.Uncertain {
			t.Errorf("%s: judged %s although the message arrived", c.mood, f.Verdict)
		}
		e.recovers(t, ch, c.mood)
	}
}

// recovers checks that one bad moment does not spoil the next message.
func (e *exam) recovers(t *testing.T, ch channels.Channel, after Mood) {
	t.Helper()
	e.Set(Accept)
	before := len(e.Got())
	m := e.message("0198c5a0-after-"+after.String(), "hello again")
	if _, err := e.send(t.Context(), t, ch, m); err != nil {
		t.Errorf("after %s the next message fails: %v", after, err)
		return
	}
	if n := len(e.Got()) - before; n != 1 {
		t.Errorf("after %s: %d messages arrived, want 1", after, n)
	}
}

// departure: permission is asked once, before anything of the message has
// arrived, in every mood that comes after the connection.
func departure(t *testing.T, e *exam) {
	ch := e.open(t)
	moods := []Mood{Accept}
	for _, c := range judged() {
		moods = append(moods, c.mood)
	}
	for i, mood := range moods {
		if _, ok := e.Cannot[mood]; ok {
			continue
		}
		e.Set(mood)
		before := len(e.Got())
		var asked, arrived atomic.Int32
		m := e.message(fmt.Sprintf("0198c5a0-depart-%d", i), "hello")
		m.Depart = func(context.Context) error {
			asked.Add(1)
			arrived.Store(int32(len(e.Got()) - before))
			return nil
		}
		_, err := e.send(t.Context(), t, ch, m)
		if n := arrived.Load(); n != 0 {
			t.Errorf("%s: Depart was asked when %d had already arrived", mood, n)
		}
		// A provider may refuse before the message would leave, then nobody
		// needs to be asked; but nothing may leave unasked, and nobody twice.
		n := asked.Load()
		if n > 1 || n == 0 && (err == nil || mood == LoseReply) {
			t.Errorf("%s: Depart was asked %d times, want once", mood, n)
		}
		e.Set(Accept)
	}
}

// refusal: when permission is refused, nothing leaves and the error comes
// back as it was, also side by side and on a connection already used.
func refusal(t *testing.T, e *exam) {
	ch := e.open(t)
	no := errors.New("withdrawn a moment ago")
	for i := range 3 {
		m := e.message(fmt.Sprintf("0198c5a0-refused-%d", i), "hello")
		m.Depart = func(context.Context) error { return no }
		before := len(e.Got())
		_, err := e.send(t.Context(), t, ch, m)
		if !errors.Is(err, no) {
			t.Errorf("Send returned %v, want Depart's own error", err)
		}
		if _, judged := errors.AsType[*channels.Failure](err); judged {
			t.Errorf("Send made a failure of Depart's error: %v", err)
		}
		if n := len(e.Got()) - before; n != 0 {
			t.Errorf("%d messages arrived although Depart refused", n)
		}
		e.recovers(t, ch, Accept)
	}
}

// secrets: no error and no log line holds one, whatever the provider does.
func secrets(t *testing.T, e *exam) {
	ch := e.open(t)
	for mood := range Stall {
		if _, ok := e.Cannot[mood]; ok {
			continue
		}
		e.Set(mood)
		_, err := e.send(t.Context(), t, ch, e.message("0198c5a0-secret-"+mood.String(), "hello"))
		e.silent(t, err)
		within(t, "Check", func() { e.silent(t, ch.Check(t.Context())) })
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.send(gone, t, ch, e.message("0198c5a0-secret-gone", "hello"))
	e.silent(t, err)
	for _, s := range e.Secrets {
		if strings.Contains(e.log.String(), s) {
			t.Errorf("a secret is in the log:\n%s", e.log.String())
		}
	}
}

// silent checks an error and all its causes, printed in every way.
func (e *exam) silent(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		text := fmt.Sprintf("%v\n%+v\n%#v\n%q", err, err, err, err)
		for _, s := range e.Secrets {
			if strings.Contains(text, s) {
				t.Errorf("a secret is in the error %T: %s", err, text)
			}
		}
	}
}

// deadline: a provider that never answers holds nobody longer than asked, and
// the judgement admits what may have happened.
func deadline(t *testing.T, e *exam) {
	if why, ok := e.Cannot[Stall]; ok {
		t.Skipf("the provider cannot stall: %s", why)
	}
	ch := e.open(t)
	e.Set(Stall)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	m, read := e.message("0198c5a0-stall", "hello"), channels.Judge
	m.Depart = func(context.Context) error { read = channels.JudgeDeparted; return nil }
	_, err := e.send(ctx, t, ch, m)
	if err == nil {
		t.Fatal("the provider never answered and Send says that it was sent")
	}
	if v := read(err).Verdict; v != channels.Uncertain && v != channels.Temporary {
		t.Errorf("a provider that does not answer is judged %s", v)
	} else if v == channels.Temporary && len(e.Got()) > 0 {
		t.Error("judged temporary although the message arrived")
	}
	e.recovers(t, ch, Stall)
}

// concurrent: more senders than the driver asks for, every message once.
func concurrent(t *testing.T, e *exam) {
	ch := e.open(t)
	workers := 2*e.Driver.Traits.Concurrency + 2
	const each = 5
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("0198c5a0-side-%d-%d", w, i)
				if _, err := ch.Send(t.Context(), e.message(key, key)); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			}
		})
	}
	within(t, "all Sends", wg.Wait)
	seen := map[string]int{}
	for _, r := range e.Got() {
		seen[r.Key]++
	}
	if len(seen) != workers*each {
		t.Errorf("%d different messages arrived, want %d", len(seen), workers*each)
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("%s arrived %d times", key, n)
		}
	}
}

// keys: the same delivery has the same key each time, another has another.
func keys(t *testing.T, e *exam) {
	ch := e.open(t)
	first, second := e.message("0198c5a0-one", "hello"), e.message("0198c5a0-two", "hello")
	for _, m := range []channels.Message{first, second, first} {
		if _, err := e.send(t.Context(), t, ch, m); err != nil {
			t.Fatalf("Send %s: %v", m.Key, err)
		}
	}
	counts := map[string]int{}
	for _, r := range e.Got() {
		counts[r.Key]++
	}
	// A provider that honours the key may keep the repeat to itself.
	if counts[first.Key] < 1 || counts[first.Key] > 2 || counts[second.Key] != 1 || len(counts) != 2 {
		t.Errorf("keys arrived as %v, want %q twice and %q once", counts, first.Key, second.Key)
	}
}
