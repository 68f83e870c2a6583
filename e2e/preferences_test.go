package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"rapport/internal/fake/smtpd"
)

// garden is an installation whose pages people look at: one person who gets
// everything, with titles, colours and a logo.
type garden struct {
	*rig
	who  person
	p, u string // links of the letter
	r    string // link of the letter that asks for a confirmation
	copy string // link of one that was confirmed: the way to a copy of the data
	axe  string
}

const gardenPages = `name: Lindenhof Gardens
forms:
  - name: garden
    channel: news
    topics: [offers]
    title: {en: Letters from the garden, de: Post aus dem Garten}
    wording:
      en: Yes, write to me about offers of the season. I can take that back at any time.
      de: Ja, schreibt mir zu Angeboten der Saison. Ich kann das jederzeit zurücknehmen.
pages: {logo: logo.svg, colour: "#2f6f3e", background: "#f4f1ea", imprint: "https://lindenhof.example/imprint", privacy: "https://lindenhof.example/privacy"}
tracking_basis: consent
`

const gardenLogo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 56" width="300" height="56"><g fill="#2f6f3e"><path d="M28 50V26C12 26 6 14 8 4c14-1 22 6 22 18C30 12 38 4 50 6c2 12-6 20-18 20v24z"/></g><text x="64" y="37" font-family="Georgia, serif" font-size="27" fill="#4a7a56">Lindenhof Gardens</text></svg>`

func openGarden(t *testing.T) *garden {
	t.Helper()
	r := newRig(t, setup{people: 2, mail: smtpd.Options{}, config: gardenPages})
	r.env = []string{
		"RAPPORT_TOPICS_OFFERS_TITLE={en: Offers of the season, de: Angebote der Saison}", "RAPPORT_TOPICS_SERVICE_TITLE={en: Your orders, de: Ihre Bestellungen}",
		"RAPPORT_TOPICS_WORKSHOPS_KIND=marketing", "RAPPORT_TOPICS_WORKSHOPS_TITLE={en: Workshops and open days, de: Kurse und offene Tage}",
		"RAPPORT_TOPICS_LETTER_KIND=marketing", "RAPPORT_TOPICS_LETTER_TITLE={en: The garden letter, de: Der Gartenbrief}",
	}
	r.file("logo.svg", gardenLogo)
	r.file("data/texts/fr.yaml", "language_name: Français\npreferences_titel: Vos messages\n")
	r.refused(2, "fr.yaml:2:1: preferences_titel: is not a text of the pages; did you mean preferences_title?", "config", "check")
	r.file("data/texts/fr.yaml", "language_name: Français\npreferences_title: Vos messages\n")
	r.must("config", "check")
	s := &garden{rig: r, axe: axe(t)}
	s.who = person{ID: "anna", Email: "anna@mail.example", Locale: "en", Zone: "Europe/Berlin", Consent: granted, Attributes: slices.Clone(r.people.at(0).Attributes)}
	r.must("contacts", "import", r.people.write(t, r.dir, r.people.row(s.who)))
	r.must("consent", "grant", s.who.Email, "email:letter", "--source", "paper form 7")
	r.letter()
	r.file("letter/en/html.liquid", page("en", "Dear", "Points", "Unsubscribe", "View in browser", `<p><a href="{{ links.preferences }}">…</a></p>`))
	r.must("templates", "put", r.path("letter"))
	r.create("first-offers", "title: Offers\n")
	r.must("campaigns", "start", "first-offers")
	r.serve()
	r.finished("first-offers")
	l := r.letterFor(s.who.Email)
	s.p, s.u = l.links("/p/")[0], l.links("/u/")[0]
	s.r = s.confirmation()
	s.copy = s.asksFor(s.p, "see", s.who.Email)
	if res, err := s.ask(http.MethodPost, s.copy, "confirm=yes"); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("confirm a copy: %+v, %v", res, err)
	}
	return s
}

// confirmation asks for a topic that Anna never had, and is the link of the
// letter that wants to know whether it was her.
func (s *garden) confirmation() string {
	s.t.Helper()
	res, err := s.ask(http.MethodPost, s.p, "do=start&way=email&topic=workshops")
	if err != nil || res.StatusCode != http.StatusSeeOther || !strings.Contains(res.Header.Get("Location"), "done=asked") {
		s.t.Fatalf("ask for a topic: %+v, %v", res, err)
	}
	var links []string
	eventually(s.t, "the letter that asks", patience, 50*time.Millisecond, func() bool {
		links = s.letterFor(s.who.Email).links("/r/")
		return len(links) > 0
	})
	if got := s.answer(s.who.Email, "workshops"); got == granted {
		s.t.Errorf("before the confirmation the answer is %q", got)
	}
	return links[0]
}

