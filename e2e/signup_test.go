package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rapport/internal/fake/smtpd"
)

const signUpForms = `
name: Example Shop
consent: {expires: {offers: 24mo}}
forms:
  - name: join
    channel: news
    topics: [offers]
    title: {en: "Offers by mail", de: "Angebote per Mail"}
    intro: {en: "A letter now and then.", de: "Ab und zu ein Brief."}
    wording: {en: "Yes, Example Shop may write to me about its offers.", de: "Ja, der Example Shop darf mir über seine Angebote schreiben."}
    tracking: {en: "Example Shop may see what I open.", de: "Der Example Shop darf sehen, was ich öffne."}
    fields: [{name: first_name, label: {en: First name, de: Vorname}}]
  - name: hard
    channel: news
    topics: [offers]
    wording: {en: "Yes, Example Shop may write to me about its offers."}
    proof_of_work: true
    embed_on: ["https://shop.example"]
`

var ticketOf = regexp.MustCompile(`name="ticket" value="([^"]+)"`)

// text is the answer to a request.
func (r *rig) text(method, path, form string) string {
	r.t.Helper()
	res, err := r.ask(method, path, form)
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := res.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

// tickets opens a form n times and waits until the tickets may come back.
func (r *rig) tickets(form string, n int) []string {
	r.t.Helper()
	out := make([]string, n)
	for i := range out {
		m := ticketOf.FindStringSubmatch(r.text("GET", "/f/"+form, ""))
		if m == nil {
			r.t.Fatal("the form has no ticket")
		}
		out[i] = m[1]
	}
	time.Sleep(2100 * time.Millisecond) // nobody fills a form in faster: the clock is the program's own
	return out
}

func (r *rig) signUp(ticket, address string) string {
	r.t.Helper()
	return r.text("POST", "/f/join", url.Values{"address": {address}, "t:offers": {"yes"}, "a:first_name": {"Ada"}, "ticket": {ticket}}.Encode())
}

// lettersTo waits for n letters to an address and returns the last.
func (r *rig) lettersTo(to string, n int) opened {
	r.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		list := slices.DeleteFunc(r.mail.Messages(), func(m smtpd.Message) bool { return !slices.Contains(m.EnvelopeTo, to) })
		if len(list) >= n {
			return open(r.t, list[n-1])
		}
	}
	r.t.Fatalf("letter %d to %s does not come", n, to)
	return opened{}
}

// proof is what rapport consent show says of one person.
type proof struct {
	History []struct {
		State    string
		Topic    string
		Evidence *struct {
			Given     string `json:"given"`
			MessageID string `json:"message_id"`
			Form      string `json:"form"`
			Notice    struct{ Name, Hash string }
		}
	}
}

func (r *rig) history(who string) proof {
	r.t.Helper()
	var p proof
	if err := json.Unmarshal([]byte(r.must("consent", "show", who, "--json").stdout), &p); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// TestSignUp: from the form to a campaign and its proof, through the real
// program, with a flood of sign-ups and a thousand scanners on the way.
func TestSignUp(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.config = signUpForms
			signUp(t, s)
		})
	}
}

