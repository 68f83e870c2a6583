package templates

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"rapport/channels"
)

// textNode is a stretch that is the same in every letter: already in the form
// in which it leaves, as far as no value has a say in it.
type textNode struct {
	text  string
	fixed *channels.Fixed // for long ones; drivers encode it once
}

// worthFixing is the length from which a stretch is told to the driver: below,
// encoding it costs less than the account of it.
const worthFixing = 32

// maxSpans bounds the account of a letter with very long loops.
const maxSpans = 4_096

func fixedText(text string) *textNode {
	n := &textNode{text: text}
	if len(text) >= worthFixing {
		n.fixed = channels.NewFixed(text)
	}
	return n
}

func (n *textNode) render(r *run) error {
	n.write(r)
	return r.spend(len(n.text))
}

func (n *textNode) write(r *run) {
	from := len(r.out)
	r.out = append(r.out, n.text...)
	if n.fixed != nil && len(r.spans) < maxSpans {
		r.spans = append(r.spans, channels.Span{From: from - r.base, To: len(r.out) - r.base, Text: n.fixed})
	}
}

// gap is a stretch of blanks and breaks in the text that is made from HTML.
// What becomes of it is known when the next word comes, as conditions and loops
// may leave several next to each other.
type gap struct {
	open         bool
	breaks, soft int
}

func (g *gap) see(c byte) {
	g.open = true
	switch c {
	case '\n':
		g.breaks++
	case '\v':
		g.soft = max(g.soft, 1)
	case '\f':
		g.soft = 2
	}
}

func (g *gap) join(h gap) {
	g.open = g.open || h.open
	g.breaks += h.breaks
	g.soft = max(g.soft, h.soft)
}

// gapNode is a text node of the text that is made from HTML: gaps around words
// that are settled once.
type gapNode struct {
	before, after gap
	words         *textNode
	spoken        bool // there are words between the gaps, even if nothing of them is visible
}

func newGapNode(text string) *gapNode {
	n := &gapNode{}
	from, to := 0, len(text)
	for from < to && isGap(text[from]) {
		n.before.see(text[from])
		from++
	}
	for to > from && isGap(text[to-1]) {
		to--
	}
	for i := to; i < len(text); i++ {
		n.after.see(text[i])
	}
	n.spoken = from < to
	n.words = fixedText(visible(string(settle([]byte(text[from:to])))))
	return n
}

func (n *gapNode) render(r *run) error {
	r.gap.join(n.before)
	if n.spoken {
		r.closeGap()
		n.words.write(r)
	}
	r.gap.join(n.after)
	return r.spend(len(n.words.text))
}

// closeGap writes what has become of a gap, before the word after it.
func (r *run) closeGap() {
	if !r.gap.open {
		return
	}
	r.out = append(r.out, r.gap.text()...)
	r.gap = gap{}
}

func (g *gap) text() string {
	if n := min(max(g.breaks, g.soft), 2); n > 0 {
		return "\n\n"[:n]
	}
	return " "
}

// settled appends a value to the text that is made from HTML.
func (r *run) settled(s string) {
	for i := 0; i < len(s); {
		if isGap(s[i]) {
			r.gap.see(s[i])
			i++
			continue
		}
		from := i
		for i < len(s) && (!isGap(s[i]) || s[i] == ' ' && i+1 < len(s) && !isGap(s[i+1])) {
			i++
		}
		r.closeGap()
		r.out = append(r.out, s[from:i]...)
	}
}

// settle turns soft breaks into line breaks, at most one empty line between
// paragraphs and one blank between words.
func settle(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if !isGap(b[i]) {
			from := i
			for i < len(b) && (!isGap(b[i]) || b[i] == ' ' && i+1 < len(b) && !isGap(b[i+1])) {
				i++
			}
			out = append(out, b[from:i]...)
			continue
		}
		var g gap
		for ; i < len(b) && isGap(b[i]); i++ {
			g.see(b[i])
		}
		out = append(out, g.text()...)
	}
	return out
}

func isGap(c byte) bool { return c == ' ' || c >= '\t' && c <= '\f' }

// fix brings the texts of a block into the form in which they leave.
func (c *compiler) fix(list []node) []node {
	for i, n := range list {
		t, ok := n.(*textNode)
		if !ok {
			continue
		}
		switch {
		case c.derived:
			list[i] = newGapNode(t.text)
		case c.syntax == channels.HTML:
			list[i] = fixedText(t.text)
		case isProse(c.syntax):
			list[i] = fixedText(visible(t.text))
		}
	}
	return list
}

// isProse says whether a part is text without control characters around it,
// see finish.
func isProse(s channels.Syntax) bool { return s == channels.Plain || s == channels.Mrkdwn }

// visible drops control characters.
func visible(s string) string {
	if !hasControls([]byte(s)) {
		return s
	}
	return strings.Map(printable, s)
}

// trimEnds takes the blanks from the beginning and the end of a part of prose,
// so that its first and last texts are the same in every letter.
func trimEnds(pieces []piece) {
	if n := len(pieces); n > 0 {
		if p := &pieces[0]; p.kind == textPiece {
			p.text = strings.TrimLeft(visible(p.text), proseBlanks)
		}
		if p := &pieces[n-1]; p.kind == textPiece {
			p.text = strings.TrimRight(visible(p.text), proseBlanks)
		}
	}
}

// proseBlanks are blanks that stand at the ends of files. Rarer ones are
// trimmed when the letter is finished.
const proseBlanks = " \t\n"

// end brings a rendered part into the form its syntax demands and returns
// where it stands in r.out.
func (r *run) end(p *letterPart) (from, to int, err error) {
	body := r.out[r.base:]
	switch {
	case isProse(p.syntax) && !r.controls:
		left := bytes.TrimLeftFunc(body, unicode.IsSpace)
		cut := len(body) - len(left)
		from, to = r.base+cut, r.base+cut+len(bytes.TrimRightFunc(left, unicode.IsSpace))
		r.shift(cut, to-from)
		return from, to, nil
	case p.syntax == channels.HTML, p.syntax == channels.Header && isOneLine(body):
		return r.base, len(r.out), nil
	}
	text, err := finish(p.syntax, body)
	if err != nil {
		return 0, 0, err
	}
	r.out = append(r.out[:r.base], text...)
	r.spans = r.spans[:r.first]
	return r.base, len(r.out), nil
}

// shift moves the spans of a part to where its text begins, without those that
// were cut.
func (r *run) shift(cut, length int) {
	if n := len(r.spans); n == r.first || cut == 0 && r.spans[n-1].To <= length {
		return
	}
	kept := r.spans[:r.first]
	for _, s := range r.spans[r.first:] {
		s.From -= cut
		s.To -= cut
		if s.From >= 0 && s.To <= length {
			kept = append(kept, s)
		}
	}
	r.spans = kept
}

// isOneLine says whether oneLine would leave a text as it is. It is content
// with most texts.
func isOneLine(b []byte) bool {
	before := byte(' ')
	for _, c := range b {
		switch {
		case c < ' ', c == 0x7F, c == ' ' && before == ' ', c == 0xC2, c >= 0xE1 && c <= 0xE3:
			return false
		}
		before = c
	}
	return before != ' ' && utf8.Valid(b)
}
