package inbox

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/html"

	"rapport/responses"
)

// ownWords is what the writer of a reply wrote: without quoted lines, the line
// that announces them, copied headers, signatures and what mail programs add.
func ownWords(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	const most = 400
	if len(lines) > most {
		lines = lines[:most]
	}
	end := len(lines)
	for i, line := range lines {
		line = strings.TrimSpace(strings.ReplaceAll(line, "\u00a0", " "))
		if quoted(line) {
			end = announced(lines, i)
			break
		}
		if ends(line) {
			end = i
			break
		}
		if attribution(line) && nextQuotes(lines[i+1:]) {
			end = announced(lines, i+1)
			break
		}
	}
	out := lines[:end]
	for len(out) > 0 {
		last := strings.TrimSpace(out[len(out)-1])
		if last != "" && !responses.AppendedBy(last) {
			break
		}
		out = out[:len(out)-1]
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

func quoted(line string) bool { return strings.HasPrefix(line, ">") || strings.HasPrefix(line, "＞") }

// ends says whether a line begins what is not the writer's: a signature, or a
// copy of the mail that is answered.
func ends(line string) bool {
	if line == "--" || line == "-- " || strings.HasPrefix(line, "-----") || strings.HasPrefix(line, "_____") || strings.HasPrefix(line, "=====") {
		return true
	}
	name, rest, ok := strings.Cut(strings.Trim(line, "*"), ":")
	return ok && strings.Contains(rest, "@") && slices.Contains(copiedFrom(), strings.ToLower(strings.TrimSpace(strings.Trim(name, "*"))))
}

// copiedFrom is how programs name the sender in a copied header.
func copiedFrom() []string {
	return []string{
		"from", "von", "de", "da", "van", "od", "från", "fra", "lähettäjä", "kimden", "feladó", "expéditeur", "de la", "από", "от", "від",
		"差出人", "发件人", "寄件者",
	}
}

// attribution says whether a line announces a quotation: it ends with a colon
// and names a time or an address.
func attribution(line string) bool {
	if !strings.HasSuffix(line, ":") && !strings.HasSuffix(line, "：") {
		return false
	}
	return strings.ContainsFunc(line, unicode.IsDigit) || strings.ContainsAny(line, "@<")
}

// nextQuotes says whether the next line that is not empty is quoted, or there
// is none.
func nextQuotes(lines []string) bool {
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			return quoted(l)
		}
	}
	return true
}

// announced goes back from the first quoted line over the announcement of the
// quotation, which may have been broken into three lines.
func announced(lines []string, first int) int {
	i := first
	for i > 0 && strings.TrimSpace(lines[i-1]) == "" {
		i--
	}
	if i == 0 {
		return first
	}
	last := strings.TrimSpace(lines[i-1])
	if !strings.HasSuffix(last, ":") && !strings.HasSuffix(last, "：") {
		return first
	}
	from := i - 1
	for n := 0; n < 2 && from > 0 && strings.TrimSpace(lines[from-1]) != ""; n++ {
		from--
	}
	if !strings.ContainsFunc(strings.Join(lines[from:i], " "), unicode.IsDigit) && !strings.Contains(strings.Join(lines[from:i], " "), "@") {
		return i - 1
	}
	// What stands in the same paragraph above a broken announcement is the
	// writer's when the announcement is one line.
	if attribution(last) {
		return i - 1
	}
	return from
}

// textOf is the text of an HTML mail without what it quotes.
func textOf(source string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(source))
	z.SetMaxBuf(maxText)
	hidden := 0 // depth inside something that is not the writer's
	var open []string
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if hidden == 0 {
				b.WriteString(strings.ReplaceAll(strings.ReplaceAll(string(z.Text()), "\n", " "), "&nbsp;", " "))
			}
		case html.StartTagToken:
			t := z.Token()
			if breaks(t.Data) {
				endLine(&b)
			}
			if void(t.Data) || len(open) > 1000 {
				continue
			}
			if hidden > 0 || notOwn(t) {
				hidden++
				open = append(open, t.Data)
			}
		case html.EndTagToken:
			t := z.Token()
			if breaks(t.Data) {
				endLine(&b)
			}
			if hidden > 0 {
				if i := lastIndex(open, t.Data); i >= 0 {
					open = open[:i]
					hidden = len(open)
				}
			}
		case html.SelfClosingTagToken:
			if t := z.Token(); breaks(t.Data) {
				endLine(&b)
			}
		case html.CommentToken, html.DoctypeToken:
		}
	}
}

// endLine ends the line that has been begun.
func endLine(b *strings.Builder) {
	if text := b.String(); text != "" && text[len(text)-1] != '\n' {
		b.WriteByte('\n')
	}
}

func lastIndex(list []string, want string) int {
	for i, v := range slices.Backward(list) {
		if v == want {
			return i
		}
	}
	return -1
}

func breaks(tag string) bool {
	switch tag {
	case "br", "p", "div", "tr", "li", "h1", "h2", "h3", "hr", "blockquote", "table":
		return true
	}
	return false
}

func void(tag string) bool {
	switch tag {
	case "br", "hr", "img", "meta", "link", "input", "col", "wbr", "base", "area":
		return true
	}
	return false
}

// notOwn says whether an element holds a quotation or no text at all.
func notOwn(t html.Token) bool {
	switch t.Data {
	case "blockquote", "script", "style", "head", "title":
		return true
	}
	for _, a := range t.Attr {
		if a.Key != "class" && a.Key != "id" {
			continue
		}
		for _, mark := range []string{"gmail_quote", "gmail_signature", "moz-cite-prefix", "moz-signature", "divRplyFwdMsg", "appendonsend", "yahoo_quoted", "protonmail_quote"} {
			if strings.Contains(a.Val, mark) {
				return true
			}
		}
	}
	return false
}
