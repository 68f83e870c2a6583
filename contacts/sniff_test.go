package contacts

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

const umlauts = "email;Straße\nanna@example.com;Königsallee 1\n"

func encoded(t testing.TB, text, name string) []byte {
	t.Helper()
	var out []byte
	var err error
	switch name {
	case UTF8:
		return []byte(text)
	case Windows1252:
		out, err = charmap.Windows1252.NewEncoder().Bytes([]byte(text))
	case UTF16LE:
		out, err = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().Bytes([]byte(text))
	case UTF16BE:
		out, err = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().Bytes([]byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		name  string
		file  []byte
		form  Form
		first string // what is read from the beginning
	}{
		{"plain", []byte("a,b\n1,2\n"), Form{UTF8, ",", ""}, "a,b"},
		{"utf-8", encoded(t, umlauts, UTF8), Form{UTF8, ";", ""}, "email;Straße"},
		{"utf-8 with mark", []byte("\ufeff" + umlauts), Form{UTF8, ";", ""}, "email;Straße"},
		{"windows", encoded(t, umlauts, Windows1252), Form{Windows1252, ";", ""}, "email;Straße"},
		{"utf-16 le", encoded(t, umlauts, UTF16LE), Form{UTF16LE, ";", ""}, "email;Straße"},
		{"utf-16 be with mark", encoded(t, "\ufeff"+umlauts, UTF16BE), Form{UTF16BE, ";", ""}, "email;Straße"},
		{"utf-16 le with mark", encoded(t, "\ufeff"+umlauts, UTF16LE), Form{UTF16LE, ";", ""}, "email;Straße"},
		{"tabs", []byte("a\tb,c\td\n"), Form{UTF8, "\t", ""}, "a\tb,c\td"},
		{"bars", []byte("a|b|c,\n"), Form{UTF8, "|", ""}, "a|b|c,"},
		{"quoted", []byte("\"a,b,c,d\";e\n1;2\n"), Form{UTF8, ";", ""}, "\"a,b,c,d\";e"},
		{"told by the file", []byte("sep=;\na,b;c\n"), Form{UTF8, ";", ""}, "sep=;"},
		{"one column", []byte("email\na@example.com\n"), Form{UTF8, ",", ""}, "email"},
		{"broken utf-8", []byte("a,b\nü,ü\nü,\xff\n"), Form{UTF8, ",", ""}, "a,b"},
		{"empty", nil, Form{UTF8, ",", ""}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			form, _, size, err := Sniff(bytes.NewReader(c.file), Form{})
			if err != nil || form != c.form || size != int64(len(c.file)) {
				t.Fatalf("%+v, %d bytes, %v; want %+v", form, size, err, c.form)
			}
			r, err := decoded(bytes.NewReader(c.file), form.Encoding)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if first, _, _ := strings.Cut(string(text), "\n"); err != nil || first != c.first {
				t.Fatalf("first line %q, %v; want %q", first, err, c.first)
			}
		})
	}
}

func TestSniffAcrossWrites(t *testing.T) {
	s := newScout()
	for _, b := range []byte(strings.Repeat("ü€😀a", 100)) {
		if _, err := s.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if s.invalid != 0 || s.wide != 300 {
		t.Fatalf("%d invalid, %d wide", s.invalid, s.wide)
	}
}

// FuzzSniff feeds files of any bytes: whatever is recognised can be read to
// its end, and what comes out of it are rows of text or sentences.
func FuzzSniff(f *testing.F) {
	for _, name := range []string{UTF8, Windows1252, UTF16LE, UTF16BE} {
		f.Add(encoded(f, umlauts, name))
	}
	f.Add([]byte("\xff\xfe"))
	f.Add([]byte("a\x00b\"\n\"\r\n,;"))
	f.Fuzz(func(t *testing.T, file []byte) {
		form, _, _, err := Sniff(bytes.NewReader(file), Form{})
		if err != nil {
			t.Fatalf("a file cannot be refused by its looks: %v", err)
		}
		r, err := decoded(bytes.NewReader(file), form.Encoding)
		if err != nil {
			t.Fatal(err)
		}
		in := newRecords(r, form)
		for range len(file) + 2 {
			rec, err := in.next()
			if err == io.EOF { //nolint:errorlint // the reader returns it as it is
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range rec.cells {
				if rec.bad == "" && !utf8.ValidString(c) {
					t.Fatalf("a cell that is no text: %q", c)
				}
			}
		}
		t.Fatal("the reading does not end")
	})
}
