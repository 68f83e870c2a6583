package templates

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/filters"
	"github.com/osteele/liquid/values"

	"rapport/channels"
)

// maxValue is the most bytes that a filter may make of a text.
const maxValue = 64 << 10

// filterSet is the filters of one locale and one syntax: those of the Liquid
// library, with the growing ones capped and the missing ones added.
type filterSet struct {
	config expressions.Config
	known  map[string]any
	names  []string
}

// AddFilter takes a filter; the Liquid library hands over its own this way.
func (f *filterSet) AddFilter(name string, fn any) { f.known[name] = fn }

func newFilters(locale string, syntax channels.Syntax) *filterSet {
	f := &filterSet{config: expressions.NewConfig(), known: map[string]any{}}
	filters.AddStandardFilters(f)
	for _, name := range []string{"inspect", "type"} { // they show how the house is built
		delete(f.known, name)
	}
	addText(f)
	addLists(f)
	addFormats(f, languageOf(locale))
	addMarkup(f, syntax)
	for name, fn := range f.known {
		f.config.AddFilter(name, fn)
	}
	f.names = slices.Sorted(maps.Keys(f.known))
	return f
}

var errTooLong = problemf("", 0, "makes more than %d bytes; use shorter texts", maxValue)

func capped(s string) (string, error) {
	if len(s) > maxValue {
		return "", errTooLong
	}
	return s, nil
}

func addText(f *filterSet) {
	f.AddFilter("append", func(s, t string) (string, error) { return capped(s + t) })
	f.AddFilter("prepend", func(s, t string) (string, error) { return capped(t + s) })
	f.AddFilter("replace", func(s, old, with string) (string, error) {
		if len(s)+strings.Count(s, old)*(len(with)-len(old)) > maxValue {
			return "", errTooLong
		}
		return strings.ReplaceAll(s, old, with), nil
	})
	f.AddFilter("replace_first", func(s, old, with string) (string, error) { return capped(strings.Replace(s, old, with, 1)) })
	f.AddFilter("replace_last", func(s, old, with string) (string, error) {
		i := strings.LastIndex(s, old)
		if i < 0 {
			return s, nil
		}
		return capped(s[:i] + with + s[i+len(old):])
	})
	f.AddFilter("strip_html", func(s string) string { return htmlTag.ReplaceAllString(s, "") })
	f.AddFilter("base64_encode", func(s string) (string, error) { return capped(base64.StdEncoding.EncodeToString([]byte(s))) })
	f.AddFilter("base64_decode", func(s string) (string, error) {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return "", problemf("", 0, "the value is not base64")
		}
		return string(b), nil
	})
}

var (
	htmlTag = regexp.MustCompile(`<[^>]*>`)
	spaces  = regexp.MustCompile(`\s+`)
)

func addLists(f *filterSet) {
	f.AddFilter("join", func(list []any, sep func(string) string) (string, error) {
		var b strings.Builder
		between := sep(" ")
		for i, v := range firstItems(list) {
			if i > 0 {
				b.WriteString(between)
			}
			text, err := appendText(nil, v, time.UTC, 0)
			if err != nil {
				return "", err
			}
			b.Write(text)
			if b.Len() > maxValue {
				return "", errTooLong
			}
		}
		return b.String(), nil
	})
	f.AddFilter("concat", func(a, b []any) []any { return firstItems(append(slices.Clone(firstItems(a)), firstItems(b)...)) })
	f.AddFilter("split", func(s, sep string) []string {
		parts := strings.SplitN(s, sep, maxItems)
		if sep == " " {
			parts = spaces.Split(s, maxItems)
		}
		for len(parts) > 0 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
		return parts
	})
	f.AddFilter("compact", func(list any) []any {
		return slices.DeleteFunc(itemsOf(list, maxItems, false), func(v any) bool { return v == nil })
	})
	f.AddFilter("uniq", uniq)
	f.AddFilter("sum", f.known["sum"])
	f.AddFilter("find", func(list []any, key string, want any) any {
		for _, item := range firstItems(list) {
			if values.Equal(property(item, key), want) {
				return item
			}
		}
		return nil
	})
	f.AddFilter("has", func(list []any, key string, want any) bool {
		return slices.ContainsFunc(firstItems(list), func(item any) bool { return values.Equal(property(item, key), want) })
	})
	f.AddFilter("reject", func(list []any, key string, want any) []any {
		return slices.DeleteFunc(slices.Clone(firstItems(list)), func(item any) bool { return values.Equal(property(item, key), want) })
	})
}

func firstItems(list []any) []any { return list[:min(len(list), maxItems)] }

func property(item any, key string) any {
	return values.ValueOf(item).PropertyValue(values.ValueOf(key)).Interface()
}

// uniq keeps the first of equal items; objects are compared by what they say.
func uniq(list []any) ([]any, error) {
	seen := map[any]bool{}
	var out []any
	for _, item := range firstItems(list) {
		key := item
		if item != nil && !reflect.TypeOf(item).Comparable() {
			text, err := json.Marshal(item)
			if err != nil {
				return nil, fmt.Errorf("compare items: %w", err)
			}
			key = markup(text) // its own type, so that no text of the list equals it
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, item)
		}
	}
	return out, nil
}

// addMarkup adds the filters whose result depends on the part's syntax.
func addMarkup(f *filterSet, syntax channels.Syntax) {
	switch syntax {
	case channels.HTML:
		f.AddFilter("escape", func(v any) (markup, error) { return htmlOf(v, false) })
		f.AddFilter("escape_once", func(v any) (markup, error) { return htmlOf(v, true) })
		f.AddFilter("newline_to_br", func(v any) (markup, error) {
			text, err := htmlOf(v, false)
			if err != nil {
				return "", err
			}
			out := strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n", "<br />\n")
			if len(out) > maxValue {
				return "", errTooLong
			}
			return markup(out), nil
		})
		f.AddFilter("safe", func(v any) (markup, error) {
			text, err := appendText(nil, v, time.UTC, 0)
			return markup(text), err
		})
	case channels.JSON:
		f.AddFilter("json", func(v any) (rawJSON, error) {
			text, err := appendJSON(nil, v, time.UTC)
			return rawJSON(text), err
		})
	case channels.Plain, channels.Header, channels.Mrkdwn:
		// There is nothing to escape by hand here: a letter's plain text shows
		// what these filters would hide.
		f.AddFilter("newline_to_br", func(s string) string { return s })
		f.AddFilter("escape", func(s string) string { return s })
		f.AddFilter("escape_once", func(s string) string { return s })
	}
}

func htmlOf(v any, once bool) (markup, error) {
	if m, ok := v.(markup); ok {
		return m, nil
	}
	text, err := appendText(nil, v, time.UTC, 0)
	if err != nil {
		return "", err
	}
	s := string(text)
	if once {
		s = html.UnescapeString(s)
	}
	if len(s) > maxValue {
		return "", errTooLong
	}
	return markup(appendHTML(nil, s)), nil
}
