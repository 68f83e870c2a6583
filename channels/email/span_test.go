package email

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rapport/channels"
)

// cut makes spans of a text at the places given: every other stretch is fixed.
func cut(text string, at []int) []channels.Span {
	var out []channels.Span
	for i := 0; i+1 < len(at); i += 2 {
		out = append(out, channels.Span{From: at[i], To: at[i+1], Text: channels.NewFixed(text[at[i]:at[i+1]])})
	}
	return out
}

// TestSpansChangeNothing: wherever a text is cut, what is read is the same as
// without spans, and no line breaks a rule.
func TestSpansChangeNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) // #nosec G404 -- a repeatable test
	alphabet := []string{" ", "\t", "\n", "\r\n", "\r", ".", "=", "a", "F", "Fro", "bcdefghij", "ü", "🦊", "From ", "\nFrom ", "\x00", strings.Repeat("x", 70), "two words "}
	for range 5000 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		text := b.String()
		var at []int
		for range random.IntN(12) {
			at = append(at, random.IntN(len(text)+1))
		}
		slices.Sort(at)
		encoded := appendQP(nil, text, cut(text, at))
		for line := range bytes.SplitSeq(encoded, []byte("\r\n")) {
			if len(line) > bodyLine || bytes.HasPrefix(line, []byte(".")) || bytes.HasPrefix(line, []byte("From ")) ||
				bytes.HasSuffix(line, []byte(" ")) || bytes.HasSuffix(line, []byte("\t")) {
				t.Fatalf("%q cut at %v has the line %q", text, at, line)
			}
		}
		got, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(encoded)))
		if err != nil || string(got) != canonicalBreaks(text) {
			t.Fatalf("%q cut at %v is read back as %q: %v", text, at, got, err)
		}
	}
}

// TestSpansThatLie are not believed: the content is what is sent.
func TestSpansThatLie(t *testing.T) {
	const text = "one two three"
	want := string(appendQP(nil, text, nil))
	for name, spans := range map[string][]channels.Span{
		"other text":    {{From: 0, To: 3, Text: channels.NewFixed("six")}},
		"other length":  {{From: 0, To: 3, Text: channels.NewFixed("one two")}},
		"beyond":        {{From: 8, To: 14, Text: channels.NewFixed("three")}},
		"before":        {{From: -1, To: 3, Text: channels.NewFixed("one")}},
		"backwards":     {{From: 3, To: 0, Text: channels.NewFixed("")}},
		"no text":       {{From: 0, To: 3}},
		"overlapping":   {{From: 0, To: 7, Text: channels.NewFixed("one two")}, {From: 4, To: 13, Text: channels.NewFixed("two three")}},
		"in disorder":   {{From: 8, To: 13, Text: channels.NewFixed("three")}, {From: 0, To: 3, Text: channels.NewFixed("one")}},
		"all of it":     {{From: 0, To: 13, Text: channels.NewFixed(text)}},
		"side by side":  {{From: 0, To: 4, Text: channels.NewFixed("one ")}, {From: 4, To: 13, Text: channels.NewFixed("two three")}},
		"empty in turn": {{From: 4, To: 4, Text: channels.NewFixed("")}, {From: 4, To: 7, Text: channels.NewFixed("two")}},
	} {
		if got := string(appendQP(nil, text, spans)); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestLetterWithSpans: the whole letter, read by another parser.
func TestLetterWithSpans(t *testing.T) {
	c := composing(t, Settings{})
	m := newsletter("d1a-2b")
	plain := parse(t, mustCompose(t, c, m).body)
	m.Fixed = fixedOf(m)
	for range 2 { // the second time with what was encoded the first time
		spanned := parse(t, mustCompose(t, c, m).body)
		if spanned.HTML != plain.HTML || spanned.Text != plain.Text {
			t.Error("the letter reads differently with spans")
		}
	}
}

// fixedOf cuts a newsletter as a template would: around its links.
func fixedOf(m channels.Message) map[string][]channels.Span {
	out := map[string][]channels.Span{}
	for _, part := range []string{"html", "text"} {
		text := m.Content[part]
		at := []int{0}
		for _, place := range regexp.MustCompile(`https://[a-z0-9./]+`).FindAllStringIndex(text, -1) {
			at = append(at, place...)
		}
		out[part] = cut(text, append(at, len(text)))
	}
	return out
}

// TestNameOfALetter compares with the pattern that says what is meant.
func TestNameOfALetter(t *testing.T) {
	pattern := regexp.MustCompile(`(?i)(?:queued as|id=)\s*([A-Za-z0-9._+-]{1,64})`)
	want := func(text string) string {
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m[1]
		}
		text = publicText(text)
		return text[:min(len(text), 100)]
	}
	random := rand.New(rand.NewPCG(5, 6)) // #nosec G404 -- a repeatable test
	alphabet := []string{"queued as", "Queued As ", "id=", "ID=", " ", "\t", "4F2.a-b+c_d", "<x@example.com>", "ok", "ü", ":", strings.Repeat("z", 70), "i", "d="}
	for range 3000 {
		var b strings.Builder
		for range random.IntN(8) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		if got := queueID(b.String()); got != want(b.String()) {
			t.Fatalf("%q: %q, want %q", b.String(), got, want(b.String()))
		}
	}
}

// TestPlainLinks: what the short way takes, the long way takes too.
func TestPlainLinks(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9)) // #nosec G404 -- a repeatable test
	alphabet := []string{"https://", "http://", "news.example.com", "/", "u", "_-~.", "?a=b", "&c=d", ":80", "%41", "%", "@", " ", "ü", "[", "]", "<", ">", "\"", "\n", "#"}
	plain := 0
	for i := range 20_000 {
		var b strings.Builder
		if i%2 == 0 {
			b.WriteString("https://news.example.com")
		}
		for range random.IntN(7) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		link := b.String()
		if !isPlainLink(link) {
			continue
		}
		plain++
		u, err := url.Parse(link)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(link, "<>\" \r\n") {
			t.Errorf("%q is taken for a plain link: %v", link, err)
		}
	}
	if plain < 20 {
		t.Errorf("only %d plain links were tried", plain)
	}
}

// TestRememberedFields: what was made for the letter before is not used for
// one that differs.
func TestRememberedFields(t *testing.T) {
	c := composing(t, Settings{})
	for i := range 6 {
		m := letterTo("anna@example.org", "d1a-2b")
		m.List, m.ReplyTo = fmt.Sprintf("list-%d", i/2%2), fmt.Sprintf("Service <service%d@example.com>", i/2%2)
		m.Content["subject"] = fmt.Sprintf("Grüße %d", i/2)
		env := parse(t, mustCompose(t, c, m).body)
		if env.GetHeader("Subject") != m.Content["subject"] || env.GetHeader("Reply-To") != m.ReplyTo || env.GetHeader("List-Id") != "<"+m.List+".example.com>" {
			t.Errorf("letter %d: %v", i, env.Root.Header)
		}
	}
	m := letterTo("anna@example.org", "d1a-2b")
	m.List = "no list"
	for range 2 {
		if _, err := c.compose(nil, m); err == nil {
			t.Error("a bad list name is taken")
		}
	}
}
