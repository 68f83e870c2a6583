package channels

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"rapport/internal/secret"
)

// fieldsOf reads a settings struct's tags once.
func fieldsOf(t reflect.Type) []Field {
	var out []Field
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		out = append(out, Field{
			Name:     name,
			Type:     typeName(f.Type),
			Help:     f.Tag.Get("help"),
			Required: f.Tag.Get("need") == "yes",
			Secret:   f.Type == reflect.TypeFor[secret.String](),
		})
	}
	return out
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[secret.String]():
		return "secret"
	case t == reflect.TypeFor[Duration]():
		return "duration"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "yes/no"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer:
		return "object"
	}
	return "number"
}

func missing(fields []Field, given map[string]json.RawMessage) error {
	var errs []error
	for _, f := range fields {
		v, ok := given[f.Name]
		if f.Required && (!ok || string(v) == `""` || string(v) == "null") {
			errs = append(errs, fmt.Errorf("%s: is required: %s", f.Name, f.Help))
		}
	}
	return errors.Join(errs...)
}

// Duration is a length of time in settings, written as Go writes it: "90s".
type Duration time.Duration

// UnmarshalJSON reads "90s" and its like.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("%s is not a duration; write it like \"90s\" or \"10m\"", b)
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a duration; write it like 90s or 10m", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Or returns the duration, or the default when it is not set.
func (d Duration) Or(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}
