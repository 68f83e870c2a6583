package public

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rapport"
	"rapport/internal/strictyaml"
)

// texts are the words of the pages: language → key → text.
type texts struct {
	byLang   map[string]map[string]string // by tag in lower case, each complete
	tags     map[string]string            // tag in lower case → as it is written
	fallback string
}

// builtIn is the language every text of the house is written in.
const builtIn = "en"

// Keys that say something about a language itself.
const (
	nameKey      = "language_name"
	directionKey = "direction"
	monthsKey    = "months"
)

// The patterns of a file's name (of BCP 47: language, script, region) and of
// what stands for something in a text.
var (
	tagPattern  = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`)
	slotPattern = regexp.MustCompile(`\{[a-z_]+\}`)
)

// readTexts reads one YAML file for each language: those of the house, which
// are complete, and those of the installation's own folder (nil: none), which
// may add a language, change a text, and leave out what they like: that is
// taken from the house's file of the language, else from the fallback. A key
// or a slot that the house does not know is refused with its place.
func readTexts(house, own fs.FS, locale string) (*texts, error) {
	t := &texts{byLang: map[string]map[string]string{}, tags: map[string]string{}, fallback: builtIn}
	read, err := readFolder(house, nil)
	if err != nil {
		return nil, err
	}
	model := read[builtIn]
	for tag, words := range read {
		if got, want := slices.Sorted(maps.Keys(words)), slices.Sorted(maps.Keys(model)); !slices.Equal(got, want) {
			return nil, fmt.Errorf("the public pages' texts in %s are not those of %s: %v", tag, builtIn, unequal(got, want))
		}
		t.add(tag, words)
	}
	mine := map[string]map[string]string{}
	if own != nil {
		if mine, err = readFolder(own, model); err != nil {
			return nil, err
		}
	}
	t.settle(locale)
	order := slices.Sorted(maps.Keys(mine))              // a language before its regions
	slices.SortStableFunc(order, func(a, b string) int { // the fallback first: others are completed from it
		return cmp.Compare(foreign(a, locale), foreign(b, locale))
	})
	for _, tag := range order {
		t.add(tag, mine[tag])
		t.settle(locale)
	}
	return t, nil
}

// CheckTexts refuses texts of an installation that New would refuse.
func CheckTexts(own fs.FS, locale string) error {
	house, err := fs.Sub(files, "texts")
	if err != nil {
		return fmt.Errorf("find the texts of the public pages: %w", err)
	}
	_, err = readTexts(house, own, locale)
	return err
}

// settle makes the installation's locale the fallback if there are texts in it.
func (t *texts) settle(locale string) {
	if tag, ok := t.match(locale); ok {
		t.fallback = tag
	}
}

// foreign is 0 for a tag of the same language and 1 for another.
func foreign(tag, locale string) int {
	if language(tag) == language(locale) {
		return 0
	}
	return 1
}

// unequal lists what only one of two sorted lists has.
func unequal(a, b []string) []string {
	var out []string
	for _, k := range slices.Concat(a, b) {
		if !slices.Contains(a, k) || !slices.Contains(b, k) {
			out = append(out, k)
		}
	}
	return out
}

// add puts a language over what there is for it.
func (t *texts) add(tag string, words map[string]string) {
	key := strings.ToLower(tag)
	base := t.byLang[key]
	if base == nil {
		base = t.byLang[language(tag)]
	}
	if base == nil {
		base = maps.Clone(t.byLang[t.fallback])
		delete(base, nameKey) // a language is not called like another
		delete(base, directionKey)
	}
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, words)
	if all[nameKey] == "" {
		all[nameKey] = tag
	}
	if all[directionKey] != "rtl" {
		all[directionKey] = "ltr"
	}
	t.byLang[key], t.tags[key] = all, tag
}

// readFolder reads every language of a folder and complains about everything
// at once. Against a model, keys and slots have to be known there.
func readFolder(from fs.FS, model map[string]string) (map[string]map[string]string, error) {
	names, err := fs.Glob(from, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the texts of the public pages: %w", err)
	}
	out := map[string]map[string]string{}
	var wrong strictyaml.Complaints
	for _, name := range names {
		raw, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, &rapport.Error{Kind: rapport.Invalid, Field: "pages.texts", Msg: fmt.Sprintf("the texts %s cannot be read; change their mode", name), Err: err}
		}
		tag := strings.TrimSuffix(path.Base(name), ".yaml")
		if !tagPattern.MatchString(tag) {
			wrong = append(wrong, strictyaml.Complaint{File: name, Msg: "the file is not named after a language, like fr.yaml or pt-BR.yaml"})
			continue
		}
		words, err := readLanguage(name, raw, model)
		if cs, ok := errors.AsType[strictyaml.Complaints](err); ok {
			wrong = append(wrong, cs...)
		} else if err != nil {
			return nil, err
		}
		out[tag] = words
	}
	return out, wrong.Err()
}

func readLanguage(name string, raw []byte, model map[string]string) (map[string]string, error) {
	doc, err := strictyaml.Parse(name, raw)
	if err != nil {
		return nil, err
	}
	words := map[string]string{}
	if err := doc.Decode(&words); err != nil {
		return nil, err
	}
	if model == nil {
		return words, nil
	}
	var wrong strictyaml.Complaints
	known := slices.Sorted(maps.Keys(model))
	for key, text := range words {
		if _, ok := model[key]; !ok {
			hint := ""
			if near := strictyaml.Nearest(key, known); near != "" {
				hint = "; did you mean " + near + "?"
			}
			wrong = append(wrong, doc.Complain(key, "is not a text of the pages%s", hint))
			continue
		}
		for _, slot := range slotPattern.FindAllString(text, -1) {
			if !strings.Contains(model[key], slot) {
				wrong = append(wrong, doc.Complain(key, "%s stands for nothing in this text; known: %s", slot, strings.Join(slotPattern.FindAllString(model[key], -1), " ")))
			}
		}
		if n := len(strings.Split(text, ",")); key == monthsKey && n != 12 {
			wrong = append(wrong, doc.Complain(key, "has %d names; a year has 12, with commas between", n))
		}
	}
	return words, wrong.Err()
}

// say fills the slots of a text; pairs are name, value, name, value and so on.
func say(text string, pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, "{"+pairs[i]+"}", pairs[i+1])
	}
	return text
}

func (t *texts) languages() []string { return slices.Sorted(maps.Keys(t.byLang)) }

// language is the first part of a locale, in lower case.
func language(locale string) string {
	l, _, _ := strings.Cut(normal(locale), "-")
	return l
}

func normal(locale string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(locale)), "_", "-")
}

// match finds the language we have for a locale: itself, else without what is
// behind its last dash.
func (t *texts) match(locale string) (string, bool) {
	for l := normal(locale); l != ""; {
		if t.byLang[l] != nil {
			return l, true
		}
		i := strings.LastIndexByte(l, '-')
		if i < 0 {
			break
		}
		l = l[:i]
	}
	return "", false
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
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil {
				continue
			}
		}
		if lang, ok := t.match(tag); ok && q > weight {
			best, weight = lang, q
		}
	}
	return t.tags[best], t.byLang[best]
}

// speak is choose for a person whose own locale may be known, which counts
// first.
func (t *texts) speak(locale, accept string) (string, map[string]string) {
	if l, ok := t.match(locale); ok {
		return t.tags[l], t.byLang[l]
	}
	return t.choose(accept)
}
