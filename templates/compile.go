package templates

import (
	"slices"
	"strings"
	"sync"

	"rapport/channels"
)

// Parts that play a role beside the one their driver gives them: a plain part
// of this name next to an HTML part.
const (
	preheaderPart = "preheader" // is put into the HTML, hidden, and not carried on its own
	textPart      = "text"      // is made from the HTML when nobody wrote it
)

// Letter is a revision ready to be rendered many times, by many goroutines.
// It never changes.
type Letter struct {
	Revision int64  // Revision.ID
	Driver   string // driver.Name
	fallback string
	variants map[string]*variant // by folded locale
}

// variant is a letter in one locale.
type variant struct {
	locale string
	parts  []*letterPart
	files  []channels.File
	checks []*compiler // what was read on the way
	fields fieldTable  // of contacts
	whole  bool        // reads the contact as a whole
	runs   *sync.Pool  // of *run
}

// letterPart is one compiled part. made: its text comes from the finished
// HTML, because it could not be compiled.
type letterPart struct {
	name    string
	syntax  channels.Syntax
	limit   int
	nodes   []node
	filters *filterSet
	slots   map[string]int // variables by name
	derived bool
	made    bool
}

// Compile parses every part of a revision in every locale, with the escaping
// that the part's syntax in the driver demands. The error lists all mistakes.
// Links keep the numbers that the stored revision gave them.
func Compile(rev Revision, driver channels.Driver) (*Letter, error) {
	table := &linkTable{}
	for _, target := range rev.Links {
		table.number(target)
	}
	table.frozen = rev.ID != 0
	letter, problems := build(rev.Content, driver, table)
	if err := problems.Err(""); err != nil {
		return nil, err
	}
	letter.Revision = rev.ID
	return letter, nil
}

// build compiles a content and finds what is wrong with it.
func build(content Content, driver channels.Driver, table *linkTable) (*Letter, Problems) {
	b := &builder{content: content, driver: driver, table: table}
	l := &Letter{Driver: driver.Name, fallback: content.Locale, variants: map[string]*variant{}}
	for _, locale := range locales(content) {
		v := b.variant(locale)
		l.variants[foldLocale(locale)] = v
	}
	if _, ok := content.Sources[content.Locale]; !ok {
		b.found = append(b.found, &Problem{Msg: "has no folder for its fallback locale " + quoted(content.Locale) + "; add it or correct locale in template.yaml"})
	}
	return l, b.found.sorted()
}

func locales(content Content) []string {
	var out []string
	for locale := range content.Sources {
		out = append(out, locale)
	}
	slices.Sort(out)
	return out
}

func quoted(s string) string { return "\"" + s + "\"" }

type builder struct {
	content Content
	driver  channels.Driver
	table   *linkTable
	found   Problems
}

func (b *builder) variant(locale string) *variant {
	v := &variant{locale: locale, files: b.content.Files[locale]}
	sources := b.content.Sources[locale]
	start := len(b.found)
	for _, part := range b.order() {
		src, written := sources[part.Name]
		switch {
		case written && strings.TrimSpace(src) != "":
			b.part(v, part, src)
		case part.Required:
			b.found = append(b.found, problemf(part.Name, 0, "is missing; %s needs it (%s)", b.driver.Name, part.Help))
		}
	}
	b.unknownParts(sources)
	b.checkFiles(v)
	for _, p := range b.found[start:] {
		p.Locale = locale
	}
	v.prepare()
	return v
}

// ContactFields lists the fields of contacts that the letter reads, in any
// locale, sorted: what planning has to load, and what may be missing.
func (l *Letter) ContactFields() []string { return l.fields(rootContact) }

// DataKeys lists the keys of data that the letter reads, sorted.
func (l *Letter) DataKeys() []string { return l.fields(rootData) }

