package campaigns

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/channels"
	"rapport/contacts"
	"rapport/outbox"
)

func TestViewTypesValues(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	types := map[string]contacts.Type{"seen": contacts.Time, "points": contacts.Number}
	p := outbox.Person{
		UID: "u1", Zone: "Europe/Berlin", Locale: "de",
		Attributes: json.RawMessage(`{"points":120,"rate":1.5,"vip":true,"born":"1990-02-28","seen":1769846400000000,"none":null,"tags":{"a":[1,2.5]},"locale":"fr","external_id":"forged"}`),
		Addresses:  map[string]string{"loft": "Tower 7"},
	}
	v, err := View(p, types, json.RawMessage(`{"order":17,"total":9007199254740993}`), "spring", ZonesFrom(time.UTC), now)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"points": int64(120), "rate": 1.5, "vip": true, "born": "1990-02-28", "seen": time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC),
		"tags": map[string]any{"a": []any{int64(1), 2.5}}, "loft": "Tower 7", "id": "u1", "locale": "de", "time_zone": "Europe/Berlin",
	}
	if diff := cmp.Diff(want, v.Contact); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"order": int64(17), "total": int64(9007199254740993)}, v.Data); diff != "" {
		t.Error(diff)
	}
	if v.Zone.String() != "Europe/Berlin" || v.Locale != "de" || v.Campaign != "spring" {
		t.Errorf("view %+v", v)
	}
	v, err = View(outbox.Person{Zone: "Mars/Olympus"}, types, nil, "spring", ZonesFrom(time.UTC), now)
	if err != nil || v.Zone != time.UTC || len(v.Contact) != 1 {
		t.Errorf("of nobody in no zone: %+v, %v", v, err)
	}
	if _, err := View(outbox.Person{UID: "u", Attributes: json.RawMessage("null")}, types, nil, "", ZonesFrom(time.UTC), now); err != nil {
		t.Errorf("attributes that are null: %v", err)
	}
	if _, err := View(outbox.Person{Attributes: json.RawMessage("[1]")}, types, nil, "", ZonesFrom(time.UTC), now); err == nil {
		t.Error("attributes that are no object were taken")
	}
}

func TestMark(t *testing.T) {
	parts := func(list ...channels.Part) channels.Driver { return channels.Driver{Parts: list} }
	subject := channels.Part{Name: "subject", Syntax: channels.Header, Required: true}
	text := channels.Part{Name: "text", Syntax: channels.Plain, Required: true}
	payload := channels.Part{Name: "payload", Syntax: channels.JSON, Required: true}
	for _, c := range []struct {
		driver channels.Driver
		in     map[string]string
		want   map[string]string
	}{
		{parts(text, subject), map[string]string{"subject": "Hi", "text": "You"}, map[string]string{"subject": "[Test] Hi", "text": "You"}},
		{parts(text), map[string]string{"text": "You"}, map[string]string{"text": "[Test] You"}},
		{parts(payload), map[string]string{"payload": "{}"}, map[string]string{"payload": "{}"}},
	} {
		if diff := cmp.Diff(c.want, mark(c.in, c.driver)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPublicURLOfMarketing(t *testing.T) {
	for _, c := range []struct {
		url   string
		class channels.Class
		ok    bool
	}{
		{"https://news.example.com", channels.Marketing, true},
		{"http://127.0.0.1:8080", channels.Marketing, true},
		{"http://[::1]:8080", channels.Marketing, true},
		{"http://localhost:8080", channels.Marketing, true},
		{"http://news.example.com", channels.Marketing, false},
		{"http://127.0.0.1.example.com", channels.Marketing, false},
		{"ftp://news.example.com", channels.Marketing, false},
		{"", channels.Marketing, false},
		{"https://", channels.Marketing, false},
		{"", channels.Transactional, true},
	} {
		var got Checked
		got.reach(c.url, c.class)
		if (got.Err() == nil) != c.ok {
			t.Errorf("%q for %s: %v", c.url, c.class, got.Err())
		}
	}
}

func TestChosenSamples(t *testing.T) {
	groups := []Group{
		{Locale: "en", N: 10, First: 1, Last: 90},
		{Locale: "en", Zone: "Asia/Tokyo", N: 5, First: 2, Last: 99},
		{Locale: "de", N: 12, First: 3, Last: 80},
		{Locale: "fr", N: 1, First: 7, Last: 7},
		{Locale: "it", Reason: outbox.NoConsent, N: 100, First: 4, Last: 4},
	}
	if diff := cmp.Diff([]int64{1, 3, 7, 99, 80}, chosen(groups)); diff != "" {
		t.Error(diff)
	}
}
