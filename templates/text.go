package templates

import (
	"regexp"
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// plainText makes the plain text of a letter from its HTML, in which values,
// conditions and loops are marks: so it is made once, when the letter is
// compiled, and every message only fills it in. ok is false when a condition
// or loop got lost on the way; the text is then made from each finished letter.
func plainText(m *masked, rewritten string) (pieces []piece, ok bool) {
	doc, err := nethtml.Parse(strings.NewReader(shelter(m, rewritten)))
	if err != nil {
		return nil, false
	}
	t := &textWriter{}
	t.node(doc)
	pieces = slices.DeleteFunc(m.unmask(t.b.String()), func(p piece) bool { return p.kind == pixelPiece || p.kind == preheadPiece })
	for i := range pieces {
		pieces[i].esc = escNone
	}
	return pieces, sameTags(m.unmask(rewritten), pieces)
}

// plainTextOf makes the plain text of a finished letter.
func plainTextOf(html string) (string, error) {
	doc, err := nethtml.Parse(strings.NewReader(html))
	if err != nil {
		return "", problemf("", 0, "cannot make plain text of the HTML; write the text part yourself")
	}
	t := &textWriter{}
	t.node(doc)
	return strings.TrimSpace(string(settle([]byte(t.b.String())))), nil
}

// sameTags says whether every tag is still there, in its order.
func sameTags(a, b []piece) bool {
	names := func(list []piece) string {
		var out strings.Builder
		for _, p := range list {
			if p.kind == tagPiece {
				out.WriteString(p.name + " " + p.text + "\n")
			}
		}
		return out.String()
	}
	return names(a) == names(b)
}

// shelter puts the marks of tags between elements into comments: a parser
// moves stray text out of tables but leaves comments where they are.
func shelter(m *masked, text string) string {
	var out strings.Builder
	z := nethtml.NewTokenizer(strings.NewReader(text))
	for z.Next() != nethtml.ErrorToken {
		raw := string(z.Raw())
		if z.Token().Type != nethtml.TextToken {
			out.WriteString(raw)
			continue
		}
		for _, r := range raw {
			if isMark(r) && m.piece(r).kind == tagPiece {
				out.WriteString("<!--" + string(r) + "-->")
			} else {
				out.WriteRune(r)
			}
		}
	}
	return out.String()
}

// Breaks that blocks ask for before and after themselves. They become line
// breaks when the text is finished, for only then it is known what conditions
// and loops have left between them.
const (
	softLine      = "\v" // at least a new line
	softParagraph = "\f" // at least an empty line
)

// textWriter writes what a person would read.
type textWriter struct {
	b strings.Builder
}

func (t *textWriter) children(n *nethtml.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		t.node(c)
	}
}

var blanks = regexp.MustCompile("[ \\t\\r\\n\\f\u00A0]+")

func (t *textWriter) node(n *nethtml.Node) {
	switch n.Type {
	case nethtml.TextNode:
		// No-break spaces of the author's hold up layout; those in values stay.
		t.b.WriteString(blanks.ReplaceAllString(n.Data, " "))
	case nethtml.CommentNode:
		if r := []rune(n.Data); len(r) == 1 && isMark(r[0]) {
			t.b.WriteString(n.Data)
		}
	case nethtml.ElementNode:
		t.element(n)
	case nethtml.ErrorNode, nethtml.DocumentNode, nethtml.DoctypeNode, nethtml.RawNode:
		t.children(n)
	}
}

func (t *textWriter) element(n *nethtml.Node) {
	if hidden(n) {
		return
	}
	switch n.DataAtom {
	case atom.Head, atom.Style, atom.Script, atom.Title, atom.Template:
	case atom.Br:
		t.b.WriteString("\n")
	case atom.Hr:
		t.b.WriteString(softParagraph + "----" + softParagraph)
	case atom.Img:
		t.b.WriteString(attribute(n, "alt"))
	case atom.A:
		t.link(n)
	case atom.Li:
		t.b.WriteString(softLine + "- ")
		t.children(n)
		t.b.WriteString(softLine)
	case atom.Td, atom.Th:
		t.b.WriteString(" ")
		t.children(n)
		t.b.WriteString(" ")
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Table, atom.Ul, atom.Ol, atom.Blockquote, atom.Section, atom.Article, atom.Header, atom.Footer:
		t.b.WriteString(softParagraph)
		t.children(n)
		t.b.WriteString(softParagraph)
	case atom.Div, atom.Tr, atom.Pre, atom.Center:
		t.b.WriteString(softLine)
		t.children(n)
		t.b.WriteString(softLine)
	default:
		t.children(n)
	}
}

// link writes the words and the address after them.
func (t *textWriter) link(n *nethtml.Node) {
	inner := &textWriter{}
	inner.children(n)
	words := strings.TrimSpace(inner.b.String()) // soft breaks are spaces, too
	href := strings.TrimSpace(attribute(n, "href"))
	short := strings.TrimPrefix(strings.TrimPrefix(href, "mailto:"), "tel:")
	switch {
	case href == "" || strings.HasPrefix(href, "#") || words == short:
		t.b.WriteString(words)
	case words == "":
		t.b.WriteString(short)
	default:
		t.b.WriteString(words + " (" + short + ")")
	}
}

func attribute(n *nethtml.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

var hides = regexp.MustCompile(`(?i)display\s*:\s*none`)

// hidden says whether an element is not meant to be read.
func hidden(n *nethtml.Node) bool {
	return attribute(n, "aria-hidden") == "true" || hides.MatchString(attribute(n, "style"))
}