func (l *Letter) fields(root string) []string {
	var out []string
	for _, v := range l.variants {
		for _, c := range v.checks {
			for _, path := range c.reads {
				if path[0] == root && len(path) > 1 {
					out = append(out, path[1])
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Unsubscribes says whether the letter shows a way to unsubscribe in every
// locale.
func (l *Letter) Unsubscribes() bool {
	for _, v := range l.variants {
		if !slices.ContainsFunc(v.checks, (*compiler).leaves) {
			return false
		}
	}
	return true
}

// leaves says whether a part shows a way to unsubscribe.
func (c *compiler) leaves() bool {
	return slices.ContainsFunc(c.reads, func(p []string) bool {
		return p[0] == rootLinks && len(p) > 1 && (p[1] == "unsubscribe" || p[1] == "preferences")
	})
}

// order lists the driver's parts, those first that others are made of.
func (b *builder) order() []channels.Part {
	parts := slices.Clone(b.driver.Parts)
	rank := func(p channels.Part) int {
		switch {
		case b.isPreheader(p):
			return 0
		case p.Syntax == channels.HTML:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(parts, func(a, c channels.Part) int { return rank(a) - rank(c) })
	return parts
}

func (b *builder) hasSyntax(s channels.Syntax) bool {
	return slices.ContainsFunc(b.driver.Parts, func(p channels.Part) bool { return p.Syntax == s })
}

func (b *builder) isPreheader(p channels.Part) bool {
	return p.Name == preheaderPart && p.Syntax == channels.Plain && b.hasSyntax(channels.HTML)
}

func (b *builder) unknownParts(sources map[string]string) {
	for name := range sources {
		if !slices.ContainsFunc(b.driver.Parts, func(p channels.Part) bool { return p.Name == name }) {
			b.found = append(b.found, problemf(name, 0, "is no part of %s; its parts are %s", b.driver.Name, partNames(b.driver)))
		}
	}
}

func partNames(d channels.Driver) string {
	var names []string
	for _, p := range d.Parts {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

const maxFiles = 10 << 20

func (b *builder) checkFiles(v *variant) {
	total := 0
	for _, f := range v.files {
		total += len(f.Data)
	}
	switch {
	case len(v.files) > 0 && !b.driver.Files:
		b.found = append(b.found, problemf("attachments", 0, "cannot be carried by %s; remove the folder", b.driver.Name))
	case total > maxFiles:
		b.found = append(b.found, problemf("attachments", 0, "are %d bytes together; at most %d, put large files on the web and link to them", total, maxFiles))
	}
}

// part compiles one part and, when it is HTML and nobody wrote a text, the
// text made from it.
func (b *builder) part(v *variant, part channels.Part, src string) {
	pieces, err := scan(part.Name, src)
	if err != nil {
		b.found = append(b.found, asProblem(err))
		return
	}
	from := findOrigins(pieces)
	switch part.Syntax {
	case channels.HTML:
		b.html(v, part, pieces, from)
		return
	case channels.JSON:
		if err := placeJSON(part.Name, pieces, b.hasSyntax(channels.Mrkdwn)); err != nil {
			b.found = append(b.found, asProblem(err))
		}
	case channels.Mrkdwn:
		placeMrkdwn(pieces)
		trimEnds(pieces)
	case channels.Plain:
		trimEnds(pieces)
	case channels.Header:
	}
	b.compile(v, part, pieces, from, false)
}

func (b *builder) html(v *variant, part channels.Part, pieces []piece, from origins) {
	m := mask(pieces)
	pass := &htmlPass{part: part.Name, src: m, from: from, links: b.table}
	pass.preheads = slices.ContainsFunc(v.parts, func(p *letterPart) bool { return p.name == preheaderPart })
	text := pass.run()
	b.found = append(b.found, pass.found...)
	if !b.compile(v, part, m.unmask(text), from, false) || len(pass.found.Errors()) > 0 {
		return // the text would have the same mistakes
	}
	i := slices.IndexFunc(b.driver.Parts, func(p channels.Part) bool { return p.Name == textPart && p.Syntax == channels.Plain })
	if i < 0 || strings.TrimSpace(b.content.Sources[v.locale][textPart]) != "" {
		return
	}
	derived, ok := plainText(m, text)
	if usesMarkup(pieces) || !ok {
		p := b.driver.Parts[i]
		v.parts = append(v.parts, &letterPart{name: p.Name, syntax: p.Syntax, limit: limitOf(p), derived: true, made: true})
		return
	}
	b.compile(v, b.driver.Parts[i], derived, from, true)
}

// usesMarkup says whether values may bring HTML of their own.
func usesMarkup(pieces []piece) bool {
	return slices.ContainsFunc(pieces, func(p piece) bool {
		return slices.ContainsFunc(inspect(tokens(p.text)).filters, func(u use) bool { return u.name == "safe" || u.name == "newline_to_br" }) ||
			p.name == "capture"
	})
}

func limitOf(p channels.Part) int {
	if p.MaxBytes > 0 {
		return p.MaxBytes
	}
	return maxOutput
}

func (b *builder) compile(v *variant, part channels.Part, pieces []piece, from origins, derived bool) bool {
	c := &compiler{
		part: part.Name, locale: v.locale, syntax: part.Syntax, filters: newFilters(v.locale, part.Syntax),
		fields: &v.fields, from: from, derived: derived,
	}
	nodes, err := c.tree(pieces)
	if err != nil {
		b.found = append(b.found, asProblem(err))
		return false
	}
	c.pieces = nil
	v.checks = append(v.checks, c)
	v.parts = append(v.parts, &letterPart{
		name: part.Name, syntax: part.Syntax, limit: limitOf(part), nodes: nodes,
		filters: c.filters, slots: c.slots, derived: derived,
	})
	return true
}
