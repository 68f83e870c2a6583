package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"rapport"
	"rapport/internal/fake/smtpd"
	"rapport/outbox"
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

// TestWaitingStopsWhenAsked: whoever waits for a campaign that is sent from
// here ends it in order by Ctrl-C, and nothing is lost by it.
func TestWaitingStopsWhenAsked(t *testing.T) {
	story, err := os.ReadFile("testdata/script/campaign.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, files := unpack(string(story))
	t.Chdir(t.TempDir())
	putFiles(t, files)
	asked := make(chan struct{}, 100)
	server, err := smtpd.Start(t.Context(), smtpd.Options{Script: smtpd.OnAttempts(1, 1, func(s smtpd.Step) smtpd.Action {
		if s.Stage != smtpd.Rcpt {
			return smtpd.Action{}
		}
		asked <- struct{}{}
		return smtpd.Silence()
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	env := []string{
		"RAPPORT_DATA=data", "RAPPORT_STOP=1s", "RAPPORT_CHANNELS_NEWS_DRIVER=email", "RAPPORT_CHANNELS_NEWS_FROM=news@shop.test",
		"RAPPORT_CHANNELS_NEWS_SERVERS=[{url: 'smtp://" + server.Addr() + "?tls=none'}]", "RAPPORT_LISTEN=127.0.0.1:0", "RAPPORT_ADMIN=off",
	}
	must := func(ctx context.Context, code int, line string) string {
		t.Helper()
		var out, bad bytes.Buffer
		if got := run(ctx, split(t, line), env, nil, &out, &bad); got != code {
			t.Fatalf("%s: exit code %d, want %d\n%s%s", line, got, code, &out, &bad)
		}
		return out.String()
	}
	for _, line := range []string{
		"topics put newsletter --kind marketing", "contacts import people.csv --grant email:newsletter --source form", "templates put letter",
		"segments put all-of-us --where 'contact.points > 0'", "campaigns create spring.yaml",
	} {
		must(t.Context(), 0, line)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() { <-asked; stop() }()
	must(ctx, interrupted, "campaigns start spring --wait")
	var a outbox.Account
	if err := json.Unmarshal([]byte(must(t.Context(), 0, "campaigns status spring --json")), &a); err != nil {
		t.Fatal(err)
	}
	if a.Planned != 3 || !a.Balanced() || a.States[outbox.Queued] != 3 {
		t.Errorf("after the stop: %+v", a)
	}
}
