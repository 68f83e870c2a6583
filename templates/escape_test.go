package templates

import (
	"encoding/json"
	"strings"
	"testing"

	"rapport"
	"rapport/channels"
)

const nasty = "<script>alert(\"1\")</script> & 'q' -->\r\nBcc: x@example.com \u202E"

func TestValuesAreEscapedForTheirPlace(t *testing.T) {
	contact := map[string]any{"x": nasty, "id": "7/../8?a=b&c", "color": "red;background:url(javascript:1)", "name": "Müller & Söhne"}
	for _, tt := range []struct{ name, src, want string }{
		{"text", `<p>{{ contact.x }}</p>`, `<p>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; &amp; &#39;q&#39; --&gt;`},
		{"attribute", `<p title="{{ contact.name }}">a</p>`, `<p title="Müller &amp; Söhne">`},
		{"path", `<a href="https://e.example/p/{{ contact.id }}">a</a>`, `href="https://e.example/p/7/../8%3Fa%3Db%26c"`},
		{"query", `<a href="https://e.example/?p={{ contact.id }}&amp;n={{ contact.name }}">a</a>`, `?p=7%2F..%2F8%3Fa%3Db%26c&amp;n=M%C3%BCller%20%26%20S%C3%B6hne"`},
		{"encoded already", `<a href="https://e.example/?n={{ contact.name | url_encode }}">a</a>`, `?n=M%C3%BCller%2B%26%2BS%C3%B6hne"`},
		{"mail", `<a href="mailto:{{ contact.name }}">a</a>`, `href="mailto:M%C3%BCller%20%26%20S%C3%B6hne"`},
		{"style", `<p style="color:{{ contact.color }}">a</p>`, `style="color:redbackgroundurljavascript1"`},
		{"comment", `<!-- {{ contact.x }} -->`, `<!-- &lt;script&gt;alert`},
		{"once", `<p>{{ contact.name | escape }}</p>`, `<p>Müller &amp; Söhne</p>`},
		{"captured", `<p>{% capture b %}<b>{{ contact.name }}</b>{% endcapture %}{{ b }}</p><p title="{{ b }}">x</p>`, `<p><b>Müller &amp; Söhne</b></p><p title="&lt;b&gt;Müller &amp; Söhne&lt;/b&gt;">`},
		{"assigned", `{% assign b = contact.x %}<p>{{ b }}</p>`, `<p>&lt;script&gt;`},
		{"lines", `<p>{{ "a<b\nc" | newline_to_br }}</p>`, "<p>a&lt;b<br />\nc</p>"},
		{"safe", `<p>{{ data.html | safe }}</p>`, `<p><i>x</i></p>`},
		{"in a loop", `{% for i in data.list %}<b>{{ i }}</b>{% endfor %}`, `<b>&lt;1&gt;</b>`},
		{"apostrophe inside", `<p title='{{ contact.x }}'>a</p>`, `&#39;q&#39;`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := mustRender(t, mustCompile(t, letterOf(tt.src), letterDriver()), View{Contact: contact, Data: map[string]any{"html": "<i>x</i>", "list": []any{"<1>"}}})
			wantContains(t, got.Content["html"], tt.want)
		})
	}
}

func TestCommentsCannotBeLeft(t *testing.T) {
	got := mustRender(t, mustCompile(t, letterOf(`<!-- {{ contact.x }} --><p>b</p>`), letterDriver()), View{Contact: map[string]any{"x": "--><b>"}})
	if strings.Count(got.Content["html"], "-->") != 1 {
		t.Errorf("the value left its comment: %s", got.Content["html"])
	}
}

func TestHeaderIsOneLine(t *testing.T) {
	c := letterOf("<p>x</p>")
	c.Sources["en"]["subject"] = "Hello\n  {{ contact.x }}\n"
	got := mustRender(t, mustCompile(t, c, letterDriver()), View{Contact: map[string]any{"x": "a\r\nBcc: b@example.com\x00\u202E\u2028c"}})
	if want := "Hello a Bcc: b@example.com c"; got.Content["subject"] != want {
		t.Errorf("got %q, want %q", got.Content["subject"], want)
	}
}

