package templates

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	nethtml "golang.org/x/net/html"
	"pgregory.net/rapid"

	"rapport"
)

// skeleton is what must not depend on a value: elements and the names of their
// attributes.
func skeleton(text string) string {
	var b strings.Builder
	z := nethtml.NewTokenizer(strings.NewReader(text))
	for z.Next() != nethtml.ErrorToken {
		t := z.Token()
		if t.Type == nethtml.TextToken {
			continue
		}
		b.WriteString(t.Type.String() + " ")
		if t.Type != nethtml.CommentToken {
			b.WriteString(t.Data)
		}
		for _, a := range t.Attr {
			b.WriteString(" " + a.Key)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func nastyText(t *rapid.T) string {
	pieces := rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]string{"<", ">", "\"", "'", "&", "-->", "--!>", "<!--", "</style>", "</a>", "<script>", "javascript:", "https://", "//", "\\", "\x00", "\r\n", "{{ contact.x }}", "{% if %}", "=", "`", " onclick=", "&quot;", "&#34;", "]]>", "<![endif]-->", "\u2028", "🎈", "%", "%22", "../"}),
		rapid.String(),
	), 0, 6).Draw(t, "value")
	return strings.Join(pieces, "")
}

// No value changes what a letter is made of, wherever it stands.
func TestNoValueChangesTheMarkup(t *testing.T) {
	src := `<html lang="{{ contact.x }}"><head><style>p{color:{{ contact.x }}}</style><title>{{ contact.x }}</title></head><body>
<!-- {{ contact.x }} --><!--[if mso]><p title="{{ contact.x }}">{{ contact.x }}</p><![endif]-->
<p title="{{ contact.x }}" style="width:{{ contact.x }}" class='{{ contact.x }}'>{{ contact.x }}{{ contact.x | newline_to_br | strip }}{{ contact.x | escape }}</p>
<a href="https://e.example/{{ contact.x }}?{{ contact.x }}&amp;a={{ contact.x }}#{{ contact.x }}" id="i">{{ contact.x | upcase }}</a><a href="mailto:{{ contact.x }}">m</a>
{% capture c %}<b>{{ contact.x }}</b>{% endcapture %}{{ c }}<i title="{{ c }}">{% assign d = contact.x | append: "<" %}{{ d }}</i></body></html>`
	l := mustCompile(t, letterOf(src), letterDriver())
	want := skeleton(mustRender(t, l, View{Contact: map[string]any{"x": "a"}}).Content["html"])
	rapid.Check(t, func(rt *rapid.T) {
		x := nastyText(rt)
		r, err := l.Render(t.Context(), View{Contact: map[string]any{"x": x}})
		if err != nil {
			rt.Fatal(err)
		}
		if got := strings.ReplaceAll(skeleton(r.Content["html"]), "SelfClosingTag br\n", ""); got != want {
			rt.Fatalf("with %q the letter is made of\n%s\nnot\n%s", x, got, want)
		}
	})
}

// No value breaks a JSON part or reaches Slack's mark-up.
func TestNoValueBreaksJSON(t *testing.T) {
	c := Content{Locale: "en", Sources: map[string]map[string]string{"en": {
		"text": "x", "blocks": `{"a": "{{ contact.x }}", "b": {{ contact.x }}, "c": "https://e.example/{{ contact.x }}", "d": {{ contact.x | json }}}`,
	}}}
	l := mustCompile(t, c, chatDriver())
	rapid.Check(t, func(rt *rapid.T) {
		x := nastyText(rt)
		r, err := l.Render(t.Context(), View{Contact: map[string]any{"x": x}})
		if err != nil {
			rt.Fatal(err)
		}
		var v map[string]string
		if err := json.Unmarshal([]byte(r.Content["blocks"]), &v); err != nil || len(v) != 4 {
			rt.Fatalf("%v in %s", err, r.Content["blocks"])
		}
		if strings.ContainsAny(v["a"], "<>") || v["b"] != strings.ToValidUTF8(x, "\uFFFD") {
			rt.Fatalf("%q became %q", x, v)
		}
	})
}

// Whatever is written, there is a letter or a sentence, never a panic.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{"{{ a", "{% if %}", "<a href=\"{{ x }}", "<a href='{{ data.x }}'>{% for i in data.l %}{{ i }}{% endfor %}", "{% case a %}{% when 1 %}", "<!--[if mso]>{{ a }}", "<style>{{ a", "{{ a | date: }}", "{%- raw -%}{{{% endraw %}", "<a href={{ x }}>", "{{ 'a' | replace: '', 'b' }}", "{{ \"\\\" }}", "{% for i in (1..3) %}{% cycle 'a' %}{% break %}{% endfor %}", "{% capture x %}{% endcapture %}{% assign y = x | split: '' %}", "{{ 99999999999999999999 }}", "{{ a[1][b.c].d }}", "<p {% if a %}b{% endif %}>"} {
		f.Add(s)
	}
	driver := letterDriver()
	view := View{Now: testNow, Links: testLinks{}, Track: true, Contact: map[string]any{"a": "b"}, Data: map[string]any{"x": "https://e.example", "l": []any{int64(1), "x"}}}
	f.Fuzz(func(t *testing.T, src string) {
		c := letterOf(src)
		c.Sources["en"]["preheader"] = src
		for _, p := range Lint(c, driver, Schema{Attributes: []string{"a"}}) {
			if p.Error() == "" {
				t.Error("a problem without words")
			}
		}
		l, err := Compile(Revision{Content: c}, driver)
		if err != nil {
			return
		}
		if _, err := l.Render(t.Context(), view); err != nil && rapport.KindOf(err) != rapport.Invalid {
			t.Errorf("got %v", err)
		}
	})
}

func TestManyGoroutinesRenderOneLetter(t *testing.T) {
	c, view := benchLetter()
	c.Sources["en"]["html"] = strings.Replace(c.Sources["en"]["html"], "<table>", "<p>{{ contact.last_name | upcase | truncate: 5 }}{% for t in contact.tags %}{{ t | size }}{% endfor %}</p><table>", 1)
	l := mustCompile(t, c, letterDriver())
	raw, err := json.Marshal(view.Contact)
	if err != nil {
		t.Fatal(err)
	}
	view.Contact, view.Person = nil, Person{ExternalID: "c-1234", Attributes: raw}
	want := mustRender(t, l, view).Content
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := l.Render(t.Context(), view)
				if err != nil || got.Content["html"] != want["html"] || got.Content["text"] != want["text"] {
					t.Errorf("got another letter: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestWhatALetterReads(t *testing.T) {
	c, _ := benchLetter()
	c.Sources["de"] = map[string]string{"subject": "Hallo {{ contact.nickname }}", "html": "{% if data.extra.x %}x{% endif %}"}
	l := mustCompile(t, c, letterDriver())
	if got := strings.Join(l.ContactFields(), " "); got != "city email external_id first_name last_name nickname points tier" {
		t.Errorf("reads %s", got)
	}
	if got := strings.Join(l.DataKeys(), " "); got != "extra items voucher" {
		t.Errorf("reads %s", got)
	}
	if l.Unsubscribes() {
		t.Error("the German letter has no way to unsubscribe")
	}
	delete(c.Sources, "de")
	if !mustCompile(t, c, letterDriver()).Unsubscribes() {
		t.Error("the English letter has a way to unsubscribe")
	}
}
