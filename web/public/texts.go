package public

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// texts are the words of the pages: language → key → text.
type texts struct {
	byLang   map[string]map[string]string
	fallback string
}

// readTexts reads one JSON file for each language. Every language must have
// every text.
func readTexts(from fs.FS, dir, locale string) (*texts, error) {
	names, err := fs.Glob(from, dir+"/*.json")
	if err != nil {
		return nil, fmt.Errorf("list the texts of the public pages: %w", err)
	}
	t := &texts{byLang: map[string]map[string]string{}, fallback: "en"}
	for _, name := range names {
		raw, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		words := map[string]string{}
		if err := json.Unmarshal(raw, &words); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		t.byLang[strings.TrimSuffix(path.Base(name), ".json")] = words
	}
	want := slices.Sorted(maps.Keys(t.byLang[t.fallback]))
	for lang, words := range t.byLang {
		if got := slices.Sorted(maps.Keys(words)); !slices.Equal(got, want) {
			return nil, fmt.Errorf("the public pages' texts in %s are not those of %s", lang, t.fallback)
		}
	}
	if lang := language(locale); t.byLang[lang] != nil {
		t.fallback = lang
	}
	return t, nil
}

func (t *texts) languages() []string { return slices.Sorted(maps.Keys(t.byLang)) }

// language is the first part of a locale, in lower case.
func language(locale string) string {
	l, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(locale)), "_", "-"), "-")
	return l
}

// maxRanges bounds how much of an Accept-Language field is looked at.
const maxRanges = 20

// choose picks the language a reader prefers among those we have (RFC 9110
// section 12.5.4).
func (t *texts) choose(accept string) (string, map[string]string) {
	best, weight := t.fallback, 0.0
	for i, part := range strings.SplitN(accept, ",", maxRanges+1) {
		if i == maxRanges {
			break
		}
		tag, params, _ := strings.Cut(part, ";")
		lang, q := language(tag), 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil {
				continue
			}
		}
		if t.byLang[lang] != nil && q > weight {
			best, weight = lang, q
		}
	}
	return best, t.byLang[best]
}
