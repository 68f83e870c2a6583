package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rapport/config"
)

// TestForms: what is wrong with a form is said all at once, each with its key.
func TestForms(t *testing.T) {
	load := func(text string) (config.Config, error) {
		file := filepath.Join(t.TempDir(), "rapport.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return config.Load(file, nil, nil)
	}
	const channel = "topics: [{name: news, kind: marketing}, {name: bills, kind: transactional}]\nchannels: [{name: mail, driver: x}]\n"
	c, err := load(channel + `forms: [{name: join, channel: mail, topics: [news], wording: {en: "Yes", de-AT: "Ja"}, embed_on: ["https://shop.example:8443", "http://localhost:3000"]}]`)
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := c.FindForm("join"); !ok || f.Already != "nothing" || time.Duration(c.Requests.Expires) != 720*time.Hour {
		t.Errorf("%+v %v", f, c.Requests)
	}
	if _, ok := c.FindForm("other"); ok {
		t.Error("a form that nobody wrote")
	}
	_, err = load(channel + `
requests: {expires: 0s}
forms:
  - {name: join, channel: post, topics: [bills, bills], wording: {english: "Yes", de: ""}, fields: [{name: a}, {name: a}, {}], embed_on: ["https://shop.example/path", "http://shop.example", "shop"], already: maybe}
  - {name: join, channel: mail}
  - {name: half, channel: mail, topics: [news], wording: {en: "Yes", de-AT: "Ja", fr: "Oui"}, tracking: {en: "See", de: "Sehen"}}
  - {name: mixed, channel: mail, topics: [news], wording: {en: "Yes", de: "Ja"}, title: {en: "News"}, intro: {de: "Einmal im Monat"}}`)
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{
		"requests.expires: must be longer", "forms[0].channel: ", "forms[0].topics[0]: bills is transactional", "forms[0].topics[1]: bills is there already",
		"forms[0].wording.english: \"english\" is not a language", "forms[0].wording.de: has no text", "forms[0].fields[1].name: a is there already", "forms[0].fields[2].name: is required",
		"forms[0].embed_on[0]: ", "forms[0].embed_on[1]: ", "forms[0].embed_on[2]: ", "forms[0].already: ", "forms[1].name: join is there already",
		"forms[1].topics: names no topic", "forms[1].wording: is missing",
		"forms[2].tracking: has no words in fr", "forms[3].title: has no words in de", "forms[3].intro: has no words in en",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "has no words in"); n != 3 {
		t.Errorf("%d languages are said to be missing:\n%v", n, err)
	}
}
