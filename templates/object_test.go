package templates

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// jsonText writes JSON at random, and now and then what is nearly JSON.
func jsonText(t *rapid.T, depth int) string {
	blank := rapid.SampledFrom([]string{"", "", "", " ", "\n\t"}).Draw(t, "blank")
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	if depth > 3 {
		kind = min(kind, 6)
	}
	var b strings.Builder
	switch kind {
	case 0, 1:
		text, err := json.Marshal(rapid.String().Draw(t, "text"))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	case 2:
		b.WriteString(rapid.SampledFrom([]string{`"a\u00e9\n"`, `"\ud800"`, `"\q"`, "\"\xff\"", "\"a\nb\"", `"open`, `"\"`, `"\\"`, `"<&>"`, "\"\u2028\""}).Draw(t, "odd text"))
	case 3, 4:
		b.WriteString(rapid.SampledFrom([]string{"0", "-0", "7", "-12", "123456789012345678", "1234567890123456789", "9223372036854775808", "-9223372036854775808", "1.5", "1e3", "1E-2", "0.0", "1e999"}).Draw(t, "number"))
	case 5:
		b.WriteString(rapid.SampledFrom([]string{"01", "-", "1.", ".5", "1e", "+1", "1.e3", "--1", "NaN", "tru", "nul", "", "]", "}"}).Draw(t, "odd"))
	case 6:
		b.WriteString(rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "word"))
	case 7:
		b.WriteString("[" + strings.Join(many(t, depth), ",") + "]")
	default:
		return blank + objectText(t, depth) + blank
	}
	return blank + b.String() + blank
}

func many(t *rapid.T, depth int) []string {
	var list []string
	for range rapid.IntRange(0, 3).Draw(t, "n") {
		list = append(list, jsonText(t, depth+1))
	}
	return list
}

func objectText(t *rapid.T, depth int) string {
	list := many(t, depth)
	for i := range list {
		list[i] = rapid.SampledFrom([]string{`"a"`, `"b"`, `"id"`, `"locale"`, `"mail"`, `"\u0061"`, ` "c" `, `""`}).Draw(t, "name") + ":" + list[i]
	}
	return "{" + strings.Join(list, ",") + "}" + rapid.SampledFrom([]string{"", "", "", ",", "x"}).Draw(t, "tail")
}

// What the quick reader takes, it reads as the standard library does.
func TestObjectIsReadAlike(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		raw := json.RawMessage(objectText(rt, 0))
		got, err := Object(raw)
		want, errWant := slowObject(raw)
		if (err == nil) != (errWant == nil) || !cmp.Equal(got, want) {
			rt.Fatalf("%s\n got %#v, %v\nwant %#v, %v", raw, got, err, want, errWant)
		}
	})
}

// What a letter reads of a person is what stands in the whole of the person.
func TestPersonInPartAndInWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := Person{
			UID: rapid.SampledFrom([]string{"", "u"}).Draw(rt, "uid"), Locale: rapid.SampledFrom([]string{"", "de"}).Draw(rt, "locale"),
			Attributes: json.RawMessage(objectText(rt, 0)), Times: map[string]bool{"b": true},
			Addresses: rapid.SampledFrom([]map[string]string{nil, {"mail": "a@b.example"}, {"a": "over"}}).Draw(rt, "addresses"),
		}
		var table fieldTable
		for _, name := range []string{"a", "b", "id", "mail", "locale", "nothing"} {
			table.slot(name)
		}
		fields := make([]value, len(table.names))
		all, errAll := p.All()
		err := table.read(&p, fields)
		if fmt.Sprint(err) != fmt.Sprint(errAll) {
			rt.Fatalf("%s: %v, %v", p.Attributes, err, errAll)
		}
		for i, name := range table.names {
			if err == nil && !cmp.Equal(fields[i].any(), all[name]) {
				rt.Fatalf("%s: %s is %#v, not %#v", p.Attributes, name, fields[i].any(), all[name])
			}
		}
	})
}

func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":[1,2.5,"x",null,{"b":true}]}`, `{"a":"\u00e9\ud83d\ude00"}`, `{"a":-0}`, `{"a":1e400}`, `null`, `[1]`, `{"a":01}`, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := Object(raw)
		want, errWant := slowObject(raw)
		if len(raw) > 0 && ((err == nil) != (errWant == nil) || !cmp.Equal(got, want)) {
			t.Fatalf("%q: got %#v, %v, want %#v, %v", raw, got, err, want, errWant)
		}
	})
}

func TestDeepObject(t *testing.T) {
	raw := json.RawMessage(`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`)
	if _, err := Object(raw); err != nil {
		t.Error(err)
	}
	raw = json.RawMessage(`{"a":` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + `}`)
	if _, err := Object(raw); err == nil {
		t.Error("an object without a floor was read")
	}
}
