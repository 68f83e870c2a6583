package templates

import (
	"bytes"
	"html"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	nethtml "golang.org/x/net/html"
)

// htmlPass reads the HTML of a letter once, when it is compiled: it finds the
// place of every value, gives http links their numbers and adds the places of
// preheader and pixel. Everything else stays octet for octet as written, for
// mail programs depend on what no standard knows.
type htmlPass struct {
	part     string
	src      *masked
	from     origins
	links    *linkTable
	preheads bool
	out      strings.Builder
	raw      string // the element whose raw text is being read: style, title …
	offset   int    // of the current token in src.text
	body     bool   // a <body> was seen
	pixel    bool   // the pixel has its place
	outlook  bool   // inside of a comment that Outlook reads
	lang     bool
	anchors  map[string]bool
	wanted   map[string]int // local anchors that links go to, with their line
	found    Problems
}

// linkTable numbers the tracked targets of a revision.
type linkTable struct {
	list   []string
	index  map[string]int
	frozen bool // the revision is stored: targets it does not know stay untracked
}

// number returns the number of a target, or -1 when it has none.
func (t *linkTable) number(target string) int {
	if n, ok := t.index[target]; ok {
		return n
	}
	if t.frozen {
		return -1
	}
	if t.index == nil {
		t.index = map[string]int{}
	}
	n := len(t.list)
	t.index[target] = n
	t.list = append(t.list, target)
	return n
}

func (h *htmlPass) err(line int, format string, args ...any) {
	h.found = append(h.found, problemf(h.part, line, format, args...))
}

func (h *htmlPass) warn(line int, format string, args ...any) {
	p := problemf(h.part, line, format, args...)
	p.Warning = true
	h.found = append(h.found, p)
}

func (h *htmlPass) line() int { return h.src.line(h.offset) }

// run reads the whole part and returns the rewritten text with its marks.
func (h *htmlPass) run() string {
	h.anchors, h.wanted = map[string]bool{}, map[string]int{}
	h.markup(h.src.text)
	text := h.out.String()
	if h.preheads && !h.body {
		text = h.src.add(piece{kind: preheadPiece}) + text
	}
	if !h.pixel {
		text += h.src.add(piece{kind: pixelPiece})
	}
	for name, line := range h.wanted {
		if !h.anchors[name] {
			h.err(line, "links to #%s, but nothing in the letter has that id; add id=%q or correct the link", shorten(name), shorten(name))
		}
	}
	if h.body && !h.lang {
		h.warn(1, "does not say its language; write <html lang=\"…\"> so that screen readers pronounce it well")
	}
	return text
}

// markup reads a stretch of HTML.
func (h *htmlPass) markup(text string) {
	start := h.offset
	z := nethtml.NewTokenizer(strings.NewReader(text))
	z.SetMaxBuf(0)
	for {
		kind := z.Next()
		raw := string(z.Raw())
		if kind == nethtml.ErrorToken {
			break
		}
		h.token(z, kind, raw)
		h.offset += len(raw)
	}
	if h.offset-start != len(text) {
		h.err(h.line(), "the HTML ends inside of a tag; close it with >")
	}
}

func (h *htmlPass) token(z *nethtml.Tokenizer, kind nethtml.TokenType, raw string) {
	switch kind {
	case nethtml.TextToken:
		h.text(raw)
	case nethtml.CommentToken, nethtml.DoctypeToken:
		h.comment(raw)
	case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
		name, _ := z.TagName()
		h.startTag(string(name), raw)
	case nethtml.EndTagToken:
		name, _ := z.TagName()
		h.raw = ""
		if string(name) == "body" && !h.pixel {
			h.pixel = true
			h.out.WriteString(h.src.add(piece{kind: pixelPiece}))
		}
		h.place(raw, escComment)
		h.out.WriteString(raw)
	case nethtml.ErrorToken:
	}
}

// place says how the values in a stretch are escaped.
func (h *htmlPass) place(text string, esc escape) {
	for _, r := range text {
		if isMark(r) {
			h.src.piece(r).esc = esc
		}
	}
}

func (h *htmlPass) text(raw string) {
	esc := escHTML
	switch h.raw {
	case "style":
		esc = escStyle
	case "script":
		if strings.ContainsFunc(raw, isMark) {
			h.err(h.line(), "has a value inside <script>; take it out, a script cannot be personal")
		}
	}
	for i, r := range raw {
		if isMark(r) && h.src.piece(r).kind == outputPiece && (strings.HasSuffix(raw[:i], "<") || strings.HasSuffix(raw[:i], "</")) {
			h.err(h.src.piece(r).line, "has a value right after <; write the name of the tag itself")
		}
	}
	h.place(raw, esc)
	h.out.WriteString(raw)
}

