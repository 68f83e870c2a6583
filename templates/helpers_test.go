package templates

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rapport/channels"
)

// testDriver makes a driver of its own, so that nothing here depends on the
// drivers of the house.
func testDriver(name string, files bool, parts ...channels.Part) channels.Driver {
	return channels.Define(channels.Driver{Name: name, Address: channels.Email, Parts: parts, Files: files},
		func(context.Context, channels.Env, struct{}) (channels.Channel, error) {
			return nil, errors.ErrUnsupported
		})
}

func letterDriver() channels.Driver {
	return testDriver("letter", true,
		channels.Part{Name: "subject", Syntax: channels.Header, Required: true, Help: "the subject line"},
		channels.Part{Name: "preheader", Syntax: channels.Plain},
		channels.Part{Name: "html", Syntax: channels.HTML, Required: true, Help: "the letter"},
		channels.Part{Name: "text", Syntax: channels.Plain},
	)
}

func chatDriver() channels.Driver {
	return testDriver("chat", false,
		channels.Part{Name: "text", Syntax: channels.Mrkdwn, Required: true},
		channels.Part{Name: "blocks", Syntax: channels.JSON},
	)
}

func hookDriver() channels.Driver {
	return testDriver("hook", false, channels.Part{Name: "payload", Syntax: channels.JSON, Required: true})
}

func testRegistry(t testing.TB) *channels.Registry {
	t.Helper()
	r, err := channels.NewRegistry(letterDriver(), chatDriver(), hookDriver())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// testLinks makes addresses that a test can read.
type testLinks struct{}

func (testLinks) Click(n int) string  { return fmt.Sprintf("https://r.example/c/t?a=1&n=%d", n) }
func (testLinks) ClickPrefix() string { return "https://r.example/c/t?a=1&n=" }
func (testLinks) Open() string        { return "https://r.example/o/t" }
func (testLinks) Unsubscribe() string { return "https://r.example/u/t?a=1&b=2" }
func (testLinks) Preferences() string { return "https://r.example/p/t" }
func (testLinks) View() string        { return "https://r.example/v/t" }

var testNow = time.Date(2026, 12, 24, 17, 30, 0, 0, time.UTC)

func letterOf(html string) Content {
	return Content{Locale: "en", Sources: map[string]map[string]string{"en": {"subject": "Hello", "html": html}}}
}

func mustCompile(t testing.TB, c Content, d channels.Driver) *Letter {
	t.Helper()
	l, err := Compile(Revision{Content: c}, d)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustRender(t testing.TB, l *Letter, v View) Rendered {
	t.Helper()
	if v.Now.IsZero() {
		v.Now = testNow
	}
	r, err := l.Render(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// compileError returns the complaint about a content.
func compileError(t *testing.T, c Content, d channels.Driver) string {
	t.Helper()
	_, err := Compile(Revision{Content: c}, d)
	if err == nil {
		t.Fatal("compiled without a complaint")
	}
	return err.Error()
}

func wantContains(t *testing.T, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}
