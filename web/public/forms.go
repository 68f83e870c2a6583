package public

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/internal/throttle"
	"rapport/requests"
	"rapport/responses"
)

// Form is a form of the installation, as its page shows it. Texts are by
// language.
type Form struct {
	Name     string
	Channel  string
	Driver   string
	Kind     string // of address
	Topics   []FormTopic
	Title    map[string]string
	Intro    map[string]string
	Wording  map[string]string // what people agree to
	Tracking map[string]string // beside the box of being followed; empty: no such box
	Notices  map[string]consent.NoticeRef
	Fields   []FormField
	EmbedOn  []string // origins
	Work     bool     // proof of work
	Repeated bool     // write to those who have all of it already
	Fallback string   // language of what is not there in the declaration's own
}

// FormTopic is a box of a form.
type FormTopic struct {
	Name  string
	Title map[string]string
}

// FormField is an attribute that a form takes.
type FormField struct {
	Name     string
	Label    map[string]string
	Required bool
}

// Requests is what the forms and the pages behind letters ask;
// *requests.Service answers.
type Requests interface {
	Ask(ctx context.Context, a requests.Ask) error
	Peek(ctx context.Context, token string) (requests.Request, error)
	Confirm(ctx context.Context, token string, c requests.Confirmation) (requests.Request, error)
	Again(ctx context.Context, r requests.Request, c requests.Confirmation) error
}

// Limits of a form.
const (
	maxAddress = 320 // octets
	maxField   = 1000
	maxJSON    = 16 << 10
)

// entry is a filled form.
type entry struct {
	Address  string            `json:"address"`
	Topics   []string          `json:"topics"`
	Tracking bool              `json:"tracking"`
	Fields   map[string]string `json:"fields"`
	Ticket   string            `json:"ticket"`
	Work     string            `json:"work"`
	Locale   string            `json:"locale"`

	trap string // filled in by machines only
	on   string // origin of the page the form was framed on
}

// The names of a form's inputs. Attributes and topics have a letter and a
// colon before their names, so that they cannot be taken for another input.
const (
	inAddress  = "address"
	inTracking = "tracking"
	inTicket   = "ticket"
	inWork     = "work"
	inTrap     = "website"
	inOn       = "on"
	topicMark  = "t:"
	fieldMark  = "a:"
)

// open adds forms, and the pages behind letters, to the mux of the pages.
func (d *doors) open(p *Pages) error {
	if p.o.Doors.Requests == nil {
		return nil
	}
	var err error
	if d.js, err = files.ReadFile("form.js"); err != nil {
		return fmt.Errorf("read the script of forms: %w", err)
	}
	d.making = make(chan struct{}, archivesAtOnce)
	d.tickets, d.networks = newTickets(p.o.Tokens, p.o.Now, p.o.Doors.Number), throttle.New[netip.Prefix](p.o.Now, signUpRate())
	p.mux.HandleFunc("GET /f/{name}", p.form)
	p.mux.HandleFunc("POST /f/{name}", p.signed)
	p.mux.HandleFunc("OPTIONS /f/{name}", p.preflight)
	p.mux.HandleFunc("GET "+ScriptPath, p.script)
	p.mux.HandleFunc("GET /r/{token}", p.request)
	p.mux.HandleFunc("POST /r/{token}", p.confirmRequest)
	p.mux.HandleFunc("GET /a/{token}", p.archive)
	return nil
}

func (p *Pages) formNamed(name string) (Form, bool) {
	i := slices.IndexFunc(p.o.Doors.Forms, func(f Form) bool { return f.Name == name })
	if i < 0 {
		return Form{}, false
	}
	return p.o.Doors.Forms[i], true
}

// form shows a form, or describes it to programs.
func (p *Pages) form(w http.ResponseWriter, r *http.Request) {
	f, ok := p.formNamed(r.PathValue("name"))
	if !ok {
		p.notFound(w, r)
		return
	}
	p.framed(w, f)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		p.describe(w, r, f)
		return
	}
	e := entry{on: originOf(r.Referer())}
	if !slices.Contains(f.EmbedOn, e.on) {
		e.on = ""
	}
	e.Ticket = p.tickets.issue(f.Name, prompt)
	p.showForm(w, r, http.StatusOK, f, e, "", nil)
}

