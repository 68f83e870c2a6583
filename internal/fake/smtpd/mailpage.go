package smtpd

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jhillyerd/enmime/v2"
	"github.com/jhillyerd/enmime/v2/mediatype"

	"rapport/internal/fake/receiver"
)

// framePolicy is the second wall around a mail's HTML beside the frame's sandbox
// attribute: no scripts, no forms, nothing from elsewhere. Links open in a tab of
// their own, which is why popups may leave the sandbox.
const framePolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; " +
	"style-src 'unsafe-inline'; font-src data:; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'self'; img-src 'self' data:"

// maxMultiparts is how many multiparts of a mail are taken apart. An unfinished
// multipart inside another doubles the MIME reader's work at every level, so that
// thirty of them would keep it busy for an hour.
const maxMultiparts = 12

// header is one header field as the page shows it.
type header struct{ Name, Value string }

// partView is an attachment or inline part as the page shows it.
type partView struct {
	N    int
	Name string
	Type string
	Size int64
}

// mailView is what mail.html shows.
type mailView struct {
	*Message
	Tab     string
	Tabs    []string
	HasHTML bool
	HasText bool
	Headers []header
	Text    string
	Cut     bool
	Parts   []partView
	Trouble []string
}

func (c *catcher) find(w http.ResponseWriter, r *http.Request) (*Message, bool) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err == nil {
		if m, ok := c.srv.Message(id); ok {
			return &m, true
		}
	}
	http.Error(w, "There is no such mail, or it was dropped to make room for newer ones.", http.StatusNotFound)
	return nil, false
}

// parsed is a message taken apart; parts are those that are not the text.
type parsed struct {
	html, text string
	parts      []*enmime.Part
	trouble    []string
}

// parse takes a message apart. What cannot be read is left out and said.
func parse(m *Message) parsed {
	if m.Source == nil {
		return parsed{trouble: []string{"The body was not kept."}}
	}
	types := &typeReader{}
	reader := enmime.NewParser(
		enmime.DisableTextConversion(true), enmime.MaxStoredPartErrors(10), enmime.SetCustomParseMediaType(types.read),
	)
	env, err := reader.ReadEnvelope(bytes.NewReader(m.Source))
	if err != nil {
		return parsed{trouble: []string{"The mail cannot be taken apart: " + err.Error()}}
	}
	p := parsed{html: env.HTML, text: env.Text, parts: slices.Concat(env.Inlines, env.Attachments, env.OtherParts)}
	for _, e := range env.Errors {
		if e.Name == enmime.ErrorPlainTextFromHTML {
			continue // a mail without plain text is no trouble here, its tab says so
		}
		p.trouble = append(p.trouble, e.Name+": "+e.Detail)
	}
	if types.left {
		p.trouble = append(p.trouble, fmt.Sprintf("The mail has more than %d multiparts; the rest was not taken apart.", maxMultiparts))
	}
	return p
}

// typeReader reads media types for the MIME reader and bounds its work.
type typeReader struct {
	root, last string
	seen       int
	left       bool // some multipart was left closed
}

// read lets the first maxMultiparts multiparts through and makes any further one
// an opaque part. A type is read twice for one part, which counts once: two parts
// inside one another cannot have the same boundary. The type of the root is read
// again at the end and always passes.
func (t *typeReader) read(text string) (kind string, params map[string]string, invalid []string, err error) {
	kind, params, invalid, err = mediatype.Parse(text)
	if !strings.HasPrefix(strings.ToLower(kind), "multipart/") || text == t.root {
		return kind, params, invalid, err
	}
	if t.root == "" {
		t.root = text
	}
	if text != t.last {
		t.last = text
		t.seen++
	}
	if t.seen > maxMultiparts {
		t.left = true
		return "application/octet-stream", map[string]string{}, nil, nil
	}
	return kind, params, invalid, err
}

