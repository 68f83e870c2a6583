package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jhillyerd/enmime/v2"

	"rapport"
	"rapport/consent"
	"rapport/contacts"
	"rapport/internal/fake/smtpd"
	"rapport/requests"
)

// newsstand is a running house with forms, a mail server and a clock that a
// test moves.
type newsstand struct {
	*House
	t     *testing.T
	at    string // public address
	mail  *smtpd.Server
	ahead *atomic.Int64
}

const forms = `
name: Example Shop
topics:
  - {name: news, kind: marketing, title: {en: News, de: Neues}}
  - {name: offers, kind: marketing, title: {en: Offers, de: Angebote}}
forms:
  - name: join
    channel: post
    topics: [news, offers]
    title: {en: Join us, de: Machen Sie mit}
    wording: {en: "Yes, Example Shop may write to me about what I ticked.", de: "Ja, der Example Shop darf mir zu dem schreiben, was ich angekreuzt habe."}
    tracking: {en: "You may see what I open.", de: "Sie dürfen sehen, was ich öffne."}
    fields: [{name: first_name, label: {en: First name, de: Vorname}}]
    embed_on: [https://shop.example]
  - {name: hard, channel: post, topics: [news], wording: {en: Yes please.}, proof_of_work: true}
  - {name: polite, channel: post, topics: [news], wording: {en: Yes please.}, already: letter}
`

