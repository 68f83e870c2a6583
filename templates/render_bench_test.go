package templates

import (
	"fmt"
	"strings"
	"testing"
)

// benchLetter is a letter of about 11 KB: ten placeholders, a loop of five, a
// condition, 20 plain links and 5 personal ones.
func benchLetter() (Content, View) {
	var b strings.Builder
	b.WriteString(`<html lang="en"><body><h1>Hello {{ contact.first_name | default: "friend" }} {{ contact.last_name }}</h1>`)
	filler := strings.Repeat("<p style=\"margin:0 0 16px;font-size:16px\">Fresh from the garden, picked this morning.</p>\n", 4)
	for i := range 20 {
		fmt.Fprintf(&b, "<p>%s<a href=\"https://shop.example.com/products/%d?ref=letter\">Look at it</a></p>", filler, i)
	}
	for i := range 5 {
		fmt.Fprintf(&b, `<a href="https://shop.example.com/me/%d/{{ contact.external_id }}">Yours</a>`, i)
	}
	b.WriteString(`<table>{% for i in data.items %}<tr><td>{{ i.name }}</td><td>{{ i.price }}</td></tr>{% endfor %}</table>
{% if contact.points > 100 %}<p>You have {{ contact.points }} points.</p>{% endif %}
<p>{{ contact.city }} {{ contact.tier }} {{ contact.email }} {{ data.voucher }} {{ campaign.name }}</p><a href="{{ links.unsubscribe }}">Unsubscribe</a></body></html>`)
	c := letterOf(b.String())
	c.Sources["en"]["subject"] = "News for {{ contact.first_name }}"
	var items []any
	for i := range 5 {
		items = append(items, map[string]any{"name": fmt.Sprintf("Item %d & more", i), "price": int64(100 * i)})
	}
	return c, View{
		Locale: "en", Now: testNow, Links: testLinks{}, Track: true, Campaign: "spring",
		Contact: map[string]any{"first_name": "Zoë", "last_name": "O'Neil & Müller", "external_id": "c-1234", "points": int64(250), "city": "Köln", "tier": "gold", "email": "z@example.com"},
		Data:    map[string]any{"items": items, "voucher": "X-1"},
	}
}

func BenchmarkRender(b *testing.B) {
	c, view := benchLetter()
	l := mustCompile(b, c, letterDriver())
	b.ReportAllocs()
	for b.Loop() {
		r, err := l.Render(b.Context(), view)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(r.Content["html"])))
	}
}

func BenchmarkCompile(b *testing.B) {
	c, _ := benchLetter()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(Revision{Content: c}, letterDriver()); err != nil {
			b.Fatal(err)
		}
	}
}
