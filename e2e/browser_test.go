package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"slices"
	"strings"
	"testing"

	"rapport/internal/fake/smtpd"
)

// hostile is a first name that wants to run, to load and to look different.
const hostile = `"><script>alert(1);console.log(1)</script><img src="https://evil.example/p.png" onerror="alert(2)"><svg onload=alert(3)><base href="https://evil.example/">{{ contact.email }}`

// hostileMail is a letter of somebody else with the same wish and no one to
// escape it.
const hostileMail = `<!doctype html><html><head><meta name="viewport" content="width=device-width"><title>Hello</title>
<script>alert(4);console.log(4);document.title="taken"</script><link rel="stylesheet" href="https://evil.example/s.css">
<meta http-equiv="refresh" content="0;url=javascript:alert(5)"></head>
<body onload="alert(6)"><p>Hello reader</p><img src="https://evil.example/p.png" onerror="alert(7)">
<iframe srcdoc="<script>alert(8)</script>"></iframe><iframe src="https://evil.example/f"></iframe>
<object data="https://evil.example/o"></object><form action="https://evil.example/"><button autofocus onfocus="alert(9)">Go</button></form></body></html>`

// TestBrowser: the pages that people open, in a real browser. They load nothing
// from elsewhere, break no policy, fit a phone, and run no one's script.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	r := newRig(t, setup{people: 6, mail: smtpd.Options{ImageSources: []string{"http://127.0.0.1:*"}}})
	victim := person{ID: "hostile", Email: "hostile@mail.example", Locale: "en", Consent: granted, Attributes: slices.Clone(r.people.at(0).Attributes)}
	victim.Attributes[0] = hostile
	r.must("contacts", "import", r.people.write(t, r.dir, r.people.row(victim)))
	r.letter()
	for lang, words := range map[string][4]string{
		"en": {"Dear", "Points", "Unsubscribe", "View in browser"},
		"de": {"Guten Tag", "Punkte", "Abmelden", "Im Browser ansehen"},
	} {
		html := page(lang, words[0], words[1], words[2], words[3], `<p><a href="{{ links.preferences }}">…</a></p>`)
		r.file("letter/"+lang+"/html.liquid", strings.Replace(html, "<head>", `<head><meta name="viewport" content="width=device-width, initial-scale=1">`, 1))
	}
	r.must("templates", "put", r.path("letter"))
	r.create("first-offers", `title: "<script>alert(0)</script> A title that is long enough to be wider than the telephone of anybody"`+"\n")
	r.must("campaigns", "start", "first-offers")
	r.serve()
	r.finished("first-offers")

	t.Run("eyes", func(t *testing.T) { b.on(t).sees() })
	l := r.letterFor(victim.Email)
	t.Run("unsubscribe", func(t *testing.T) { b.leaves(t, r, victim.Email, l.links("/u/")[0]) })
	t.Run("preferences", func(t *testing.T) { b.on(t).visit(l.links("/p/")[0], "offers") })
	t.Run("letter", func(t *testing.T) { b.on(t).visit(l.links("/v/")[0], "<script>alert(1)") })
	t.Run("report", func(t *testing.T) { b.on(t).visit("http://"+r.admin+"/", "<script>alert(0)</script>") })
	t.Run("catcher", func(t *testing.T) { b.on(t).catches(r, victim.Email) })
}

// on makes a tab report to a part of the test.
func (b *tab) on(t *testing.T) *tab {
	b.t = t
	return b
}

// sees makes sure that a page without walls is noticed: else silence proves
// nothing.
func (b *tab) sees() {
	b.t.Helper()
	const loud = `<!doctype html><title>Loud</title><link rel="icon" href="data:,"><body>Hello` +
		`<img src="https://evil.example/p.png"><script>console.log(1)</script>`
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(loud)) }))
	defer site.Close()
	s := b.look(screens()[0], site.URL, "Hello")
	if !slices.Equal(s.foreign(), []string{"https://evil.example/p.png"}) || len(s.complaints) == 0 || len(s.ran) == 0 {
		b.t.Fatalf("a loud page was taken for a quiet one: %+v", s)
	}
}

// leaves opens the page to leave, which changes nothing, and presses its button.
func (b *tab) leaves(t *testing.T, r *rig, who, address string) {
	b.t = t
	r.t = t
	b.visit(address, "Unsubscribe")
	if got := r.answer(who, "offers"); got != granted {
		t.Errorf("looking at the page made the answer %q", got)
	}
	phone := screens()[1]
	b.quiet("the page again", b.look(phone, address, "Unsubscribe"))
	b.press()
	b.fits(phone, "the page behind the button", "unsubscribed")
	b.quiet("the page behind the button", b.take())
	if got := r.answer(who, "offers"); got != withdrawn {
		t.Errorf("after the button the answer is %q", got)
	}
	if got := r.answer(who, "service"); got != granted {
		t.Errorf("the button also changed the other topic: %q", got)
	}
}

// answer is what the ledger has of a person on a topic.
func (r *rig) answer(who, topic string) string {
	r.t.Helper()
	type standing struct{ Driver, Topic, Answer string }
	res := r.must("consent", "show", who, "--json")
	for _, s := range decode[struct{ Standing []standing }](r.t, res.stdout).Standing {
		if s.Driver == "email" && s.Topic == topic {
			return s.Answer
		}
	}
	r.t.Fatalf("nothing stands about %s:\n%s", topic, res.stdout)
	return ""
}

// catches looks at hostile letters in the mail catcher.
func (b *tab) catches(r *rig, who string) {
	b.t.Helper()
	pages := httptest.NewServer(r.mail.Pages())
	defer pages.Close()
	ours, _ := r.mail.Latest(who)
	b.visit(pages.URL+"/", "<script>alert(1)")
	for _, view := range []string{"html", "text", "headers", "source"} {
		b.visit(fmt.Sprintf("%s/m/%d?view=%s", pages.URL, ours.ID, view), "<script>alert(1)")
	}
	b.visit(fmt.Sprintf("%s/m/%d/html", pages.URL, ours.ID), "<script>alert(1)")

	mail := "From: a@evil.example\r\nTo: b@shop.example\r\nSubject: <script>alert(10)</script>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/html; charset=utf-8\r\n\r\n" + strings.ReplaceAll(hostileMail, "\n", "\r\n") + "\r\n"
	if err := smtp.SendMail(r.mail.Addr(), nil, "a@evil.example", []string{"b@shop.example"}, []byte(mail)); err != nil {
		b.t.Fatal(err)
	}
	theirs, _ := r.mail.Latest("b@shop.example")
	page := fmt.Sprintf("%s/m/%d", pages.URL, theirs.ID)
	for _, on := range screens() {
		for address, words := range map[string]string{page: "<script>alert(10)</script>", page + "/html": "Hello reader"} {
			s := b.look(on, address, words)
			if bad := append(s.foreign(), s.ran...); len(bad) > 0 {
				b.t.Errorf("%s: the hostile mail %s got out:\n%s", on.name, address, strings.Join(bad, "\n"))
			}
			if len(s.complaints) == 0 {
				b.t.Errorf("%s: %s: no wall was hit, so nobody looked", on.name, address)
			}
		}
	}
}
