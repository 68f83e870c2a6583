package templates

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rapport"
	"rapport/channels"
)

// Links makes the addresses of one message. The room that signs them
// implements it; a letter asks only for those it shows.
type Links interface {
	Click(n int) string  // leads to Revision.Links[n] and counts
	Open() string        // the open pixel
	Unsubscribe() string // the page to stop the topic
	Preferences() string // the preference centre
	View() string        // the letter in a browser
}

// Renewing are Links that also lead to the page where the person says again
// what they have agreed to, before it expires.
type Renewing interface {
	Links
	Renew() string
}

// renew is the address of that page; a message without one has none.
func renew(l Links) string {
	if r, ok := l.(Renewing); ok {
		return r.Renew()
	}
	return ""
}

// Prefixed are Links whose Click(n) is a prefix and the number n.
type Prefixed interface {
	Links
	ClickPrefix() string // empty: Click must be asked
}

// View is all that a template can see: one person and what is said to them.
// Contact holds attributes, address kinds and id, external_id, locale and
// time_zone under their names; when it is nil, they are read from Person, as
// far as the letter asks for them. Values are texts, bools, int64, float64,
// time.Time, lists ([]any) and objects (map[string]any); numbers of other types
// do not compare. Rendering reads them and changes nothing.
type View struct {
	Locale   string         // the person's; chooses the variant
	Zone     *time.Location // the person's; nil: UTC
	Now      time.Time
	Contact  map[string]any
	Person   Person
	Data     map[string]any
	Campaign string // name of the campaign
	Links    Links  // nil: a preview, links of ours lead nowhere
	Track    bool   // links and pixel count; false: links go where the author wrote
}

func (v *View) zone() *time.Location {
	if v.Zone == nil {
		return time.UTC
	}
	return v.Zone
}

// Rendered is a letter to one person.
type Rendered struct {
	Locale  string                     // of the variant that was chosen
	Content map[string]string          // parts by name, as channels.Message carries them
	Fixed   map[string][]channels.Span // what of Content is in every letter of the variant, as channels.Message carries it
	Files   []channels.File            // shared between messages: not to be changed
}

// linkOf is one of our own links; what is none of them is missing.
func linkOf(l Links, name string) value {
	switch name {
	case "unsubscribe":
		return textOf(l.Unsubscribe())
	case "preferences":
		return textOf(l.Preferences())
	case "view":
		return textOf(l.View())
	case "renew":
		return textOf(renew(l))
	}
	return value{}
}

// previewLinks stands in where there is no message to make links for.
type previewLinks struct{}

func (previewLinks) Click(int) string    { return "#" }
func (previewLinks) Open() string        { return "" }
func (previewLinks) Unsubscribe() string { return "#unsubscribe" }
func (previewLinks) Preferences() string { return "#preferences" }
func (previewLinks) View() string        { return "#view" }
func (previewLinks) Renew() string       { return "#renew" }

// exampleLinks stands in for previewLinks in JSON and Slack's mark-up, where
// only whole addresses are links.
type exampleLinks struct{}

func (exampleLinks) Click(int) string    { return "https://example.com/click" }
func (exampleLinks) Open() string        { return "https://example.com/open" }
func (exampleLinks) Unsubscribe() string { return "https://example.com/unsubscribe" }
func (exampleLinks) Preferences() string { return "https://example.com/preferences" }
func (exampleLinks) View() string        { return "https://example.com/view" }
func (exampleLinks) Renew() string       { return "https://example.com/renew" }

// foldLocale brings the spelling of locales together: "de_AT" is "de-at".
func foldLocale(locale string) string {
	return strings.ToLower(strings.ReplaceAll(locale, "_", "-"))
}

// choose finds the variant: the very locale, then its language, then the
// fallback.
func (l *Letter) choose(locale string) *variant {
	folded := foldLocale(locale)
	for folded != "" {
		if v, ok := l.variants[folded]; ok {
			return v
		}
		cut := strings.LastIndexByte(folded, '-')
		folded = folded[:max(cut, 0)]
	}
	return l.variants[foldLocale(l.fallback)]
}

// LocaleFor says which variant a person with that locale gets.
func (l *Letter) LocaleFor(locale string) string { return l.choose(locale).locale }

// Render writes the letter to one person. An error of kind Invalid is about
// this letter and this person: it names part and line, holds nothing personal
// and will come again; any other ends with the context, or says that what is
// known of the person cannot be read.
func (l *Letter) Render(ctx context.Context, view View) (Rendered, error) {
	v := l.choose(view.Locale)
	r := v.begin(view)
	defer v.end(r)
	if err := r.read(); err != nil {
		return Rendered{}, err
	}
	var space [8]stretch
	found := space[:0]
	for _, p := range v.parts {
		s, err := r.render(ctx, p, found)
		if err != nil {
			where := p.name
			if p.derived && !p.made {
				where = v.htmlPart() // lines are those of the source
			}
			return Rendered{}, inLetter(v.locale, where, err)
		}
		if p.name == preheaderPart && v.hasHTML() {
			r.preheader = oneLine(string(r.out[s.from:s.to]))
			r.spans = r.spans[:s.first]
			continue
		}
		found = append(found, s)
	}
	return r.rendered(found), nil
}

// stretch is where a finished part stands in a run.
type stretch struct {
	p        *letterPart
	from, to int
	first    int // its first span
	after    int // the first span after it
}

