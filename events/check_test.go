package events

import (
	"strings"
	"testing"
	"time"
)

// TestParse reads what other systems send, right and wrong.
func TestParse(t *testing.T) {
	e, err := Parse([]byte(`{"id": "o-1", "name": "order.placed", "contact": {"external_id": "c1"}, "at": "2026-11-01T10:00:00+01:00", "data": {"total": 5900}}`))
	if err != nil {
		t.Fatal(err)
	}
	if e.ID != "o-1" || e.Name != "order.placed" || e.Contact != (Ref{ExternalID: "c1"}) || !e.At.Equal(time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)) || string(e.Data) != `{"total": 5900}` {
		t.Errorf("read %+v", e)
	}
	if e, err := Parse([]byte(`{"id": "o-1", "name": "x", "contact": {"mail": "a@b.example"}, "at": null, "data": null}`)); err != nil || e.Contact != (Ref{Kind: "mail", Value: "a@b.example"}) || !e.At.IsZero() {
		t.Errorf("read %+v, %v", e, err)
	}
	for line, says := range map[string]string{
		``:                         "not JSON",
		`[]`:                       "not a JSON object",
		`null`:                     "not a JSON object",
		`{"id": 5}`:                "not a text",
		`{"id": "a", "Name": 1}`:   `no field "Name"`,
		`{"id": "a", "name": "x"}`: "contact: is missing",
		`{"id": "a", "name": "x", "contact": "c1"}`:                            "not a JSON object",
		`{"id": "a", "name": "x", "contact": {}}`:                              "has 0 fields",
		`{"id": "a", "name": "x", "contact": {"id": "1", "external_id": "2"}}`: "has 2 fields",
		`{"id": "a", "name": "x", "contact": {"id": ""}}`:                      "contact.id: is missing",
		`{"id": "a", "name": "x", "contact": {"id": "1"}, "at": "1.11.2026"}`:  "not a time",
		"{\"id\": \"a\xff\"}": "not UTF-8",
		`{"id": "a", "name": "x", "contact": {"external_id": "` + "\\u0000" + `"}}`:      "cannot be printed",
		`{"id": "a", "name": "x", "contact": {"external_id": "c1"}} {"id": "b"}`:         "not JSON",
		`{"id": "a", "name": "x", "contact": {"external_id": "c1"}, "at": "2026-11-01"}`: "not a time",
	} {
		if _, err := Parse([]byte(line)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s\nsays %v, want %q in it", line, err, says)
		}
	}
}

// TestCanonical: what means the same is written in one way, so that the same
// event told twice is known for it.
func TestCanonical(t *testing.T) {
	for given, want := range map[string]string{
		``: "", `null`: "", `{}`: "", ` { } `: "",
		`{"b": 1, "a": [1.50, "ä<"]}`: `{"a":[1.50,"ä<"],"b":1}`,
		`{"n": 12345678901234567890}`: `{"n":12345678901234567890}`,
	} {
		if got, err := canonical([]byte(given)); err != nil || string(got) != want {
			t.Errorf("%s becomes %q, %v; want %q", given, got, err, want)
		}
	}
	for _, bad := range []string{`[]`, `5`, `"x"`, `{`, `{} {}`, "{\"a\": \"\xff\"}", `{"a": "` + strings.Repeat("x", MaxLine) + `"}`} {
		if got, err := canonical([]byte(bad)); err == nil {
			t.Errorf("%.20s becomes %q", bad, got)
		}
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	same := digest("x", at, true, []byte(`{"a":1}`))
	for _, other := range []int64{digest("y", at, true, []byte(`{"a":1}`)), digest("x", at+1, true, []byte(`{"a":1}`)), digest("x", at, false, []byte(`{"a":1}`)), digest("x", at, true, []byte(`{"a":2}`))} {
		if other == same {
			t.Error("another event has the same digest")
		}
	}
	if digest("x", at, false, nil) != digest("x", 0, false, nil) {
		t.Error("a time that was not said makes another event of the same")
	}
}
