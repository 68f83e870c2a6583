package strictyaml_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport"
	"rapport/channels"
	"rapport/internal/secret"
	"rapport/internal/strictyaml"
)

type server struct {
	URL  string            `json:"url"`
	Wait channels.Duration `json:"wait"`
	Pass secret.String     `json:"pass"`
}

type common struct {
	Zone string `json:"zone"`
}

type sample struct {
	common
	Name    string            `json:"name"`
	Count   int               `json:"count"`
	Small   uint8             `json:"small"`
	Ratio   float64           `json:"ratio"`
	On      *bool             `json:"on"`
	Title   map[string]string `json:"title"`
	Tags    []string          `json:"tags"`
	Servers []server          `json:"servers"`
	Raw     json.RawMessage   `json:"raw"`
	Any     any               `json:"any"`
	At      time.Time         `json:"at"`
	Hidden  string            `json:"-"`
}

const good = `# a comment
name: 0123
zone: Europe/Berlin
count: 7
small: 0x10
ratio: 1.5
on: true
title: {en: Hello, de: "Grüß Gott"}
tags:
- one
- "two"
servers:
  - url: &u smtp://a
    wait: 90s
    pass: 12a
  - url: *u
raw: {b: 1, a: [true, null, 1.5, "x"]}
any: [1, two]
at: 2026-12-01T09:00:00Z
`

func TestDecode(t *testing.T) {
	var got sample
	got.Servers = []server{{URL: "default"}}
	if err := strictyaml.Decode("f.yaml", []byte(good), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "0123" || got.Zone != "Europe/Berlin" || got.Count != 7 || got.Small != 16 || got.Ratio != 1.5 || !*got.On {
		t.Errorf("scalars: %+v", got)
	}
	if got.Title["de"] != "Grüß Gott" || !cmp.Equal(got.Tags, []string{"one", "two"}) {
		t.Errorf("collections: %+v", got)
	}
	if len(got.Servers) != 2 || got.Servers[1].URL != "smtp://a" || got.Servers[0].Wait.Or(0) != 90*time.Second || got.Servers[0].Pass.Reveal() != "12a" {
		t.Errorf("servers: %+v", got.Servers)
	}
	if string(got.Raw) != `{"b":1,"a":[true,null,1.5,"x"]}` {
		t.Errorf("raw: %s", got.Raw)
	}
	if !cmp.Equal(got.Any, any([]any{1.0, "two"})) || got.At.Year() != 2026 {
		t.Errorf("any: %v, at: %v", got.Any, got.At)
	}
}

func TestEmptyFileKeepsDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "name:\n", "~"} {
		got := sample{Name: "default"}
		if err := strictyaml.Decode("f.yaml", []byte(text), &got); err != nil || got.Name != "default" {
			t.Errorf("%q: %v, %v", text, got.Name, err)
		}
	}
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"unknown key", "f.yaml", "nam: x\n", "f.yaml:1:1: nam: unknown key; did you mean name?"},
		{"unknown key far off", "f.yaml", "servers:\n  - {url: x, colour: red}\n", "f.yaml:2:14: servers[0].colour: unknown key; known: url, wait, pass"},
		{"all at once", "f.yaml", "count: many\nname: x\ntags: one\non: yes\n", "f.yaml:1:8: count: is text, not a number\nf.yaml:3:7: tags: is text, not a list\nf.yaml:4:5: on: is text, not true or false"},
		{"twice", "f.yaml", "name: a\ncount: 1\nname: b\n", "f.yaml:3:1: name: is written twice; the first is in line 1"},
		{"text from a bool", "f.yaml", "name: true\n", "f.yaml:1:7: name: is true or false, not text; put it in quotes"},
		{"overflow", "f.yaml", "small: 256\n", "f.yaml:1:8: small: 256 is not a whole number from 0 that fits here"},
		{"fraction", "f.yaml", "count: 1.5\n", "f.yaml:1:8: count: 1.5 is not a whole number that fits here"},
		{"own type", "f.yaml", "servers:\n- wait: soon\n", "f.yaml:2:9: servers[0].wait: \"soon\" is not a duration; write it like 90s or 10m"},
		{"own type of the wrong kind", "f.yaml", "servers:\n- pass: [a]\n", "f.yaml:2:9: servers[0].pass: a secret must be text"},
		{"root is a list", "f.yaml", "- a\n", "f.yaml:1:1: is a list, not an object"},
		{"merge key", "f.yaml", "raw:\n  <<: {a: 1}\n", "f.yaml:2:3: raw: a key must be a plain word; merge keys and lists as keys are not understood"},
		{"tag", "f.yaml", "name: !!binary aGk=\n", "f.yaml:1:7: name: tag is more YAML than is understood here; write a plain value"},
		{"two documents", "f.yaml", "name: a\n---\nname: b\n", "f.yaml:3:5: a second document begins here; a file holds one"},
		{"unknown alias", "f.yaml", "name: *x\n", "f.yaml:1:7: name: *x refers to nothing written before it"},
		{"endless alias", "f.yaml", "raw: &a [*a]\n", "f.yaml:1:10: raw[0]: *a refers to nothing written before it"},
		{"not UTF-8", "f.yaml", "name: \xff\n", "f.yaml: is not UTF-8 text"},
		{"infinity", "f.yaml", "ratio: .inf\n", "f.yaml:1:8: ratio: is not a number that can be used; put it in quotes if it is text"},
		{"json unknown key", "f.json", "{\n  \"name\": \"x\",\n  \"cuont\": 1}", "f.json:3:3: cuont: unknown key; did you mean count?"},
		{"json twice", "f.json", `{"raw": {"a": 1, "a": 2}}`, "f.json:1:18: raw.a: is written twice; the first is in line 1"},
		{"json cut", "f.json", `{"name": "x"`, "f.json:1:13: is not JSON: it ends too early"},
		{"json goes on", "f.json", `{} {}`, "f.json:1:5: is not JSON: something follows the value"},
		{"json wrong type", "f.json", `{"tags": ["a", {}]}`, "f.json:1:16: tags[1]: is an object, not text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := strictyaml.Decode(c.file, []byte(c.text), &sample{})
			if err == nil {
				t.Fatal("no complaint")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Error(diff)
			}
			if rapport.KindOf(err) != rapport.Invalid {
				t.Errorf("kind is %s", rapport.KindOf(err))
			}
		})
	}
}

