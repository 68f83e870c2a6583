package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"rapport/config"
	"rapport/internal/strictyaml"
)

// FuzzLoad holds that no file and no variable ends in a panic, that every
// error is a list of complaints, and that what was taken can be printed.
func FuzzLoad(f *testing.F) {
	good, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good), "CHANNELS_POST_TOKEN", "x")
	f.Add("channels: [null, {}, {name: a, driver: pigeon}]\ntopics: [null]\nnotify: [null]\n", "CHANNELS_A_SERVERS", "{url: 1}")
	f.Add("channels:\n- driver: [pigeon]\n  name: {a: b}\n", "TOPICS_A_KIND", "marketing")
	f.Add("log:\nretry: {first: 9223372036854775807ns}\n", "LIMITS_MESSAGE_BYTES", "9223372036854775807")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		file := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		drivers := registry(t)
		c, err := config.Load(file, []string{"RAPPORT_" + name + "=" + value}, drivers)
		if _, ok := errors.AsType[strictyaml.Complaints](err); err != nil && !ok {
			t.Fatalf("%T is no list of complaints: %v", err, err)
		}
		if _, perr := config.Print(c, drivers); err == nil && perr != nil {
			t.Fatal(perr)
		}
	})
}
