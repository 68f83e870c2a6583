package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"rapport/channels"
	"rapport/internal/secret"
	"rapport/internal/strictyaml"
)

// leaf is one setting that a text can set.
type leaf struct {
	path  string // like log.level
	value reflect.Value
	tag   reflect.StructTag
}

// leaves lists the settings of a struct, those of structs in it too.
func leaves(v reflect.Value, prefix string) []leaf {
	var out []leaf
	for f, fv := range v.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		if _, own := reflect.TypeAssert[json.Unmarshaler](fv.Addr()); !own && fv.Kind() == reflect.Struct {
			out = append(out, leaves(fv, prefix+name+".")...)
			continue
		}
		out = append(out, leaf{path: prefix + name, value: fv, tag: f.Tag})
	}
	return out
}

// Default is the configuration of a program without a file.
func Default() Config {
	var c Config
	setDefaults(&c)
	return c
}

func setDefaults(of any) {
	for _, l := range leaves(reflect.ValueOf(of).Elem(), "") {
		if text := l.tag.Get("default"); text != "" {
			if err := l.set(text); err != nil {
				panic(fmt.Sprintf("default of %s: %v", l.path, err)) // a slip in a tag; TestDefaults sees it
			}
		}
	}
}

// set reads a text into the setting, as an environment variable gives it:
// plain for words, numbers and secrets, YAML for lists and objects.
func (l leaf) set(text string) error {
	raw, err := fromText(text, typeOf(l.value.Type()))
	if err != nil {
		return err
	}
	return l.read(raw)
}

// read decodes JSON into the setting; the error is a sentence or several.
func (l leaf) read(raw json.RawMessage) error {
	return strictyaml.Decode("setting.json", raw, l.value.Addr().Interface())
}

// typeOf names the type of a setting in the words of channels.Field.
func typeOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Address](), t == reflect.TypeFor[secret.String]():
		return "secret"
	case t == reflect.TypeFor[channels.Duration]():
		return "duration"
	case t == reflect.TypeFor[Rate]():
		return "rate"
	case t == reflect.TypeFor[Size]():
		return "size"
	case t == reflect.TypeFor[Warmup](), t == reflect.TypeFor[Quiet](), t == reflect.TypeFor[Caps]():
		return "object"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "yes/no"
	case reflect.Int:
		return "number"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "object"
	default:
		return "text"
	}
}

// fromText turns the text of a variable into JSON for a setting of that type.
// A list may be written with commas.
func fromText(text, kind string) (json.RawMessage, error) {
	switch kind {
	case "yes/no", "number", "object", "list":
	default:
		return json.Marshal(text)
	}
	raw, err := strictyaml.ToJSON("setting", []byte(text))
	if err != nil {
		return nil, err
	}
	if kind != "list" || raw[0] == '[' {
		return raw, nil
	}
	if raw[0] == '{' {
		return json.RawMessage("[" + string(raw) + "]"), nil
	}
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		items = append(items, strings.TrimSpace(item))
	}
	return json.Marshal(items)
}
