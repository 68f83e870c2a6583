package public

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func houseTexts(t *testing.T) fs.FS {
	t.Helper()
	house, err := fs.Sub(files, "texts")
	if err != nil {
		t.Fatal(err)
	}
	return house
}

func TestTextsAreComplete(t *testing.T) {
	words, err := readTexts(houseTexts(t), nil, "de_CH")
	if err != nil || words.fallback != "de" || len(words.byLang) < 2 {
		t.Fatalf("%+v, %v", words, err)
	}
	for lang, list := range words.byLang {
		for key, text := range list {
			if text == "" {
				t.Errorf("%s has no text for %s", lang, key)
			}
		}
	}
	for accept, want := range map[string]string{
		"": "de", "en": "en", "EN-us": "en", "fr, en;q=0.2": "en", "en;q=0, fr": "de", "de;q=0.5, en;q=0.9": "en", "en;q=x": "de", ";;;,,,": "de",
	} {
		if got, _ := words.choose(accept); got != want {
			t.Errorf("%q chooses %s, want %s", accept, got, want)
		}
	}
}

// TestLanguageIsOneFile adds languages beside those of the house.
func TestLanguageIsOneFile(t *testing.T) {
	own := fstest.MapFS{
		"fr.yaml":      {Data: []byte("language_name: Français\nleave_title: Se désabonner\n")},
		"fr-CA.yaml":   {Data: []byte("leave_title: Me désabonner\n")},
		"ar.yaml":      {Data: []byte("direction: rtl\n")},
		"de.yaml":      {Data: []byte("leave_title: Abbestellen\n")},
		"notes.txt":    {Data: []byte("not a language")},
		"it/it.yaml":   {Data: []byte("nobody: looks here")},
		"zh-Hant.yaml": {Data: []byte("{}")},
	}
	words, err := readTexts(houseTexts(t), own, "fr-CH")
	if err != nil {
		t.Fatal(err)
	}
	for lang, want := range map[string][3]string{ // name, title, direction
		"fr": {"Français", "Se désabonner", "ltr"}, "fr-ca": {"Français", "Me désabonner", "ltr"}, "ar": {"ar", "Se désabonner", "rtl"},
		"de": {"Deutsch", "Abbestellen", "ltr"}, "en": {"English", "Unsubscribe", "ltr"}, "zh-hant": {"zh-Hant", "Se désabonner", "ltr"},
	} {
		got := words.byLang[lang]
		if got[nameKey] != want[0] || got["leave_title"] != want[1] || got[directionKey] != want[2] {
			t.Errorf("%s: %q %q %q, want %q", lang, got[nameKey], got["leave_title"], got[directionKey], want)
		}
		if len(got) != len(words.byLang[builtIn]) {
			t.Errorf("%s has %d texts of %d", lang, len(got), len(words.byLang[builtIn]))
		}
	}
	if words.fallback != "fr" {
		t.Errorf("the fallback is %s", words.fallback)
	}
	for accept, want := range map[string]string{"fr-CA": "fr-CA", "fr-BE": "fr", "zh-Hant-TW": "zh-Hant", "zh": "fr", "ar-EG;q=0.1": "ar"} {
		if got, _ := words.choose(accept); got != want {
			t.Errorf("%q chooses %s, want %s", accept, got, want)
		}
	}
	if got, _ := words.speak("de_AT", "fr"); got != "de" {
		t.Errorf("a person's own locale chooses %s", got)
	}
}

// TestWrongTextsAreRefused names the place of everything that is wrong.
func TestWrongTextsAreRefused(t *testing.T) {
	own := fstest.MapFS{
		"fr.yaml":      {Data: []byte("leave_title: Se désabonner\nleave_titel: x\ndate: \"{day} {moon}\"\nmonths: janvier,février\n")},
		"it.yaml":      {Data: []byte("leave_title: [1]\n")},
		"Klingon.yaml": {Data: []byte("{}")},
	}
	_, err := readTexts(houseTexts(t), own, "en")
	if err == nil {
		t.Fatal("wrong texts were taken")
	}
	for _, want := range []string{"fr.yaml:2:1: leave_titel", "did you mean leave_title?", "fr.yaml:3:1: date: {moon} stands for nothing", "fr.yaml:4:1: months: has 2 names", "it.yaml:1", "Klingon.yaml"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in:\n%v", want, err)
		}
	}
}
