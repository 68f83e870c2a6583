package rights

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport/events"
	"rapport/internal/strictyaml"
)

//go:embed pages
var pageFiles embed.FS

// lists are the long parts of a page: they call row for each line.
type lists struct {
	deliveries func(row func(Delivery) error) error
	responses  func(row func(Response) error) error
	events     func(row func(events.Event) error) error
	skips      func(row func(Skip) error) error
	looks      func(row func(Look) error) error
}

// texts are the words of a page in one language.
type texts map[string]string

// textsIn reads the words of a language; English where there are none.
func textsIn(locale string) (texts, string, error) {
	language, _, _ := strings.Cut(strings.ToLower(locale), "-")
	name := "pages/" + language + ".yaml"
	data, err := pageFiles.ReadFile(name)
	if err != nil {
		language, name = "en", "pages/en.yaml"
		if data, err = pageFiles.ReadFile(name); err != nil {
			return nil, "", fmt.Errorf("read the words of the page: %w", err)
		}
	}
	var t texts
	if err := strictyaml.Decode(name, data, &t); err != nil {
		return nil, "", err
	}
	return t, language, nil
}

// age says an age, like "13 months" or "1 month and 3 days", in the language of
// the page.
func (t texts) age(keep string) string {
	parts := strings.Split(keep, " and ")
	for i, part := range parts {
		n, unit, _ := strings.Cut(part, " ")
		if word, ok := t["age_"+unit]; ok {
			parts[i] = n + " " + word
		}
	}
	return strings.Join(parts, " "+t["age_and"]+" ")
}

// view is what the templates see.
type view struct {
	person
	T        texts
	Language string
	Fields   []field
	Sources  []string
}

type field struct{ Name, Value string }

func parse(t texts) (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"at": func(at time.Time) string {
			if at.IsZero() {
				return "–"
			}
			return at.UTC().Format("2006-01-02 15:04:05 UTC")
		},
		"word": func(key string) string {
			if text, ok := t[key]; ok {
				return text
			}
			return key
		},
		"days": func(every time.Duration) string {
			switch {
			case every == 0:
				return "–"
			case every%(24*time.Hour) != 0:
				return every.String()
			}
			return strconv.Itoa(int(every/(24*time.Hour))) + " " + t["days"]
		},
		"age":  t.age,
		"file": letterFile,
	}).ParseFS(pageFiles, "pages/*.html")
}

// writePage writes index.html. Long lists are written as they are read.
func writePage(w io.Writer, p person, l lists) error {
	t, language, err := textsIn(p.Locale)
	if err != nil {
		return err
	}
	tree, err := parse(t)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	v := view{person: p, T: t, Language: language, Fields: fields(p), Sources: sources(p)}
	if err := tree.ExecuteTemplate(w, "head.html", v); err != nil {
		return err
	}
	rows := 0
	line := func(name string, of any) error {
		rows++
		return tree.ExecuteTemplate(w, name, of)
	}
	none := func() error {
		if rows > 0 {
			return nil
		}
		return tree.ExecuteTemplate(w, "none.html", v)
	}
	if err := l.deliveries(func(d Delivery) error { return line("delivery.html", d) }); err != nil {
		return err
	}
	if err := none(); err != nil {
		return err
	}
	if err := tree.ExecuteTemplate(w, "between.html", v); err != nil {
		return err
	}
	rows = 0
	if err := l.responses(func(r Response) error { return line("response.html", r) }); err != nil {
		return err
	}
	if err := none(); err != nil {
		return err
	}
	if err := tree.ExecuteTemplate(w, "events.html", v); err != nil {
		return err
	}
	rows = 0
	if err := l.events(func(e events.Event) error {
		return line("event.html", map[string]any{"At": e.At, "Name": e.Name, "Data": string(e.Data)})
	}); err != nil {
		return err
	}
	if err := none(); err != nil {
		return err
	}
	if err := tree.ExecuteTemplate(w, "skips.html", v); err != nil {
		return err
	}
	rows = 0
	if err := l.skips(func(x Skip) error { return line("skip.html", x) }); err != nil {
		return err
	}
	if err := none(); err != nil {
		return err
	}
	if err := tree.ExecuteTemplate(w, "looks.html", v); err != nil {
		return err
	}
	rows = 0
	if err := l.looks(func(x Look) error { return line("look.html", x) }); err != nil {
		return err
	}
	if err := none(); err != nil {
		return err
	}
	return tree.ExecuteTemplate(w, "foot.html", v)
}

// fields are the attributes of a person, by name.
func fields(p person) []field {
	var all map[string]json.RawMessage
	if json.Unmarshal(p.Profile.Attributes, &all) != nil {
		return nil
	}
	out := make([]field, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var text string
		if json.Unmarshal(all[name], &text) != nil {
			text = string(all[name])
		}
		out = append(out, field{name, text})
	}
	return out
}

// fence keeps a letter that is opened from a disk from loading or running
// anything.
const fence = `<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">` + "\n"

// letter is a message of the past, part by part.
type letter struct {
	T        texts
	Language string
	Delivery Delivery
	Parts    []field
	// Pages are parts that are pages: they are shown in a frame that loads and
	// runs nothing.
	Pages []template.HTML
}

// writeLetter writes the parts of a message: a part that is a page as such,
// the others as text above it.
func writeLetter(w io.Writer, locale string, d Delivery, parts map[string]string) error {
	t, language, err := textsIn(locale)
	if err != nil {
		return err
	}
	tree, err := parse(t)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	if _, err := io.WriteString(w, "<!doctype html>\n"+fence); err != nil {
		return err
	}
	v := letter{T: t, Language: language, Delivery: d}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		text := clip(parts[name])
		switch {
		case strings.TrimSpace(text) == "":
		case isPage(text):
			v.Pages = append(v.Pages, template.HTML(fence+text)) //nolint:gosec // it stands in a sandboxed frame behind the fence
		default:
			v.Parts = append(v.Parts, field{name, text})
		}
	}
	return tree.ExecuteTemplate(w, "letter.html", v)
}

// isPage says whether a part of a message is HTML.
func isPage(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	return strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">")
}
