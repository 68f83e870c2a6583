package public_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/access"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/preferences"
	"rapport/requests"
	"rapport/responses"
)

// asked is where requests end: their letters are examined in their own room.
type asked struct{ list []requests.Ask }

// Ask implements preferences.Asker.
func (a *asked) Ask(_ context.Context, one requests.Ask) error {
	if _, err := channels.Email.Normalize(one.Address); one.Address != "" && err != nil {
		return rapport.Invalidf("address", "%v", err)
	}
	a.list = append(a.list, one)
	return nil
}

type persons struct{ *site }

// Contact implements preferences.People.
func (p persons) Contact(ctx context.Context, by contacts.Key) (contacts.Contact, error) {
	return p.Store.Contact(ctx, by)
}

// Put implements preferences.People.
func (p persons) Put(ctx context.Context, in contacts.Input) (contacts.Contact, bool, error) {
	return p.Contacts.Put(ctx, in)
}

// centre is the real one, over the site's store.
func (s *site) centre() *preferences.Service {
	return preferences.New(preferences.Options{
		Ledger: s.Consent, People: persons{s}, Requests: &s.asked, Audit: access.New(s.Store, time.Now), Sink: direct{s.Store},
		Drivers: s.Drivers, Reaches: []string{"mailer", "pigeon"}, Asks: []string{"mailer"}, Tracking: preferences.TrackedByConsent,
		Object: func(context.Context, int64, string) error { s.objections++; return nil },
		Letter: func(context.Context, int64, int64) (string, error) { return s.letter, nil },
		Notice: func(ctx context.Context, wording, locale string) (consent.NoticeRef, error) {
			w, err := s.Consent.LatestWording(ctx, wording, locale)
			return w.NoticeRef, err
		},
		Now: time.Now,
	})
}

// press sends a form and follows it to the page that says what was done.
func (s *site) press(t *testing.T, fields string, header ...string) string {
	t.Helper()
	h := map[string]string{"Content-Type": form}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	w := s.ask("POST", s.links.Preferences(), fields, h)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("%s: status %d: %s", fields, w.Code, w.Body)
	}
	at := w.Header().Get("Location")
	if !strings.HasPrefix(at, "?") || strings.Contains(at, "@") {
		t.Fatalf("%s leads to %s", fields, at)
	}
	return s.ask("GET", s.links.Preferences()+at, "", nil).Body.String()
}

func (s *site) last(t *testing.T) consent.Proof {
	t.Helper()
	sheet, err := s.Consent.Show(t.Context(), s.contact)
	if err != nil {
		t.Fatal(err)
	}
	return sheet.History[len(sheet.History)-1]
}

func (s *site) has(t *testing.T, page string, want ...string) {
	t.Helper()
	for _, w := range append(want, "</html>") {
		if !strings.Contains(page, w) {
			t.Errorf("%q is missing in %s", w, page)
		}
	}
}

func TestStopAndStartAgain(t *testing.T) {
	s := newSite(t)
	s.has(t, s.press(t, "do=stop&way=mailer&topic=news"), `role="status">“news” has ended.`, "Start again", "<title>“news” has ended.")
	if st := s.state(t); st.answers != left || st.events != 1 || st.entries != 3 {
		t.Fatalf("%+v", st)
	}
	p := s.last(t)
	ev := p.Evidence
	if ev == nil || ev.Method != consent.ByLink || ev.URL != "https://news.example/p/…" || ev.IP != "203.0.113.9" || ev.Agent == "" || ev.Notice.Name != preferences.Wording || ev.Notice.Locale != "en" || ev.Notice.Hash == "" {
		t.Errorf("evidence %+v", ev)
	}
	s.press(t, "do=stop&way=mailer&topic=news") // twice is like once
	if st := s.state(t); st.events != 1 || st.entries != 3 {
		t.Errorf("twice: %+v", st)
	}
	s.has(t, s.press(t, "do=start&way=mailer&topic=news"), "“news” is on.")
	s.press(t, "do=start&way=mailer&topic=news")
	if st := s.state(t); st.answers != granted || st.entries != 4 || len(s.asked.list) != 0 {
		t.Errorf("started: %+v, asked %+v", st, s.asked.list)
	}
	if p := s.last(t); p.State != consent.Granted || p.Evidence.Address != "anna@example.com" || p.Evidence.Method != consent.ByLink {
		t.Errorf("%+v %+v", p, p.Evidence)
	}
	acts, err := s.Store.Acts(t.Context(), access.Filter{Contact: s.contact, Limit: 10})
	if err != nil || len(acts) != 2 || acts[1].Action != "consent.withdraw" || acts[0].Actor != "link:preference page" {
		t.Errorf("%+v, %v", acts, err)
	}
}

