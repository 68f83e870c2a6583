package public

import (
	"context"
	"mime"
	"net/http"
	"strings"

	"rapport/responses"
)

// The body of a one-click request (RFC 8058 section 3.2), and the field that
// the page's own button sends.
const (
	oneClickKey   = "List-Unsubscribe"
	oneClickValue = "One-Click"
	confirmKey    = "confirm"
	confirmValue  = "yes"
)

// askUnsubscribe shows the page with the button. It is the same for every
// token, so it tells nobody whether they have guessed one.
func (p *Pages) askUnsubscribe(w http.ResponseWriter, r *http.Request) {
	p.show(w, r, http.StatusOK, "unsubscribe", "leave_title", nil)
}

// unsubscribe ends the permission that the token names, when the body says so.
// The answer is the same for a token that is not ours.
func (p *Pages) unsubscribe(w http.ResponseWriter, r *http.Request) {
	form := body(w, r)
	var source string
	switch {
	case form[oneClickKey] == oneClickValue:
		source = "one-click"
	case form[confirmKey] == confirmValue:
		source = "unsubscribe page"
	default:
		p.askUnsubscribe(w, r)
		return
	}
	if s, err := p.o.Tokens.Read(responses.ForUnsubscribe, r.PathValue("token")); err == nil {
		if err := p.leave(r, s, source); err != nil {
			p.away(w, r, err)
			return
		}
	}
	p.show(w, r, http.StatusOK, "message", "left_title", func(d *page) { d.Notice = d.T["left_text"] })
}

// leave ends one permission. Whoever closed the page meanwhile is heard too.
func (p *Pages) leave(r *http.Request, s responses.Subject, source string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), leavePatience)
	defer cancel()
	lang, _ := p.language(r, "")
	return p.o.Leaver.Leave(ctx, responses.Withdrawal{
		Subject: s, Source: source, IP: network(r), Agent: cut(r.UserAgent()), Wording: source + "/" + lang,
	})
}

// cut bounds what goes into the evidence.
func cut(agent string) string {
	const most = 300
	return strings.ToValidUTF8(agent[:min(len(agent), most)], "")
}

// body reads a form from the body only, the first value of each field. What is
// no form, or too long, is an empty one.
func body(w http.ResponseWriter, r *http.Request) map[string]string {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	if kind == "multipart/form-data" {
		err = r.ParseMultipartForm(maxBody) //nolint:gosec // the body is bounded just above
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		return nil
	}
	values := r.PostForm
	if r.MultipartForm != nil {
		values = r.MultipartForm.Value
	}
	form := map[string]string{}
	for k, v := range values {
		if len(v) > 0 {
			form[k] = strings.TrimSpace(v[0])
		}
	}
	return form
}
