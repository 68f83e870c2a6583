package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	dialogs "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screen is how wide and high a page is shown.
type screen struct {
	name          string
	width, height int64
	mobile        bool
}

// screens are those that every page has to fit.
func screens() []screen {
	return []screen{{"desktop", 1280, 800, false}, {"phone", 360, 740, true}}
}

// sights is what a tab has noticed while it showed a page.
type sights struct {
	asked      map[network.RequestID]string // what was requested, by address
	complaints []string                     // of the browser: errors, warnings, violated policies
	ran        []string                     // signs that a script of the page ran
}

// foreign lists the addresses that were asked for outside this machine.
func (s sights) foreign() []string {
	var out []string
	for _, address := range s.asked {
		u, err := url.Parse(address)
		if err == nil && (slices.Contains([]string{"127.0.0.1", "localhost"}, u.Hostname()) || u.Scheme == "data" || u.Scheme == "about") {
			continue
		}
		out = append(out, address)
	}
	return out
}

// tab is the one tab of a real browser, which writes down what it notices.
type tab struct {
	t   testing.TB
	ctx context.Context //nolint:containedctx // the browser is this context
	mu  sync.Mutex
	now sights
}

// openBrowser starts Chromium with an empty profile of its own; without the
// program the test is skipped. No name but this machine's leads anywhere.
func openBrowser(t testing.TB) *tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("Chromium is not installed: the pages were not looked at in a browser")
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU)
	for _, name := range []string{"disable-quic", "disable-component-update", "no-proxy-server"} {
		flags = append(flags, chromedp.Flag(name, true))
	}
	flags = append(flags,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
		// Frames stay in the tab's process, so that their events reach us.
		chromedp.Flag("disable-features", "Translate,IsolateSandboxedIframes"),
		chromedp.Flag("lang", "en"),
	)
	b := &tab{t: t}
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), flags...)
	t.Cleanup(cancel)
	ctx, quit := chromedp.NewContext(ctx, chromedp.WithListener(b.notice))
	t.Cleanup(quit)
	b.ctx = ctx
	if err := chromedp.Do(b.ctx); err != nil { // starts the browser
		t.Fatalf("start Chromium: %v", err)
	}
	return b
}

// notice writes down an event of the tab.
func (b *tab) notice(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.now
	if s.asked == nil {
		s.asked = map[network.RequestID]string{}
	}
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		s.asked[e.RequestID] = e.Request.URL
	case *network.EventLoadingFailed:
		if e.BlockedReason == network.BlockedReasonCsp {
			delete(s.asked, e.RequestID) // it stayed in the browser
		}
	case *network.EventWebSocketCreated:
		s.asked[e.RequestID] = e.URL
	case *log.EventEntryAdded:
		s.complaints = append(s.complaints, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *runtime.EventExceptionThrown:
		s.ran = append(s.ran, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		s.ran = append(s.ran, fmt.Sprintf("console.%s", e.Type))
	case *dialogs.EventJavascriptDialogOpening:
		s.ran = append(s.ran, fmt.Sprintf("dialog %s: %s", e.Type, e.Message))
	}
}

// take returns what was noticed since the last time.
func (b *tab) take() sights {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.now
	b.now = sights{}
	return s
}

// do runs steps to their end, or gives up; an open dialog is a reason for that.
func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v; seen: %+v", what, err, b.take())
	}
}

// eval asks the page, as its own script would.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v; seen: %+v", expression, err, b.take())
	}
	return v
}

// look opens an address on a screen and returns what was noticed since the last
// look until the page and its frames had loaded: what an earlier page did late is
// not lost. The page has to fit the width and to hold the words.
func (b *tab) look(on screen, address, words string) sights {
	b.t.Helper()
	show := chromedp.EmulateViewport(on.width, on.height)
	if on.mobile {
		show = chromedp.EmulateViewport(on.width, on.height, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait)
	}
	b.do("clear the tab", chromedp.Navigate("about:blank"), show)
	b.do("open "+address, chromedp.Navigate(address))
	b.fits(on, address, words)
	return b.take()
}

// fits judges the page that is shown. A phone zooms out to make a wide page fit,
// so the measure is the screen and not the window.
func (b *tab) fits(on screen, address, words string) {
	b.t.Helper()
	width := eval[int64](b, "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth, window.innerWidth)")
	if width > on.width {
		b.t.Errorf("%s: %s is %d wide, %d fit", on.name, address, width, on.width)
	}
	if text := eval[string](b, "document.title + '\\n' + document.body.innerText"); !strings.Contains(text, words) {
		b.t.Errorf("%s: %s does not say %q:\n%s", on.name, address, words, tail(text, 20))
	}
}

// visit looks at a page on every screen, which must stay quiet: nothing asked
// for elsewhere, no complaint, no script.
func (b *tab) visit(address, words string) {
	b.t.Helper()
	for _, on := range screens() {
		b.quiet(on.name+": "+address, b.look(on, address, words))
	}
}

// quiet judges what was noticed.
func (b *tab) quiet(what string, s sights) {
	b.t.Helper()
	if len(s.asked) == 0 {
		b.t.Errorf("%s: no request was noticed, not even the page's own", what)
	}
	if bad := slices.Concat(s.foreign(), s.complaints, s.ran); len(bad) > 0 {
		b.t.Errorf("%s is not quiet:\n%s", what, strings.Join(bad, "\n"))
	}
}

// press clicks the button of the page's form and waits for where it leads.
func (b *tab) press() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	res, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS("form button")))
	if err != nil || res.Status != 200 {
		b.t.Fatalf("press the button: %+v, %v; seen: %+v", res, err, b.take())
	}
}
