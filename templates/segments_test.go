package templates

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/osteele/liquid"
	"pgregory.net/rapid"

	"rapport/channels"
)

// author writes templates at random, of what the language has.
type author struct {
	t     *rapid.T
	depth int
}

func (a author) pick(list ...string) string { return rapid.SampledFrom(list).Draw(a.t, "pick") }

func (a author) chance(n int) bool { return rapid.IntRange(0, n-1).Draw(a.t, "chance") == 0 }

func (a author) path() string {
	return a.pick("contact.name", "contact.empty", "contact.points", "contact.price", "contact.vip", "contact.no", "contact.missing", "contact.tags", "contact.deep.x",
		"contact.deep.y.z", "data.word", "data.n", "data.items", "data.missing.x", "data.m.k", "campaign.name", "i", "i.n", "i.p", "x", "y", "forloop.index", "forloop.last",
		"forloop.rindex0", "contact.tags.size", "contact.name.size", "contact.tags.first", `contact["name"]`, "contact.tags[1]", "contact[data.key]", "i.tags")
}

func (a author) literal() string {
	return a.pick(`"gold"`, `'b'`, `""`, "0", "1", "-1", "250", "12.5", "2.0", "true", "false", "nil", `"Zoë"`, `"a\"b"`)
}

func (a author) operand() string {
	if a.chance(3) {
		return a.literal()
	}
	return a.path()
}

func (a author) shown() string {
	e := a.pick("contact.name", "contact.empty", "contact.points", "contact.price", "contact.vip", "contact.missing", "data.word", "data.n", "i.n", "i.p", "x", "campaign.name",
		"forloop.index", "forloop.rindex", "forloop.rindex0", "forloop.first", "forloop.last", "contact.tags", `"lit"`, "3", "contact.deep.x", "y")
	for range rapid.IntRange(0, 2).Draw(a.t, "filters") {
		e += a.pick(` | default: "friend"`, " | default: contact.name", " | default: 7", ` | append: "!"`, " | append: data.word", ` | prepend: contact.name`,
			" | upcase", " | downcase", " | size", ` | split: "a" | join: "-"`, " | plus: 1", " | default: nil", " | append: 5")
	}
	return e
}

func (a author) condition() string {
	rel := func() string {
		e := a.operand()
		if a.chance(3) {
			return e
		}
		return e + " " + a.pick("==", "!=", "<", ">", "<=", ">=", "contains") + " " + a.operand()
	}
	e := rel()
	for range rapid.IntRange(0, 2).Draw(a.t, "joins") {
		e += a.pick(" and ", " or ") + rel()
	}
	return e
}

func (a author) block() string {
	var b strings.Builder
	for range rapid.IntRange(1, 4).Draw(a.t, "length") {
		b.WriteString(a.node())
	}
	return b.String()
}

func (a author) node() string {
	inner := author{a.t, a.depth + 1}
	kind := rapid.IntRange(0, 9).Draw(a.t, "kind")
	if a.depth > 2 {
		kind = min(kind, 4)
	}
	switch kind {
	case 0, 1:
		return a.pick("text ", " <b>bold</b> ", "\n\n  a line that is long enough to be worth a span of its own\n", "x", " ", "&amp; ")
	case 2, 3:
		return "{{ " + a.shown() + " }}"
	case 4:
		return "{% assign " + a.pick("x", "y") + " = " + a.shown() + " %}"
	case 5:
		return "{% if " + a.condition() + " %}" + inner.block() + "{% elsif " + a.condition() + " %}" + inner.block() + "{% else %}" + inner.block() + "{% endif %}"
	case 6:
		return "{% unless " + a.condition() + " %}" + inner.block() + "{% endunless %}"
	case 7:
		if a.depth > 1 {
			return "-"
		}
		over := a.pick("data.items", "contact.tags", "data.missing", "(1..3)", "data.items limit: 2", "data.items offset: 1 limit: 1", "contact.tags reversed", "data.items limit: data.n", "data.m",
			"contact.tags reversed limit: 2")
		return "{% for i in " + over + " %}" + inner.block() + a.pick("", "", "{% break %}", "{% continue %}", "{% if forloop.first %}{% continue %}{% endif %}.") + a.pick("", "{% else %}none") + "{% endfor %}"
	case 8:
		return "{% case " + a.path() + " %}{% when " + a.literal() + ", " + a.literal() + " %}" + inner.block() + "{% when " + a.path() + " %}" + inner.block() + "{% else %}" + inner.block() + "{% endcase %}"
	default:
		return "{% capture " + a.pick("x", "y") + " %}" + inner.block() + "{% endcapture %}"
	}
}

