package app

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"rapport"
	"rapport/access"
	"rapport/contacts"
)

// TestWhoLookedIsInTheCopy: a person's copy says who looked at their data and
// when, the making of the copy among them, and nothing about others.
func TestWhoLookedIsInTheCopy(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	var people []contacts.Contact
	for _, who := range []string{"c1", "c2"} {
		x, _, err := h.Contacts.Put(ctx, contacts.Input{ExternalID: who})
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, x)
	}
	for name, who := range map[string]int64{"cli:berta": people[0].ID, "cli:carl": people[1].ID} {
		err := h.Access.Note(rapport.WithActor(ctx, rapport.Actor{Name: name}), access.Act{Action: "contacts.show", Contact: who, Detail: map[string]any{"fields": 3}})
		if err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	done, err := h.Rights.Archive(rapport.WithActor(ctx, rapport.Actor{Name: "request:see_data"}), people[0], &file)
	if err != nil || done.Looks < 2 || done.NotPlanned != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	z, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for name, holds := range map[string][]string{
		"looks.json":       {`"by":"cli:berta","what":"contacts.show","detail":{"fields":3}`, `"by":"request:see_data","what":"rights.export"`},
		"not_planned.json": {"["},
		"index.html":       {"<td>cli:berta</td><td>contacts.show </td>", "<td>request:see_data</td>"},
	} {
		f, err := z.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err != nil || strings.Contains(string(text), "carl") {
			t.Errorf("%s holds\n%s\n%v", name, text, err)
		}
		for _, word := range holds {
			if !strings.Contains(string(text), word) {
				t.Errorf("%s does not hold %s:\n%s", name, word, text)
			}
		}
	}
}
