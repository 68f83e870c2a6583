package public

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rapport/responses"
)

// pixel is a transparent GIF of one point.
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// open serves the pixel. The answer is the same whatever the token and the
// state of the database.
func (p *Pages) open(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutSuffix(r.PathValue("token"), responses.OpenSuffix)
	if s, err := p.o.Tokens.Read(responses.ForOpen, token); err == nil {
		p.record(r, p.event(r, responses.Opened, s), openPatience)
	}
	h := w.Header()
	h.Set("Content-Type", "image/gif")
	h.Set("Content-Length", strconv.Itoa(len(pixel)))
	h.Set("Cache-Control", "no-store, private")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // it stands in letters
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(pixel)) // the reader has gone
}

// click redirects to the target of a link, which stands in the link table of
// the run's revision and nowhere else.
func (p *Pages) click(w http.ResponseWriter, r *http.Request) {
	s, err := p.o.Tokens.Read(responses.ForClick, r.PathValue("token"))
	n, bad := number(r.PathValue("n"))
	if err != nil || bad {
		p.notFound(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readPatience)
	defer cancel()
	links, err := p.targets.of(ctx, s.Run)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	if n >= len(links) || !harmless(links[n]) {
		p.notFound(w, r)
		return
	}
	e := p.event(r, responses.Clicked, s)
	e.Link, e.Links = n, len(links)
	p.record(r, e, clickPatience)
	w.Header().Set("Location", links[n])
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusFound)
}

// number reads a link's number, which has one spelling.
func number(text string) (n int, bad bool) {
	n, err := strconv.Atoi(text)
	return n, err != nil || n < 0 || strconv.Itoa(n) != text
}

// harmless looks once more at what was checked when the template was put.
func harmless(target string) bool {
	u, err := url.Parse(target)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && !strings.ContainsAny(target, "\r\n\x00")
}

// view shows the letter in the browser, in a sandbox: no script, no form, no
// frame, as far from this site as from any other.
func (p *Pages) view(w http.ResponseWriter, r *http.Request) {
	s, err := p.o.Tokens.Read(responses.ForView, r.PathValue("token"))
	if err != nil {
		p.notFound(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readPatience)
	defer cancel()
	html, err := p.o.Render(ctx, s.Run, s.Contact)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", letterPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(html)) // the reader has gone
}

// letterPolicy holds a letter in the browser. Pictures come from anywhere over
// TLS, as letters have them; the pixel comes from here, with TLS or without.
const letterPolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; " +
	"style-src 'unsafe-inline'; img-src 'self' https: data:; font-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
