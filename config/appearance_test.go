package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rapport/config"
)

// TestPages refuses what could not be shown, with its place.
func TestPages(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ yaml, want string }{
		"all right":        {"{logo: " + file("a.png", 10) + ", colour: '#abc', background: '#0A0b0C', imprint: 'https://example.com/i', privacy: 'http://localhost/p', texts: " + dir + "}", ""},
		"no file":          {"{logo_dark: " + filepath.Join(dir, "none.png") + "}", "pages.logo_dark: the file"},
		"a folder":         {"{logo: " + dir + "}", "is not a file"},
		"a heavy file":     {"{logo: " + file("b.png", config.PictureBytes+1) + "}", "a logo has at most 512KiB"},
		"a colour by name": {"{colour: red}", `pages.colour: "red" is not a colour`},
		"a colour's style": {"{background: '#fff;}'}", "pages.background"},
		"a script":         {"{imprint: 'javascript:alert(1)'}", "pages.imprint"},
		"a password":       {"{privacy: 'https://a:b@example.com/'}", "pages.privacy"},
		"a file of texts":  {"{texts: " + file("c", 1) + "}", "name the folder"},
		"no folder":        {"{texts: " + filepath.Join(dir, "none") + "}", "pages.texts: the folder"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rapport.yaml")
			if err := os.WriteFile(path, []byte("pages: "+c.yaml+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(path, nil, nil)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}
