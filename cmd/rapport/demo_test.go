package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"rapport/internal/demo"
	"rapport/outbox"
)

// TestDemoAsJSON: stdout holds the accounts and the pages, nothing else, and
// the exit code says that they add up.
func TestDemoAsJSON(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"demo", "--once", "--json", "--contacts", "200", "--listen", "127.0.0.1:0"}, nil, strings.NewReader(""), &stdout, &stderr)
	if code != 0 {
		t.Fatalf("the exit code is %d: %s", code, stderr.String())
	}
	var got struct {
		Campaigns []outbox.Account `json:"campaigns"`
		Tracking  []demo.Tracked
		Pages     struct{ UI, Mail, Slack, Webhook, Report string }
	}
	dec := json.NewDecoder(&stdout)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Errorf("more than one value is printed: %v", err)
	}
	if len(got.Campaigns) != 3 {
		t.Fatalf("there are %d accounts", len(got.Campaigns))
	}
	for _, a := range got.Campaigns {
		if !a.Balanced() || a.Open() != 0 || a.State != outbox.Finished || a.States[outbox.Sent] == 0 {
			t.Errorf("the account is %+v", a)
		}
	}
	if len(got.Tracking) != 3 || got.Tracking[0].ByPerson == 0 || got.Tracking[0].ByPerson == got.Tracking[0].Sent {
		t.Errorf("whom the letters lead to: %+v", got.Tracking)
	}
	for _, page := range []string{got.Pages.UI, got.Pages.Mail, got.Pages.Slack, got.Pages.Webhook, got.Pages.Report} {
		if !strings.HasPrefix(page, "http://127.0.0.1:") {
			t.Errorf("a page is at %q", page)
		}
	}
}

// TestDemoStaysUp until it is interrupted, and that is no failure.
func TestDemoStaysUp(t *testing.T) {
	ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
	defer interrupt()
	var stdout bytes.Buffer
	stderr := &watcher{words: "until Ctrl-C", found: interrupt}
	if code := run(ctx, []string{"demo", "--contacts", "3", "--listen", "127.0.0.1:0"}, nil, strings.NewReader(""), &stdout, stderr); code != 0 {
		t.Errorf("the exit code is %d", code)
	}
	if !strings.Contains(stdout.String(), "The accounts add up") {
		t.Errorf("it printed\n%s", stdout.String())
	}
	if ctx.Err() == context.DeadlineExceeded {
		t.Error("it never said that it stays up")
	}
}

// watcher calls found as soon as the words were written.
type watcher struct {
	words string
	found func()
	text  bytes.Buffer
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.text.Write(p)
	if strings.Contains(w.text.String(), w.words) {
		w.found()
	}
	return n, err
}

func TestDemoRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"demo", "--contacts", "0"},
		{"demo", "--contacts", "many"},
		{"demo", "--listen", "8080"},
		{"demo", "--listen", "192.0.2.1:8080"},
		{"demo", "--config", "rapport.yaml"},
		{"demo", "now"},
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, nil, strings.NewReader(""), io.Discard, &stderr); code != 2 {
			t.Errorf("%v: the exit code is %d: %s", args, code, stderr.String())
		}
	}
}
