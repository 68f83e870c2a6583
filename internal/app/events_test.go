package app

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"rapport/contacts"
	"rapport/events"
)

// TestEventsAreInTheCopy: a person's copy holds what other systems told about
// them, with its data, as JSON and on the page, and nobody else's.
func TestEventsAreInTheCopy(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	for _, who := range []string{"c1", "c2"} {
		if _, _, err := h.Contacts.Put(ctx, contacts.Input{ExternalID: who}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := h.Events.Add(ctx, []events.Entry{
		{ID: "o-1", Name: "order.placed", Contact: events.Ref{ExternalID: "c1"}, Data: []byte(`{"total": 5900}`)},
		{ID: "o-2", Name: "order.placed", Contact: events.Ref{ExternalID: "c2"}},
	})
	if err != nil || out[0].Status != events.Added || out[1].Status != events.Added {
		t.Fatalf("%+v, %v", out, err)
	}
	who, err := h.Contacts.Get(ctx, "c1")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	done, err := h.Rights.Archive(ctx, who, &file)
	if err != nil || done.Events != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	z, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for name, holds := range map[string]string{"events.json": `"data":{"total":5900}`, "index.html": "<td>order.placed</td>"} {
		f, err := z.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err != nil || !strings.Contains(string(text), holds) || strings.Contains(string(text), "o-2") {
			t.Errorf("%s holds\n%s\n%v", name, text, err)
		}
	}
}
