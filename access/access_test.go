package access_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/access"
)

func TestDraftHoldsNoValues(t *testing.T) {
	ctx := rapport.WithActor(t.Context(), rapport.Actor{Name: "cli:anna"})
	at := time.Date(2026, 3, 1, 9, 0, 0, 1234, time.UTC)
	line, err := access.Draft(ctx, access.Act{
		Action: "contacts.update", Object: "018f3b1c-0000-7000-8000-000000000001", Contact: 7,
		Detail: map[string]any{
			"fields": []string{"city", "anna@example.com"}, "n": 3, "phone": "+49 30 1234567", "yes": true,
			"until": at, "link": "https://a.example/x", "kind": "address",
		},
	}, at)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"fields":["city","(withheld)"],"kind":"address","link":"(withheld)","n":3,"phone":"(withheld)","until":"2026-03-01T09:00:00Z","yes":true}`
	if string(line.Detail) != want || line.Actor != "cli:anna" || line.Contact != 7 || line.Object != "018f3b1c-0000-7000-8000-000000000001" {
		t.Errorf("%s, %+v", line.Detail, line)
	}
	if line.At.Nanosecond() != 1000 {
		t.Errorf("at %s", line.At)
	}
}

// What a detail is made of does not matter: also in lists, objects and words
// of a type of their own no value passes.
func TestDraftLooksIntoDetails(t *testing.T) {
	type word string
	line, err := access.Draft(t.Context(), access.Act{Action: "contacts.update", Detail: map[string]any{
		"counts": map[string]int{"granted": 2, "anna@example.com": 1},
		"list":   []any{"city", "anna@example.com", map[string]string{"to": "+49 30 1234567"}},
		"word":   word("anna@example.com"), "words": []word{"x", "https://a.example"}, "big": int64(9007199254740993),
	}}, time.Time{})
	want := `{"big":9007199254740993,"counts":{"(withheld)":1,"granted":2},"list":["city","(withheld)",{"to":"(withheld)"}],"word":"(withheld)","words":["x","(withheld)"]}`
	if err != nil || string(line.Detail) != want {
		t.Errorf("%s, %v", line.Detail, err)
	}
}

func TestDraftWithholdsObjects(t *testing.T) {
	for object, want := range map[string]string{
		"anna@example.com": "(withheld)", "+4930123456": "(withheld)", "autumn-offers": "autumn-offers",
		rapport.DeliveryID(1234567, 7654321): rapport.DeliveryID(1234567, 7654321), strings.Repeat("x", 300): "(withheld)",
	} {
		line, err := access.Draft(t.Context(), access.Act{Action: "contacts.show", Object: object}, time.Time{})
		if err != nil || line.Object != want {
			t.Errorf("%q became %q, %v", object, line.Object, err)
		}
	}
}

func TestDraftRefuses(t *testing.T) {
	for _, a := range []access.Act{
		{Action: ""},
		{Action: "show"},
		{Action: "Contacts show"},
		{Action: "contacts.show", Detail: map[string]any{"f": func() {}}},
		{Action: "contacts.show", Detail: map[string]any{"list": make([]int, 5000)}},
	} {
		if _, err := access.Draft(context.Background(), a, time.Time{}); err == nil {
			t.Errorf("%+v was taken", a)
		}
	}
}