// people are whom the templates of an author are rendered for.
func people(t *rapid.T) (contact, data map[string]any) {
	some := func(list ...any) any { return rapid.SampledFrom(list).Draw(t, "value") }
	contact = map[string]any{
		"name": some("Zoë", "b", "a <b> & \"c\"", "gold", "", "line\none"), "empty": "", "points": some(int64(250), int64(0), int64(-1), int64(1)),
		"price": some(12.5, 0.1, int64(2)), "vip": some(true, false), "no": false, "tags": some([]any{"a", "b", "c"}, []any{}, []any{int64(1), "b"}),
		"deep": some(map[string]any{"x": "deep", "y": map[string]any{"z": int64(7)}}, map[string]any{}, "flat"),
	}
	for _, name := range slices.Sorted(maps.Keys(contact)) {
		if rapid.IntRange(0, 7).Draw(t, "missing") == 0 {
			delete(contact, name)
		}
	}
	return contact, map[string]any{
		"word": some("word", "gold", "WORD", ""), "n": some(int64(2), int64(250), 1.5), "key": some("name", "points", "nothing"), "m": map[string]any{"k": some("v", int64(1))},
		"items": []any{map[string]any{"n": "one", "p": 1.5}, map[string]any{"n": "two & more", "p": int64(2), "tags": []any{"t"}}, map[string]any{"n": ""}},
	}
}

// onlyLibrary takes the quick ways out of a letter, so that the library
// evaluates everything.
func onlyLibrary(t testing.TB, l *Letter) *Letter {
	t.Helper()
	slow := func(e *expr) {
		if e == nil {
			return
		}
		eval, err := parse(e.src)
		if err != nil {
			t.Fatalf("the library cannot read %s: %v", e.src, err)
		}
		e.way, e.quick, e.eval = nil, nil, eval
	}
	var walk func(list []node)
	walk = func(list []node) {
		for _, n := range list {
			switch n := n.(type) {
			case *outputNode:
				slow(n.expr)
			case *assignNode:
				slow(n.value)
			case *ifNode:
				for _, b := range n.branches {
					slow(b.cond)
					walk(b.body)
				}
			case *caseNode:
				slow(n.subject)
				for _, w := range n.whens {
					walk(w.body)
				}
				walk(n.other)
			case *captureNode:
				walk(n.body)
			case *forNode:
				n.quick = nil
				walk(n.body)
				walk(n.other)
			}
		}
	}
	for _, v := range l.variants {
		for _, p := range v.parts {
			walk(p.nodes)
		}
	}
	return l
}

func checkSpans(t *rapid.T, r Rendered) {
	for part, spans := range r.Fixed {
		at := 0
		for _, s := range spans {
			text := r.Content[part]
			if s.From < at || s.To > len(text) || text[s.From:s.To] != s.Text.String() {
				t.Fatalf("%s has no %q from %d to %d: %q", part, s.Text.String(), s.From, s.To, text)
			}
			at = s.To
		}
	}
}