// A "yes" that the link alone does not prove is asked for by letter.
func TestYesNeedsProof(t *testing.T) {
	for name, c := range map[string]struct {
		topic   string
		prepare func(s *site)
		agent   string
	}{
		"never said":        {topic: "offers"},
		"another mailbox":   {topic: "news", prepare: func(s *site) { s.letter = "old@example.com" }},
		"nobody remembers":  {topic: "news", prepare: func(s *site) { s.letter = "" }},
		"a machine presses": {topic: "news", agent: "python-requests/2.32"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if err := s.Consent.PutTopics(t.Context(), []consent.Topic{{Name: "offers", Kind: consent.Marketing, Title: map[string]string{"en": "Offers & more"}}}); err != nil {
				t.Fatal(err)
			}
			if c.prepare != nil {
				c.prepare(s)
			}
			if c.topic == "news" {
				s.press(t, "do=stop&way=mailer&topic=news")
			}
			before := s.state(t)
			if c.agent == "" {
				c.agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
			}
			s.has(t, s.press(t, "do=start&way=mailer&topic="+c.topic, "User-Agent", c.agent), "A message with a button is on its way")
			if after := s.state(t); after.answers != before.answers || after.entries != before.entries {
				t.Errorf("%+v became %+v", before, after)
			}
			if len(s.asked.list) != 1 {
				t.Fatalf("asked %+v", s.asked.list)
			}
			if a := s.asked.list[0]; a.Kind != requests.Subscribe || a.Contact != s.contact || a.Address != "anna@example.com" || a.Topics[0] != c.topic || a.Notice.Hash == "" {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestObjection(t *testing.T) {
	s := newSite(t)
	s.has(t, s.press(t, "do=object"), "All advertising has ended.", "Belongs to your orders")
	s.press(t, "do=object")
	if s.objections != 1 {
		t.Errorf("%d marks", s.objections)
	}
	sheet, err := s.Consent.Show(t.Context(), s.contact)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sheet.Standing {
		if (c.Topic == "service") == (c.State == consent.Objected) {
			t.Errorf("%s is %s", c.Topic, c.State)
		}
	}
	if st := s.state(t); st.entries != 4 || st.events != 1 { // every way, those without a yes too
		t.Errorf("%+v", st)
	}
}

func TestBreaksAndRhythms(t *testing.T) {
	s := newSite(t)
	s.has(t, s.press(t, "do=wish&way=mailer&topic=news&break=30&every=7"), "Saved.", "On a break until", `<option value="7" selected>`, `<option value="-1" selected>Break until`, "<details class=\"wish\" open>")
	want := func(list ...consent.Preference) {
		t.Helper()
		got, err := s.Consent.Preferences(t.Context(), s.contact)
		if err != nil || len(got) != len(list) {
			t.Fatalf("%+v, %v; want %+v", got, err, list)
		}
		for i, p := range got {
			w := list[i]
			if p.Topic != w.Topic || p.Driver != w.Driver || p.Every != w.Every || p.PausedUntil.IsZero() != w.PausedUntil.IsZero() {
				t.Errorf("%+v, want %+v", p, w)
			}
		}
	}
	later := time.Now()
	const week = 7 * 24 * time.Hour
	want(consent.Preference{Driver: "mailer", Topic: "news", Every: week, PausedUntil: later})
	s.press(t, "do=wish&way=mailer&topic=news&break=-1&every=14")
	want(consent.Preference{Driver: "mailer", Topic: "news", Every: 2 * week, PausedUntil: later})
	s.press(t, "do=wish&break=90&every=0")
	want(consent.Preference{PausedUntil: later}, consent.Preference{Driver: "mailer", Topic: "news", Every: 2 * week, PausedUntil: later})
	s.press(t, "do=wish&break=0&every=0")
	s.press(t, "do=wish&way=mailer&topic=news&break=0&every=0")
	want()
	for _, body := range []string{"do=wish&way=mailer&topic=news&break=31&every=0", "do=wish&way=mailer&topic=news&break=x&every=0", "do=wish&way=mailer&topic=service&break=30&every=0"} {
		if w := s.ask("POST", s.links.Preferences(), body, map[string]string{"Content-Type": form}); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `role="alert"`) {
			t.Errorf("%s: status %d", body, w.Code)
		}
	}
	want()
}

func TestLanguageAndZone(t *testing.T) {
	s := newSite(t)
	page := s.press(t, "do=self&locale=de&zone=America/Argentina/Buenos_Aires")
	s.has(t, page, `<html lang="de">`, "Gespeichert.", `<option value="America/Argentina/Buenos_Aires" selected>Argentina / Buenos Aires`)
	c, err := s.Store.Contact(t.Context(), contacts.Key{ID: s.contact})
	if err != nil || c.Locale != "de" || c.Zone != "America/Argentina/Buenos_Aires" || len(c.Addresses) == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	// The person's own language counts before the browser's, a choice on the
	// page before both.
	get := func(query, accept string) string {
		return s.ask("GET", s.links.Preferences()+query, "", map[string]string{"Accept-Language": accept}).Body.String()
	}
	s.has(t, get("", "en"), `<html lang="de">`)
	s.has(t, get("?lang=en", "de"), `<html lang="en">`, `action="?lang=en"`, `href="?lang=de"`)
	s.has(t, get("?lang=%3Cscript%3E", ""), `<html lang="de">`)
	for _, body := range []string{"do=self&zone=Mars/Phobos", "do=self&locale=%3Cscript%3E"} {
		if w := s.ask("POST", s.links.Preferences(), body, map[string]string{"Content-Type": form}); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", body, w.Code)
		}
	}
}

func TestWhatALetterConfirms(t *testing.T) {
	s := newSite(t)
	s.has(t, s.ask("GET", s.links.Preferences()+"?step=erase", "", nil).Body.String(), "Delete your data?", `value="erase"`, `href="?lang=de&amp;step=erase"`)
	for body, kind := range map[string]requests.Kind{
		"do=move&way=mailer&address=" + url.QueryEscape("New@Example.com"): requests.Move, "do=see&way=mailer": requests.SeeData, "do=erase&way=mailer": requests.Erase,
	} {
		s.asked.list = nil
		s.press(t, body)
		if len(s.asked.list) != 1 || s.asked.list[0].Kind != kind || s.asked.list[0].Contact != s.contact {
			t.Errorf("%s: %+v", body, s.asked.list)
		}
	}
	w := s.ask("POST", s.links.Preferences(), "do=move&way=mailer&address=%22%3E%3Cscript%3E", map[string]string{"Content-Type": form})
	s.has(t, w.Body.String(), `role="alert"`, `href="#address-mailer"`, `aria-invalid="true"`, `value="&#34;&gt;&lt;script&gt;"`)
	if w.Code != http.StatusUnprocessableEntity || strings.Contains(w.Body.String(), "<script") {
		t.Errorf("status %d", w.Code)
	}
	if st := s.state(t); st.answers != granted {
		t.Errorf("%+v", st)
	}
}

func TestTrackingInPlainWords(t *testing.T) {
	s := newSite(t)
	if err := s.Consent.PutTopics(t.Context(), []consent.Topic{consent.Tracking()}); err != nil {
		t.Fatal(err)
	}
	s.has(t, s.ask("GET", s.links.Preferences(), "", nil).Body.String(), "Personal statistics", "You do not take part.", "I agree")
	s.has(t, s.press(t, "do=start&way=mailer&topic=tracking"), "Thank you.", "You agreed on")
	if p := s.last(t); p.Topic != consent.TopicTracking || p.State != consent.Granted || p.Evidence.Notice.Name != preferences.TrackingWording {
		t.Errorf("%+v", p)
	}
	s.has(t, s.press(t, "do=stop&way=mailer&topic=tracking"), "You do not take part in the statistics any more.")
	if st := s.state(t); st.events != 0 {
		t.Errorf("saying no to tracking counts as leaving: %+v", st)
	}
}

// A form on somebody else's page changes nothing, nor does a way or a topic
// that the page does not offer.
func TestForeignFormsChangeNothing(t *testing.T) {
	s := newSite(t)
	before := s.state(t)
	for _, from := range []string{"cross-site", "same-site"} {
		w := s.ask("POST", s.links.Preferences(), "do=object", map[string]string{"Content-Type": form, "Sec-Fetch-Site": from})
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "came from another page") {
			t.Errorf("%s: status %d", from, w.Code)
		}
	}
	for _, body := range []string{"do=stop&way=rocket&topic=news", "do=start&way=mailer&topic=" + requests.Topic, "do=see&way=pigeon", "do=stop&way=mailer&topic="} {
		if w := s.ask("POST", s.links.Preferences(), body, map[string]string{"Content-Type": form}); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", body, w.Code)
		}
	}
	s.ask("POST", s.links.Preferences(), "do=everything", map[string]string{"Content-Type": form})
	if after := s.state(t); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
	page := s.ask("GET", s.links.Preferences()+"?done=stopped&topic=%3Cscript%3Ealert(1)%3C/script%3E", "", nil).Body.String()
	if strings.Contains(page, "alert(1)") || strings.Contains(page, `role="status"`) {
		t.Errorf("the address speaks: %s", page)
	}
}

