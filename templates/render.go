package templates

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/osteele/liquid/expressions"

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

// View is all that a template can see: one person and what is said to them.
// Contact holds attributes, address kinds and id, external_id, locale and
// time_zone under their names. Values are texts, bools, int64, float64,
// time.Time, lists ([]any) and objects (map[string]any); numbers of other types
// do not compare. Rendering reads them and changes nothing.
type View struct {
	Locale   string         // the person's; chooses the variant
	Zone     *time.Location // the person's; nil: UTC
	Now      time.Time
	Contact  map[string]any
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
	Locale  string            // of the variant that was chosen
	Content map[string]string // parts by name, as channels.Message carries them
	Files   []channels.File   // shared between messages: not to be changed
}

func linkOf(l Links, name string) any {
	if l == nil {
		return "#" + name
	}
	switch name {
	case "unsubscribe":
		return l.Unsubscribe()
	case "preferences":
		return l.Preferences()
	case "view":
		return l.View()
	}
	return nil
}

// previewLinks stands in where there is no message to make links for.
type previewLinks struct{}

func (previewLinks) Click(int) string    { return "#" }
func (previewLinks) Open() string        { return "" }
func (previewLinks) Unsubscribe() string { return "#unsubscribe" }
func (previewLinks) Preferences() string { return "#preferences" }
func (previewLinks) View() string        { return "#view" }

// exampleLinks stands in for previewLinks in JSON, whose receivers take whole
// addresses only.
type exampleLinks struct{}

func (exampleLinks) Click(int) string    { return "https://example.com/click" }
func (exampleLinks) Open() string        { return "https://example.com/open" }
func (exampleLinks) Unsubscribe() string { return "https://example.com/unsubscribe" }
func (exampleLinks) Preferences() string { return "https://example.com/preferences" }
func (exampleLinks) View() string        { return "https://example.com/view" }

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
// and will come again; any other ends with the context.
func (l *Letter) Render(ctx context.Context, view View) (Rendered, error) {
	v := l.choose(view.Locale)
	out := Rendered{Locale: v.locale, Content: make(map[string]string, len(v.parts)), Files: v.files}
	if view.Links == nil {
		view.Links, view.Track = previewLinks{}, false
	}
	made := ""
	preheader := ""
	for _, p := range v.parts {
		if p.made {
			made = p.name
			continue
		}
		text, err := p.render(ctx, &view, preheader)
		if err != nil {
			where := p.name
			if p.derived {
				where = v.htmlPart() // lines are those of the source
			}
			return Rendered{}, inLetter(v.locale, where, err)
		}
		if p.name == preheaderPart && v.hasHTML() {
			preheader = oneLine(text)
			continue
		}
		out.Content[p.name] = text
	}
	if made != "" {
		text, err := plainTextOf(out.Content[v.htmlPart()])
		if err != nil {
			return Rendered{}, inLetter(v.locale, made, err)
		}
		out.Content[made] = text
	}
	return out, nil
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

func (p *letterPart) render(ctx context.Context, view *View, preheader string) (text string, err error) {
	if _, preview := view.Links.(previewLinks); preview && p.syntax == channels.JSON {
		shown := *view
		shown.Links = exampleLinks{}
		view = &shown
	}
	r := &run{ctx: ctx, part: p.name, view: view, html: p.syntax == channels.HTML, preheader: preheader, limit: p.limit}
	now := view.Now.In(view.zone())
	r.vars = map[string]any{
		rootContact: view.Contact, rootData: view.Data, rootLinks: view.Links, rootNow: now, hiddenNow: now,
		rootCampaign: map[string]any{"name": view.Campaign},
	}
	if p.links {
		r.vars[rootLinks] = map[string]any{
			"unsubscribe": view.Links.Unsubscribe(), "preferences": view.Links.Preferences(), "view": view.Links.View(),
		}
	}
	r.eval = newEval(r.vars, p)
	buffer := p.buffers.Get().(*[]byte)
	r.out = (*buffer)[:0]
	defer func() {
		if cap(r.out) <= maxKept {
			*buffer = r.out
			p.buffers.Put(buffer)
		}
		if r.stop != nil {
			r.stop()
		}
		// The Liquid library panics on values it did not foresee. What is in
		// the panic may be personal, so it is not repeated.
		if recover() != nil {
			text, err = "", problemf(p.name, 0, "cannot be rendered with the values of this person; check filters and loops")
		}
	}()
	if err := r.nodes(p.nodes); err != nil && !errors.Is(err, errBreak) && !errors.Is(err, errContinue) {
		return "", err
	}
	if p.derived {
		r.out = settle(r.out)
	}
	return finish(p.syntax, r.out)
}

func newEval(vars map[string]any, p *letterPart) expressions.Context {
	return expressions.NewContext(vars, p.filters.config)
}

// maxKept is the largest buffer that is kept for the next render.
const maxKept = 256 << 10

// newBuffers makes a supply of buffers as large as a part will need.
func newBuffers(nodes []node) *sync.Pool {
	n := 256
	for _, node := range nodes {
		switch node := node.(type) {
		case textNode:
			n += len(node)
		case clickNode:
			n += 120
		default:
			n += 64
		}
	}
	n = min(n, maxKept)
	return &sync.Pool{New: func() any {
		b := make([]byte, 0, n)
		return &b
	}}
}
