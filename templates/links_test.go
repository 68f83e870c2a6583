package templates

import (
	"slices"
	"strings"
	"testing"
)

func TestLinksAreTracked(t *testing.T) {
	c := letterOf(`<html lang="en"><body class="x"><a href="https://e.example/a?x=1&amp;y=2">A</a> <a class=b href='https://e.example/b'>B</a> <A HREF=https://e.example/c>C</A>
<a href="https://e.example/a?x=1&amp;y=2">again</a> <a href="mailto:a@example.com">m</a> <a href="#top" id="top">t</a> <a href="{{ links.unsubscribe }}">u</a>
<a href="https://e.example/p/{{ contact.id }}">personal</a>{% for i in (1..2) %}<a {% if i == 1 %}class="one"{% endif %} href="https://e.example/loop">{{ i }}</a>{% endfor %}
<!--[if mso]><v:rect href="https://e.example/mso"><![endif]--><img src="https://e.example/i.png" alt=""></body></html>`)
	c.Sources["de"] = map[string]string{"subject": "Hallo", "html": `<a href="https://e.example/de">D</a><a href="https://e.example/b">B</a>`}
	table := &linkTable{}
	if _, problems := build(c, letterDriver(), table); len(problems.Errors()) > 0 {
		t.Fatal(problems.Err(""))
	}
	want := []string{"https://e.example/de", "https://e.example/b", "https://e.example/a?x=1&y=2", "https://e.example/c", "https://e.example/loop", "https://e.example/mso"}
	if !slices.Equal(table.list, want) {
		t.Fatalf("links are %q", table.list)
	}
	l, err := Compile(Revision{ID: 1, Content: c, Links: table.list}, letterDriver())
	if err != nil {
		t.Fatal(err)
	}
	view := View{Contact: map[string]any{"id": "7"}, Links: testLinks{}, Track: true}
	html := mustRender(t, l, view).Content["html"]
	wantContains(t, html,
		`<a href="https://r.example/c/t?a=1&amp;n=2">A</a>`, `<a class=b href='https://r.example/c/t?a=1&amp;n=1'>B</a>`,
		`<a href="https://r.example/c/t?a=1&amp;n=2">again</a>`, `href="mailto:a@example.com"`, `href="#top"`,
		`href="https://r.example/u/t?a=1&amp;b=2"`, `href="https://e.example/p/7"`, `class="one" href="https://r.example/c/t?a=1&amp;n=4">1`,
		`<v:rect href="https://r.example/c/t?a=1&amp;n=5">`, `src="https://e.example/i.png"`, `<img src="https://r.example/o/t" width="1"`,
	)
	if !strings.Contains(html, `border:0" /></body>`) {
		t.Errorf("the pixel is not at the end of the body: %s", html)
	}
	view.Track = false
	html = mustRender(t, l, view).Content["html"]
	wantContains(t, html, `href="https://e.example/a?x=1&amp;y=2"`, `HREF="https://e.example/c">`, `href="https://r.example/u/t`)
	if strings.Contains(html, "/c/t") || strings.Contains(html, "/o/t") {
		t.Errorf("an untracked letter has tracked links: %s", html)
	}
}

// A link that a stored revision does not know has no number that the click
// handler could resolve, so it stays as it is.
func TestStoredNumbersStay(t *testing.T) {
	c := letterOf(`<a href="https://e.example/new">n</a><a href="https://e.example/old">o</a>`)
	l, err := Compile(Revision{ID: 1, Content: c, Links: []string{"https://e.example/other", "https://e.example/old"}}, letterDriver())
	if err != nil {
		t.Fatal(err)
	}
	html := mustRender(t, l, View{Links: testLinks{}, Track: true}).Content["html"]
	wantContains(t, html, `href="https://e.example/new"`, `&amp;n=1">o`)
}

func TestUnquotedLinkStaysOneAttribute(t *testing.T) {
	html := mustRender(t, mustCompile(t, letterOf(`<a href=https://e.example/c>C</a>`), letterDriver()), View{Links: testLinks{}, Track: true}).Content["html"]
	wantContains(t, html, `<a href="https://r.example/c/t?a=1&amp;n=0">C</a>`)
}

