package channeltest

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/channels"
)

// patience is how long one call of a channel may take before the case fails.
// It is far above what any case needs and far below the limit of go test.
const patience = 20 * time.Second

// awkward holds what breaks careless encoders: several scripts, combining
// marks, right-to-left, joined emoji, mark-up, a dot and "From" at the start
// of a line, trailing blanks, a tab, and lines far over 998 octets.
func awkward() string {
	return "Grüße, Łukasz & Zoë <b>„naïve“</b> \"quoted\" 100 % = done\n" +
		".\n..two dots\nFrom here on: 日本語 العربية עברית हिन्दी e\u0301\n" +
		"👩🏽\u200d🚀 🏳️\u200d🌈 \U0001F600 trailing blanks  \n\ta tab\n" +
		strings.Repeat("long ", 400) + "\n" + strings.Repeat("x", 1500) + "\n" +
		strings.Repeat("日本語", 400) + "\nend"
}

// Run sits the examination. bring is called once a case with that case's own
// test, so that what it starts is stopped with the case.
func Run(t *testing.T, bring func(t *testing.T) Harness) {
	t.Helper()
	cases := []struct {
		name string
		run  func(t *testing.T, e *exam)
	}{
		{"settings", settings},
		{"delivers_faithfully", faithful},
		{"judges_failures", verdicts},
		{"asks_before_departure", departure},
		{"obeys_refusal", refusal},
		{"keeps_secrets", secrets},
		{"lets_go_at_the_deadline", deadline},
		{"works_side_by_side", concurrent},
		{"repeats_the_key", keys},
		{"withstands_line_breaks", lineBreaks},
		{"checks_without_sending", checks},
		{"closes", closes},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := bring(t)
			h.check(t)
			if h.Env.Name == "" {
				h.Env.Name = "examined"
			}
			h.Set(Accept)
			c.run(t, &exam{Harness: h, log: captureLog(t)})
		})
	}
}

// exam is one case: the harness and what was logged meanwhile.
type exam struct {
	Harness
	log *safeBuffer
}

// open starts the channel and, at the end of the case, closes it and waits
// until no goroutine of it is left.
func (e *exam) open(t *testing.T) channels.Channel {
	t.Helper()
	before := runtime.NumGoroutine()
	ch, err := e.Driver.Open(t.Context(), e.Env, e.Settings)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		within(t, "Close", func() {
			if err := ch.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		e.Set(Accept)
		waitGoroutines(t, before)
	})
	return ch
}

// send sends with the case's patience and returns what Send returned.
func (e *exam) send(ctx context.Context, t *testing.T, ch channels.Channel, m channels.Message) (channels.Receipt, error) {
	t.Helper()
	var receipt channels.Receipt
	var err error
	within(t, "Send", func() { receipt, err = ch.Send(ctx, m) })
	return receipt, err
}

// within runs f and fails the test, with every goroutine's stack, when f does
// not return in time.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s did not return within %s\n%s", what, patience, stacks())
	}
}

// waitGoroutines waits until no more goroutines run than before the channel
// was opened. The provider's own end with their connections, which is not a
// signal a test can wait for, so it looks again until patience ends.
func waitGoroutines(t *testing.T, before int) {
	t.Helper()
	end := time.Now().Add(patience)
	for runtime.NumGoroutine() > before {
		if time.Now().After(end) {
			t.Errorf("%d goroutines before the channel was opened, %d after it was closed\n%s",
				before, runtime.NumGoroutine(), stacks())
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func stacks() []byte {
	buf := make([]byte, 1<<18)
	return buf[:runtime.Stack(buf, true)]
}

// captureLog points the default loggers, of log and of slog, into a buffer
// until the case ends.
func captureLog(t *testing.T) *safeBuffer {
	t.Helper()
	old := slog.Default()
	buf := &safeBuffer{}
	slog.SetDefault(slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(old) })
	return buf
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