func openNewsstand(t *testing.T, lines ...string) *newsstand {
	t.Helper()
	mail, err := smtpd.Start(t.Context(), smtpd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mail.Close() })
	n := &newsstand{t: t, mail: mail, ahead: &atomic.Int64{}}
	drivers := registry(t)
	lines = append(lines, "data: "+t.TempDir(), forms, "channels:\n  - {name: post, driver: email, from: Shop <news@shop.example>, servers: [{url: \"smtp://"+mail.Addr()+"?tls=none\"}]}")
	n.House, err = Open(t.Context(), Options{
		Config: conf(t, drivers, lines...), Drivers: drivers, Now: func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	up, ended := make(chan Addresses, 1), make(chan error, 1)
	go func() { ended <- n.Serve(ctx, func(at Addresses) { up <- at }) }()
	select {
	case at := <-up:
		n.at = "http://" + at.Public
	case err := <-ended:
		t.Fatalf("it does not come up: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *newsstand) later(d time.Duration) { n.ahead.Add(int64(d)) }

// ask sends a request and returns status and body.
func (n *newsstand) ask(method, path string, form url.Values, header ...string) (int, string, http.Header) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.at+path, strings.NewReader(form.Encode()))
	if err != nil {
		n.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

var ticketIn = regexp.MustCompile(`name="ticket" value="([^"]+)"`)

// ticket gets the ticket of a form and waits until it may come back.
func (n *newsstand) ticket(form string) string {
	n.t.Helper()
	_, text, _ := n.ask("GET", "/f/"+form, nil)
	m := ticketIn.FindStringSubmatch(text)
	if m == nil {
		n.t.Fatalf("the form has no ticket: %s", text)
	}
	n.later(3 * time.Second)
	return m[1]
}

// sign signs somebody up and returns the answer.
func (n *newsstand) sign(form, address string, fields ...string) (int, string) {
	n.t.Helper()
	values := url.Values{"address": {address}, "t:news": {"yes"}, "ticket": {n.ticket(form)}}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	code, text, _ := n.ask("POST", "/f/"+form, values)
	return code, text
}

var linkIn = regexp.MustCompile(`http://127\.0\.0\.1:8080(/r/[A-Za-z0-9_-]+)`)

// received is a letter as its reader has it.
type received struct {
	smtpd.Message
	Text, HTML string
}

func read(t *testing.T, m smtpd.Message) received {
	t.Helper()
	e, err := enmime.ReadEnvelope(bytes.NewReader(m.Source))
	if err != nil {
		t.Fatal(err)
	}
	return received{m, e.Text, e.HTML}
}

// letter waits for the n-th letter to an address and returns it.
func (n *newsstand) letter(to string, number int) received {
	n.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if list := n.letters(to); len(list) >= number {
			return read(n.t, list[number-1])
		}
	}
	n.t.Fatalf("letter %d to %s does not come", number, to)
	return received{}
}

func (n *newsstand) letters(to string) []smtpd.Message {
	return slices.DeleteFunc(n.mail.Messages(), func(m smtpd.Message) bool { return !slices.Contains(m.EnvelopeTo, to) })
}

// link is the path of the page behind a letter.
func (n *newsstand) link(m received) string {
	n.t.Helper()
	found := linkIn.FindStringSubmatch(m.Text)
	if found == nil {
		n.t.Fatalf("the letter has no link: %s", m.Text)
	}
	return found[1]
}

// answers are what stands for an address: topic=answer.
func (n *newsstand) answers(address string) string {
	n.t.Helper()
	who, err := n.Contacts.Get(n.t.Context(), address)
	if err != nil {
		return "nobody"
	}
	sheet, err := n.Consent.Show(n.t.Context(), who.ID)
	if err != nil {
		n.t.Fatal(err)
	}
	var out []string
	for _, c := range sheet.Standing {
		out = append(out, c.Topic+"="+string(c.Answer))
	}
	return strings.Join(out, " ")
}

func (n *newsstand) history(address string) []consent.Proof {
	n.t.Helper()
	who, err := n.Contacts.Get(n.t.Context(), address)
	if err != nil {
		n.t.Fatal(err)
	}
	sheet, err := n.Consent.Show(n.t.Context(), who.ID)
	if err != nil {
		n.t.Fatal(err)
	}
	return sheet.History
}

func (n *newsstand) verified() {
	n.t.Helper()
	rep, err := n.Consent.Verify(n.t.Context(), nil)
	if err != nil || rep.Bad != nil {
		n.t.Errorf("the ledger does not verify: %+v, %v", rep.Bad, err)
	}
}

// TestSignUp goes the whole way: the form, the letter, a look that changes
// nothing, fifty presses of the button of which one counts, and the proof.
func TestSignUp(t *testing.T) {
	n := openNewsstand(t, "ip: full")
	code, text := n.sign("join", "Anna@Example.com", "a:first_name", "Anna", "a:admin", "yes", "tracking", "yes", "t:secret", "yes")
	if code != 200 || !strings.Contains(text, "Please look into your mailbox") {
		t.Fatalf("%d %s", code, text)
	}
	if got := n.answers("anna@example.com"); got != "confirmations=granted news=pending tracking=pending" {
		t.Errorf("before: %s", got)
	}
	m := n.letter("anna@example.com", 1)
	if strings.Contains(m.Text+m.HTML, "Anna") || strings.Contains(m.HTML, "/o/") || strings.Contains(m.HTML, "/c/") || strings.Contains(string(m.Header), "List-Unsubscribe") {
		t.Errorf("the letter holds what was typed, or follows its reader: %s", m.HTML)
	}
	link := n.link(m)
	before := n.history("anna@example.com")
	for i := range 200 {
		if code, text, _ := n.ask([]string{"GET", "HEAD"}[i%2], link, nil, "User-Agent", "scanner"); code != 200 || i%2 == 0 && !strings.Contains(text, "<li>News</li>") {
			t.Fatalf("look: %d %s", code, text)
		}
	}
	if code, _, _ := n.ask("POST", link, url.Values{"other": {"yes"}}); code != 200 || len(n.history("anna@example.com")) != len(before) {
		t.Errorf("a POST that does not say so, and looks, change something")
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if code, text, _ := n.ask("POST", link, url.Values{"confirm": {"yes"}}, "User-Agent", "Browser/1"); code != 200 || !strings.Contains(text, "You are subscribed") {
				t.Errorf("%d %s", code, text)
			}
		})
	}
	all.Wait()
	if got := n.answers("anna@example.com"); got != "confirmations=granted news=granted tracking=granted" {
		t.Errorf("after: %s", got)
	}
	after := n.history("anna@example.com")
	if len(after) != len(before)+2 {
		t.Errorf("%d lines, want two more than %d", len(after), len(before))
	}
	n.proof(after, m)
	who, err := n.Contacts.Get(t.Context(), "anna@example.com")
	if err != nil || string(who.Attributes) != `{"first_name":"Anna"}` && string(who.Attributes) != `{"first_name": "Anna"}` || who.Locale != "en" {
		t.Errorf("%s %s %v", who.Attributes, who.Locale, err)
	}
	n.verified()
}

// proof looks at the entries of one topic: who agreed to which words, where,
// when, and by which letter it was confirmed.
func (n *newsstand) proof(history []consent.Proof, m received) {
	n.t.Helper()
	want, err := n.Consent.LatestWording(n.t.Context(), WordingOf("join"), "en")
	if err != nil {
		n.t.Fatal(err)
	}
	if !strings.HasPrefix(want.Text, "[ ] News\n[ ] Offers\n\nYes, Example Shop") || !strings.HasSuffix(want.Text, "[ ] You may see what I open.\n") {
		n.t.Errorf("the wording is not what was shown: %q", want.Text)
	}
	states := map[consent.State]int{}
	for _, p := range history {
		if p.Topic != "news" {
			continue
		}
		states[p.State]++
		ev := p.Evidence
		if ev == nil || ev.Address != "anna@example.com" || ev.Given != "Anna@Example.com" || ev.Form != "join" || ev.Method != consent.ByForm ||
			ev.Notice == nil || *ev.Notice != want.NoticeRef || ev.URL != "http://127.0.0.1:8080/f/join" || ev.IP != "127.0.0.1" ||
			ev.Clock != consent.OurClock {
			n.t.Errorf("%s: evidence %+v", p.State, ev)
			continue
		}
		if p.State == consent.Confirmed && (ev.MessageID != m.MessageID || ev.MessageID == "" || ev.MailedAt.IsZero() || ev.Agent != "Browser/1") {
			n.t.Errorf("confirmed by %q at %s by %q, and the letter is %q", ev.MessageID, ev.MailedAt, ev.Agent, m.MessageID)
		}
	}
	if states[consent.Requested] != 1 || states[consent.Confirmed] != 1 {
		n.t.Errorf("states %v", states)
	}
}

// TestManySignUpsAreOneLetter: whatever the spelling and the form, an address
// gets one letter a day, and everybody the same answer.
func TestManySignUpsAreOneLetter(t *testing.T) {
	n := openNewsstand(t)
	ctx := t.Context()
	spellings := []string{"bomb@example.com", "BOMB@example.com", "bomb+1@example.com", "bomb+2@EXAMPLE.com"}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 125 {
				err := n.Requests.Ask(ctx, requests.Ask{
					Kind: requests.Subscribe, Driver: "email", Channel: "post", Address: spellings[(worker+i)%4], Topics: []string{"news"}, Form: "join", Method: consent.ByForm, Locale: "en",
				})
				if err != nil {
					t.Errorf("ask: %v", err)
				}
			}
		})
	}
	all.Wait()
	if err := n.Requests.Resume(ctx); err != nil {
		t.Error(err)
	}
	n.sign("join", "next@example.com")
	n.letter("next@example.com", 1)
	if got := len(n.mail.Messages()); got != 2 {
		t.Errorf("%d letters for a thousand sign-ups of one address and one of another", got)
	}

	subscribed := n.letter("next@example.com", 1)
	n.ask("POST", n.link(subscribed), url.Values{"confirm": {"yes"}})
	if _, err := n.Consent.Suppress(ctx, "email", "never@example.com", consent.Legal, ""); err != nil {
		t.Fatal(err)
	}
	n.later(25 * time.Hour)
	var pages []string
	for _, who := range []string{"new@example.com", "next@example.com", "never@example.com", "new@example.com"} {
		code, text := n.sign("join", who)
		if code != 200 {
			t.Errorf("%s: %d", who, code)
		}
		pages = append(pages, text)
	}
	if pages = slices.Compact(pages); len(pages) != 1 {
		t.Errorf("the answers differ: %s", pages)
	}
	n.letter("new@example.com", 1)
	if a, b := len(n.letters("next@example.com")), len(n.letters("never@example.com")); a != 1 || b != 0 {
		t.Errorf("%d letters to somebody subscribed, %d to somebody suppressed", a, b)
	}
	if _, err := n.Contacts.Get(ctx, "never@example.com"); rapport.KindOf(err) != rapport.NotFound {
		t.Errorf("somebody suppressed was made a contact: %v", err)
	}
	if n.sign("polite", "next@example.com"); n.letter("next@example.com", 2).Subject != "You are subscribed already" {
		t.Error("the form that says so tells nothing")
	}
}