// comment reads comments. Those that only Outlook reads are HTML like any
// other, with links in them.
func (h *htmlPass) comment(raw string) {
	if !strings.HasPrefix(raw, "<!--[if") || h.outlook {
		h.place(raw, escComment)
		h.out.WriteString(raw)
		return
	}
	head := strings.IndexByte(raw, '>') + 1
	tail := strings.LastIndex(raw, "<![endif]")
	if head == 0 || tail < head {
		h.place(raw, escComment)
		h.out.WriteString(raw)
		return
	}
	start := h.offset
	h.place(raw[:head]+raw[tail:], escComment)
	h.out.WriteString(raw[:head])
	h.offset, h.outlook = start+head, true
	h.markup(raw[head:tail])
	h.outlook = false
	h.out.WriteString(raw[tail:])
	h.offset = start
}

func (h *htmlPass) startTag(name, raw string) {
	if strings.ContainsFunc(name, isMark) {
		h.err(h.line(), "has a value in the name of a tag; write the name itself")
	}
	if name == "script" && !bytes.Contains(bytes.ToLower([]byte(raw)), []byte("application/ld+json")) {
		h.err(h.line(), "has a <script>; mail programs do not run it, remove it")
	}
	switch name {
	case "style", "script", "title", "textarea", "xmp", "noscript", "iframe", "noembed", "noframes":
		h.raw = name
	default:
		h.raw = ""
	}
	out := raw
	attrs := attributes(raw)
	for _, a := range slices.Backward(attrs) { // from the end, so that offsets stay true
		if val := h.attribute(name, raw, a); val != raw[a.from:a.to] {
			out = out[:a.from] + val + out[a.to:]
		}
	}
	h.outside(raw, attrs)
	h.elementRules(name, attrs, raw)
	h.out.WriteString(out)
	if name == "body" && !h.body {
		h.body = true
		if h.preheads {
			h.out.WriteString(h.src.add(piece{kind: preheadPiece}))
		}
	}
}

// outside refuses values that stand in a tag but in no quoted attribute.
func (h *htmlPass) outside(raw string, attrs []attr) {
	for i, r := range raw {
		if !isMark(r) || slices.ContainsFunc(attrs, func(a attr) bool { return a.quote != 0 && i >= a.from && i < a.to }) {
			continue
		}
		p := h.src.piece(r)
		p.esc = escComment
		if p.kind == outputPiece {
			h.err(p.line, "has a value inside of a tag but outside of quotes; write it like title=\"{{ … }}\"")
		}
	}
}

func (h *htmlPass) elementRules(name string, attrs []attr, raw string) {
	has := func(key string) bool { return slices.ContainsFunc(attrs, func(a attr) bool { return a.name == key }) }
	switch {
	case name == "img" && !has("alt"):
		h.warn(h.line(), "has an image without alt text; describe it, or write alt=\"\" for decoration")
	case name == "html":
		h.lang = has("lang")
	case name == "form", name == "object", name == "embed", name == "iframe", name == "base":
		h.err(h.line(), "has <%s>, which mail programs remove or which changes every link; remove it", name)
	}
	for _, a := range attrs {
		if a.name == "id" || a.name == "name" {
			h.anchors[raw[a.from:a.to]] = true
		}
	}
}

// attr is an attribute of a start tag; from and to enclose its value.
type attr struct {
	name     string
	from, to int
	quote    byte // 0: none
}

var attrPattern = regexp.MustCompile(`^([^\s"'<>/=]+)(\s*=\s*(?:("[^"]*")|('[^']*')|([^\s"'=<>` + "`" + `]+)))?`)

// attributes reads the attributes of a raw start tag. Marks of tags count as
// blanks.
func attributes(raw string) []attr {
	var out []attr
	i := 1
	for i < len(raw) && !strings.ContainsRune(" \t\r\n\f/>", rune(raw[i])) {
		i++
	}
	for i < len(raw) {
		r, size := utf8.DecodeRuneInString(raw[i:])
		if isMark(r) || strings.ContainsRune(" \t\r\n\f/>=\"'<", r) {
			i += size
			continue
		}
		m := attrPattern.FindStringSubmatchIndex(raw[i:])
		if m == nil {
			i += size
			continue
		}
		a := attr{name: strings.ToLower(raw[i : i+m[3]])}
		switch {
		case m[6] >= 0:
			a.from, a.to, a.quote = i+m[6]+1, i+m[7]-1, '"'
		case m[8] >= 0:
			a.from, a.to, a.quote = i+m[8]+1, i+m[9]-1, '\''
		case m[10] >= 0:
			a.from, a.to = i+m[10], i+m[11]
		}
		out = append(out, a)
		i += m[1]
	}
	return out
}

