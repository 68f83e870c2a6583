package slack

import (
	"encoding/json"
	"html/template"
	"net/url"
	"regexp"
	"strings"

	"rapport/internal/fake/receiver"
)

// part is a piece of a message as the page draws it.
type part struct {
	Kind   string // text, header, divider, image, buttons, context or other
	Text   template.HTML
	Fields []template.HTML
}

// draw turns a message into what a person would roughly see in Slack.
func draw(m *Message) []part {
	var blocks []struct {
		Type    string `json:"type"`
		Text    words  `json:"text"`
		AltText string `json:"alt_text"`
		Fields  []words
		// What a context or an actions block holds; other blocks have none.
		Elements []struct {
			Type    string          `json:"type"`
			Text    json.RawMessage `json:"text"`
			AltText string          `json:"alt_text"`
		} `json:"elements"`
	}
	var raw []json.RawMessage
	if json.Unmarshal(m.Blocks, &blocks) != nil || json.Unmarshal(m.Blocks, &raw) != nil || len(blocks) == 0 {
		return []part{{Kind: "text", Text: mrkdwn(m.Text)}}
	}
	out := make([]part, 0, len(blocks))
	for i, b := range blocks {
		p := part{Kind: b.Type, Text: b.Text.html()}
		switch b.Type {
		case "section":
			for _, f := range b.Fields {
				p.Fields = append(p.Fields, f.html())
			}
		case "header", "divider":
		case "image":
			p.Text = plain(b.AltText)
		case "context", "actions":
			for _, e := range b.Elements {
				p.Fields = append(p.Fields, element(e.Type, e.Text, e.AltText))
			}
			if b.Type == "context" {
				p.Text = join(p.Fields)
			} else {
				p.Kind = "buttons"
			}
		default:
			p.Kind, p.Text = "other", plain(receiver.Indent(raw[i]))
		}
		out = append(out, p)
	}
	return out
}

// words is a text object of Block Kit.
type words struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (w words) html() template.HTML {
	if w.Type == "mrkdwn" {
		return mrkdwn(w.Text)
	}
	return plain(w.Text)
}

// element draws a text, whose text is a string, a button, whose text is an
// object, or a picture.
func element(kind string, text json.RawMessage, alt string) template.HTML {
	var object words
	if json.Unmarshal(text, &object) == nil {
		return object.html()
	}
	var s string
	if json.Unmarshal(text, &s) == nil {
		return words{Type: kind, Text: s}.html()
	}
	return plain(alt)
}

func join(parts []template.HTML) template.HTML {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = string(p)
	}
	return template.HTML(strings.Join(texts, " · ")) //nolint:gosec // made of escaped parts
}

func plain(text string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(text), "\n", "<br>")) //nolint:gosec // escaped here
}

var (
	angled = regexp.MustCompile(`<[^<>\n]*>`)
	marks  = []struct {
		re *regexp.Regexp
		to string
	}{
		{regexp.MustCompile("(?s)```(.+?)```"), "<pre>$1</pre>"},
		{regexp.MustCompile("`([^`\n]+)`"), "<code>$1</code>"},
		{regexp.MustCompile(`(^|[\s(>])\*([^*\n]+)\*`), "$1<b>$2</b>"},
		{regexp.MustCompile(`(^|[\s(>])_([^_\n]+)_`), "$1<i>$2</i>"},
		{regexp.MustCompile(`(^|[\s(>])~([^~\n]+)~`), "$1<s>$2</s>"},
		{regexp.MustCompile(`(?m)^&gt; ?(.*)$\n?`), "<blockquote>$1</blockquote>"},
	}
)

// mrkdwn draws Slack's mark-up simply. Everything is escaped first, so the only
// elements in the result are the ones written here.
func mrkdwn(text string) template.HTML {
	var out strings.Builder
	at := 0
	for _, span := range angled.FindAllStringIndex(text, -1) {
		out.WriteString(markUp(text[at:span[0]]))
		out.WriteString(reference(text[span[0]+1 : span[1]-1]))
		at = span[1]
	}
	out.WriteString(markUp(text[at:]))
	return template.HTML(strings.ReplaceAll(out.String(), "\n", "<br>")) //nolint:gosec // escaped in markUp and reference
}

var unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

func markUp(text string) string {
	text = template.HTMLEscapeString(unescape.Replace(text))
	for _, m := range marks {
		text = m.re.ReplaceAllString(text, m.to)
	}
	return text
}

// reference draws what stands between angle brackets: a link, a person, a
// conversation.
func reference(inside string) string {
	target, label, named := strings.Cut(inside, "|")
	if !named {
		label = target
	}
	label = template.HTMLEscapeString(unescape.Replace(label))
	u, err := url.Parse(unescape.Replace(target))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "mailto" {
		return "<b>" + label + "</b>"
	}
	return `<a rel="noreferrer noopener" href="` + template.HTMLEscapeString(u.String()) + `">` + label + "</a>"
}