// A link in wrong hands fills neither the ledger nor the audit log: what it can
// change in a day ends, kindly, and saying no never does.
func TestOneLinkChangesSoMuchADay(t *testing.T) {
	s := newSite(t)
	const most = 60
	post := func(fields string) (int, string) {
		w := s.ask("POST", s.links.Preferences(), fields, map[string]string{"Content-Type": form})
		return w.Code, w.Body.String()
	}
	for i := range most {
		button := "do=start&way=mailer&topic=news"
		if i%2 == 1 {
			button = "do=wish&way=mailer&topic=news&every=7&break=" + []string{"30", "60"}[i/2%2]
		}
		if code, text := post(button); code != http.StatusSeeOther {
			t.Fatalf("press %d: %d %s", i, code, text)
		}
		if code, _ := post("do=stop&way=mailer&topic=news"); code != http.StatusSeeOther {
			t.Fatalf("stop %d: %d", i, code)
		}
	}
	if code, _ := post("do=start&way=mailer&topic=service"); code != http.StatusTooManyRequests {
		t.Errorf("press %d: %d", most+1, code)
	}
	before, acts := s.state(t), s.acts(t)
	for range 200 {
		for _, button := range []string{"do=start&way=mailer&topic=news", "do=wish&way=mailer&topic=news&every=14&break=90", "do=self&locale=de&zone=Europe/Berlin", "do=move&way=mailer&address=b@example.com", "do=erase&way=mailer"} {
			code, text := post(button)
			if code != http.StatusTooManyRequests || !strings.Contains(text, "Please come back later") {
				t.Fatalf("%s: %d %s", button, code, text)
			}
		}
		post("do=stop&way=mailer&topic=news")
	}
	if after := s.state(t); after != before || s.acts(t) != acts || len(s.asked.list) != 0 {
		t.Errorf("%+v became %+v, %d acts %d, asked %d", before, after, acts, s.acts(t), len(s.asked.list))
	}
	// The same person by another letter, and the same letter for who says no.
	other := responses.NewLinker(s.tokens, "").For(responses.Subject{Run: run + 1, Contact: s.contact, Driver: "mailer", Topic: "news"}, false).Preferences()
	if w := s.ask("POST", other, "do=start&way=mailer&topic=news", map[string]string{"Content-Type": form}); w.Code != http.StatusSeeOther {
		t.Errorf("another link: %d", w.Code)
	}
	s.has(t, s.press(t, "do=stop&way=mailer&topic=news"), "has ended.")
	s.press(t, "do=object")
	if st := s.state(t); strings.Contains(st.answers, "news=granted") || s.objections == 0 {
		t.Errorf("%+v, %d marks", st, s.objections)
	}
}

func (s *site) acts(t *testing.T) int {
	t.Helper()
	list, err := s.Store.Acts(t.Context(), access.Filter{Contact: s.contact, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