// TestUnconfirmedEnds: nothing reaches who has not confirmed, and after the
// time nothing is left of them but numbers in the ledger.
func TestUnconfirmedEnds(t *testing.T) {
	n := openNewsstand(t)
	ctx := t.Context()
	n.sign("join", "ghost@example.com")
	link := n.link(n.letter("ghost@example.com", 1))
	who, err := n.Contacts.Get(ctx, "ghost@example.com")
	if err != nil {
		t.Fatal(err)
	}
	lines := n.history("ghost@example.com")
	n.later(31 * 24 * time.Hour)
	code, text, _ := n.ask("GET", link, nil)
	if code != http.StatusGone || !strings.Contains(text, "start again") {
		t.Errorf("%d %s", code, text)
	}
	if code, _, _ := n.ask("POST", link, url.Values{"confirm": {"yes"}}); code != http.StatusGone {
		t.Errorf("confirmed after its time: %d", code)
	}
	done, err := n.RunChores(ctx, "expire-requests")
	if err != nil || done[0].Did["contacts"] != 1 || done[0].Did["unconfirmed"] != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := n.answers("ghost@example.com"); got != "nobody" {
		t.Errorf("left: %s", got)
	}
	records, err := n.Store.History(ctx, who.ID)
	if err != nil || len(records) != len(lines)+3 || records[len(lines)].State != consent.Expired {
		t.Fatalf("%d lines, %v", len(records), err)
	}
	for _, r := range records {
		if _, there := r.Proof(); there {
			t.Errorf("line %d still has its evidence", r.ID)
		}
	}
	n.verified()
	if code, _, _ := n.ask("GET", link, nil); code != http.StatusNotFound {
		t.Errorf("the page of a deleted request: %d", code)
	}
	// The address is nobody's and may come again.
	n.sign("join", "ghost@example.com")
	n.letter("ghost@example.com", 2)
}

