package public

import (
	"fmt"
	"html/template"
	"strings"
)

// Pick is the language of texts for a reader of one: that itself, its base, the
// fallback, English, else the first there is.
func Pick(texts map[string]string, lang, fallback string) string { return pick(texts, lang, fallback) }

// Shown is all that somebody agrees to on the page of a form in one language,
// in the order in which it stands there: the boxes with their words, the
// declaration, the box of being followed.
func (f Form) Shown(locale string) string {
	var b strings.Builder
	for _, t := range f.Topics {
		label := t.Title[pick(t.Title, locale, f.Fallback)]
		if label == "" {
			label = t.Name
		}
		b.WriteString("[ ] " + label + "\n")
	}
	b.WriteString("\n" + strings.TrimSpace(f.Wording[locale]) + "\n")
	if text := f.Tracking[pick(f.Tracking, locale, f.Fallback)]; text != "" {
		b.WriteString("\n[ ] " + strings.TrimSpace(text) + "\n")
	}
	return b.String()
}

// snippet is a form to paste. It has no ticket: what it sends leads to the page
// here, filled in and in its language, where the exact words stand and the button counts.
const snippet = `<form action="{{.Address}}?lang={{.Lang}}" method="post" accept-charset="utf-8" lang="{{.Lang}}">
  <p><label>{{.Words.Address.Label}} <input name="address" {{if .Words.Mail}}type="email" autocomplete="email"{{else}}type="text"{{end}} required maxlength="320"></label></p>
{{range .Words.Fields}}  <p><label>{{.Label}} <input name="{{.Name}}" type="text" maxlength="1000"{{if .Required}} required{{end}}></label></p>
{{end}}  <div style="position:absolute;left:-9999px" aria-hidden="true"><label>{{.T.form_trap}} <input name="{{.Words.Trap}}" type="text" tabindex="-1" autocomplete="off"></label></div>
  <fieldset><legend>{{.T.form_topics}}</legend>
{{range .Words.Topics}}  <p><label><input name="{{.Name}}" type="checkbox" value="yes"> {{.Label}}</label></p>
{{end}}  </fieldset>
  <p>{{.Words.Wording}}</p>
{{with .Words.Tracking}}  <p><label><input name="{{.Name}}" type="checkbox" value="yes"> {{.Label}}</label></p>
{{end}}  <p><button type="submit">{{.T.form_submit}}</button></p>
</form>
`

const frameSnippet = `<iframe src="{{.Address}}?lang={{.Lang}}" title="{{.Title}}" width="100%" height="{{.Height}}" style="border:0" loading="lazy" referrerpolicy="origin"></iframe>
`

// Snippet writes the HTML of a form to paste into another site, or of a frame
// that shows it.
func Snippet(f Form, address, lang string, frame bool) (string, error) {
	p, err := New(Options{Locale: lang})
	if err != nil {
		return "", err
	}
	tag, words := p.texts.speak(lang, "")
	d := page{T: words, Lang: tag}
	title := f.Title[pick(f.Title, tag, p.texts.fallback)]
	if title == "" {
		title = words["form_title"]
	}
	text := snippet
	if frame {
		text = frameSnippet
	}
	t, err := template.New("snippet").Parse(text)
	if err != nil {
		return "", fmt.Errorf("read the snippet: %w", err)
	}
	var b strings.Builder
	err = t.Execute(&b, struct {
		Address, Lang, Title string
		Height               int
		Words                formView
		T                    map[string]string
	}{address, tag, title, 620 + 90*len(f.Fields) + 50*len(f.Topics), p.formView(f, entry{}, &d, nil), words})
	if err != nil {
		return "", fmt.Errorf("write the snippet of form %s: %w", f.Name, err)
	}
	return b.String(), nil
}