// TestPublicPagesForEverybody: every public page in a real browser, in both
// languages, light and dark, on a desk and at 320 pixels, by keyboard, without
// scripts.
func TestPublicPagesForEverybody(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	b.person()
	s := openGarden(t)
	t.Run("eyes", func(t *testing.T) { b.on(t).findsFaults(axe(t)) })
	t.Run("accessible", func(t *testing.T) { s.examined(b.on(t)) })
	b.take() // pages that are to say "not found" or "wrong" do so
	t.Run("one more language", func(t *testing.T) { b.on(t).visit(inLanguage(s.p, "fr"), "Vos messages") })
	t.Run("pictures", func(t *testing.T) { s.pictures(b.on(t)) })
	t.Run("keyboard", func(t *testing.T) { s.byKeyboard(b.on(t)) })
	t.Run("scriptless", func(t *testing.T) { s.withoutScripts(b.on(t)) })
}

// view is a page, and the button that leads to what is looked at; before it
// the fields of its form are filled in, by name.
type view struct {
	name, address, press string
	fill                 map[string]string
	says                 string // in English; empty: is not looked at
}

// english are the pages of the front door, which people do not come to by a
// letter.
func (v view) english() bool { return v.name == "nowhere" || v.name == "status" }

// views lists the pages, and how to come to those that answer a button.
func (s *garden) views() []view {
	gone := regexp.MustCompile(`/p/.*`).ReplaceAllString(s.p, "/p/nothing")
	return []view{
		{name: "unsubscribe", address: s.u},
		{name: "preferences", address: s.p},
		{name: "preferences, done", address: s.p + "?done=stopped&topic=offers"},
		{name: "preferences, wrong", address: s.p, press: "button[value=move]"},
		{name: "erase", address: s.p + "?step=erase"},
		{name: "gone", address: gone},
		{name: "nowhere", address: "http://" + s.listen + "/nowhere"},
		{name: "status", address: "http://" + s.listen + "/"},
		{name: "request", address: s.r},
		{name: "request, wrong", address: gone[:strings.LastIndex(gone, "/p/")] + "/r/nothing"},
		{name: "form", address: "http://" + s.listen + "/f/garden"},
		{name: "form, wrong", address: "http://" + s.listen + "/f/garden", press: "form button[type=submit]"},
		// As for a link that is not ours: the answer is the same, and Anna stays.
		{name: "unsubscribed", address: strings.Replace(gone, "/p/", "/u/", 1), press: "form button", says: "You are unsubscribed"},
		{name: "copy", address: s.copy, says: "Fetch my data"},
		// The field for machines: the same answer, and nobody signs up.
		{name: "form, thanks", address: "http://" + s.listen + "/f/garden", press: "form button[type=submit]", fill: map[string]string{"address": "anna@mail.example", "website": "x"}, says: "Please look into your mailbox"},
	}
}

func (s *garden) examined(b *tab) {
	for _, dark := range []bool{false, true} {
		b.prefers(dark)
		for _, lang := range []string{"en", "de"} {
			for _, v := range s.views() {
				what := fmt.Sprintf("%s (%s, dark %v)", v.name, lang, dark)
				b.do("a desk", chromedp.EmulateViewport(1280, 800))
				b.do("open "+v.address, chromedp.Navigate(inLanguage(v.address, lang)))
				if v.press != "" {
					// The browser itself would refuse an empty field.
					eval[bool](b, `document.querySelectorAll("[required]").forEach(e => e.removeAttribute("required")); true`)
					for name, value := range v.fill {
						eval[bool](b, fmt.Sprintf("document.getElementsByName(%q)[0].value = %q; true", name, value))
					}
					b.submit(v.press)
				}
				if got := eval[string](b, "document.documentElement.lang"); got != lang && !v.english() {
					b.t.Errorf("%s is in %q", what, got)
				}
				if lang == "en" && !strings.Contains(b.text(), v.says) {
					b.t.Errorf("%s does not say %q:\n%s", what, v.says, b.text())
				}
				eval[bool](b, `document.querySelectorAll("details").forEach(d => d.open = true); true`)
				b.accessible(what, s.axe)
				b.reachable(what)
				b.unabridged(what)
				b.do("a tablet", chromedp.EmulateViewport(800, 1000))
				b.unabridged(what + " at 800 pixels")
				b.do("a small telephone", chromedp.EmulateViewport(320, 640))
				b.reachable(what + " at 320 pixels")
				// Twice as large letters on 640 pixels (criterion 1.4.4).
				b.do("a half screen", chromedp.EmulateViewport(640, 800))
				eval[bool](b, `document.documentElement.style.fontSize = "200%"; true`)
				b.reachable(what + " with letters of 200 %")
			}
		}
	}
}

