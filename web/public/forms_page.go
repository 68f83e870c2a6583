package public

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rapport"
	"rapport/channels"
	"rapport/consent"
)

// ScriptPath is where the script of forms with proof of work is served.
const ScriptPath = "/assets/form.js"

func (p *Pages) script(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(p.js) // the reader has gone
}

// formView is what the page of a form shows.
type formView struct {
	Intro, Wording          string
	TextLang                string // language of the form's own texts, where it is another than the page's
	Address                 formInput
	Mail                    bool
	Topics                  []formBox
	TopicsWrong             string
	Tracking                *formBox
	Fields                  []formInput
	Ticket, On, Trap        string
	Bits                    int // of the proof of work; 0: none
	Script                  string
	Wrong                   []formWrong
	Submit, Working, Action string
}

type formInput struct {
	Name, ID, Label, Value, Wrong string
	Required                      bool
}

type formBox struct {
	Name, ID, Label, Lang string
	Ticked                bool
}

// formWrong leads from the list of mistakes to the input.
type formWrong struct{ ID, Label, Text string }

// showForm shows a form with what was filled in; the note is a key of the
// texts, and so is what is wrong with an input.
func (p *Pages) showForm(w http.ResponseWriter, r *http.Request, status int, f Form, e entry, note string, wrong map[string]string) {
	p.show(w, r, status, "form", "form_title", func(d *page) {
		if title := f.Title[pick(f.Title, d.Lang, p.texts.fallback)]; title != "" {
			d.Title = title
		}
		d.Notice = d.T[note]
		v := p.formView(f, e, d, wrong)
		if v.Bits > 0 {
			v.Script = depth(r.URL.Path) + ScriptPath[1:]
		}
		d.Body = v
	})
}

func (p *Pages) formView(f Form, e entry, d *page, wrong map[string]string) formView {
	said := pick(f.Wording, d.Lang, p.texts.fallback)
	v := formView{
		Intro: f.Intro[pick(f.Intro, d.Lang, p.texts.fallback)], Wording: f.Wording[said],
		Mail: f.Kind == channels.Email.Kind, Ticket: e.Ticket, On: e.on, Trap: inTrap,
		Submit: d.T["form_submit"], Working: d.T["form_working"],
	}
	if said != d.Lang {
		v.TextLang = said
	}
	if f.Work {
		v.Bits = workBits
	}
	label := d.T["form_address"]
	if v.Mail {
		label = d.T["form_email"]
	}
	v.Address = formInput{Name: inAddress, ID: "in-address", Label: label, Value: e.Address, Wrong: d.T[wrong[inAddress]], Required: true}
	v.blame(v.Address.ID, label, v.Address.Wrong)
	for _, x := range f.Fields {
		in := formInput{Name: fieldMark + x.Name, ID: "in-" + x.Name, Label: x.Name, Value: e.Fields[x.Name], Wrong: d.T[wrong[fieldMark+x.Name]], Required: x.Required}
		if l := x.Label[pick(x.Label, d.Lang, p.texts.fallback)]; l != "" {
			in.Label = l
		}
		v.Fields = append(v.Fields, in)
		v.blame(in.ID, in.Label, in.Wrong)
	}
	v.TopicsWrong = d.T[wrong[topicMark]]
	for _, t := range f.Topics {
		box := formBox{Name: topicMark + t.Name, ID: "topic-" + t.Name, Label: t.Name, Ticked: slices.Contains(e.Topics, t.Name)}
		if l := t.Title[pick(t.Title, said, f.Fallback)]; l != "" {
			box.Label = l
		}
		v.Topics = append(v.Topics, box)
	}
	if len(v.Topics) > 0 {
		v.blame(v.Topics[0].ID, d.T["form_topics"], v.TopicsWrong)
	}
	if text := f.Tracking[pick(f.Tracking, said, f.Fallback)]; text != "" {
		v.Tracking = &formBox{Name: inTracking, ID: "in-tracking", Label: text, Ticked: e.Tracking}
	}
	return v
}

func (v *formView) blame(id, label, text string) {
	if text != "" {
		v.Wrong = append(v.Wrong, formWrong{id, label, text})
	}
}

// framed says who may show what is answered here in a frame and whether it has
// a script. It takes away the older header that knows only everybody and nobody.
func (p *Pages) framed(w http.ResponseWriter, f Form) {
	policy := "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"
	if f.Work {
		policy += "; script-src 'self'"
	}
	ancestors := "'none'"
	if len(f.EmbedOn) > 0 {
		ancestors = strings.Join(f.EmbedOn, " ")
		w.Header().Del("X-Frame-Options")
	}
	w.Header().Set("Content-Security-Policy", policy+"; frame-ancestors "+ancestors)
}

// originOf is the origin of an address; empty for what is none.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// ours says whether a form was sent from a page of our own. Browsers that say
// nothing are believed: there is no session to abuse.
func (p *Pages) ours(r *http.Request) bool {
	from := r.Header.Get("Origin")
	switch from {
	case "", "null":
		return true
	case originOf(p.o.PublicURL):
		return true
	}
	return originOf("http://"+r.Host) == from || originOf("https://"+r.Host) == from
}

// cors lets the origins of a form read the answer; false: the request comes
// from a page elsewhere.
func (p *Pages) cors(w http.ResponseWriter, r *http.Request, f Form) bool {
	from := r.Header.Get("Origin")
	w.Header().Add("Vary", "Origin")
	if from == "" || p.ours(r) {
		return true
	}
	if !slices.Contains(f.EmbedOn, from) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", from)
	return true
}