// TestNoStaysNo: somebody who said no does not get another answer by what a
// stranger types, but by their own press of the button.
func TestNoStaysNo(t *testing.T) {
	n := openNewsstand(t)
	ctx := t.Context()
	n.sign("join", "leo@example.com")
	n.ask("POST", n.link(n.letter("leo@example.com", 1)), url.Values{"confirm": {"yes"}})
	who, err := n.Contacts.Get(ctx, "leo@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Consent.Withdraw(ctx, consent.Entry{Contact: who.ID, Driver: "email", Topic: "news", Source: "test"}); err != nil {
		t.Fatal(err)
	}
	n.later(25 * time.Hour)
	n.sign("join", "leo@example.com", "a:first_name", "Idiot")
	link := n.link(n.letter("leo@example.com", 2))
	if got := n.answers("leo@example.com"); got != "confirmations=granted news=withdrawn" {
		t.Errorf("a stranger's sign-up: %s", got)
	}
	if _, _, err := n.Contacts.Put(ctx, contacts.Input{Addresses: map[string]string{"email": "leo@example.com"}, Attributes: map[string]any{"first_name": "Leo"}}); err != nil {
		t.Fatal(err)
	}
	n.ask("POST", link, url.Values{"confirm": {"yes"}})
	if got := n.answers("leo@example.com"); got != "confirmations=granted news=granted" {
		t.Errorf("after the person's own act: %s", got)
	}
	if who, _ = n.Contacts.Get(ctx, "leo@example.com"); !strings.Contains(string(who.Attributes), "Leo") {
		t.Errorf("a form renamed somebody: %s", who.Attributes)
	}
}