// attribute gives the values of an attribute their escaping and returns the
// attribute's new text.
func (h *htmlPass) attribute(element, raw string, a attr) string {
	val := raw[a.from:a.to]
	switch {
	case strings.HasPrefix(a.name, "on") && len(a.name) > 4:
		h.err(h.line(), "has the attribute %s; mail programs do not run scripts, remove it", a.name)
	case a.name == "style":
		h.place(val, escStyle)
	case isURL(a.name):
		return h.address(element, a, val)
	default:
		h.place(val, escAttr)
	}
	return val
}

func isURL(attribute string) bool {
	switch attribute {
	case "href", "src", "action", "background", "cite", "poster", "longdesc", "formaction", "xlink:href", "srcset", "data":
		return true
	}
	return false
}

// isLink says whether an element's href is something people click on.
func isLink(element string, a attr) bool {
	return a.name == "href" && (element == "a" || element == "area" || strings.HasPrefix(element, "v:"))
}

func (h *htmlPass) address(element string, a attr, val string) string {
	target := strings.TrimSpace(html.UnescapeString(val))
	if strings.ContainsFunc(val, isMark) {
		h.personal(element, a, target)
		return val
	}
	if name, ok := strings.CutPrefix(target, "#"); ok && a.name == "href" {
		if name != "" {
			h.wanted[name] = h.line()
		} else {
			h.warn(h.line(), "has a link that goes nowhere (#); give it its address")
		}
		return val
	}
	if target == "" {
		h.warn(h.line(), "has an empty %s; fill it or remove it", a.name)
		return val
	}
	if a.name == "srcset" || element == "link" || strings.HasPrefix(target, "cid:") && a.name != "href" {
		return val
	}
	if err := checkTarget(target); err != nil {
		h.err(h.line(), "the %s of <%s> %s", a.name, element, err.Error())
		return val
	}
	if !isLink(element, a) || !isWeb(target) {
		return val
	}
	n := h.links.number(target)
	if n < 0 {
		return val
	}
	click := h.src.add(piece{kind: clickPiece, text: target, n: n})
	if a.quote == 0 {
		return `"` + click + `"`
	}
	return click
}

func isWeb(target string) bool {
	scheme, _, _ := strings.Cut(target, ":")
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

var (
	fixedHost  = regexp.MustCompile(`^(?i:https?)://[^/?#@\s]+[/?#]`)
	fixedOther = regexp.MustCompile(`^(?i:(?:mailto|tel|sms):|cid:|#)`)
)

// personal judges an address with values in it: its host must be written by
// the author, unless the whole address comes from the caller's data or is one
// of our own links. No contact can so make a letter point where they like.
func (h *htmlPass) personal(element string, a attr, target string) {
	at := strings.IndexFunc(target, isMark)
	prefix := target[:at]
	first, size := utf8.DecodeRuneInString(target[at:])
	p := h.src.piece(first)
	fixed := fixedHost.MatchString(prefix) || fixedOther.MatchString(prefix)
	esc := escURLPart
	if strings.ContainsAny(prefix, "?#") || strings.HasPrefix(strings.ToLower(prefix), "mailto:") && strings.Contains(prefix, "?") {
		esc = escURLQuery
	}
	switch {
	case fixed:
		h.placeURL(target[at:], esc)
		if isLink(element, a) && isWeb(prefix) {
			h.warn(p.line, "has a personal link (%s…); its clicks are not counted", shorten(prefix))
		}
	case p.kind == tagPiece:
		h.err(p.line, "begins the address of a link with {%% %s %%}; put the condition around the whole link", p.name)
	case prefix != "":
		h.err(p.line, "has a value in the host of an address (%s…); write the host itself, values may follow it", shorten(prefix))
	default:
		h.whole(element, a, p, target[at+size:])
	}
}

// whole judges an address that begins with a value.
func (h *htmlPass) whole(element string, a attr, p *piece, rest string) {
	roots := h.from.roots(inspect(tokens(p.text)))
	p.esc = escURLStart
	h.placeURL(rest, escURLPart)
	if isLink(element, a) && slices.Contains(roots, rootContact) {
		h.err(p.line, "takes a whole address from the contact (%s); write the address itself, and only its end from the contact", shorten(p.text))
		return
	}
	if len(roots) == 1 && roots[0] == rootLinks {
		p.esc = escAttr
		if rest != "" {
			h.err(p.line, "adds to one of our own links (%s); use it as it is", shorten(p.text))
		}
		return
	}
	if isLink(element, a) {
		h.warn(p.line, "takes a whole address from %s; its clicks are not counted", shorten(p.text))
	}
}

// placeURL escapes values in an address: like a path until a ? or # comes.
func (h *htmlPass) placeURL(text string, esc escape) {
	for _, r := range text {
		switch {
		case r == '?' || r == '#':
			esc = escURLQuery
		case isMark(r):
			h.src.piece(r).esc = esc
		}
	}
}
