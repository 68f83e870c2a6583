package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"rapport"
	"rapport/channels"
	"rapport/internal/strictyaml"
)

func listPath(list string, i int, key string) string { return fmt.Sprintf("%s[%d].%s", list, i, key) }

// plainText reads a JSON string; anything else is "".
func plainText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// quoted writes a JSON string.
func quoted(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`)
	}
	return b
}

// fields returns what the driver reads; nothing when it is unknown or nobody
// told which drivers there are.
func (l *loader) fields(driver string) ([]channels.Field, bool) {
	if l.drivers == nil {
		return nil, false
	}
	d, err := l.drivers.Driver(driver)
	return d.Fields, err == nil
}

// keyType is the type of a channel's key, in the words of channels.Field.
func (l *loader) keyType(driver, key string) (string, bool) {
	var c Channel
	for _, s := range leaves(reflect.ValueOf(&c).Elem(), "") {
		if s.path == key {
			return typeOf(s.value.Type()), true
		}
	}
	fields, known := l.fields(driver)
	if !known {
		return "text", true // the driver itself is the complaint
	}
	for _, f := range fields {
		if f.Name == key {
			return f.Type, true
		}
		if f.Secret && f.Name+"_file" == key {
			return "text", true
		}
	}
	return "", false
}

// channels splits each channel's settings into what the house reads and what
// its driver reads.
func (l *loader) channels() {
	for i, settings := range l.file.Channels {
		c := Channel{}
		raw := maps.Clone(settings)
		for _, s := range leaves(reflect.ValueOf(&c).Elem(), "") {
			if value, ok := raw[s.path]; ok {
				l.regret(listPath("channels", i, s.path), s.read(value))
				delete(raw, s.path)
			}
		}
		l.driver(i, &c, raw)
		l.file.Config.Channels = append(l.file.Config.Channels, c)
	}
}

// driver asks the channel's driver about the rest.
func (l *loader) driver(i int, c *Channel, raw map[string]json.RawMessage) {
	if raw == nil {
		raw = map[string]json.RawMessage{}
	}
	wrong := map[string]bool{} // keys with a complaint already
	fields, known := l.fields(c.Driver)
	if known {
		l.channelSecrets(i, fields, raw, wrong)
		l.unknownKeys(i, c.Driver, fields, raw)
		l.wrongTypes(i, fields, raw, wrong)
	}
	var err error
	if c.Raw, err = json.Marshal(raw); err != nil {
		l.complain(listPath("channels", i, "name"), "its settings cannot be read")
		return
	}
	if l.drivers == nil || c.Driver == "" {
		return
	}
	d, err := l.drivers.Driver(c.Driver)
	if err != nil {
		l.complain(listPath("channels", i, "driver"), "%s", err.Error())
		return
	}
	l.settings(i, fields, raw, wrong, d.CheckSettings(c.Raw))
}

// channelSecrets reads the files named by X_file for every secret X.
func (l *loader) channelSecrets(i int, fields []channels.Field, raw map[string]json.RawMessage, wrong map[string]bool) {
	for _, f := range fields {
		key := f.Name + "_file"
		value, given := raw[key]
		if !given || !f.Secret || isField(fields, key) {
			continue
		}
		delete(raw, key)
		path := listPath("channels", i, key)
		file := plainText(value)
		_, twice := raw[f.Name]
		switch {
		case file == "":
			l.complain(path, "is not the path of a file")
		case twice:
			l.complain(path, "%s is set as well; keep one of the two", f.Name)
		default:
			text, err := readSecret(file)
			if err != nil {
				l.complain(path, "%s", err.Error())
				wrong[f.Name] = true
				continue
			}
			raw[f.Name] = quoted(text)
		}
	}
}

func isField(fields []channels.Field, key string) bool {
	return slices.ContainsFunc(fields, func(f channels.Field) bool { return f.Name == key })
}

// unknownKeys complains about keys neither the house nor the driver reads,
// and takes them out so that the driver can say the rest.
func (l *loader) unknownKeys(i int, driver string, fields []channels.Field, raw map[string]json.RawMessage) {
	var known []string
	for _, f := range fields {
		known = append(known, f.Name)
		if f.Secret && !isField(fields, f.Name+"_file") {
			known = append(known, f.Name+"_file")
		}
	}
	var common Channel
	for _, s := range leaves(reflect.ValueOf(&common).Elem(), "") {
		known = append(known, s.path)
	}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		if slices.Contains(known, key) {
			continue
		}
		delete(raw, key)
		msg := fmt.Sprintf("unknown key for driver %s; known: %s", driver, strings.Join(known, ", "))
		if near := strictyaml.Nearest(key, known); near != "" {
			msg = fmt.Sprintf("unknown key for driver %s; did you mean %s?", driver, near)
		}
		l.complain(listPath("channels", i, key), "%s", msg)
	}
}

// wrongTypes complains about texts that are none, and takes them out: a
// driver's decoder would stop at the first and not say where it is.
func (l *loader) wrongTypes(i int, fields []channels.Field, raw map[string]json.RawMessage, wrong map[string]bool) {
	for _, f := range fields {
		value, given := raw[f.Name]
		if !given {
			continue
		}
		msg := ""
		switch f.Type {
		case "text", "secret":
			if value[0] != '"' && string(value) != "null" {
				msg = "is not text; put it in quotes"
			}
		case "yes/no":
			if s := string(value); s != "true" && s != "false" && s != "null" {
				msg = "is not true or false"
			}
		case "duration":
			var d channels.Duration
			if err := d.UnmarshalJSON(value); err != nil {
				msg = err.Error()
			}
		}
		if msg != "" {
			l.complain(listPath("channels", i, f.Name), "%s", msg)
			delete(raw, f.Name)
			wrong[f.Name] = true
		}
	}
}

// settings turns what a driver says about its settings into complaints, each
// at the key it is about.
func (l *loader) settings(i int, fields []channels.Field, raw map[string]json.RawMessage, wrong map[string]bool, err error) {
	base := strings.TrimSuffix(listPath("channels", i, ""), ".")
	for _, one := range spread(err) {
		key, msg := "", one.Error()
		if e, ok := errors.AsType[*rapport.Error](one); ok {
			key, msg = e.Field, e.Msg
		} else if e, ok := errors.AsType[*json.UnmarshalTypeError](one); ok {
			key, msg = e.Field, fmt.Sprintf("is %s, which cannot be used here", e.Value)
		} else if before, after, ok := strings.Cut(msg, ": "); ok && named(before, fields, raw) {
			key, msg = before, after
		}
		switch {
		case key == "":
			l.complain(base, "%s", msg)
		case !wrong[key]:
			l.complain(base+"."+key, "%s", msg)
		}
	}
}

// named says whether a complaint's first word is one of the channel's keys.
func named(word string, fields []channels.Field, raw map[string]json.RawMessage) bool {
	first, _, _ := strings.Cut(strings.ReplaceAll(word, "[", "."), ".")
	_, given := raw[first]
	return given || isField(fields, first)
}

// spread lists the errors joined in err.
func spread(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range many.Unwrap() {
		out = append(out, spread(e)...)
	}
	return out
}
