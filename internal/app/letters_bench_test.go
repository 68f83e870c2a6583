package app

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/channels"
	"rapport/channels/all"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/responses"
	"rapport/templates"
)

// benchPerson is a person of rapport bench.
func benchPerson() *outbox.Person {
	return &outbox.Person{
		UID: "019a0000-0000-7000-8000-000000000001", ExternalID: "c-0000001", Locale: "en", Zone: "Europe/Berlin",
		Attributes: json.RawMessage(`{"birthday":"1976-03-14","city":"København","company":"Company 123","country":"DK","first_name":"Jürgen",` +
			`"last_name":"van der Berg, jr.","last_order":"2026-07-02","points":1234,"tier":"gold","vip":true}`),
		Addresses: map[string]string{"email": "person.0000001@post.example"},
	}
}

const benchData = `{"items":[{"name":"Tea","price":12},{"name":"Cup","price":8},{"name":"Pot","price":39},{"name":"Tin","price":5},{"name":"Spoon","price":3}]}`

// BenchmarkLetter is what a message costs between the store and the channel:
// the person's values, all parts of the letter and the signed links.
func BenchmarkLetter(b *testing.B) {
	registry, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		b.Fatal(err)
	}
	src, err := templates.Load(os.DirFS("../bench/letter"), registry)
	if err != nil {
		b.Fatal(err)
	}
	driver, err := registry.Driver(src.Template.Driver)
	if err != nil {
		b.Fatal(err)
	}
	letter, err := templates.Compile(templates.Revision{Content: src.Content}, driver)
	if err != nil {
		b.Fatal(err)
	}
	tokens, err := responses.NewTokens(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	linker := responses.NewLinker(tokens, "https://news.example.com")
	zones := campaigns.ZonesFrom(time.UTC)
	now := time.Date(2026, 12, 24, 17, 30, 0, 0, time.UTC)
	person, data := benchPerson(), &lastData{}
	times := campaigns.Times(map[string]contacts.Type{"points": contacts.Number})
	size := 0
	b.ReportAllocs()
	for b.Loop() {
		values, err := data.read(json.RawMessage(benchData))
		if err != nil {
			b.Fatal(err)
		}
		view := campaigns.Glance(person, times, values, "bench", func(string) *time.Location { return zones("") }, now)
		view.Links, view.Track = linker.For(responses.Subject{Run: 1, Contact: 2, Driver: driver.Name, Topic: "news"}, true), true
		out, err := letter.Render(b.Context(), view)
		if err != nil {
			b.Fatal(err)
		}
		size = len(out.Content["html"]) + len(out.Content["text"])
	}
	b.ReportMetric(float64(size), "octets/letter")
}
