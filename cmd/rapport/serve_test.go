package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"

	"rapport"
)

// listener hears what a process says and reports the first time it matches.
type listener struct {
	mu    sync.Mutex
	all   bytes.Buffer
	want  *regexp.Regexp
	found chan string
}

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	if m := l.want.FindSubmatch(l.all.Bytes()); m != nil && l.want != never {
		l.want = never
		l.found <- string(m[1])
	}
	return len(p), nil
}

func (l *listener) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

var never = regexp.MustCompile(`a^`)

// TestServeStaysUntilItIsStopped: it says where it is, answers, lets no second
// one send from the same data, and a stop that was asked for is a success.
func TestServeStaysUntilItIsStopped(t *testing.T) {
	t.Chdir(t.TempDir())
	env := []string{"RAPPORT_DATA=data", "RAPPORT_LISTEN=127.0.0.1:0", "RAPPORT_ADMIN=127.0.0.1:0"}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	says := &listener{want: regexp.MustCompile(`Public pages: (http://\S+)/`), found: make(chan string, 1)}
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"serve"}, env, strings.NewReader(""), io.Discard, says) }()
	var at string
	select {
	case at = <-says.found:
	case c := <-code:
		t.Fatalf("serve ended with %d: %s", c, says)
	}
	var out, bad bytes.Buffer
	if c := run(t.Context(), []string{"health", "--server", at}, env, nil, &out, &bad); c != 0 || out.String() != "ok\n" {
		t.Errorf("health: %d %s%s", c, &out, &bad)
	}
	bad.Reset()
	if c := run(t.Context(), []string{"serve"}, env, nil, io.Discard, &bad); c != rapport.Conflict.ExitCode() {
		t.Errorf("a second serve on the same data ended with %d: %s", c, &bad)
	}
	out.Reset()
	if c := run(t.Context(), []string{"doctor"}, env, nil, &out, io.Discard); c != 0 || !strings.Contains(out.String(), "a process is sending") {
		t.Errorf("doctor: %d %s", c, &out)
	}
	stop()
	if c := <-code; c != 0 {
		t.Errorf("a stop that was asked for ends with %d: %s", c, says)
	}
	bad.Reset()
	if c := run(t.Context(), []string{"health", "--server", at}, env, nil, io.Discard, &bad); c != rapport.Unavailable.ExitCode() {
		t.Errorf("health of nobody: %d %s", c, &bad)
	}
}

func TestExitCodes(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, c := range []struct {
		name string
		stop bool
		err  error
		code int
		says string
	}{
		{"none", false, nil, 0, ""},
		{"unclassified", false, errors.New("disk on fire"), 1, "rapport: disk on fire\n"},
		{"invalid", false, rapport.Invalidf("city", "is not a place"), 2, "rapport: city: is not a place\n"},
		{"not found", false, rapport.NotFoundf("nobody"), 3, "rapport: nobody\n"},
		{"conflict", false, rapport.Conflictf("taken"), 4, "rapport: taken\n"},
		{"denied", false, &rapport.Error{Kind: rapport.Denied, Msg: "no"}, 5, "rapport: no\n"},
		{"unavailable", false, rapport.Unavailablef(errors.New("cause"), "gone"), 6, "rapport: gone\n"},
		{"wrapped and joined", false, errors.Join(fmt.Errorf("do it: %w", rapport.Conflictf("taken"))), 4, "rapport: do it: taken\n"},
		{"said already", false, saidError{rapport.Invalid}, 2, ""},
		{"stopped", true, context.Canceled, 130, "rapport: stopped\n"},
		{"stopped at the door", true, rapport.Unavailablef(context.Canceled, "no database"), 130, "rapport: stopped\n"},
		{"mistake beside a stop", true, rapport.NotFoundf("nobody"), 3, "rapport: nobody\n"},
		{"control characters", false, rapport.Invalidf("", "a\x1b[2Jb"), 2, "rapport: a·[2Jb\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said bytes.Buffer
			ctx := t.Context()
			if c.stop {
				ctx = stopped
			}
			if got := (&cli{stderr: &said}).exit(ctx, c.err); got != c.code || said.String() != c.says {
				t.Errorf("%d %q, want %d %q", got, said.String(), c.code, c.says)
			}
		})
	}
}