func TestAddressesThatAreValues(t *testing.T) {
	l := mustCompile(t, letterOf(`<a href="{{ data.url }}">a</a>{% for i in data.items %}<a href="{{ i.url }}">b</a>{% endfor %}<img src="{{ contact.photo }}" alt="">`), letterDriver())
	got := mustRender(t, l, View{Data: map[string]any{"url": "https://e.example/?a=1&b=2", "items": []any{map[string]any{"url": "https://e.example/i"}}}, Contact: map[string]any{"photo": "https://e.example/p.png"}})
	wantContains(t, got.Content["html"], `href="https://e.example/?a=1&amp;b=2"`, `href="https://e.example/i"`, `src="https://e.example/p.png"`)
	for _, bad := range []string{"javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//e.example", "/path", "https://user:pass@e.example/", "https://", "vbscript:x", "java\nscript:x", "https:\\\\e.example"} {
		if _, err := l.Render(t.Context(), View{Data: map[string]any{"url": bad}}); err == nil || strings.Contains(err.Error(), "alert") {
			t.Errorf("%q: got error %v", bad, err)
		}
	}
}

func TestMrkdwn(t *testing.T) {
	c := Content{Locale: "en", Sources: map[string]map[string]string{"en": {
		"text":   `Hi *{{ contact.x }}*, see <https://e.example/?n={{ contact.n }}|here>`,
		"blocks": `[{"type":"section","text":{"type":"mrkdwn","text":"Hi {{ contact.x }}"}},{"url": "{{ data.url }}", "n": {{ contact.n }}, "s": {{ contact.x }}, "none": {{ contact.none }}, "u": "https://e.example/{{ contact.q }}"},]`,
	}}}
	view := View{Contact: map[string]any{"x": "<!channel> \"&\"", "n": int64(5), "q": "a\"b"}, Data: map[string]any{"url": "https://e.example/?a=1&b=2"}}
	if _, err := mustCompile(t, c, chatDriver()).Render(t.Context(), view); err == nil || !strings.Contains(err.Error(), "not valid JSON") {
		t.Fatalf("the superfluous comma was not found: %v", err)
	}
	c.Sources["en"]["blocks"] = strings.Replace(c.Sources["en"]["blocks"], "},]", "}]", 1)
	got := mustRender(t, mustCompile(t, c, chatDriver()), view)
	wantContains(t, got.Content["text"], `*&lt;!channel&gt; "&amp;"*`)
	var blocks []map[string]any
	if err := json.Unmarshal([]byte(got.Content["blocks"]), &blocks); err != nil {
		t.Fatal(err)
	}
	if text := blocks[0]["text"].(map[string]any)["text"]; text != `Hi &lt;!channel&gt; "&amp;"` {
		t.Errorf("text is %q", text)
	}
	for key, want := range map[string]any{"url": "https://e.example/?a=1&b=2", "n": 5.0, "s": `<!channel> "&"`, "none": nil, "u": "https://e.example/a%22b"} {
		if blocks[1][key] != want {
			t.Errorf("%s is %v, want %v", key, blocks[1][key], want)
		}
	}
}

func TestJSONValues(t *testing.T) {
	src := `{
  "name": "{{ contact.name }}", "plain": {{ contact.name }}, "tags": {{ contact.tags | json }}, "all": {{ data }},
  "when": {{ now }}, "list": [{% for t in contact.tags %}{{ t }}{% unless forloop.last %},{% endunless %}{% endfor %}],
  {% capture greeting %}Dear {{ contact.name }}{% endcapture %}
  "greeting": "{{ greeting }}", "json in a string": "{{ contact.tags | json }}", "esc": "a\"{{ contact.name }}"
}`
	c := Content{Locale: "en", Sources: map[string]map[string]string{"en": {"payload": src}}}
	got := mustRender(t, mustCompile(t, c, hookDriver()), View{Contact: map[string]any{"name": "A\"B\\\n</é", "tags": []any{"x", "y\""}}, Data: map[string]any{"k": 1.5}})
	var v map[string]any
	if err := json.Unmarshal([]byte(got.Content["payload"]), &v); err != nil {
		t.Fatalf("%v in %s", err, got.Content["payload"])
	}
	for key, want := range map[string]any{"name": "A\"B\\\n</é", "plain": "A\"B\\\n</é", "greeting": "Dear A\"B\\\n</é", "json in a string": `["x","y\""]`, "when": "2026-12-24T17:30:00Z", "esc": "a\"A\"B\\\n</é"} {
		if v[key] != want {
			t.Errorf("%s is %q, want %q", key, v[key], want)
		}
	}
	if list := v["list"].([]any); len(list) != 2 || list[1] != `y"` {
		t.Errorf("list is %v", list)
	}
	c.Sources["en"]["payload"] = `{"a": "{{ contact.name }}}`
	wantContains(t, compileError(t, c, hookDriver()), "not closed", "line 1")
}

