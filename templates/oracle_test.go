package templates

import (
	"testing"

	"github.com/osteele/liquid"
)

// The Liquid library is the meaning of the language: what it renders, we
// render.
func TestSameAsTheLibrary(t *testing.T) {
	view := map[string]any{
		"contact": map[string]any{"name": "Zoë", "points": int64(1200), "tier": "gold", "empty": "", "price": 12.5, "vip": true, "tags": []any{"a", "b", "c"}},
		"data":    map[string]any{"items": []any{map[string]any{"n": "one", "p": 1.5}, map[string]any{"n": "two", "p": int64(2)}}, "m": map[string]any{"k": "v"}},
	}
	engine := liquid.NewEngine()
	for _, src := range []string{
		`plain text with { braces } and %} ends`,
		`{{ contact.name }} {{contact.points}} {{ contact.price }} {{ contact.vip }} {{ contact.missing }}!`,
		`{{ contact.missing | default: "friend" }} {{ contact.empty | default: 'x' }} {{ contact.name | default: "n" }} {{ contact.points | default: "p" }}`,
		`{{ contact.name.size }} {{ contact.tags.size }} {{ contact.tags.first }} {{ contact.tags[1] }} {{ contact["name"] }} {{ contact.tags }}`,
		`{% if contact.points > 1000 %}rich{% elsif contact.points > 10 %}some{% else %}poor{% endif %}`,
		`{% if contact.missing %}yes{% else %}no{% endif %}{% if contact.empty %}yes{% else %}no{% endif %}`,
		`{% unless contact.vip %}no{% else %}vip{% endunless %}`,
		`{% if contact.vip and contact.tier == "gold" or contact.missing %}a{% endif %}{% if contact.tags contains "b" %}b{% endif %}`,
		`{% for i in data.items %}{{ forloop.index }}/{{ forloop.length }} {{ i.n | upcase }} {{ i.p | times: 2 }}{% unless forloop.last %}, {% endunless %}{% endfor %}`,
		`{% for i in (1..5) reversed limit: 3 offset: 1 %}{{ i }}{% if i == 3 %}{% continue %}{% endif %}{% if i == 1 %}{% break %}{% endif %};{% endfor %}`,
		`{% for i in (1..4) %}{% cycle "odd", "even" %} {% endfor %}`,
		`{% for p in data.m %}{{ p[0] }}={{ p[1] }}{% endfor %}`,
		`{% case contact.tier %}{% when "silver" %}s{% when "gold", "platin" %}g{% else %}o{% endcase %}`,
		`{% assign x = contact.name | append: "!" | downcase %}{{ x }}{% capture y %}<{{ x }}>{% endcapture %}{{ y }}`,
		"a  {{- contact.name -}}  b\n{%- if true -%}\n  c  \n{%- endif -%}\n d",
		`{% raw %}{{ contact.name }}{% endraw %}{% comment %}{{ x }}{% endcomment %}`,
		`{{ "a,b,c" | split: "," | join: "-" }} {{ "x" | append: "y" | prepend: "z" }} {{ "aXbX" | replace: "X", "-" | remove_first: "-" }}`,
		`{{ 7 | divided_by: 2 }} {{ 7 | modulo: 4 }} {{ 1.234 | round: 1 }} {{ -3 | abs }} {{ 3 | plus: 4 | minus: 1 }}`,
		`{{ "hello world" | capitalize | truncate: 8 }} {{ "a b c d" | truncatewords: 2 }} {{ " x " | strip }} {{ "abc" | slice: 1, 2 }}`,
		`{{ contact.tags | reverse | join: "," }} {{ contact.tags | last }} {{ data.items | map: "n" | join: "+" }} {{ data.items | where: "n", "two" | size }}`,
		`{% for i in data.items %}{{ forloop.index0 }}{{ forloop.rindex }}{{ forloop.rindex0 }}{{ forloop.first }}{{ forloop.last }} {% endfor %}[{{ i.n }}{{ i }}{{ forloop.index }}]`,
		`{% for i in contact.tags %}{% for j in data.items %}{{ forloop.index }}{{ j.n }}{% endfor %}{{ forloop.index }}/{{ forloop.length }}{{ j }}{{ i }}{% endfor %}`,
		`{% assign i = "kept" %}{% for i in contact.tags limit: 2 %}{{ i }}{% endfor %}{{ i }}{% if contact.missing == nil %}nil{% endif %}{% if contact.name %}{{ contact.size }}{% endif %}`,
		`{% if contact.points >= 1200 and contact.points <= 1200.0 %}same{% endif %}{% if contact.name contains "o" %}o{% endif %}{% if contact.points contains 1 %}x{% endif %}`,
		`{{ "a b&c" | url_encode }} {{ contact.tags | concat: contact.tags | uniq | size }} {{ data.items | sum: "p" }}`,
	} {
		want, err := engine.ParseAndRenderString(src, view)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		c := Content{Locale: "en", Sources: map[string]map[string]string{"en": {"subject": "x", "html": "<p>x</p>", "text": "|" + src + "|"}}}
		got := mustRender(t, mustCompile(t, c, letterDriver()), View{Contact: view["contact"].(map[string]any), Data: view["data"].(map[string]any)})
		if got.Content["text"] != "|"+want+"|" {
			t.Errorf("%s\n got %q\nwant %q", src, got.Content["text"], "|"+want+"|")
		}
	}
}
