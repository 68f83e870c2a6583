package consent

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var picture = flag.String("picture", "", "write the picture of a proof to this file")

// invented is the proof of somebody who does not exist: asked, confirmed,
// withdrew, and once erased.
func invented(t *testing.T) ProofSheet {
	t.Helper()
	text := WordingText{
		NoticeRef: NoticeRef{Name: "newsletter-sign-up", Version: 3, Locale: "de"},
		Text: "Ja, ich möchte den Newsletter der Musterhaus GmbH mit Angeboten zu Möbeln und Wohnideen per E-Mail erhalten, höchstens einmal in der Woche.\n" +
			"Ich kann das jederzeit widerrufen, mit einem Klick in jeder Nachricht oder an datenschutz@musterhaus.example.",
	}
	text.Hash = TextHash(text.Text)
	at := time.Date(2026, 5, 4, 16, 21, 9, 0, time.UTC)
	say := func(id int64, state State, after time.Duration, change func(*Entry)) Declaration {
		e := Entry{
			Contact: 17, Driver: "email", Topic: "newsletter", State: state, Basis: ByConsent, At: at.Add(after), Address: "erika.beispiel@example.com",
			Channel: "newsletter", Source: "Anmeldung im Shop", Controller: "Musterhaus GmbH, Beispielweg 1, 12345 Musterstadt", Jurisdiction: "DE",
			Categories: []string{"address", "name"}, Clock: OurClock, IP: "192.0.2.0", Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			Actor: "form newsletter-footer", Salt: []byte{byte(id)},
		}
		change(&e)
		r, err := Draft(e, 1, e.At.Add(40*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		r.ID = id
		d := Declaration{Proof: r.proof(), Matches: Commit(r) == r.Commitment, Seal: &Seal{UpTo: 5120, Hash: TextHash("a seal"), At: e.At.Add(time.Second)}}
		if e.Notice.Name != "" {
			d.Text, d.TextMatches = &text, true
		}
		return d
	}
	p := ProofSheet{
		Subject:    Subject{Number: 17, ID: "01J8Z3V7Q2K4M5N6P7R8S9T0VW", Name: "Erika Beispiel", Addresses: []string{"email: erika.beispiel@example.com"}},
		Controller: "Musterhaus GmbH, Beispielweg 1, 12345 Musterstadt", MadeAt: time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC), MadeBy: "cli:m.schulz",
		Head: Seal{UpTo: 5120, Hash: TextHash("the head"), At: at.Add(time.Hour)},
		Declarations: []Declaration{
			say(5114, Requested, 0, func(e *Entry) {
				e.Given, e.Method, e.Form, e.URL, e.Notice = "Erika.Beispiel@Example.com", ByForm, "newsletter-footer", "https://www.musterhaus.example/kontakt", text.NoticeRef
				e.MessageID, e.MailedAt = "<q7.3f9a@news.musterhaus.example>", e.At.Add(2*time.Second)
			}),
			say(5119, Confirmed, 12*time.Minute, func(e *Entry) {
				e.Method, e.Notice = ByLink, text.NoticeRef
				e.MessageID, e.MailedAt = "<q7.3f9a@news.musterhaus.example>", at.Add(2*time.Second)
				e.Expires, e.IP = e.At.AddDate(2, 0, 0), "192.0.2.0"
			}),
		},
	}
	p.Declarations[1].Asked = 5114
	d := p.Declarations[1]
	p.Standing = []Current{{Contact: 17, Driver: "email", Topic: "newsletter", Answer: Yes, State: Confirmed, Basis: ByConsent, Address: "erika.beispiel@example.com", At: d.At, Entry: 5119, Expires: d.Expires}}
	return p
}

func page(t *testing.T, p ProofSheet, locale string) string {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	topics := []Topic{{Name: "newsletter", Title: map[string]string{"de": "Neues aus dem Haus", "en": "News of the house"}}}
	if err := p.HTML(&b, SheetOptions{Locale: locale, Zone: zone, Topics: topics}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestSheetTells looks for everything that a proof has to hold.
func TestSheetTells(t *testing.T) {
	p := invented(t)
	for locale, words := range map[string][]string{
		"de-AT": {"Nachweis der Einwilligung", "Bestätigt", "Neues aus dem Haus", "Art. 6 Abs. 1 lit. a DSGVO"},
		"en":    {"Proof of consent", "Confirmed", "News of the house", "GDPR art. 6(1)(a)"},
		"xx":    {"Proof of consent"},
	} {
		html := page(t, p, locale)
		d := p.Declarations[0]
		for _, want := range append(words,
			d.Text.Text, d.Text.Hash, "Erika.Beispiel@Example.com", "erika.beispiel@example.com", "2026-05-04\u00a018:21:09\u00a0&#43;02:00 (16:21:09\u00a0UTC)",
			"https://www.musterhaus.example/kontakt", "newsletter-footer", "&lt;q7.3f9a@news.musterhaus.example&gt;", "192.0.2.0", "Firefox/140.0", "DE",
			d.Commitment, d.Seal.Hash, p.Head.Hash, "5114", "5119", "2028-05-04",
		) {
			if !strings.Contains(html, want) {
				t.Errorf("%s: the sheet does not hold %q", locale, want)
			}
		}
		for _, never := range []string{"<script", "src=", "<link", "url(", "@import", "ZgotmplZ"} {
			if strings.Contains(html, never) {
				t.Errorf("%s: the sheet holds %q", locale, never)
			}
		}
	}
}

// TestSheetLanguages compares the words of all languages.
func TestSheetLanguages(t *testing.T) {
	list, err := SheetLocales()
	if err != nil || len(list) < 2 {
		t.Fatal(list, err)
	}
	_, english, err := sheetTexts("en")
	if err != nil {
		t.Fatal(err)
	}
	for _, locale := range list {
		_, texts, err := sheetTexts(locale)
		if err != nil {
			t.Fatal(err)
		}
		for key := range english {
			if texts[key] == "" {
				t.Errorf("%s has no words for %s", locale, key)
			}
		}
		if len(texts) != len(english) {
			t.Errorf("%s has %d words, English %d", locale, len(texts), len(english))
		}
	}
	for _, kind := range [][2][]string{{{"method"}, Methods()}, {{"basis"}, Bases()}, {{"clock"}, {OurClock, StatedClock, FileClock}}} {
		for _, w := range kind[1] {
			if english[kind[0][0]+"_"+w] == "" {
				t.Errorf("there are no words for the %s %s", kind[0][0], w)
			}
		}
	}
}

// TestSheetWarns shows what does not match, and what was erased.
func TestSheetWarns(t *testing.T) {
	p := invented(t)
	p.Declarations[0].Matches = false
	p.Declarations[0].TextMatches = false
	p.Declarations[1].Evidence = nil
	p.Declarations[1].Text = nil
	html := page(t, p, "en")
	for _, want := range []string{"line or evidence are not what was written", "another hash than the one that was recorded", "The evidence of this entry was erased"} {
		if !strings.Contains(html, want) {
			t.Errorf("the sheet does not say %q", want)
		}
	}
	if html := page(t, ProofSheet{Subject: Subject{ID: "x"}}, "en"); !strings.Contains(html, "holds no declaration") || !strings.Contains(html, "Nothing is permitted") {
		t.Error("an empty sheet says nothing")
	}
}

// TestSheetEscapes puts markup wherever somebody from outside writes.
func TestSheetEscapes(t *testing.T) {
	const evil = `<script>alert(1)</script><img src=x onerror=alert(2)>`
	p := invented(t)
	p.Subject.Name, p.Controller = evil, evil
	for i := range p.Declarations {
		d := &p.Declarations[i]
		ev := *d.Evidence
		ev.Source, ev.Agent, ev.IP, ev.URL, ev.Form, ev.Given, ev.Actor, ev.Wording, ev.Reference, ev.MessageID = evil, evil, evil, "javascript:alert(1)", evil, evil, evil, evil, evil, evil
		text := *d.Text
		text.Text = evil
		d.Evidence, d.Text, d.Topic = &ev, &text, evil
	}
	html := page(t, p, "de")
	if strings.Contains(html, "<script") || strings.Contains(html, "<img") || strings.Contains(html, "href") {
		t.Errorf("markup of others is markup of ours:\n%s", html)
	}
}

// TestReceipts reads the receipts as a machine would.
func TestReceipts(t *testing.T) {
	p := invented(t)
	raw, err := json.Marshal(p.Receipts())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Receipts []struct {
			Version          string `json:"version"`
			ConsentTimestamp int64  `json:"consentTimestamp"`
			ConsentReceiptID string `json:"consentReceiptID"`
			PIIPrincipalID   string `json:"piiPrincipalId"`
			Jurisdiction     string `json:"jurisdiction"`
			CollectionMethod string `json:"collectionMethod"`
			Language         string `json:"language"`
			PIIControllers   []struct {
				PIIController string `json:"piiController"`
			} `json:"piiControllers"`
			Services []struct {
				Purposes []struct {
					Purpose     string   `json:"purpose"`
					ConsentType string   `json:"consentType"`
					PIICategory []string `json:"piiCategory"`
				} `json:"purposes"`
			} `json:"services"`
			Record struct {
				Processing struct {
					NoticeText string `json:"notice_text"`
				} `json:"pii_processing"`
				Events []struct {
					EventState string `json:"event_state"`
					Entry      int64  `json:"entry"`
				} `json:"events"`
			} `json:"record"`
		} `json:"receipts"`
	}
	if err := json.Unmarshal(raw, &got); err != nil || len(got.Receipts) != 1 {
		t.Fatalf("%s, %v", raw, err)
	}
	r := got.Receipts[0]
	d := p.Declarations[1]
	if r.Version != "KI-CR-v1.1.0" || r.ConsentTimestamp != d.At.Unix() || !strings.HasPrefix(r.ConsentReceiptID, "5119-") || r.PIIPrincipalID != p.Subject.ID ||
		r.Jurisdiction != "DE" || r.CollectionMethod != "link" || r.Language != "de" || r.PIIControllers[0].PIIController != p.Controller ||
		r.Services[0].Purposes[0].Purpose != "newsletter" || r.Services[0].Purposes[0].ConsentType != "EXPLICIT" || len(r.Services[0].Purposes[0].PIICategory) != 2 ||
		r.Record.Processing.NoticeText != d.Text.Text || len(r.Record.Events) != 2 || r.Record.Events[0].EventState != "requested" {
		t.Errorf("%s", raw)
	}
}

// TestSheetInABrowser lets Chromium print the sheet, which holds no script, and makes
// the picture of docs/pictures when -picture names a file.
func TestSheetInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: the sheet was not looked at in a browser")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "proof.html")
	if err := os.WriteFile(file, []byte(page(t, invented(t), "de")), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(flags ...string) string {
		t.Helper()
		args := append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
			"--user-data-dir=" + filepath.Join(dir, "profile"),
		}, flags...)
		out, err := exec.CommandContext(t.Context(), chromium, append(args, "file://"+file)...).Output()
		if err != nil {
			t.Fatalf("%v: %v", flags, err)
		}
		return string(out)
	}
	pdf := filepath.Join(dir, "proof.pdf")
	run("--print-to-pdf="+pdf, "--no-pdf-header-footer")
	raw, err := os.ReadFile(pdf)
	if err != nil || !strings.HasPrefix(string(raw), "%PDF-") {
		t.Fatalf("no page was printed: %v", err)
	}
	pages := strings.Count(string(raw), "/Type /Page\n") + strings.Count(string(raw), "/Type /Page ")
	if pages < 1 || pages > 3 {
		t.Errorf("two declarations fill %d pages", pages)
	}
	if dom := run("--dump-dom"); strings.Count(dom, "<article") != 2 || !strings.Contains(dom, "Wortlaut, wie er gezeigt wurde") {
		t.Errorf("the browser reads another page:\n%s", dom)
	}
	if *picture != "" {
		run("--screenshot="+*picture, "--window-size=860,2240", "--hide-scrollbars")
	}
}
