package templates

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"rapport"
)

// shelf is a store in memory that keeps the contract of Store.
type shelf struct {
	templates []Template
	revisions []Revision
}

func (s *shelf) PutTemplate(ctx context.Context, t Template, r Revision) (Template, Revision, bool, error) {
	old, err := s.Template(ctx, t.Name)
	if err != nil {
		t.ID = int64(len(s.templates) + 1)
		s.templates = append(s.templates, t)
		old = t
	} else if old.Driver != t.Driver {
		return t, r, false, rapport.Conflictf("template %s is for %s", t.Name, old.Driver)
	} else if last := s.revisions[old.Revision-1]; last.Hash == r.Hash {
		return old, last, false, nil
	}
	r.ID, r.Template, r.Number = int64(len(s.revisions)+1), old.ID, old.Number+1
	s.revisions = append(s.revisions, r)
	old.Title, old.Topic, old.Revision, old.Number = t.Title, t.Topic, r.ID, r.Number
	s.templates[old.ID-1] = old
	return old, r, true, nil
}

func (s *shelf) Template(_ context.Context, ref string) (Template, error) {
	var known []string
	for _, t := range s.templates {
		if t.Name == ref || t.UID == ref {
			return t, nil
		}
		known = append(known, t.Name)
	}
	return Template{}, rapport.Unknown("template", ref, known)
}

func (s *shelf) Templates(_ context.Context, _ string, limit int) ([]Template, error) {
	return s.templates[:min(limit, len(s.templates))], nil
}

func (s *shelf) Revision(_ context.Context, id int64) (Revision, error) {
	return s.revisions[id-1], nil
}

func (s *shelf) Revisions(context.Context, int64, int, int) ([]Revision, error) {
	return s.revisions, nil
}

func testFolder() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"template.yaml": file("name: welcome\ndriver: letter\ntitle: Welcome\nlocale: en\ntopic: news\nsamples:\n  - name: Anna\n    locale: de\n    contact: {first_name: Anna, points: 12}\n"),
		"README.md":     file("read me"), ".hidden": file("x"),
		"en/subject.liquid":                  file("Hello {{ contact.first_name }}\n"),
		"en/html.liquid":                     file(`<p>Hi <a href="https://e.example/">x</a></p>`),
		"en/attachments/terms.pdf":           file("%PDF-1.4"),
		"en/attachments/inline-logo.png":     file("\x89PNG\r\n\x1a\n"),
		"de-AT/subject.liquid":               file("Hallo"),
		"de-AT/html.liquid":                  file("<p>Servus</p>"),
		"de-AT/text.liquid":                  file("Servus"),
		"de-AT/attachments/nutzung.unknown1": file("plain text"),
	}
}

func TestLoad(t *testing.T) {
	src, err := Load(testFolder(), testRegistry(t))
	if err != nil {
		t.Fatal(err)
	}
	if src.Template.Name != "welcome" || src.Template.Topic != "news" || src.Content.Sources["de-AT"]["text"] != "Servus" || src.Content.Samples[0].Contact["first_name"] != "Anna" {
		t.Errorf("loaded %+v", src)
	}
	files := src.Content.Files["en"]
	if len(files) != 2 || files[0].Name != "logo.png" || files[0].ID != "logo.png" || files[0].Type != "image/png" || files[1].ID != "" || files[1].Type != "application/pdf" {
		t.Errorf("files are %+v", files)
	}
	back, err := src.Files()
	if err != nil {
		t.Fatal(err)
	}
	again := fstest.MapFS{}
	for name, data := range back {
		again[name] = &fstest.MapFile{Data: data}
	}
	twice, err := Load(again, testRegistry(t))
	if err != nil {
		t.Fatal(err)
	}
	a, errA := src.Content.Hash()
	b, errB := twice.Content.Hash()
	if errA != nil || errB != nil || a != b {
		t.Errorf("written and read again it is another template: %v %v", src.Content, twice.Content)
	}
}