func TestRefusedMarkup(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{`<a href="javascript:alert(1)">x</a>`, "javascript:"},
		{`<a href=" JavaScript&#58;alert(1)">x</a>`, "javascript:"},
		{`<a href="data:text/html,x">x</a>`, "data:"},
		{`<a href="/page">x</a>`, "not complete"},
		{`<a href="//e.example/page">x</a>`, "not complete"},
		{`<a href="https://user:pw@e.example">x</a>`, "user name"},
		{`<a href="https://e.example/a b">x</a>`, "blanks"},
		{`<a href="#nowhere">x</a>`, "#nowhere"},
		{"line one\n<a href=\"{{ contact.url }}\">x</a>", "line 2"},
		{`{% assign u = contact.url %}<a href="{{ u }}">x</a>`, "from the contact"},
		{`{% capture u %}{{ contact.url }}{% endcapture %}<a href="{{ u }}">x</a>`, "from the contact"},
		{`{% for u in contact.urls %}<a href="{{ u.x }}">x</a>{% endfor %}`, "from the contact"},
		{`<a href="{{ data.u | default: contact.url }}">x</a>`, "from the contact"},
		{`<a href="https://{{ contact.host }}/x">x</a>`, "host"},
		{`<a href="https://e.example{{ contact.host }}">x</a>`, "host"},
		{`<a href="https://e.example@{{ contact.host }}/">x</a>`, "host"},
		{`<a href="java{{ data.x }}">x</a>`, "host"},
		{`<a href="{% if contact.x %}https://a.example/{% endif %}">x</a>`, "whole link"},
		{`<a href="{{ links.view }}?x">x</a>`, "own links"},
		{`<p {{ contact.x }}>`, "outside of quotes"},
		{`<p title={{ contact.x }}>x</p>`, "outside of quotes"},
		{`<{{ contact.x }} a>`, "right after <"},
		{`<p{{ contact.x }}>`, "name of a tag"},
		{`<p onclick="x()">`, "onclick"},
		{`<script>x()</script>`, "script"},
		{`<form action="https://e.example/">`, "form"},
		{`<p>text <a href="https://e.example/"`, "inside of a tag"},
		{`<p>{{ contact.x | safe | upcase }}</p>`, "last filter"},
	} {
		t.Run(tt.src, func(t *testing.T) {
			wantContains(t, compileError(t, letterOf(tt.src), letterDriver()), tt.want)
		})
	}
}

func TestPreheader(t *testing.T) {
	c := letterOf(`<html lang="en"><head><title>x</title></head><body><p>Hello</p></body></html>`)
	c.Sources["en"]["preheader"] = "Only for {{ contact.name }}"
	got := mustRender(t, mustCompile(t, c, letterDriver()), View{Contact: map[string]any{"name": "A & B"}})
	wantContains(t, got.Content["html"], `<body><div style="display:none`, `Only for A &amp; B&#847;`)
	if _, ok := got.Content["preheader"]; ok {
		t.Error("the preheader is carried beside the letter it stands in")
	}
	if got.Content["text"] != "Hello" {
		t.Errorf("text is %q", got.Content["text"])
	}
}

func TestTextFromHTML(t *testing.T) {
	html := `<html lang="en"><head><style>p{color:red}</style></head><body><div style="display:none">hidden</div>
<h1>News for {{ contact.name | default: "you" }}</h1><p>One <b>bold</b>, two &amp; three.<br>Next.</p>
<table><tr><th>Item</th><th>Price</th></tr>{% for i in data.items %}<tr><td>{{ i.n }}</td><td>{{ i.p }}</td></tr>{% endfor %}</table>
{% if contact.vip %}<p>For you: <a href="https://e.example/vip">shop</a></p>{% endif %}
<ul><li>first</li><li>second</li></ul><img src="https://e.example/i.png" alt="A picture"><hr><p><a href="{{ links.unsubscribe }}">Unsubscribe</a></p></body></html>`
	l := mustCompile(t, letterOf(html), letterDriver())
	view := View{Contact: map[string]any{"name": "A <b> & Z", "vip": true}, Data: map[string]any{"items": []any{map[string]any{"n": "Tea", "p": int64(3)}, map[string]any{"n": "Cup", "p": int64(9)}}}, Links: testLinks{}, Track: true}
	want := `News for A <b> & Z

One bold, two & three.
Next.

Item Price
Tea 3
Cup 9

For you: shop (https://r.example/c/t?a=1&n=0)

- first
- second

A picture

----

Unsubscribe (https://r.example/u/t?a=1&b=2)`
	if got := mustRender(t, l, view).Content["text"]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if l.variants["en"].parts[2].made {
		t.Error("the text is made again for each message")
	}
}

// Where the text cannot be compiled, it is made from the finished letter.
func TestTextFromFinishedLetter(t *testing.T) {
	html := `<!-- {% if contact.x %} --><p>x</p><!-- {% endif %} --><p>{{ data.h | safe }}</p>`
	l := mustCompile(t, letterOf(html), letterDriver())
	if got := mustRender(t, l, View{Data: map[string]any{"h": "<b>bold</b>"}}).Content["text"]; got != "bold" {
		t.Errorf("text is %q", got)
	}
}

func TestOwnTextIsLeftAlone(t *testing.T) {
	c := letterOf(`<p>x</p>`)
	c.Sources["en"]["text"] = "Dear {{ contact.name }}\n\n\nhttps://e.example/a\n"
	got := mustRender(t, mustCompile(t, c, letterDriver()), View{Contact: map[string]any{"name": "<Z>"}, Links: testLinks{}, Track: true})
	if want := "Dear <Z>\n\n\nhttps://e.example/a"; got.Content["text"] != want {
		t.Errorf("got %q", got.Content["text"])
	}
}