// rendered takes the parts out of a run: one text for all of them.
func (r *run) rendered(found []stretch) Rendered {
	out := Rendered{Locale: r.v.locale, Content: make(map[string]string, len(found)), Files: r.v.files}
	all := string(r.out)
	var spans []channels.Span
	if len(r.spans) > 0 {
		spans = slices.Clone(r.spans)
		out.Fixed = make(map[string][]channels.Span, len(found))
	}
	for _, s := range found {
		out.Content[s.p.name] = all[s.from:s.to]
		if s.first < s.after {
			out.Fixed[s.p.name] = spans[s.first:s.after:s.after]
		}
	}
	return out
}

func (v *variant) hasHTML() bool { return v.htmlPart() != "" }

func (v *variant) htmlPart() string {
	for _, p := range v.parts {
		if p.syntax == channels.HTML {
			return p.name
		}
	}
	return ""
}

// inLetter says where an error is. Errors of the context stay what they are.
func inLetter(locale, part string, err error) error {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		return fmt.Errorf("render %s/%s: %w", locale, part, err)
	}
	at := *p
	at.Locale, at.Part = locale, part
	return &rapport.Error{Kind: rapport.Invalid, Field: part, Msg: at.Error()}
}

// begin takes a run for a letter.
func (v *variant) begin(view View) *run {
	r := v.runs.Get().(*run)
	r.view, r.v = view, v
	if r.view.Links == nil {
		r.view.Links, r.view.Track = previewLinks{}, false
	}
	return r
}

// end gives a run back. Nothing of the person stays in it that another render
// could reach.
func (v *variant) end(r *run) {
	clear(r.fields)
	clear(r.slots)
	clear(r.bindings)
	out := r.out[:0]
	if cap(out) > maxKept {
		out = nil
	}
	*r = run{out: out, fields: r.fields, slots: r.slots, bindings: r.bindings, spans: r.spans[:0]}
	v.runs.Put(r)
}

// read fills in what the letter reads of the person.
func (r *run) read() (err error) {
	switch {
	case r.view.Contact != nil:
		r.v.fields.pick(r.view.Contact, r.fields)
	case r.v.whole:
		if r.person, err = r.view.Person.All(); err == nil {
			r.v.fields.pick(r.person, r.fields)
		}
	default:
		err = r.v.fields.read(&r.view.Person, r.fields)
	}
	return err
}

// render writes one part behind those that are there.
func (r *run) render(ctx context.Context, p *letterPart, found []stretch) (s stretch, err error) {
	r.ctx, r.stop, r.p, r.part, r.links = ctx, nil, p, p.name, r.view.Links
	if _, preview := r.links.(previewLinks); preview && (p.syntax == channels.JSON || p.syntax == channels.Mrkdwn) {
		r.links = exampleLinks{}
	}
	r.html, r.prose, r.derived, r.limit = p.syntax == channels.HTML, isProse(p.syntax), p.derived, p.limit
	r.base, r.first, r.steps, r.depth, r.controls, r.gap = len(r.out), len(r.spans), 0, 0, false, gap{}
	r.eval, r.counts = nil, nil
	clear(r.slots)
	if p.made {
		return r.make(p, found)
	}
	defer func() {
		if r.stop != nil {
			r.stop()
		}
		// The Liquid library panics on values it did not foresee. What is in
		// the panic may be personal, so it is not repeated.
		if recover() != nil {
			err = problemf(p.name, 0, "cannot be rendered with the values of this person; check filters and loops")
		}
	}()
	if err := r.nodes(p.nodes); err != nil && !errors.Is(err, errBreak) && !errors.Is(err, errContinue) {
		return s, err
	}
	from, to, err := r.end(p)
	return stretch{p, from, to, r.first, len(r.spans)}, err
}

// make writes the text that could not be compiled, from the finished HTML.
func (r *run) make(p *letterPart, found []stretch) (stretch, error) {
	i := slices.IndexFunc(found, func(s stretch) bool { return s.p.syntax == channels.HTML })
	text, err := plainTextOf(string(r.out[found[i].from:found[i].to]))
	if err != nil {
		return stretch{}, err
	}
	r.out = append(r.out, text...)
	return stretch{p, r.base, len(r.out), r.first, r.first}, nil
}

// maxKept is the largest buffer that is kept for the next render.
const maxKept = 256 << 10

// prepare makes a supply of runs as large as the variant will need.
func (v *variant) prepare() {
	n, slots := 0, 0
	for _, p := range v.parts {
		n += 64 + p.estimate()
		slots = max(slots, len(p.slots))
	}
	for _, c := range v.checks {
		v.whole = v.whole || slices.ContainsFunc(c.reads, wantsAll)
	}
	n = min(n, maxKept)
	v.runs = &sync.Pool{New: func() any {
		return &run{out: make([]byte, 0, n), fields: make([]value, len(v.fields.names)), slots: make([]value, slots)}
	}}
}

// wantsAll says whether a path reads the contact other than by the names of
// its fields.
func wantsAll(path []string) bool {
	return path[0] == rootContact && (len(path) == 1 || path[1] == "size")
}

func (p *letterPart) estimate() int {
	if p.made {
		return 4 << 10
	}
	n := 0
	for _, node := range p.nodes {
		switch node := node.(type) {
		case *textNode:
			n += len(node.text)
		case *gapNode:
			n += len(node.words.text) + 2
		case *clickNode:
			n += 120
		default:
			n += 64
		}
	}
	return n
}
