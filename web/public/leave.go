package public

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
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
// The answer is the same for a token that is not ours. What says nothing of the
// kind (an empty body, a scanner's) changes nothing and is told so: the page
// with the button, and a status by which a program knows that it has not worked.
func (p *Pages) unsubscribe(w http.ResponseWriter, r *http.Request) {
	source := wish(w, r)
	if source == "" {
		p.show(w, r, http.StatusBadRequest, "unsubscribe", "leave_title", nil)
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

// wish is what a POST to an unsubscribe link asks for: by which door it came,
// or empty. The key and the value are what counts (RFC 8058 section 3.2 demands
// them); how they are written does not: multipart or urlencoded, whatever the
// content type says, or without one. Only the body is read, never the address.
func wish(w http.ResponseWriter, r *http.Request) string {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return ""
	}
	for key, value := range pairs(r.Header.Get("Content-Type"), raw) {
		switch {
		case strings.EqualFold(key, oneClickKey) && strings.EqualFold(value, oneClickValue):
			return "one-click"
		case key == confirmKey && value == confirmValue:
			return "unsubscribe page"
		}
	}
	return ""
}

// maxPairs bounds how many fields of a form are looked at.
const maxPairs = 50

// pairs reads the fields of a form in their order.
func pairs(contentType string, raw []byte) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		kind, params, _ := mime.ParseMediaType(contentType)
		boundary := params["boundary"]
		if first, _, _ := bytes.Cut(raw, []byte("\n")); bytes.HasPrefix(first, []byte("--")) && (boundary == "" || kind != "multipart/form-data") {
			boundary = strings.TrimSpace(string(first[2:])) // parts, though nobody says so
		}
		if boundary != "" {
			parts := multipart.NewReader(bytes.NewReader(raw), boundary)
			for range maxPairs {
				part, err := parts.NextPart()
				if err != nil {
					return
				}
				value, err := io.ReadAll(part)
				if err != nil || !yield(part.FormName(), strings.TrimSpace(string(value))) {
					return
				}
			}
			return
		}
		n := 0
		for pair := range strings.SplitSeq(strings.TrimSpace(string(raw)), "&") {
			if n++; n > maxPairs {
				return
			}
			key, value, _ := strings.Cut(pair, "=")
			k, errKey := url.QueryUnescape(key)
			v, errValue := url.QueryUnescape(value)
			if errKey == nil && errValue == nil && !yield(strings.TrimSpace(k), strings.TrimSpace(v)) {
				return
			}
		}
	}
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
		err = r.ParseMultipartForm(maxBody)
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
