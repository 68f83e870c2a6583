package templates

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"rapport"
)

func textLetter(src string) Content {
	c := letterOf("<p>x</p>")
	c.Sources["en"]["text"] = src
	return c
}

// A hostile template ends, whatever it does, and the process is unharmed.
func TestHostileTemplatesEnd(t *testing.T) {
	list := make([]any, 5000)
	for i := range list {
		list[i] = map[string]any{"i": int64(i)}
	}
	view := View{Now: testNow, Data: map[string]any{"list": list, "s": strings.Repeat("x", 64<<10), "neg": int64(-5), "t": testNow, "hundred": strings.Repeat("y", 100)}}
	const limit = "(steps|takes longer|longer than)" // whichever comes first on this machine
	for _, tt := range []struct{ name, src, want string }{
		{"silent loop", `{% for i in data.list %}{% for j in data.list %}{% assign x = j %}{% endfor %}{% endfor %}`, limit},
		{"long output", `{% for i in data.list %}{% for j in data.list %}{{ data.hundred }}{% endfor %}{% endfor %}`, limit},
		{"doubling", `{% assign s = "x" %}{% for i in (1..40) %}{% assign s = s | append: s %}{% endfor %}`, "append"},
		{"doubling by capture", `{% assign s = "xxxxxxxxxxxxxxxx" %}{% for i in (1..60) %}{% capture s %}{{ s }}{{ s }}{% endcapture %}{% endfor %}`, limit},
		{"replace", `{{ data.s | replace: "x", "0123456789" }}`, "replace"},
		{"many filters on much text", `{% for i in data.list %}{% for j in data.list %}{{ data.s | upcase | downcase | size }}{% endfor %}{% endfor %}`, limit},
		{"array of text", `{% for i in data.list %}{% for j in data.list %}{% assign x = data.s | split: "" %}{% endfor %}{% endfor %}`, limit},
		{"negative", `{{ data.s | slice: 1, data.neg }}`, "values of this person"},
		{"types", `{{ data.list | plus: 1 | date: "%Y" }} {{ data.t | times: data.list }}{{ data.s | date: "%d" }}`, "date"},
		{"zero", `{{ 1 | divided_by: 0 }}`, "divided_by"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := mustCompile(t, textLetter(tt.src), letterDriver())
			_, err := l.Render(t.Context(), view)
			if err == nil || rapport.KindOf(err) != rapport.Invalid || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRefusedSource(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"a\nb {{ contact.x", "line 2: has {{ without its }}"},
		{"{% if contact.x %}a", "{% if %} without {% endif %}"},
		{"{% if contact.x %}a{% endfor %}", "inside {% if %} of line 1"},
		{"a{% endif %}", "without a tag that it ends"},
		{"{% for i in (1..x) %}{% endfor %}", "range"},
		{"{% for i in (1..100000000) %}{% endfor %}", "range"},
		{"{{ (1..100000000) | size }}", "range"},
		{"{% for i in (1..9) %}{% for j in (1..9) %}{% for k in (1..9) %}{% endfor %}{% endfor %}{% endfor %}", "2 loops"},
		{strings.Repeat("{% if true %}", 40) + strings.Repeat("{% endif %}", 40), "blocks within"},
		{"{% include 'x' %}", "not available"},
		{"{% render 'x' %}", "not available"},
		{"{% nothing %}", "known: assign"},
		{"{{ contact.x | nothing }}", "known: abs"},
		{"{{ contact x }}", "cannot read"},
		{"{% for i in (data.n..5) %}{% endfor %}", "range"},
		{"{{ }}", "empty"},
		{"{% assign contact = 1 %}", "belongs to Rapport"},
		{"{% assign x %}", "write it like"},
		{"{% for x of y %}{% endfor %}", "write it like"},
		{"{{ rapport_now }}", "no name"},
		{"{{ " + strings.Repeat("a[", 900) + "0" + strings.Repeat("]", 900) + " }}", "at most"},
		{"{{ 1" + strings.Repeat(" | plus: 1", 30) + " }}", "30 filters"},
		{strings.Repeat("x", maxSource+1), "at most"},
		{"\xff", "UTF-8"},
		{"\U000F0001", "private-use"},
		{"{{ contact.x | inspect }}", "no filter"},
		{"{% if contact.x %}{% else %}{% elsif contact.y %}{% endif %}", "last"},
		{"{% raw %}x", "endraw"},
	} {
		t.Run(fmt.Sprintf("%.30s", tt.src), func(t *testing.T) {
			wantContains(t, compileError(t, textLetter(tt.src), letterDriver()), tt.want)
		})
	}
}

func TestStepsAreCounted(t *testing.T) {
	l := mustCompile(t, textLetter(`{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}`), letterDriver())
	v := l.variants["en"]
	r := v.begin(View{})
	_, err := r.render(t.Context(), v.parts[2], nil)
	if err == nil || r.steps > maxSteps+1 {
		t.Errorf("ended after %d steps with %v", r.steps, err)
	}
}

func TestRenderStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := mustCompile(t, textLetter(`{% for i in (1..1000) %}{{ i }}{% endfor %}`), letterDriver())
	if _, err := l.Render(ctx, View{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestErrorsHoldNothingPersonal(t *testing.T) {
	l := mustCompile(t, textLetter("\n{{ contact.name | divided_by: contact.name }}"), letterDriver())
	_, err := l.Render(t.Context(), View{Contact: map[string]any{"name": "Erika"}})
	if err == nil || strings.Contains(err.Error(), "Erika") || !strings.Contains(err.Error(), "en/text line 2") {
		t.Errorf("got %v", err)
	}
}
