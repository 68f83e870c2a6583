package channeltest

import (
	"bytes"
	"context"
	"testing"

	"rapport/channels"
)

// lineBreaks: a line break in a field that travels in a header cannot start a
// header of its own. The driver refuses the message or takes the break out.
func lineBreaks(t *testing.T, e *exam) {
	ch := e.open(t)
	for i, evil := range []string{"x\r\nX-Smuggled: yes", "x\nX-Smuggled: yes", "x\rX-Smuggled: yes", "x\r\n\r\nX-Smuggled: yes"} {
		for name, change := range e.injections(evil) {
			m := e.message("0198c5a0-break-"+string(rune('a'+i)), "hello")
			change(&m)
			before := len(e.Got())
			_, err := e.send(t.Context(), t, ch, m)
			got := e.Got()[before:]
			if err != nil && len(got) > 0 {
				t.Errorf("%s: refused (%v) and yet arrived", name, err)
			}
			if len(got) > 1 {
				t.Errorf("%s: one message became %d", name, len(got))
			}
			for _, r := range got {
				if bytes.Contains(r.Raw, []byte("\nX-Smuggled:")) || bytes.Contains(r.Raw, []byte("\rX-Smuggled:")) {
					t.Errorf("%s: %q smuggled a header in:\n%s", name, evil, r.Raw)
				}
			}
		}
	}
	e.recovers(t, ch, Accept)
}

// injections lists the fields that may travel in a header. An address with a
// line break is not canonical, but an examination trusts nobody.
func (e *exam) injections(evil string) map[string]func(*channels.Message) {
	out := map[string]func(*channels.Message){
		"key":         func(m *channels.Message) { m.Key += evil },
		"to":          func(m *channels.Message) { m.To += evil },
		"list":        func(m *channels.Message) { m.List = evil },
		"unsubscribe": func(m *channels.Message) { m.Unsubscribe = "https://example.com/u?" + evil },
		"return":      func(m *channels.Message) { m.Return = evil },
		"reply_to":    func(m *channels.Message) { m.ReplyTo = "anna@example.com" + evil },
	}
	for _, p := range e.Driver.Parts {
		if p.Syntax == channels.Header && e.Content[p.Name] != "" {
			out["part "+p.Name] = func(m *channels.Message) { m.Content[p.Name] = evil }
		}
	}
	if e.Driver.Files {
		out["file"] = func(m *channels.Message) {
			m.Files = []channels.File{{Name: evil, Type: "text/plain", Data: []byte("hello")}}
		}
	}
	return out
}

// checks: Check talks to the provider and sends nothing, says so when the
// provider would not have us, and ends with its context.
func checks(t *testing.T, e *exam) {
	ch := e.open(t)
	within(t, "Check", func() {
		if err := ch.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
	})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, "Check", func() {
		if err := ch.Check(gone); err == nil {
			t.Error("Check finds all well although its context has ended")
		}
	})
	if n := len(e.Got()); n != 0 {
		t.Errorf("Check sent %d messages", n)
	}
}

// closes: twice is no harm, afterwards nothing leaves and nobody is asked.
func closes(t *testing.T, e *exam) {
	ch := e.open(t)
	if _, err := e.send(t.Context(), t, ch, e.message("0198c5a0-before", "hello")); err != nil {
		t.Fatalf("Send: %v", err)
	}
	for range 2 {
		within(t, "Close", func() {
			if err := ch.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	before := len(e.Got())
	m := e.message("0198c5a0-after", "hello")
	m.Depart = func(context.Context) error {
		t.Error("Depart was asked on a closed channel")
		return nil
	}
	if _, err := e.send(t.Context(), t, ch, m); err == nil {
		t.Error("Send on a closed channel says that it was sent")
	}
	if n := len(e.Got()) - before; n != 0 {
		t.Errorf("%d messages arrived on a closed channel", n)
	}
}
