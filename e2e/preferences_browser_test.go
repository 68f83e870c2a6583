package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axe is the examination of accessibility that runs inside the page.
func axe(t testing.TB) string {
	t.Helper()
	source, err := os.ReadFile("../web/public/testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// call runs a command of the browser's protocol on the tab.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
}

// prefers sets what the reader's system asks of pages.
func (b *tab) prefers(dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// person makes the browser say that a person is using it.
func (b *tab) person() {
	b.t.Helper()
	call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: browser, AcceptLanguage: "en"})
}

// scripts switches scripts on or off.
func (b *tab) scripts(on bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// violation is what axe finds.
type violation struct {
	ID, Help string
	Nodes    []string
}

// accessible has axe examine the page that is shown.
func (b *tab) accessible(what, axe string) {
	b.t.Helper()
	rules, list := b.violations(what, axe)
	if rules < 10 {
		b.t.Errorf("%s: only %d rules had something to look at", what, rules)
	}
	for _, v := range list {
		b.t.Errorf("%s: %s (%s)\n%s", what, v.ID, v.Help, strings.Join(v.Nodes, "\n"))
	}
}

// findsFaults makes sure that a page with faults is noticed: else silence
// proves nothing.
func (b *tab) findsFaults(axe string) {
	b.t.Helper()
	const poor = `<!doctype html><title>x</title><body style="background:#fff;color:#bbb">words <input><button style="width:9px;height:9px;padding:0"></button><img src="data:,">`
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(poor)) }))
	defer site.Close()
	b.do("open a poor page", chromedp.Navigate(site.URL))
	_, list := b.violations("a poor page", axe)
	for _, want := range []string{"color-contrast", "label", "button-name", "image-alt", "html-has-lang"} {
		if !slices.ContainsFunc(list, func(v violation) bool { return v.ID == want }) {
			b.t.Errorf("%s was not found on a poor page: %+v", want, list)
		}
	}
}

// violations has axe examine the page that is shown, by every rule up to WCAG
// 2.2 AA and by its best practices; rules is how many found something right.
func (b *tab) violations(what, axe string) (rules int, list []violation) {
	b.t.Helper()
	eval[bool](b, axe+";true")
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	const run = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"]}).then(r => JSON.stringify({
		rules: r.passes.length, list: r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html + " " + n.failureSummary)}))}))`
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("examine %s: %v", what, err)
	}
	var found struct {
		Rules int
		List  []violation
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	return found.Rules, found.List
}

// reachable measures what is pressed: at least 24 pixels a side (WCAG 2.2,
// criterion 2.5.8; links in a sentence are free), and nothing wider than the
// window (1.4.10).
func (b *tab) reachable(what string) {
	b.t.Helper()
	const small = `[...document.querySelectorAll("a, button, select, input:not([type=hidden]), summary, textarea")].filter(e => !e.closest("p, [role=alert]") && !e.matches(".skip, .skip *") && e.checkVisibility())
		.map(e => [e, e.getBoundingClientRect()]).filter(([e, r]) => r.width && (r.width < 24 || r.height < 24)).map(([e, r]) => e.outerHTML + " " + r.width + "×" + r.height).join("\n")`
	if found := eval[string](b, small); found != "" {
		b.t.Errorf("%s: too small to be hit:\n%s", what, found)
	}
	const wide = `[...document.querySelectorAll("body *")].filter(e => !e.matches(".skip, .unseen") && e.checkVisibility()).filter(e => { const r = e.getBoundingClientRect(); return r.width && (r.right > innerWidth + 1 || r.left < -1) }).map(e => e.outerHTML.slice(0, 200)).join("\n")`
	if found := eval[string](b, wide); found != "" {
		b.t.Errorf("%s: wider than the window:\n%s", what, found)
	}
}

// unabridged makes sure that select boxes have room for their longest entry, with
// the arrow beside it.
func (b *tab) unabridged(what string) {
	b.t.Helper()
	const arrow = 18
	const cut = `(() => { const pen = document.createElement("canvas").getContext("2d"); return [...document.querySelectorAll("select")].filter(e => e.checkVisibility()).flatMap(e => {
		const s = getComputedStyle(e); pen.font = s.font; const room = e.clientWidth - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight) - %d;
		return [...e.options].filter(o => pen.measureText(o.text).width > room).map(o => e.name + ": " + o.text + ", " + Math.ceil(pen.measureText(o.text).width) + " pixels in " + room) }).join("\n") })()`
	if found := eval[string](b, fmt.Sprintf(cut, arrow)); found != "" {
		b.t.Errorf("%s: words are cut:\n%s", what, found)
	}
}

// steps is a walk through a page by the Tab key alone: where the focus comes
// by, and whether it can be seen there.
type step struct {
	Name    string // what a reader hears, about
	Outline bool
	Hidden  bool // outside the window or under something else
}

// walk presses Tab until the page is through.
func (b *tab) walk() []step {
	b.t.Helper()
	const here = `(() => { const e = document.activeElement; if (!e || e === document.body) return "";
		const r = e.getBoundingClientRect(), s = getComputedStyle(e);
		const x = Math.min(Math.max(r.left + r.width / 2, 0), innerWidth - 1), y = Math.min(Math.max(r.top + r.height / 2, 0), innerHeight - 1), top = document.elementFromPoint(x, y);
		const label = e.labels && e.labels.length ? e.labels[0].textContent : "";
		return JSON.stringify({Name: (e.tagName + " " + (label || e.textContent || e.name)).replace(/\s+/g, " ").trim().slice(0, 80), Outline: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2,
			Hidden: r.bottom <= 0 || r.top >= innerHeight || !(top === e || e.contains(top) || (top && top.contains(e)))}) })()`
	var out []step
	for range 200 {
		b.do("press Tab", chromedp.KeyEvent("\t"))
		text := eval[string](b, here)
		if text == "" {
			break
		}
		var s step
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			b.t.Fatal(err)
		}
		if len(out) > 0 && out[0] == s {
			break
		}
		out = append(out, s)
	}
	return out
}

// submit presses a button of the page that is shown, and waits for where it
// leads.
func (b *tab) submit(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	res, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	if err != nil {
		b.t.Fatalf("press %s: %v; seen: %+v", selector, err, b.take())
	}
	if res.Status >= 500 {
		b.t.Fatalf("press %s: status %d", selector, res.Status)
	}
}

// picture writes what the whole page looks like into a file.
func (b *tab) picture(path string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("picture: %v", err)
	}
	if err := os.WriteFile(path, png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func inLanguage(address, lang string) string {
	sign := "?"
	if strings.Contains(address, "?") {
		sign = "&"
	}
	return fmt.Sprintf("%s%slang=%s", address, sign, lang)
}

// enter presses the Enter key and waits for where it leads.
func (b *tab) enter() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.KeyEvent("\r")); err != nil {
		b.t.Fatalf("press Enter: %v; seen: %+v", err, b.take())
	}
}

// text is what the page says, read without a script of its own.
func (b *tab) text() string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	if err != nil {
		b.t.Fatalf("read the page: %v", err)
	}
	return text
}