func signUp(t *testing.T, s setup) {
	r := newRig(t, s)
	r.must("attributes", "declare", "city=text", "points=number", "tier=text", "last_name=text", "first_name=text")
	r.letter()
	r.file("letter/en/html.liquid", page("en", "Dear", "Points", "Unsubscribe", "View in browser", `<p><a href="{{ links.renew }}">Stay</a></p>`))
	r.must("templates", "put", r.path("letter"))
	r.serve()
	if s.postgres {
		r.start("worker", "work")
	}
	ada, bob := "ada@mail.example", "bob@mail.example"
	pair := r.tickets("join", 2)
	for i, who := range []string{"Ada@Mail.example", bob} {
		if text := r.signUp(pair[i], who); !strings.Contains(text, "Please look into your mailbox") {
			t.Fatalf("%s: %s", who, text)
		}
	}
	r.flood(ada)

	l := r.lettersTo(ada, 1)
	r.lettersTo(bob, 1)
	link := l.links("/r/")[0]
	if l.header.Get("List-Unsubscribe") != "" || l.pixel() != "" || len(l.links("/c/")) > 0 || strings.Contains(l.html+l.text, "Ada") {
		t.Errorf("the letter follows its reader, advertises or repeats what was typed: %s", l.html)
	}
	before := r.history(ada)
	r.scanned(link, 1000)
	if after := r.history(ada); len(after.History) != len(before.History) {
		t.Errorf("a thousand scanners made %d lines of %d", len(after.History), len(before.History))
	}
	r.create("early-offers", "")
	r.must("campaigns", "start", "early-offers")
	if a := r.finished("early-offers"); a.Planned != 0 || a.NotPlanned["pending_consent"] != 2 {
		t.Errorf("before anybody confirmed: %+v", a)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if res, err := r.ask("POST", link, "confirm=yes"); err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("confirm: %v %v", res, err)
			}
		})
	}
	all.Wait()
	r.create("late-offers", "")
	r.must("campaigns", "start", "late-offers")
	if a := r.finished("late-offers"); a.Planned != 1 || a.States["sent"] != 1 || a.NotPlanned["pending_consent"] != 1 {
		t.Errorf("after one confirmed: %+v", a)
	}
	sent := r.lettersTo(ada, 2)
	if !strings.Contains(sent.html, "Ada") || len(sent.links("/r/")) != 1 {
		t.Errorf("the letter: %s", sent.html)
	}
	if text := r.text("GET", sent.links("/r/")[0], ""); !strings.Contains(text, "Stay subscribed") {
		t.Errorf("renewal: %s", text)
	}
	r.proves(ada, l)
	if done := r.must("chores", "run", "expire-requests", "--json").stdout; !strings.Contains(done, `"unconfirmed": 0`) {
		t.Errorf("chores: %s", done)
	}
	if html := r.must("forms", "snippet", "join", "--lang", "de").stdout; !strings.Contains(html, "Ja, der Example Shop") || !strings.Contains(html, `action="http://`+r.listen+`/f/join?lang=de"`) || strings.Contains(html, "checked") {
		t.Errorf("snippet: %s", html)
	}
	r.refused(2, "embed_on", "forms", "snippet", "join", "--frame")
	r.must("forms", "snippet", "hard", "--frame")
	r.well()
}

// flood signs one address up a thousand times, in every spelling: it gets no
// letter beyond the one it has.
func (r *rig) flood(address string) {
	r.t.Helper()
	local, domain, _ := strings.Cut(address, "@")
	tickets := r.tickets("join", 1000)
	work := make(chan int)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for i := range work {
				who := []string{address, strings.ToUpper(address), fmt.Sprintf("%s+%d@%s", local, i, domain)}[i%3]
				if text := r.signUp(tickets[i], who); !strings.Contains(text, "Please look into your mailbox") {
					r.t.Errorf("sign-up %d: %s", i, tail(text, 10))
				}
			}
		})
	}
	for i := range tickets {
		work <- i
	}
	close(work)
	all.Wait()
	n := 0
	for _, m := range r.mail.Messages() {
		if slices.ContainsFunc(m.EnvelopeTo, func(to string) bool { return strings.HasPrefix(strings.ToLower(to), local) }) {
			n++
		}
	}
	if n > 1 {
		r.t.Errorf("%d letters after a thousand and one sign-ups of one mailbox", n)
	}
}

