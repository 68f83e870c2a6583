package consent

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"rapport/internal/strictyaml"
)

//go:embed sheet.html texts/*.yaml
var sheetFiles embed.FS

// SheetOptions say for whom a proof is written.
type SheetOptions struct {
	Locale string         // language of the sheet, like de-AT; unknown ones become English
	Zone   *time.Location // of the times; nil: UTC
	Topics []Topic        // for the titles
}

// SheetLocales lists the languages a proof can be written in.
func SheetLocales() ([]string, error) {
	entries, err := sheetFiles.ReadDir("texts")
	if err != nil {
		return nil, fmt.Errorf("list the languages of proofs: %w", err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return out, nil
}

// sheetTexts reads the words of a language, or English.
func sheetTexts(locale string) (language string, texts map[string]string, err error) {
	base, _, _ := strings.Cut(locale, "-")
	for _, language = range []string{locale, base, "en"} {
		file := "texts/" + language + ".yaml"
		raw, err := sheetFiles.ReadFile(file)
		if err != nil {
			continue
		}
		err = strictyaml.Decode(file, raw, &texts)
		return language, texts, err
	}
	return "", nil, fmt.Errorf("no words for a proof in %q", locale)
}

// HTML writes the sheet as one page for people and for print: it needs no
// script, no other file and no network.
func (p ProofSheet) HTML(w io.Writer, o SheetOptions) error {
	language, texts, err := sheetTexts(o.Locale)
	if err != nil {
		return err
	}
	zone := o.Zone
	if zone == nil {
		zone = time.UTC
	}
	word := func(kind string, what any) string {
		text := fmt.Sprint(what)
		if found, ok := texts[kind+"_"+text]; ok {
			return found
		}
		return text
	}
	page, err := template.New("sheet.html").Funcs(template.FuncMap{
		"t":    func(key string) (string, error) { return wordOf(texts, key) },
		"word": word,
		"at":   func(t time.Time) string { return clockTime(t, zone) },
		"topic": func(name string) string {
			for _, t := range o.Topics {
				if t.Name != name {
					continue
				}
				for _, l := range []string{o.Locale, language} {
					if title := t.Title[l]; title != "" {
						return title + " (" + name + ")"
					}
				}
			}
			return name
		},
	}).ParseFS(sheetFiles, "sheet.html")
	if err != nil {
		return fmt.Errorf("read the page of a proof: %w", err)
	}
	if err := page.Execute(w, struct {
		ProofSheet
		Locale string
	}{p, language}); err != nil {
		return fmt.Errorf("write a proof: %w", err)
	}
	return nil
}

func wordOf(texts map[string]string, key string) (string, error) {
	text, ok := texts[key]
	if !ok {
		return "", fmt.Errorf("a proof has no words for %s", key)
	}
	return text, nil
}

// clockTime writes a time with its offset, and in UTC where that is another.
func clockTime(t time.Time, zone *time.Location) string {
	local := t.In(zone)
	if _, offset := local.Zone(); offset == 0 {
		return local.Format("2006-01-02\u00a015:04:05\u00a0UTC")
	}
	return local.Format("2006-01-02\u00a015:04:05\u00a0-07:00") + t.UTC().Format(" (15:04:05\u00a0UTC)")
}