// signed takes a filled form, from a browser or from a program.
func (p *Pages) signed(w http.ResponseWriter, r *http.Request) {
	f, ok := p.formNamed(r.PathValue("name"))
	if !ok {
		p.notFound(w, r)
		return
	}
	p.framed(w, f)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		p.signedByProgram(w, r, f)
		return
	}
	even := p.even()
	e := readEntry(f, body(w, r))
	ticket := p.tickets.judge(f.Name, e.Ticket)
	if !p.ours(r) {
		ticket = unknown // a copy of the form on another site leads to the form here
	}
	if e.trap != "" {
		even(r.Context())
		p.thanks(w, r)
		return
	}
	if ticket == unknown {
		e.Ticket = p.tickets.issue(f.Name, prompt)
		p.showForm(w, r, http.StatusOK, f, e, "form_again", nil)
		return
	}
	if wrong := f.wrong(e); len(wrong) > 0 {
		p.showForm(w, r, http.StatusUnprocessableEntity, f, e, "", wrong)
		return
	}
	if f.Work && ticket != waited && !worked(e) {
		if ticket == quickReady || ticket == early && !p.tickets.waits(e.Ticket) {
			e.Ticket = p.tickets.issue(f.Name, patient)
		}
		p.showForm(w, r, http.StatusOK, f, e, "form_wait", nil)
		return
	}
	if ticket == early {
		p.showForm(w, r, http.StatusOK, f, e, "form_again", nil)
		return
	}
	if p.full(r.RemoteAddr) {
		w.Header().Set("Retry-After", "180")
		p.show(w, r, http.StatusTooManyRequests, "message", "form_busy_title", func(d *page) { d.Notice = d.T["form_busy_text"] })
		return
	}
	if !p.tickets.spend(e.Ticket) {
		e.Ticket = p.tickets.issue(f.Name, prompt)
		p.showForm(w, r, http.StatusOK, f, e, "form_again", nil)
		return
	}
	lang, _ := p.language(r, "")
	err := p.ask(r, f, e, consent.ByForm, lang)
	switch {
	case rapport.KindOf(err) == rapport.Invalid && err != nil:
		e.Ticket = p.tickets.issue(f.Name, prompt)
		p.showForm(w, r, http.StatusUnprocessableEntity, f, e, "", map[string]string{inAddress: "form_address_wrong"})
	case err != nil:
		p.away(w, r, err)
	default:
		even(r.Context())
		p.thanks(w, r)
	}
}

// thanks is the one answer to everybody who signs up.
func (p *Pages) thanks(w http.ResponseWriter, r *http.Request) {
	p.show(w, r, http.StatusOK, "message", "form_done_title", func(d *page) { d.Notice = d.T["form_done_text"] })
}

// even returns what waits until an answer may leave, so that it takes the same
// whatever was found.
func (p *Pages) even() func(context.Context) {
	t := time.NewTimer(p.o.Doors.Even)
	return func(ctx context.Context) {
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
}

// ask hands a sign-up over. Whoever closed the page meanwhile is heard too.
func (p *Pages) ask(r *http.Request, f Form, e entry, method consent.Method, lang string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), leavePatience)
	defer cancel()
	topics := slices.Clone(e.Topics)
	if e.Tracking {
		topics = append(topics, consent.TopicTracking)
	}
	wish := requests.Wish{Attributes: map[string]any{}}
	for _, field := range f.Fields {
		if v := e.Fields[field.Name]; v != "" {
			wish.Attributes[field.Name] = v
		}
	}
	payload, err := json.Marshal(wish)
	if err != nil {
		return err
	}
	url := p.o.PublicURL + responses.PathForm + f.Name
	if e.on != "" {
		url += "?on=" + e.on
	}
	return p.o.Doors.Requests.Ask(ctx, requests.Ask{
		Kind: requests.Subscribe, Driver: f.Driver, Channel: f.Channel, Address: e.Address, Topics: topics, Form: f.Name,
		Method: method, Notice: f.Notices[pick(f.Wording, lang, p.texts.fallback)], Locale: lang, URL: url,
		IP: network(r), Agent: cut(r.UserAgent()), Payload: payload, Repeated: f.Repeated,
	})
}

// readEntry reads what a form may take, and nothing else.
func readEntry(f Form, form map[string]string) entry {
	e := entry{
		Address: form[inAddress], Ticket: form[inTicket], Work: form[inWork], trap: form[inTrap], on: form[inOn],
		Tracking: len(f.Tracking) > 0 && form[inTracking] == confirmValue, Fields: map[string]string{},
	}
	for _, t := range f.Topics {
		if form[topicMark+t.Name] == confirmValue {
			e.Topics = append(e.Topics, t.Name)
		}
	}
	for _, x := range f.Fields {
		e.Fields[x.Name] = form[fieldMark+x.Name]
	}
	if !slices.Contains(f.EmbedOn, e.on) {
		e.on = ""
	}
	return e
}

// wrong says what is wrong with a filled form: input → key of the texts.
func (f Form) wrong(e entry) map[string]string {
	out := map[string]string{}
	switch {
	case e.Address == "":
		out[inAddress] = "form_address_missing"
	case len(e.Address) > maxAddress || f.Kind == channels.Email.Kind && !strings.Contains(e.Address, "@"):
		out[inAddress] = "form_address_wrong"
	}
	if len(e.Topics) == 0 {
		out[topicMark] = "form_topic_missing"
	}
	for _, t := range e.Topics {
		if !slices.ContainsFunc(f.Topics, func(x FormTopic) bool { return x.Name == t }) {
			out[topicMark] = "form_topic_missing"
		}
	}
	for _, x := range f.Fields {
		switch v := e.Fields[x.Name]; {
		case v == "" && x.Required:
			out[fieldMark+x.Name] = "form_field_missing"
		case len(v) > maxField:
			out[fieldMark+x.Name] = "form_field_long"
		}
	}
	for name := range e.Fields {
		if !slices.ContainsFunc(f.Fields, func(x FormField) bool { return x.Name == name }) {
			out[fieldMark+name] = "form_field_unknown"
		}
	}
	if e.Tracking && len(f.Tracking) == 0 {
		out[inTracking] = "form_field_unknown"
	}
	return out
}

// pick is the text of a language: in it, in its base, in the fallback, else in
// the first there is. It returns the key.
func pick(texts map[string]string, lang, fallback string) string {
	for _, l := range []string{lang, language(lang), fallback, language(fallback), "en"} {
		if texts[l] != "" {
			return l
		}
	}
	for _, l := range slices.Sorted(maps.Keys(texts)) {
		return l
	}
	return ""
}
