package store

import (
	"testing"

	"rapport"
	"rapport/templates"
)

func TestPutTemplateMakesARevisionOnlyWhenSomethingChanged(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		put := func(text, driver string) (templates.Template, templates.Revision, bool, error) {
			c := templates.Content{Locale: "en", Sources: map[string]map[string]string{"en": {"text": text}}}
			hash, err := c.Hash()
			if err != nil {
				t.Fatal(err)
			}
			return s.PutTemplate(t.Context(),
				templates.Template{UID: "uid-" + text, Name: "hello", Driver: driver, Title: text, CreatedAt: start, UpdatedAt: start},
				templates.Revision{Content: c, Links: []string{"https://example.com/" + text}, Hash: hash, CreatedAt: start, Actor: "anna"})
		}
		first, r1, changed, err := put("one", "pigeon")
		if err != nil || !changed || r1.Number != 1 || first.Revision != r1.ID {
			t.Fatalf("%+v %+v %v %v", first, r1, changed, err)
		}
		if _, again, changed, err := put("one", "pigeon"); err != nil || changed || again.ID != r1.ID {
			t.Errorf("the same content: changed %v, revision %d, %v", changed, again.ID, err)
		}
		second, r2, changed, err := put("two", "pigeon")
		if err != nil || !changed || r2.Number != 2 || second.UID != first.UID || second.Title != "two" {
			t.Errorf("%+v %+v %v %v", second, r2, changed, err)
		}
		if _, _, _, err := put("three", "owl"); rapport.KindOf(err) != rapport.Conflict {
			t.Errorf("another driver: %v", err)
		}
		old, err := s.Revision(t.Context(), r1.ID)
		if err != nil || old.Content.Sources["en"]["text"] != "one" || old.Links[0] != "https://example.com/one" {
			t.Errorf("old revision %+v, %v", old, err)
		}
		if _, err := s.Template(t.Context(), "nobody"); rapport.KindOf(err) != rapport.NotFound {
			t.Errorf("unknown template: %v", err)
		}
		list, err := s.Revisions(t.Context(), second.ID, 0, 10)
		if err != nil || len(list) != 2 || list[0].ID != r2.ID {
			t.Errorf("revisions %+v, %v", list, err)
		}
	})
}
