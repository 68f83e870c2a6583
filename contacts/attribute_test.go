package contacts

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGuessAndConvert(t *testing.T) {
	for cell, want := range map[string]struct {
		guess Type
		raw   string
	}{
		"12":                        {Number, "12"},
		"-3.50":                     {Number, "-3.5"},
		"0":                         {Number, "0"},
		"-0.0":                      {Number, "0"},
		"007":                       {Text, `"007"`},
		"+49 30":                    {Text, `"+49 30"`},
		"1,5":                       {Text, `"1,5"`},
		"1e3":                       {Text, `"1e3"`},
		"1234567890123456":          {Text, `"1234567890123456"`},
		"true":                      {Bool, "true"},
		"FALSE":                     {Bool, "false"},
		"yes":                       {Text, `"yes"`},
		"2026-02-28":                {Date, `"2026-02-28"`},
		"2026-02-30":                {Text, `"2026-02-30"`},
		"28.02.2026":                {Text, `"28.02.2026"`},
		"2026-01-31T09:00:00+01:00": {Time, "1769846400000000"},
		"2026-01-31 08:00":          {Time, "1769846400000000"},
		`{"a": 1}`:                  {JSON, `{"a": 1}`},
		`[1,2`:                      {Text, `"[1,2"`},
		"a\"b\\c\n\x01":             {Text, `"a\"b\\c\n\u0001"`},
		"😀":                         {Text, `"😀"`},
	} {
		if got := guess(cell); got != want.guess {
			t.Errorf("%q looks like %s, want %s", cell, got, want.guess)
			continue
		}
		raw, err := convert(cell, want.guess)
		if err != nil || string(raw) != want.raw || !json.Valid(raw) {
			t.Errorf("%q becomes %s, %v; want %s", cell, raw, err, want.raw)
		}
	}
}

// TestWhatNoEngineStores refuses values that one of the engines would refuse,
// and with them every row that is written beside them.
func TestWhatNoEngineStores(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		typ  Type
		cell string
		part string // of the complaint; empty: it is stored
	}{
		{JSON, `{"a":[1,{"b":"ä😀"}],"":null}`, ""},
		{JSON, `"\ud83d\ude00"`, ""},
		{JSON, `7`, ""},
		{JSON, nested(100), ""},
		{JSON, nested(101), "within one another"},
		{JSON, `{"a":"\u0000"}`, "a character that is none"},
		{JSON, `{"\u0000":1}`, "a character that is none"},
		{JSON, `["\ud800"]`, "a character that is none"},
		{JSON, `["\udc00x"]`, "a character that is none"},
		{JSON, `[1e999999]`, "larger"},
		{JSON, `[1e-999999]`, "nearer to zero"},
		{JSON, `[0e5, 0.0, 1e300]`, ""},
		{JSON, `{} {}`, "not JSON"},
		{JSON, `[1,2`, "not JSON"},
		{JSON, ``, "not JSON"},
		{JSON, `{]`, "not JSON"},
		{Number, "1" + strings.Repeat("0", 300), ""},
		{Number, "1" + strings.Repeat("0", 309), "larger"},
		{Number, "0." + strings.Repeat("0", 330) + "1", "nearer to zero"},
		{Number, "0." + strings.Repeat("0", 330), ""},
		{Number, strings.Repeat("0.", 1) + strings.Repeat("1", 500), "larger"},
	} {
		_, err := convert(c.cell, c.typ)
		if (err == nil) != (c.part == "") || err != nil && !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s %.60s: %v, want %q", c.typ, c.cell, err, c.part)
		}
	}
}

func TestLearn(t *testing.T) {
	for _, c := range []struct {
		cells []string
		want  Type
		known bool
	}{
		{[]string{"", ""}, "", false},
		{[]string{"1", "", "2"}, Number, true},
		{[]string{"1", "x"}, Text, true},
		{[]string{"2026-01-01", "2026-01-01T00:00:00Z"}, Text, true},
		{[]string{"true", "1"}, Text, true},
	} {
		var l learner
		for _, cell := range c.cells {
			l.see(cell)
		}
		if got, known := l.learned(); got != c.want || known != c.known {
			t.Errorf("%q: %s, %v", c.cells, got, known)
		}
	}
}

func TestProtectComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringOfN(rapid.SampledFrom([]rune("'=+-@\t\ra1")), 0, 6, -1).Draw(t, "cell")
		safe := protect(cell)
		if safe != "" && slices.Contains([]byte("=+-@\t\r"), safe[0]) {
			t.Fatalf("%q goes out as %q", cell, safe)
		}
		if back := unprotect(safe); back != cell {
			t.Fatalf("%q comes back as %q", cell, back)
		}
	})
}

func TestSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, model := NewSeen(), map[int64]bool{}
		for _, id := range rapid.SliceOf(rapid.Int64Range(1, 20_000)).Draw(t, "ids") {
			if s.Has(id) != model[id] {
				t.Fatalf("%d: %v", id, s.Has(id))
			}
			s.Add(id)
			model[id] = true
		}
	})
}
