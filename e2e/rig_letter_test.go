package e2e

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
	"testing"

	"rapport/internal/fake/smtpd"
)

// letter writes the template of the tests and returns its folder.
func (r *rig) letter() string {
	r.t.Helper()
	r.file("letter/template.yaml", "name: letter\ndriver: email\nlocale: en\nsamples:\n"+
		"  - name: Anna\n    locale: en\n    contact: {first_name: Anna, last_name: Lind, city: Berlin, points: 120, tier: gold, email: anna@shop.example}\n")
	r.file("letter/en/subject.liquid", "{{ contact.first_name }}, you have {{ contact.points }} points")
	r.file("letter/en/html.liquid", page("en", "Dear", "Points", "Unsubscribe", "View in browser", ""))
	r.file("letter/de/subject.liquid", "{{ contact.first_name }}, Sie haben {{ contact.points }} Punkte")
	r.file("letter/de/html.liquid", page("de", "Guten Tag", "Punkte", "Abmelden", "Im Browser ansehen", ""))
	return r.path("letter")
}

func page(lang, hello, points, leave, view, more string) string {
	return `<!doctype html>
<html lang="` + lang + `"><head><meta charset="utf-8"><title>` + points + `</title></head><body>
<p>` + hello + ` {{ contact.first_name }} {{ contact.last_name }} ({{ contact.city }}),</p>
<p><a href="https://shop.example/points">` + points + `: {{ contact.points }}</a>{% if contact.tier %} · {{ contact.tier }}{% endif %}</p>
<p><a href="https://shop.example/offers?from=letter&amp;week=40">shop.example</a></p>
` + more + `<p><a href="{{ links.view }}">` + view + `</a> · <a href="{{ links.unsubscribe }}">` + leave + `</a></p>
</body></html>
`
}

// opened is a caught mail, taken apart.
type opened struct {
	header     mail.Header
	subject    string
	html, text string
}

// open takes a caught mail apart, as a mail program would.
func open(t testing.TB, m smtpd.Message) opened {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(m.Source))
	if err != nil {
		t.Fatalf("the caught mail cannot be read: %v", err)
	}
	o := opened{header: msg.Header, subject: m.Subject}
	o.part(t, msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
	return o
}

func (o *opened) part(t testing.TB, kind, coding string, body io.Reader) {
	t.Helper()
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		t.Fatalf("Content-Type %q: %v", kind, err)
	}
	if strings.HasPrefix(media, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			o.part(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)
		}
	}
	if strings.EqualFold(coding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	switch media {
	case "text/html":
		o.html = string(text)
	case "text/plain":
		o.text = string(text)
	}
}

var (
	anHref   = regexp.MustCompile(`href="([^"]+)"`)
	anImage  = regexp.MustCompile(`src="([^"]+)"`)
	anAngled = regexp.MustCompile(`<(https?://[^>]+)>`)
)

// links returns the addresses behind the letter's links that contain a path.
func (o opened) links(path string) []string {
	return found(anHref, o.html, path)
}

// pixel is the address of the open pixel.
func (o opened) pixel() string {
	if list := found(anImage, o.html, "/o/"); len(list) > 0 {
		return list[0]
	}
	return ""
}

// leave is the address of the one-click unsubscription (RFC 8058).
func (o opened) leave() string {
	if list := found(anAngled, o.header.Get("List-Unsubscribe"), "/u/"); len(list) > 0 {
		return list[0]
	}
	return ""
}

func found(pattern *regexp.Regexp, text, path string) []string {
	var out []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], path) {
			out = append(out, strings.ReplaceAll(m[1], "&amp;", "&"))
		}
	}
	return out
}