// TestMove: a confirmed new address takes what was agreed to along, and the old
// one is told.
func TestMove(t *testing.T) {
	n := openNewsstand(t)
	ctx := t.Context()
	n.sign("join", "old@example.com")
	n.ask("POST", n.link(n.letter("old@example.com", 1)), url.Values{"confirm": {"yes"}})
	who, err := n.Contacts.Get(ctx, "old@example.com")
	if err != nil {
		t.Fatal(err)
	}
	ask := requests.Ask{Kind: requests.Move, Contact: who.ID, Driver: "email", Address: "New@example.com", Method: consent.ByLink, Locale: "en"}
	if err := n.Requests.Ask(ctx, ask); err != nil {
		t.Fatal(err)
	}
	link := n.link(n.letter("new@example.com", 1))
	if got := n.answers("old@example.com"); got != "confirmations=granted news=granted" {
		t.Errorf("before the button: %s", got)
	}
	for range 2 {
		if code, text, _ := n.ask("POST", link, url.Values{"confirm": {"yes"}}); code != 200 || !strings.Contains(text, "Your address is changed") {
			t.Fatalf("%d %s", code, text)
		}
	}
	after, err := n.Contacts.Get(ctx, "new@example.com")
	if err != nil || after.ID != who.ID {
		t.Fatalf("the address went to %d, not %d: %v", after.ID, who.ID, err)
	}
	if got := n.answers("new@example.com"); got != "confirmations=granted news=granted" {
		t.Errorf("after: %s", got)
	}
	sheet, err := n.Consent.Show(ctx, who.ID)
	if err != nil || sheet.Standing[1].Address != "new@example.com" {
		t.Errorf("%+v %v", sheet.Standing, err)
	}
	if m := n.letter("old@example.com", 2); m.Subject != "Your address was changed" || strings.Contains(m.Text, "new@example.com") {
		t.Errorf("the old address was told: %q %s", m.Subject, m.Text)
	}
	n.later(31 * 24 * time.Hour)
	if _, err := n.RunChores(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if got := n.answers("old@example.com"); got != "nobody" {
		t.Errorf("the old address is still there: %s", got)
	}
	n.verified()
}

// TestFormProtects: what a form asks of machines.
func TestFormProtects(t *testing.T) {
	n := openNewsstand(t)
	sent := func(form string, values url.Values, header ...string) string {
		code, text, _ := n.ask("POST", "/f/"+form, values, header...)
		return fmt.Sprint(code, " ", text)
	}
	_, page, head := n.ask("GET", "/f/join", nil)
	if strings.Contains(page, "checked") || strings.Contains(page, "<script") || !strings.Contains(head.Get("Content-Security-Policy"), "frame-ancestors https://shop.example") || head.Get("X-Frame-Options") != "" {
		t.Errorf("%v %s", head, page)
	}
	if _, _, head := n.ask("GET", "/f/hard", nil); !strings.Contains(head.Get("Content-Security-Policy"), "script-src 'self'; frame-ancestors 'none'") || head.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%v", head)
	}
	young := ticketIn.FindStringSubmatch(page)[1]
	good := func(ticket string) url.Values {
		return url.Values{"address": {"bot@example.com"}, "t:news": {"yes"}, "ticket": {ticket}}
	}
	if got := sent("join", good(young)); !strings.Contains(got, "press the button once more") {
		t.Errorf("faster than anybody types: %s", got)
	}
	if got := sent("join", good("")); !strings.Contains(got, "press the button once more") || !strings.Contains(got, `value="bot@example.com"`) || !strings.Contains(got, "checked") {
		t.Errorf("a pasted form: %s", got)
	}
	if got := sent("hard", good(n.ticket("join"))); !strings.Contains(got, "press the button once more") {
		t.Errorf("the ticket of another form: %s", got)
	}
	if got := sent("join", good(n.ticket("join")), "Origin", "https://evil.example"); !strings.Contains(got, "press the button once more") {
		t.Errorf("from another site: %s", got)
	}
	trap := good(n.ticket("join"))
	trap.Set("website", "https://spam.example")
	if got := sent("join", trap); !strings.Contains(got, "Please look into your mailbox") {
		t.Errorf("the trap: %s", got)
	}
	for _, c := range []struct{ field, value, says string }{
		{"address", "", "Please enter your address"},
		{"address", "no address", "does not look right"},
		{"address", "a@b@c", "does not look right"},
		{"t:news", "", "tick at least one"},
		{"a:first_name", strings.Repeat("x", 1001), "Please shorten"},
	} {
		v := good(n.ticket("join"))
		v.Set(c.field, c.value)
		if got := sent("join", v); !strings.HasPrefix(got, "422") || !strings.Contains(got, c.says) || !strings.Contains(got, `role="alert"`) {
			t.Errorf("%s=%q: %s", c.field, c.value, got)
		}
	}
	// Who computes nothing waits.
	got := sent("hard", good(n.ticket("hard")))
	if !strings.Contains(got, "wait 20 seconds") {
		t.Fatalf("no proof of work: %s", got)
	}
	slow := ticketIn.FindStringSubmatch(got)[1]
	if got := sent("hard", good(slow)); !strings.Contains(got, "wait 20 seconds") {
		t.Errorf("too soon: %s", got)
	}
	if len(n.letters("bot@example.com")) != 0 {
		t.Errorf("%d letters before anybody signed up", len(n.mail.Messages()))
	}
	n.later(21 * time.Second)
	if got := sent("hard", good(slow)); !strings.Contains(got, "Please look into your mailbox") {
		t.Errorf("after waiting: %s", got)
	}
	if got := sent("hard", good(slow)); !strings.Contains(got, "press the button once more") {
		t.Errorf("a ticket is good twice: %s", got)
	}
	n.letter("bot@example.com", 1)
	if _, done, head := n.ask("POST", "/f/join", url.Values{"address": {"framed@example.com"}, "t:news": {"yes"}, "ticket": {n.ticket("join")}}); !strings.Contains(done, "look into your mailbox") || !strings.Contains(head.Get("Content-Security-Policy"), "frame-ancestors https://shop.example") || head.Get("X-Frame-Options") != "" {
		t.Errorf("the answer cannot be shown in the frame: %v %s", head, done)
	}
}