func (p *Pages) preflight(w http.ResponseWriter, r *http.Request) {
	f, ok := p.formNamed(r.PathValue("name"))
	if !ok || !p.cors(w, r, f) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type, Accept")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// described is a form as programs see it.
type described struct {
	Name     string            `json:"name"`
	Locale   string            `json:"locale"`
	Title    string            `json:"title,omitempty"`
	Intro    string            `json:"intro,omitempty"`
	Wording  string            `json:"wording"` // show exactly this
	Notice   consent.NoticeRef `json:"notice"`
	Topics   []describedBox    `json:"topics"`
	Tracking string            `json:"tracking,omitempty"`
	Fields   []describedBox    `json:"fields"`
	Ticket   string            `json:"ticket"`
	Seconds  int               `json:"ticket_after_seconds"`
	WorkBits int               `json:"work_bits,omitempty"`
}

type describedBox struct {
	Name     string `json:"name"`
	Label    string `json:"label"`
	Required bool   `json:"required,omitempty"`
}

func (p *Pages) describe(w http.ResponseWriter, r *http.Request, f Form) {
	if !p.cors(w, r, f) {
		answerJSON(w, http.StatusForbidden, problems{Status: "refused"})
		return
	}
	lang, words := p.language(r, "")
	d := page{T: words, Lang: lang}
	v := p.formView(f, entry{Ticket: p.tickets.issue(f.Name, prompt)}, &d, nil)
	said := pick(f.Wording, lang, p.texts.fallback)
	out := described{
		Name: f.Name, Locale: said, Title: f.Title[pick(f.Title, lang, p.texts.fallback)], Intro: v.Intro, Wording: v.Wording,
		Notice: f.Notices[said], Fields: []describedBox{}, Ticket: v.Ticket, Seconds: int(minAge.Seconds()), WorkBits: v.Bits,
	}
	for _, t := range v.Topics {
		out.Topics = append(out.Topics, describedBox{Name: strings.TrimPrefix(t.Name, topicMark), Label: t.Label})
	}
	for _, x := range v.Fields {
		out.Fields = append(out.Fields, describedBox{strings.TrimPrefix(x.Name, fieldMark), x.Label, x.Required})
	}
	if v.Tracking != nil {
		out.Tracking = v.Tracking.Label
	}
	answerJSON(w, http.StatusOK, out)
}

// problems is the answer to a program.
type problems struct {
	Status string        `json:"status"` // accepted, wrong or refused
	Detail string        `json:"detail,omitempty"`
	Errors []problemItem `json:"errors,omitempty"`
}

type problemItem struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader has gone
}

// signedByProgram takes a sign-up as JSON. What the form does not know is
// refused, so that nothing else of a person can be set.
func (p *Pages) signedByProgram(w http.ResponseWriter, r *http.Request, f Form) {
	if !p.cors(w, r, f) {
		answerJSON(w, http.StatusForbidden, problems{Status: "refused", Detail: "this site may not send the form"})
		return
	}
	even := p.even()
	var e entry
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxJSON))
	in.DisallowUnknownFields()
	if err := in.Decode(&e); err != nil {
		answerJSON(w, http.StatusUnprocessableEntity, problems{Status: "wrong", Detail: "the body is not what the form takes; GET this address with Accept: application/json says what it is"})
		return
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		answerJSON(w, http.StatusUnprocessableEntity, problems{Status: "wrong", Detail: "something follows the JSON object"})
		return
	}
	e.Address = strings.TrimSpace(e.Address)
	lang, words := p.texts.speak(e.Locale, r.Header.Get("Accept-Language"))
	out := problems{Status: "wrong"}
	for field, key := range f.wrong(e) {
		out.Errors = append(out.Errors, problemItem{strings.TrimRight(strings.TrimPrefix(field, fieldMark), ":"), words[key]})
	}
	slices.SortFunc(out.Errors, func(a, b problemItem) int { return strings.Compare(a.Field, b.Field) })
	switch p.tickets.judge(f.Name, e.Ticket) {
	case unknown:
		out.Errors = append(out.Errors, problemItem{inTicket, "is not one of this form, or was used before: get a new one"})
	case early:
		out.Errors = append(out.Errors, problemItem{inTicket, "is too new: wait as long as the description says"})
	case quickReady, waited:
		if f.Work && !worked(e) {
			out.Errors = append(out.Errors, problemItem{inWork, "does not solve the puzzle"})
		}
	}
	switch {
	case len(out.Errors) > 0:
		answerJSON(w, http.StatusUnprocessableEntity, out)
		return
	case p.full(r.RemoteAddr):
		answerJSON(w, http.StatusTooManyRequests, problems{Status: "refused", Detail: words["form_busy_text"]})
		return
	case !p.tickets.spend(e.Ticket):
		answerJSON(w, http.StatusUnprocessableEntity, problems{Status: "wrong", Errors: []problemItem{{inTicket, "was used before: get a new one"}}})
		return
	}
	if from := r.Header.Get("Origin"); !p.ours(r) {
		e.on = from
	}
	p.tell(r.Context(), w, even, p.ask(r, f, e, consent.ByAPI, lang), words)
}

func (p *Pages) tell(ctx context.Context, w http.ResponseWriter, even func(context.Context), err error, words map[string]string) {
	switch {
	case err == nil:
		even(ctx)
		answerJSON(w, http.StatusAccepted, problems{Status: "accepted", Detail: words["form_done_text"]})
	case rapport.KindOf(err) == rapport.Invalid:
		answerJSON(w, http.StatusUnprocessableEntity, problems{Status: "wrong", Errors: []problemItem{{inAddress, words["form_address_wrong"]}}})
	default:
		answerJSON(w, http.StatusServiceUnavailable, problems{Status: "refused", Detail: words["away_text"]})
	}
}
