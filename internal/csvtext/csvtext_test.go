package csvtext_test

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"rapport/internal/csvtext"
)

func TestProtect(t *testing.T) {
	for cell, want := range map[string]string{
		"":      "",
		"anna":  "anna",
		"=1+1":  "'=1+1",
		"+49":   "'+49",
		"-1":    "'-1",
		"@home": "'@home",
		"\tx":   "'\tx",
		"\nx":   "'\nx",
		"＝1":    "'＝1",
		"＋1":    "'＋1",
		"－1":    "'－1",
		"＠x":    "'＠x",
		"'=1":   "''=1",
		"'tis":  "'tis",
		"Ärger": "Ärger",
		"a=1":   "a=1",
	} {
		if got := csvtext.Protect(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
		if got := csvtext.Unprotect(csvtext.Protect(cell)); got != cell {
			t.Errorf("%q comes back as %q", cell, got)
		}
	}
}

func TestOldLines(t *testing.T) {
	for head, want := range map[string]bool{
		"a,b\r1,2\r":          true,
		"a,b\r\n1,2\r\n":      false,
		"a,b\n1,2\r":          false,
		"\"a\rb\",c\n":        false,
		"\"a\nb\",c\r1\r":     true,
		"a":                   false,
		"a\r":                 false, // one line: it does not matter
		"\"a\r\nb\",c\r1,2\r": true,
	} {
		if got := csvtext.OldLines(head); got != want {
			t.Errorf("%q: %t", head, got)
		}
	}
}

func TestNewLines(t *testing.T) {
	const text = "a,b\r1,\"2\r\n3\"\r\r4\r"
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "by octets": iotest.OneByteReader(strings.NewReader(text))} {
		got, err := io.ReadAll(csvtext.NewLines(r))
		if err != nil || string(got) != "a,b\n1,\"2\r\n3\"\n\n4\n" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