// TestSignUpByProgram: JSON on the same address, for the form's own sites only,
// and with nothing in it that the form does not take.
func TestSignUpByProgram(t *testing.T) {
	n := openNewsstand(t)
	var form struct {
		Ticket string
		Notice consent.NoticeRef
		Topics []struct{ Name string }
	}
	get := func() {
		code, text, head := n.ask("GET", "/f/join?lang=de", nil, "Accept", "application/json", "Origin", "https://shop.example")
		if err := json.Unmarshal([]byte(text), &form); err != nil || code != 200 || head.Get("Access-Control-Allow-Origin") != "https://shop.example" || form.Notice.Locale != "de" {
			t.Fatalf("%d %v %s", code, head, text)
		}
		n.later(3 * time.Second)
	}
	post := func(body, origin string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.at+"/f/join", bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", origin)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	get()
	good := `{"address":"api@example.com","topics":["news"],"fields":{"first_name":"Api"},"locale":"de","ticket":"` + form.Ticket + `"}`
	for body, want := range map[string]int{
		`{"address":"api@example.com","topics":["news"],"external_id":"1","ticket":"` + form.Ticket + `"}`:        422,
		`{"address":"api@example.com","topics":["news"],"fields":{"admin":"yes"},"ticket":"` + form.Ticket + `"}`: 422,
		`{"address":"api@example.com","topics":["orders"],"ticket":"` + form.Ticket + `"}`:                        422,
		`{"address":"api@example.com","topics":["news"],"ticket":"x"}`:                                            422,
		`{"address":"api@example.com","topics":[],"ticket":"` + form.Ticket + `"}`:                                422,
		`[]`:        422,
		good + "{}": 422,
	} {
		if code, text := post(body, "https://shop.example"); code != want {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	if code, _ := post(good, "https://evil.example"); code != http.StatusForbidden {
		t.Errorf("another site: %d", code)
	}
	if code, text := post(good, "https://shop.example"); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, text)
	}
	if code, _ := post(good, "https://shop.example"); code != 422 {
		t.Errorf("a ticket is good twice: %d", code)
	}
	if m := n.letter("api@example.com", 1); m.Subject != "Bitte bestätigen Sie Ihre Anmeldung" {
		t.Errorf("the letter is %q", m.Subject)
	}
	if code, _, head := n.ask("OPTIONS", "/f/join", nil, "Origin", "https://shop.example"); code != 204 || head.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("preflight: %d %v", code, head)
	}
	if code, _, head := n.ask("OPTIONS", "/f/join", nil, "Origin", "https://evil.example"); code != 403 || head.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of another site: %d %v", code, head)
	}
}