func TestLoadComplains(t *testing.T) {
	for _, tt := range []struct{ file, text, want string }{
		{"template.yaml", "", "name"},
		{"template.yaml", "name: x\ndriver: pigeon", "there is no driver \"pigeon\"; known: chat, hook, letter"},
		{"template.yaml", "name: x\ndriver: letter\nlocal: en", "template.yaml:3"},
		{"template.yaml", "name: X y\ndriver: letter", "is not a name"},
		{"template.yaml", "name: x\ndriver: letter\nlocale: '../en'", "is not a locale"},
		{"en/sms.liquid", "x", "en/sms.liquid: is not expected; letter takes subject.liquid, preheader.liquid (optional)"},
		{"en/html.html", "x", "en/html.html: is not expected"},
		{"html.liquid", "x", "html.liquid: does not belong here"},
		{"pictures/x.png", "x", "pictures: is not a locale"},
		{"en/attachments/a/b", "x", "en/attachments/a: is a folder"},
		{"en/html.liquid", strings.Repeat("x", maxSource+1), "at most"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			folder := testFolder()
			folder[tt.file] = &fstest.MapFile{Data: []byte(tt.text)}
			_, err := Load(folder, testRegistry(t))
			if err == nil || rapport.KindOf(err) != rapport.Invalid {
				t.Fatalf("got %v", err)
			}
			wantContains(t, err.Error(), tt.want)
		})
	}
	if _, err := Load(fstest.MapFS{}, testRegistry(t)); err == nil || !strings.Contains(err.Error(), "template.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestService(t *testing.T) {
	ctx := rapport.WithActor(t.Context(), rapport.Actor{Name: "cli:anna"})
	store := &shelf{}
	schema := func(context.Context) (Schema, error) { return Schema{Attributes: []string{"first_name"}}, nil }
	s := NewService(store, testRegistry(t), schema, func() time.Time { return testNow }, rand.Reader)
	src, err := Load(testFolder(), testRegistry(t))
	if err != nil {
		t.Fatal(err)
	}
	put, err := s.Put(ctx, src)
	if err != nil || !put.Changed || put.Revision != 1 || len(put.Template.UID) != 36 {
		t.Fatalf("put %+v, %v", put, err)
	}
	if put, err = s.Put(ctx, src); err != nil || put.Changed || put.Revision != 1 {
		t.Errorf("the same again made %+v, %v", put, err)
	}
	src.Content.Sources["en"]["subject"] = "Hi {{ contact.last_name }}"
	if put, err = s.Put(ctx, src); err != nil || !put.Changed || put.Revision != 2 || len(put.Warnings) != 1 {
		t.Errorf("changed content made %+v, %v", put, err)
	}
	if problems, err := s.Check(ctx, src, true); err != nil || len(problems.Errors()) != 3 {
		t.Errorf("check found %v, %v", problems, err)
	}
	rev := store.revisions[1]
	if target, ok := rev.Link(0); rev.Actor != "cli:anna" || !ok || target != "https://e.example/" {
		t.Errorf("revision is %+v", rev)
	}
	if _, ok := rev.Link(1); ok {
		t.Error("there is a link that nobody wrote")
	}
	got, err := s.Preview(ctx, "welcome", src.Content.Samples[0].View(testNow))
	if err != nil || got.Locale != "en" || len(got.Files) != 2 || got.Content["subject"] != "Hi" {
		t.Errorf("preview is %+v, %v", got, err)
	}
	if _, err := s.Preview(ctx, "welcom", View{}); rapport.KindOf(err) != rapport.NotFound {
		t.Errorf("got %v", err)
	}
	src.Content.Sources["en"]["html"] = "<p>{{ x"
	if _, err := s.Put(ctx, src); rapport.KindOf(err) != rapport.Invalid || len(store.revisions) != 2 {
		t.Errorf("a broken template was stored: %v", err)
	}
}

// What goes into the database comes back as it was.
func TestContentSurvivesJSON(t *testing.T) {
	src, err := Load(testFolder(), testRegistry(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(src.Content)
	if err != nil {
		t.Fatal(err)
	}
	var back Content
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	a, errA := src.Content.Hash()
	c, errB := back.Hash()
	if errA != nil || errB != nil || a != c || !bytes.Equal(back.Files["en"][0].Data, src.Content.Files["en"][0].Data) {
		t.Error("the content changed on its way")
	}
}

// TestSamplesOfJSON: links of ours are whole addresses in JSON, also where
// there is no message to make them for.
func TestSamplesOfJSON(t *testing.T) {
	s := NewService(&shelf{}, testRegistry(t), func(context.Context) (Schema, error) { return Schema{}, nil }, func() time.Time { return testNow }, rand.Reader)
	src := Source{Template: Template{Name: "hook", Driver: "hook"}, Content: Content{
		Locale:  "en",
		Samples: []Sample{{Name: "Anna", Contact: map[string]any{}}},
		Sources: map[string]map[string]string{"en": {"payload": `{"stop_url": "{{ links.unsubscribe }}", "more": "{{ links['view'] }}"}`}},
	}}
	if problems, err := s.Check(t.Context(), src, false); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	out, err := s.PreviewSource(t.Context(), src, View{Now: testNow, Contact: map[string]any{}})
	if want := `{"stop_url":"https://example.com/unsubscribe","more":"https://example.com/view"}`; err != nil || out.Content["payload"] != want {
		t.Errorf("%q, %v, want %q", out.Content["payload"], err, want)
	}
	src.Content.Sources["en"]["payload"] = `{"stop_url": "{{ contact.wish }}"}`
	src.Content.Samples[0].Contact["wish"] = "javascript:alert(1)"
	if problems, err := s.Check(t.Context(), src, false); err != nil || len(problems) != 1 {
		t.Errorf("%v, %v", problems, err)
	}
}
