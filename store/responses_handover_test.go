package store

import (
	"strconv"
	"testing"
	"time"

	"rapport/responses"
)

// Hits that come before a person could have read the message are a machine's.
func TestHitsAreJudgedByTheHandOver(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 3)
		sent := start.Add(time.Minute)
		s.do(t,
			`UPDATE revisions SET links = '["https://example.com/a","https://example.com/b"]' WHERE id = 1`,
			`UPDATE deliveries SET state = 'sent', updated_at = `+strconv.FormatInt(micros(sent), 10)+` WHERE id IN (1, 2)`,
			`UPDATE deliveries SET state = 'sending' WHERE id = 3`)
		click := func(contact int64, at time.Time) responses.Event {
			return responses.Event{Kind: responses.Clicked, Run: 1, Contact: contact, At: at, Agent: "browser"}
		}
		events := []responses.Event{
			click(1, sent.Add(time.Second)), click(2, sent.Add(responses.Early)), click(3, sent), click(4, sent), // 4 has no delivery
			{Kind: responses.Unsubscribed, Run: 1, Contact: 1, At: sent},
		}
		if n, err := s.AddResponses(t.Context(), events, nil); err != nil || n != len(events) {
			t.Fatalf("%d, %v", n, err)
		}
		sum, err := s.ResponseSummary(t.Context(), 1)
		if err != nil || sum.Clicked != (responses.People{Human: 2, Machine: 2}) || sum.Unsubscribed != 1 {
			t.Errorf("%+v, %v", sum, err)
		}
		list, err := s.ResponsesOf(t.Context(), 1, 5)
		if err != nil || len(list) != 2 || !list[0].Machine && !list[1].Machine {
			t.Errorf("%+v, %v", list, err)
		}
		links, err := s.RunLinks(t.Context(), 1)
		if err != nil || len(links) != 2 || links[1] != "https://example.com/b" {
			t.Errorf("%q, %v", links, err)
		}
	})
}

func TestResponsesOfAnAbsentDatabase(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if err := s.pools.close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddResponses(t.Context(), []responses.Event{{Kind: responses.Opened, Run: 1, At: start}}, nil); err == nil {
			t.Error("an event was added to a closed store")
		}
	})
}