func TestSyntaxErrorsHaveAPlace(t *testing.T) {
	err := strictyaml.Decode("f.yaml", []byte("name: a\nservers: [\n"), &sample{})
	cs, ok := errors.AsType[strictyaml.Complaints](err)
	if !ok || len(cs) != 1 || cs[0].Line == 0 || !strings.Contains(cs[0].Msg, "is not YAML: ") {
		t.Fatalf("got %v", err)
	}
}

func TestLimits(t *testing.T) {
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		n, m := string(rune('0'+i)), string(rune('1'+i))
		laughs += "a" + m + ": &a" + m + " [" + strings.TrimSuffix(strings.Repeat("*a"+n+",", 10), ",") + "]\n"
	}
	nested := ""
	for i := range 70 {
		nested += strings.Repeat(" ", i) + "a:\n"
	}
	for _, c := range []struct{ name, file, text, want string }{
		{"billion laughs", "f.yaml", laughs, "holds more than 50000 values once its aliases are written out"},
		{"brackets", "f.yaml", strings.Repeat("[", 100_000), "nested more than 64 deep"},
		{"dashes", "f.yaml", strings.Repeat("- ", 100_000), "nested more than 64 deep"},
		{"indentation", "f.yaml", nested, "nested more than 64 deep"},
		{"json brackets", "f.json", strings.Repeat("[", 5_000), "nested more than 64 deep"},
		{"size", "f.yaml", strings.Repeat("# ", strictyaml.MaxBytes), "at most 1048576 are read"},
		{"words", "f.yaml", strings.Repeat("- a\n", 60_000), "holds more than 50000 words"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := strictyaml.Parse(c.file, []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestManyComplaintsAreCut(t *testing.T) {
	var text strings.Builder
	for i := range 60 {
		text.WriteString("k" + strings.Repeat("x", i) + ": 1\n")
	}
	err := strictyaml.Decode("f.yaml", []byte(text.String()), &sample{})
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 51 || lines[50] != "f.yaml: and 10 more" {
		t.Fatalf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

func TestPosition(t *testing.T) {
	d, err := strictyaml.Parse("f.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                "f.yaml:2:1",
		"count":           "f.yaml:4:1",
		"servers[1].url":  "f.yaml:16:5",
		"servers[1].wait": "f.yaml:16:5", // missing: where its object stands
		"servers[9]":      "f.yaml:12:1",
		"title.de":        "f.yaml:8:20",
		"nothing.at.all":  "f.yaml:2:1",
		"tags[x]":         "f.yaml:9:1",
	} {
		if got := d.Position(path); got != want {
			t.Errorf("%q is at %s, want %s", path, got, want)
		}
	}
	if got := d.Complain("count", "is %d", 7).Error(); got != "f.yaml:4:1: count: is 7" {
		t.Error(got)
	}
}

func TestEncodeHidesSecrets(t *testing.T) {
	out, err := strictyaml.Encode(server{URL: "smtp://a", Pass: secret.New("p4ss")})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "p4ss") || !strings.Contains(string(out), "url: smtp://a") {
		t.Errorf("got %s", out)
	}
}

// FuzzParse holds that whatever is parsed becomes valid JSON, that this JSON
// reads back as the same value, and that nothing panics.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("a: &x [1, 2]\nb: *x\n")
	f.Add("{\"a\": [1, {\"b\": null}]}")
	f.Add("a: |\n  text\n  more\nb: >-\n  folded\n")
	f.Add("? a\n: b\n")
	f.Add("- - - 1e400\n- 0o17\n- -.5\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := strictyaml.Parse("f.yaml", []byte(text))
		if err != nil {
			return
		}
		out := d.JSON()
		if !json.Valid(out) {
			t.Fatalf("%q became %s", text, out)
		}
		again, err := strictyaml.ToJSON("f.json", out)
		if err != nil || string(again) != string(out) {
			t.Fatalf("%s read back as %s, %v", out, again, err)
		}
		_ = d.Decode(&sample{})
	})
}