// byKeyboard walks through the page with Tab, sees where it is all the time,
// and stops a topic with Enter.
func (s *garden) byKeyboard(b *tab) {
	b.prefers(false)
	b.do("open", chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.p))
	steps := b.walk()
	names := ""
	for _, st := range steps {
		names += st.Name + "\n"
		if !st.Outline || st.Hidden {
			b.t.Errorf("the focus is not seen: %+v", st)
		}
	}
	if len(steps) < 15 || !strings.HasPrefix(names, "A Skip to the content\n") {
		b.t.Fatalf("%d steps:\n%s", len(steps), names)
	}
	at := 0
	for _, want := range []string{"BUTTON Stop: Offers of the season", "SUMMARY Less often", "BUTTON No more advertising", "SELECT Language", "SELECT Your time zone", "A Deutsch", "A Français", "A Imprint"} {
		i := strings.Index(names[at:], want)
		if i < 0 {
			b.t.Fatalf("%q is not met, or not in its order:\n%s", want, names)
		}
		at += i
	}
	b.do("open again", chromedp.Navigate(s.p))
	for range steps {
		b.do("press Tab", chromedp.KeyEvent("\t"))
		if strings.Contains(eval[string](b, "document.activeElement.textContent"), "Stop: Offers of the season") {
			break
		}
	}
	b.enter()
	b.fits(screens()[0], "after Enter", "“Offers of the season” has ended.")
	if got := s.answer(s.who.Email, "offers"); got != withdrawn {
		b.t.Errorf("after Enter the answer is %q", got)
	}
}

// withoutScripts does everything on a phone whose browser runs none.
func (s *garden) withoutScripts(b *tab) {
	b.scripts(false)
	defer b.scripts(true)
	b.do("open", chromedp.EmulateViewport(360, 740), chromedp.Navigate(s.p))
	said := func(words string) {
		b.t.Helper()
		if text := b.text(); !strings.Contains(text, words) {
			b.t.Fatalf("the page does not say %q:\n%s", words, text)
		}
	}
	press := func(topic, do, words string) {
		b.t.Helper()
		selector := `button[value=` + do + `]`
		if topic != "" {
			selector = `form:has(input[value=` + topic + `]) ` + selector
		}
		b.submit(selector)
		said(words)
	}
	if s.answer(s.who.Email, "offers") == granted { // the keyboard did not come by
		press("offers", "stop", "“Offers of the season” has ended.")
	}
	press("offers", "start", "“Offers of the season” is on.")
	if got := s.answer(s.who.Email, "offers"); got != granted {
		b.t.Errorf("started again the answer is %q", got)
	}
	press("tracking", "start", "Thank you.")
	b.do("unfold", chromedp.Click(chromedp.CSS(`li:has(input[value=letter]) summary`)))
	b.do("choose", chromedp.SetValue(chromedp.CSS("#every-email-letter"), "7"), chromedp.SetValue(chromedp.CSS("#break-email-letter"), "60"))
	press("letter", "wish", "On a break until")
	b.do("choose", chromedp.SetValue(chromedp.CSS("#zone"), "Europe/Vienna"), chromedp.SetValue(chromedp.CSS("#language"), "de"))
	press("", "self", "Gespeichert.")
	b.do("open the letter's link", chromedp.Navigate(s.r))
	b.submit("form button")
	if got := s.answer(s.who.Email, "workshops"); got != granted {
		b.t.Errorf("after the confirmation the answer is %q:\n%s", got, b.text())
	}
	b.do("back", chromedp.Navigate(s.p))
	press("", "object", "Alle Werbung ist beendet.")
	for topic, want := range map[string]string{"offers": withdrawn, "letter": withdrawn, "workshops": withdrawn, "tracking": withdrawn, "service": granted} {
		if got := s.answer(s.who.Email, topic); got != want {
			b.t.Errorf("in the end %s is %q, want %q", topic, got, want)
		}
	}
}

// pictures are those of the documentation; RAPPORT_E2E_PICTURES names the
// folder they are written to.
func (s *garden) pictures(b *tab) {
	folder := os.Getenv("RAPPORT_E2E_PICTURES")
	if folder == "" {
		b.t.Skip("does not apply: RAPPORT_E2E_PICTURES names no folder")
	}
	defer call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	for _, p := range []struct {
		name          string
		width, height int64
		scale         float64
		dark          bool
	}{{"preferences.png", 900, 900, 1.5, false}, {"preferences-phone.png", 390, 844, 2, false}, {"preferences-dark.png", 900, 900, 1.5, true}} {
		b.prefers(p.dark)
		b.do("open", chromedp.EmulateViewport(p.width, p.height, chromedp.EmulateScale(p.scale)), chromedp.Navigate(inLanguage(s.p, "en")))
		b.picture(folder + "/" + p.name)
	}
}