// scanned has programs look at a link.
func (r *rig) scanned(link string, n int) {
	r.t.Helper()
	work := make(chan int)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for i := range work {
				if res, err := r.ask([]string{"GET", "HEAD"}[i%2], link, ""); err != nil || res.StatusCode != http.StatusOK {
					r.t.Errorf("scan: %v %v", res, err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
}

// proves: the ledger names the form, the exact words and the letter, and
// verifies.
func (r *rig) proves(who string, l opened) {
	r.t.Helper()
	confirmed := 0
	for _, e := range r.history(who).History {
		if e.State != "confirmed" {
			continue
		}
		confirmed++
		if ev := e.Evidence; ev == nil || ev.Given != "Ada@Mail.example" || ev.MessageID != l.header.Get("Message-ID") || ev.Form != "join" || ev.Notice.Name != "form-join" || ev.Notice.Hash == "" {
			r.t.Errorf("evidence %+v of the letter %s", ev, l.header.Get("Message-ID"))
		}
	}
	if confirmed != 1 {
		r.t.Errorf("%d confirmations of fifty presses", confirmed)
	}
	if sheet := r.must("consent", "proof", who).stdout; !strings.Contains(sheet, "Yes, Example Shop may write to me about its offers.") {
		r.t.Error("the proof does not show the words")
	}
	r.must("consent", "verify")
}

// TestSignUpInABrowser: the form by keyboard alone, with and without scripts,
// in both languages, and a person who needs more than eyes.
func TestSignUpInABrowser(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	r := newRig(t, setup{config: signUpForms})
	r.serve()
	b.person()
	home := "http://" + r.listen + "/f/"
	for _, lang := range []string{"en", "de"} {
		for _, form := range []string{"join", "hard"} {
			address := home + form + "?lang=" + lang
			b.visit(address, map[string]string{"en": "Subscribe", "de": "Anmelden"}[lang])
			for _, dark := range []bool{false, true} {
				b.prefers(dark)
				b.accessible(address, axe(t))
			}
			b.reachable(address)
		}
	}
	b.prefers(false)

	// By keyboard, with the puzzle that a browser solves.
	b.do("open the form", chromedp.EmulateViewport(1280, 800), chromedp.Navigate(home+"hard"))
	var names []string
	for _, s := range b.walk() {
		names = append(names, s.Name)
		if !s.Outline || s.Hidden {
			t.Errorf("%s: the focus cannot be seen: %+v", s.Name, s)
		}
	}
	order := []string{"INPUT Your e-mail address", "INPUT offers", "BUTTON Subscribe"}
	at := 0
	for _, n := range names {
		if at < len(order) && strings.HasPrefix(n, order[at]) {
			at++
		}
	}
	if at != len(order) || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "empty") }) {
		t.Errorf("by the Tab key one comes by %q", names)
	}
	time.Sleep(2100 * time.Millisecond) // as above
	b.do("fill in by keyboard", chromedp.Focus(chromedp.CSS("#in-address")), chromedp.KeyEvent("key@mail.example\t"), chromedp.KeyEvent(" "), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\r"))
	b.until("Please look into your mailbox")
	l := r.lettersTo("key@mail.example", 1)
	b.do("open the letter's page", chromedp.Navigate(l.links("/r/")[0]))
	b.accessible("the page of a request", axe(t))
	b.submit("form button")
	b.until("You are subscribed")

	// Without scripts it takes a wait instead of a puzzle.
	b.scripts(false)
	b.do("open the form", chromedp.Navigate(home+"join"))
	time.Sleep(2100 * time.Millisecond) // as above
	b.do("fill in", chromedp.SendKeys(chromedp.CSS("#in-address"), "plain@mail.example"))
	b.submit("form button")
	b.until("Please tick at least one box")
	b.do("tick", chromedp.Click(chromedp.CSS("#topic-offers")))
	b.submit("form button")
	b.until("Please look into your mailbox")
	r.lettersTo("plain@mail.example", 1)
	b.do("open the hard form", chromedp.Navigate(home+"hard"), chromedp.SendKeys(chromedp.CSS("#in-address"), "slow@mail.example"), chromedp.Click(chromedp.CSS("#topic-offers")))
	b.submit("form button")
	b.until("wait 20 seconds")
	b.scripts(true)
}

// until waits for a page that says the words.
func (b *tab) until(words string) {
	b.t.Helper()
	text := ""
	for deadline := time.Now().Add(patience / 3); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if text = eval[string](b, "document.body ? document.body.innerText : ''"); strings.Contains(text, words) {
			return
		}
	}
	b.t.Fatalf("the page does not say %q:\n%s", words, tail(text, 20))
}