// A sample, which has no links of its own, may stand where Slack wants a link.
func TestMrkdwnLinkOfASample(t *testing.T) {
	c := Content{Locale: "en", Sources: map[string]map[string]string{"en": {"text": `<{{ links.unsubscribe }}|Leave>`}}}
	got := mustRender(t, mustCompile(t, c, chatDriver()), View{})
	wantContains(t, got.Content["text"], "<https://example.com/unsubscribe|Leave>")
}

// TestMrkdwnPlaces puts hostile values into the places of Slack's mark-up: none
// mentions everybody, and none leaves the address it stands in.
func TestMrkdwnPlaces(t *testing.T) {
	driver := channels.Driver{Name: "chat", Parts: []channels.Part{
		{Name: "text", Syntax: channels.Mrkdwn, Required: true}, {Name: "blocks", Syntax: channels.JSON},
	}}
	for _, c := range []struct{ src, value, want string }{ // want empty: refused
		{"hello {{ contact.v }}", "<!channel> & co", "hello &lt;!channel&gt; &amp; co"},
		{"<{{ contact.v }}|see>", "https://shop.example/a?b=1&c=2", "<https://shop.example/a?b=1&amp;c=2|see>"},
		{"<{{ contact.v }}|see>", "https://shop.example/|words>", "<https://shop.example/%7Cwords&gt;|see>"},
		{"<{{ contact.v }}|see>", "!channel", ""},
		{"<{{ contact.v }}>", "!here|x", ""},
		{"<{{ contact.v }}>", "javascript:alert(1)", ""},
		{"<{{ contact.v }}>", "@U012AB3CD", ""},
		{"<@{{ contact.v }}>", "U012AB3CD", "<@U012AB3CD>"},
		{"<@{{ contact.v }}>", "U1> <!channel", "<@U1channel>"},
		{"<https://shop.example/{{ contact.v }}|see>", "a|b>c", "<https://shop.example/a%7Cb%3Ec|see>"},
		{"<https://shop.example/?q={{ contact.v }}|see>", "a/b&c=d", "<https://shop.example/?q=a%2Fb%26c%3Dd|see>"},
		{"<https://{{ contact.v }}/|see>", "evil.example/x", "<https://evilexamplex/|see>"},
		{"<https://shop.example/|{{ contact.v }}>", "a|b", "<https://shop.example/|a|b>"},
		{"<{{ links.unsubscribe }}|stop>", "", "<https://r.example/u/t?a=1&amp;b=2|stop>"},
		{"1 < 2 {{ contact.v }}", "a/b", "1 < 2 a/b"},
		{"{% assign x = contact.v %}<{{ x }}|see>", "!channel", ""},
	} {
		content := Content{Locale: "en", Sources: map[string]map[string]string{"en": {"text": c.src, "blocks": `[{"type":"section","text":"` + c.src + `"}]`}}}
		l, err := Compile(Revision{Content: content}, driver)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		out, err := l.Render(t.Context(), View{Contact: map[string]any{"v": c.value}, Links: testLinks{}})
		if c.want == "" {
			if rapport.KindOf(err) != rapport.Invalid {
				t.Errorf("%s with %s: %q, %v; want a refusal", c.src, c.value, out.Content, err)
			}
			continue
		}
		var blocks []struct{ Text string }
		if err == nil {
			err = json.Unmarshal([]byte(out.Content["blocks"]), &blocks)
		}
		if err != nil || out.Content["text"] != c.want || len(blocks) != 1 || blocks[0].Text != c.want {
			t.Errorf("%s with %s: %q, %v; want %q", c.src, c.value, out.Content, err, c.want)
		}
	}
}
