package strictyaml

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Decode fills the value that into points to. Every mistake is found before
// it returns; the error, if any, is of type Complaints, and into is then
// filled as far as the file was right.
func (d *Document) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("decode %s: a pointer is needed, not %T", d.file, into)
	}
	dec := &decoder{file: d.file}
	dec.value(d.root, v.Elem(), "")
	return dec.complaints.Err()
}

type decoder struct {
	file       string
	complaints Complaints
}

func (d *decoder) complain(n *node, path, format string, args ...any) {
	d.complaints = append(d.complaints, Complaint{
		File: d.file, Line: n.line, Column: n.column, Key: path, Msg: fmt.Sprintf(format, args...),
	})
}

// value decodes n into v. Nothing written leaves v as it is.
func (d *decoder) value(n *node, v reflect.Value, path string) {
	if n.kind == null {
		return
	}
	if d.own(n, v, path) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		if d.want(n, object, path) {
			d.object(n, v, path)
		}
	case reflect.Map:
		if d.want(n, object, path) {
			d.dictionary(n, v, path)
		}
	case reflect.Slice:
		if d.want(n, list, path) {
			d.list(n, v, path)
		}
	case reflect.String:
		if n.kind == number || d.want(n, text, path) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if d.want(n, boolean, path) {
			v.SetBool(n.literal == "true")
		}
	default:
		d.number(n, v, path)
	}
}

// own lets a type that reads itself do so.
func (d *decoder) own(n *node, v reflect.Value, path string) bool {
	var err error
	switch r := v.Addr().Interface().(type) {
	case json.Unmarshaler:
		err = r.UnmarshalJSON(n.json(nil))
	case encoding.TextUnmarshaler:
		if n.kind != text && n.kind != number {
			d.want(n, text, path)
			return true
		}
		err = r.UnmarshalText([]byte(n.text))
	default:
		return false
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		d.complain(n, path, "is %s, which cannot be used here", wrong.Value)
	} else if err != nil {
		d.complain(n, path, "%s", err.Error())
	}
	return true
}

func (d *decoder) want(n *node, k kind, path string) bool {
	if n.kind == k {
		return true
	}
	hint := ""
	if k == text && n.kind == boolean {
		hint = "; put it in quotes"
	}
	d.complain(n, path, "is %s, not %s%s", n.kind, k, hint)
	return false
}

func (d *decoder) object(n *node, v reflect.Value, path string) {
	fields := map[string]reflect.Value{}
	var known []string
	collect(v, fields, &known)
	for _, e := range n.entries {
		below := under(path, e.key)
		f, ok := fields[e.key]
		if !ok {
			d.complain(&node{line: e.line, column: e.column}, below, "%s", unknownKey(e.key, known))
			continue
		}
		d.value(e.value, f, below)
	}
}

// collect lists the fields of a struct by their json name, those of embedded
// structs too.
func collect(v reflect.Value, fields map[string]reflect.Value, known *[]string) {
	for f, fv := range v.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && fv.Kind() == reflect.Struct:
			collect(fv, fields, known)
		case !f.IsExported() || name == "-":
		default:
			if name == "" {
				name = f.Name
			}
			fields[name] = fv
			*known = append(*known, name)
		}
	}
}

func (d *decoder) dictionary(n *node, v reflect.Value, path string) {
	if v.Type().Key().Kind() != reflect.String {
		d.complain(n, path, "cannot be read into %s", v.Type())
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.entries))
	for _, e := range n.entries {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, item, under(path, e.key))
		out.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), item)
	}
	v.Set(out)
}

func (d *decoder) list(n *node, v reflect.Value, path string) {
	out := reflect.MakeSlice(v.Type(), len(n.entries), len(n.entries))
	for i, e := range n.entries {
		d.value(e.value, out.Index(i), item(path, i))
	}
	v.Set(out)
}

func (d *decoder) number(n *node, v reflect.Value, path string) {
	if v.Kind() == reflect.Interface && v.NumMethod() == 0 {
		var plain any
		if err := json.Unmarshal(n.json(nil), &plain); err != nil {
			d.complain(n, path, "%s", err.Error())
			return
		}
		v.Set(reflect.ValueOf(plain))
		return
	}
	if !d.want(n, number, path) {
		return
	}
	switch {
	case v.CanInt():
		i, err := strconv.ParseInt(n.literal, 10, 64)
		if err != nil || v.OverflowInt(i) {
			d.complain(n, path, "%s is not a whole number that fits here", n.text)
			return
		}
		v.SetInt(i)
	case v.CanUint():
		u, err := strconv.ParseUint(n.literal, 10, 64)
		if err != nil || v.OverflowUint(u) {
			d.complain(n, path, "%s is not a whole number from 0 that fits here", n.text)
			return
		}
		v.SetUint(u)
	case v.CanFloat():
		f, err := strconv.ParseFloat(n.literal, 64)
		if err != nil {
			d.complain(n, path, "%s is not a number that fits here", n.text)
			return
		}
		v.SetFloat(f)
	default:
		d.complain(n, path, "cannot be read into %s", v.Type())
	}
}