func (c *catcher) mailPage(w http.ResponseWriter, r *http.Request) {
	m, ok := c.find(w, r)
	if !ok {
		return
	}
	p := parse(m)
	v := mailView{
		Message: m, Tabs: []string{"html", "text", "headers", "source"},
		HasHTML: p.html != "", HasText: p.text != "", Trouble: p.trouble,
	}
	v.Tab = r.FormValue("view")
	if !slices.Contains(v.Tabs, v.Tab) {
		v.Tab = "html"
		if !v.HasHTML {
			v.Tab = "text"
		}
	}
	for i, part := range p.parts {
		v.Parts = append(v.Parts, partView{N: i, Name: partName(part, i), Type: part.ContentType, Size: int64(len(part.Content))})
	}
	switch v.Tab {
	case "headers":
		for name, value := range fields(m.Header) {
			v.Headers = append(v.Headers, header{strings.ToValidUTF8(name, "\uFFFD"), decodeWords(value)})
		}
	case "text":
		v.Text, v.Cut = shown(p.text)
	case "source":
		v.Text, v.Cut = shown(string(m.Source))
	}
	receiver.Render(w, c.mail, v)
}

// shown bounds what a page shows of a text.
func shown(text string) (string, bool) {
	if len(text) <= maxShown {
		return strings.ToValidUTF8(text, "\uFFFD"), false
	}
	return strings.ToValidUTF8(text[:maxShown], ""), true
}

func partName(p *enmime.Part, n int) string {
	if p.FileName != "" {
		return strings.ToValidUTF8(p.FileName, "\uFFFD")
	}
	return fmt.Sprintf("part-%d", n+1)
}

var headTag = regexp.MustCompile(`(?i)<head(\s[^>]*)?>`)

// htmlView is the document inside the frame. It is the mail's own HTML, hostile or
// not: the policy and the sandbox hold it, not an attempt to clean it.
func (c *catcher) htmlView(w http.ResponseWriter, r *http.Request) {
	m, ok := c.find(w, r)
	if !ok {
		return
	}
	p := parse(m)
	doc := withPartURLs(p.html, p.parts)
	const target = `<base target="_blank">`
	if at := headTag.FindStringIndex(doc); at != nil {
		doc = doc[:at[1]] + target + doc[at[1]:]
	} else {
		doc += target
	}
	w.Header().Set("Content-Security-Policy", framePolicy+c.images)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(doc)) // the reader may have gone
}

// withPartURLs replaces cid: references (RFC 2392) by the addresses of the parts.
func withPartURLs(doc string, parts []*enmime.Part) string {
	type ref struct{ cid, to string }
	var refs []ref
	for i, part := range parts {
		id := strings.Trim(part.ContentID, "<> ")
		if id == "" {
			continue
		}
		to := "part/" + strconv.Itoa(i)
		refs = append(refs, ref{"cid:" + id, to})
		if escaped := url.PathEscape(id); escaped != id {
			refs = append(refs, ref{"cid:" + escaped, to})
		}
	}
	// A longer ID may begin with a shorter one.
	slices.SortStableFunc(refs, func(a, b ref) int { return len(b.cid) - len(a.cid) })
	var pairs []string
	for _, r := range refs {
		pairs = append(pairs, r.cid, r.to)
	}
	return strings.NewReplacer(pairs...).Replace(doc)
}

// part serves one part: the image formats a browser only paints are shown, all
// else is a download.
func (c *catcher) part(w http.ResponseWriter, r *http.Request) {
	m, ok := c.find(w, r)
	if !ok {
		return
	}
	parts := parse(m).parts
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n >= len(parts) {
		http.Error(w, "The mail has no such part.", http.StatusNotFound)
		return
	}
	kind := strings.ToLower(parts[n].ContentType)
	painted := []string{"image/png", "image/jpeg", "image/gif", "image/webp"}
	if slices.Contains(painted, kind) && r.FormValue("download") == "" {
		w.Header().Set("Content-Type", kind)
	} else {
		download(w, partName(parts[n], n))
	}
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
	_, _ = w.Write(parts[n].Content) // the reader may have gone
}

func (c *catcher) source(w http.ResponseWriter, r *http.Request) {
	m, ok := c.find(w, r)
	if !ok {
		return
	}
	if m.Source == nil {
		http.Error(w, "The body was not kept.", http.StatusNotFound)
		return
	}
	download(w, fmt.Sprintf("mail-%d.eml", m.ID))
	_, _ = w.Write(m.Source) // the reader may have gone
}

// download makes the answer a file that no browser opens by itself.
func download(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": name})
	if disposition == "" {
		disposition = "attachment"
	}
	w.Header().Set("Content-Disposition", disposition)
}
