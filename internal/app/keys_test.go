package app

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rapport"
	"rapport/config"
)

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	c := config.Config{Data: t.TempDir()}
	var wg sync.WaitGroup
	var makers atomic.Int32
	got := make([]Keys, 8)
	for i := range got {
		wg.Go(func() {
			k, made, err := OpenKeys(c, rand.Reader)
			if err != nil {
				t.Error(err)
			}
			if got[i] = k; made {
				makers.Add(1)
			}
		})
	}
	wg.Wait()
	if n := makers.Load(); n != 1 {
		t.Errorf("%d processes made the file", n)
	}
	for _, k := range got {
		if len(k.Sign) != 32 || !bytes.Equal(k.Sign, got[0].Sign) || !bytes.Equal(k.Pepper, got[0].Pepper) {
			t.Fatal("two processes have different keys")
		}
	}
	info, err := os.Stat(filepath.Join(c.Data, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestKeyFiles(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	for _, c := range []struct{ text, problem string }{
		{"sign: " + hex + "\npepper: " + hex, ""},
		{strings.Repeat("x", 32), ""},
		{"short", "at least 32"},
		{"sign: " + hex, "a line pepper:"},
		{"sign: zz\npepper: " + hex, "line 1 is not a key"},
		{"sign: " + hex + "\nother: " + hex, "line 2 begins with neither"},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, _, err := OpenKeys(config.Config{SecretKeyFile: path}, nil)
		switch {
		case c.problem == "" && (err != nil || len(k.Pepper) == 0):
			t.Errorf("%q: %v", c.text, err)
		case c.problem != "" && (rapport.KindOf(err) != rapport.Invalid || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%q: %v, want %q", c.text, err, c.problem)
		case err != nil && strings.Contains(err.Error(), hex):
			t.Errorf("the error shows a key: %v", err)
		}
	}
}