// Whatever is written, for whomever: segments, the library for every
// expression, and the library alone say the same; values that are read from
// JSON as they are asked for are the same as all of them.
func TestSegmentsAreTheSameAsTheLibrary(t *testing.T) {
	engine := liquid.NewEngine()
	rapid.Check(t, func(rt *rapid.T) {
		src := "|" + author{rt, 0}.block() + "|"
		c := Content{Locale: "en", Sources: map[string]map[string]string{"en": {"subject": "{{ contact.name }} x", "html": "<p>" + src + "</p>", "text": src}}}
		quick, err := Compile(Revision{Content: c}, letterDriver())
		if err != nil {
			rt.Fatalf("%s: %v", src, err)
		}
		slow := onlyLibrary(t, mustCompile(t, c, letterDriver()))
		contact, data := people(rt)
		view := View{Now: testNow, Contact: contact, Data: data, Campaign: "spring"}
		want, errSlow := slow.Render(t.Context(), view)
		got, errQuick := quick.Render(t.Context(), view)
		if fmt.Sprint(errSlow) != fmt.Sprint(errQuick) || !cmp.Equal(got.Content, want.Content) {
			rt.Fatalf("%s\nquick %v %v\n slow %v %v", src, got.Content, errQuick, want.Content, errSlow)
		}
		raw, err := json.Marshal(contact)
		if err != nil {
			rt.Fatal(err)
		}
		view.Contact, view.Person = nil, Person{Attributes: raw}
		lazy, errLazy := quick.Render(t.Context(), view)
		if fmt.Sprint(errLazy) != fmt.Sprint(errQuick) || !cmp.Equal(lazy.Content, got.Content) {
			rt.Fatalf("%s\nlazy %v %v\n all %v %v", src, lazy.Content, errLazy, got.Content, errQuick)
		}
		if errQuick != nil {
			return
		}
		checkSpans(rt, got)
		alone, err := engine.ParseAndRenderString(src, map[string]any{"contact": contact, "data": data, "campaign": map[string]any{"name": "spring"}})
		strict := !strings.Contains(src, "none") // the library has no else for what is missing
		if err == nil && strict && got.Content["text"] != strings.TrimSpace(alone) {
			rt.Fatalf("%s\n    got %q\nlibrary %q", src, got.Content["text"], alone)
		}
	})
}

// A text that is settled in stretches is the text that is settled in whole.
func TestSettlingInStretches(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		stretches := rapid.SliceOf(rapid.StringOfN(rapid.SampledFrom([]rune(" \n\t\v\fab\r\u0085\u00A0é")), 0, 8, -1)).Draw(rt, "stretches")
		first := rapid.Bool().Draw(rt, "value first")
		r := &run{derived: true, prose: true, limit: maxOutput, spans: []channels.Span{}}
		p := &letterPart{syntax: channels.Plain}
		for i, s := range stretches {
			var err error
			if (i%2 == 0) == first {
				v := textOf(s)
				err = r.write(&outputNode{expr: &expr{}}, &v)
			} else {
				err = newGapNode(s).render(r)
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		from, to, err := r.end(p)
		if err != nil {
			rt.Fatal(err)
		}
		want, err := finish(channels.Plain, settle([]byte(strings.Join(stretches, ""))))
		if got := string(r.out[from:to]); err != nil || got != want {
			rt.Fatalf("got %q, want %q (%v)", got, want, err)
		}
	})
}

// What blocks write into the text that is made from HTML is settled like values.
func TestBlocksAreSettled(t *testing.T) {
	c := letterOf("<p>{% for i in (1..3) %}\n {% cycle ' odd  one ', 'even' %}{% increment n %} {% endfor %}</p>")
	if got, want := mustRender(t, mustCompile(t, c, letterDriver()), View{}).Content["text"], "odd one 0 even1 odd one 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A header that is left as it is needs nothing.
func TestOneLineIsKnownAtSight(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune(" ab\n\té…\u00A0\u3000\u202E\u0085🎈")), 0, 12, -1)).Draw(rt, "text")
		if isOneLine([]byte(s)) && oneLine(s) != s {
			rt.Fatalf("%q becomes %q", s, oneLine(s))
		}
	})
}

// TestSpansOfALetter: most of a letter is the same for everybody, and the same
// Fixed stands for it in every message.
func TestSpansOfALetter(t *testing.T) {
	c, view := benchLetter()
	c.Sources["en"]["preheader"] = "For {{ contact.first_name }}"
	l := mustCompile(t, c, letterDriver())
	a := mustRender(t, l, view)
	view.Contact = maps.Clone(view.Contact)
	view.Contact["first_name"] = "Maximiliane"
	b := mustRender(t, l, view)
	for _, part := range []string{"html", "text"} {
		length := 0
		for i, s := range a.Fixed[part] {
			length += s.To - s.From
			if s.Text != b.Fixed[part][i].Text {
				t.Fatalf("%s: another message has other texts", part)
			}
		}
		if length < len(a.Content[part])*2/3 {
			t.Errorf("%s: only %d of %d octets are fixed", part, length, len(a.Content[part]))
		}
	}
	rapid.Check(t, func(rt *rapid.T) { checkSpans(rt, b) })
	if _, ok := a.Fixed["subject"]; ok {
		t.Error("a header is not told in spans: it is folded as a whole")
	}
}
