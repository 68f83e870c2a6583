package contacts_test

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"rapport"
	"rapport/contacts"
	"rapport/internal/testkit"
	"rapport/store/storetest"
)

// TestFilesOfAllKinds reads one file in every spelling.
func TestFilesOfAllKinds(t *testing.T) {
	const text = "Email;City;Note\r\nanna@example.com;Köln;\"two\r\nlines; and \"\"quotes\"\"\"\r\n"
	wide := func(e unicode.Endianness, bom unicode.BOMPolicy) string {
		out, err := unicode.UTF16(e, bom).NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	windows, err := charmap.Windows1252.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"utf-8": text, "mark": "\ufeff" + text, "windows-1252": windows, "sep": "sep=;\r\n" + text,
		"utf-16le": wide(unicode.LittleEndian, unicode.UseBOM), "utf-16be": wide(unicode.BigEndian, unicode.IgnoreBOM),
		"bars": strings.ReplaceAll(text, ";", "|"), "tabs": strings.ReplaceAll(text, ";", "\t"),
	} {
		t.Run(name, func(t *testing.T) {
			h := storetest.NewHouse(t, testkit.Store(t))
			rep := h.Import(t, file, contacts.ImportOptions{})
			c, err := h.Contacts.Get(t.Context(), "anna@example.com")
			if err != nil || rep.Created != 1 {
				t.Fatalf("%+v, %v", rep, err)
			}
			if got := string(c.Attributes); !strings.Contains(got, `"City":"Köln"`) || !strings.Contains(got, `\"quotes\"`) {
				t.Fatal(got)
			}
		})
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	many := make([]string, 1_000_000)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	for name, c := range map[string]struct{ file, part string }{
		"empty":        {"", "empty"},
		"nobody":       {"city,points\nRom,1\n", "no column says who"},
		"twice":        {"email,City,city\n", "both named"},
		"own word":     {"email,id\n", "word of Rapport's own"},
		"topic":        {"email,consent:mailer:nows\n", "known: news, service"},
		"driver":       {"email,consent:owl:news\n", `no driver "owl"`},
		"half consent": {"email,consent:mailer\n", "consent:DRIVER:TOPIC"},
		"wide":         {strings.Join(many[:2000], ",") + "\n", "2000 columns"},
		"very wide":    {strings.Join(many, ",") + "\n", "does not end within"},
	} {
		_, err := h.Contacts.Import(t.Context(), storetest.File(c.file), contacts.ImportOptions{})
		if err == nil || rapport.KindOf(err) != rapport.Invalid || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %.200v, want %q in it", name, err, c.part)
		}
	}
	_, err := h.Contacts.Import(t.Context(), storetest.File("email\n"), contacts.ImportOptions{Map: map[string]string{"mail": "email"}})
	if err == nil || !strings.Contains(err.Error(), `no column "mail" to map`) {
		t.Error(err)
	}
}

func TestMap(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := h.Import(t, "Kundennr.,E-Mail,Ort,geheim\n1,a@example.com,Rom,x\n", contacts.ImportOptions{
		Map: map[string]string{"kundennr.": "external_id", "E-Mail": "email", "Ort": "city", "geheim": "-"},
	})
	c, err := h.Contacts.Get(t.Context(), "1")
	if err != nil || rep.Created != 1 || string(c.Attributes) != `{"city":"Rom"}` {
		t.Fatalf("%+v, %s, %v", rep, c.Attributes, err)
	}
}

// TestOpenQuote meets a quotation mark that is never closed: what came before
// it is in, and the sentence says where to look.
func TestOpenQuote(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	file := "external_id,note\n1,a\n2,\"open\n" + strings.Repeat("9,lost\n", 500_000)
	rep, err := h.Contacts.Import(t.Context(), storetest.File(file), contacts.ImportOptions{})
	if err == nil || rapport.KindOf(err) != rapport.Invalid || !strings.Contains(err.Error(), "never closed") {
		t.Fatal(err)
	}
	if rep.Created != 1 {
		t.Fatalf("%+v", rep)
	}
}

// TestSwallowedRows meets a quotation mark that takes further lines with it:
// the complaint says which.
func TestSwallowedRows(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := h.Import(t, "external_id,note\n1,a\n2,\"open\n3,b\n4,c\n", contacts.ImportOptions{})
	if rep.Created != 1 || rep.Errors != 1 || !strings.Contains(rep.Listed[0].Reason, "lines 3 to 5 were read as one row") {
		t.Fatalf("%+v", rep)
	}
}

func TestLargeContact(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	cell := strings.Repeat("x", 40<<10)
	rep := h.Import(t, "external_id,a,b\n1,"+cell+",\n2,"+cell+","+cell+"\n3,"+cell+cell+",\n", contacts.ImportOptions{})
	if rep.Created != 1 || rep.Errors != 2 || !strings.Contains(rep.Listed[0].Reason, "larger than 64 KB") || !strings.Contains(rep.Listed[1].Reason, "longer than 64 KB") {
		t.Fatalf("%+v", rep)
	}
}

// TestFileThatBreaks loses the file in the middle: what was read stays, and
// the error is told.
func TestFileThatBreaks(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	opened := 0
	broken := errors.New("the disk is gone")
	src := contacts.Source{Name: "x.csv", Open: func() (io.ReadCloser, error) {
		opened++
		text := "external_id\n1\n2\n"
		if opened == 1 {
			return io.NopCloser(strings.NewReader(text)), nil
		}
		return io.NopCloser(io.MultiReader(strings.NewReader(text), failing{broken})), nil
	}}
	rep, err := h.Contacts.Import(t.Context(), src, contacts.ImportOptions{})
	if !errors.Is(err, broken) || rep.Created != 2 {
		t.Fatalf("%+v, %v", rep, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
