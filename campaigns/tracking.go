package campaigns

import (
	"context"
	"fmt"

	"rapport"
	"rapport/consent"
	"rapport/outbox"
)

// reserved says why nobody is written to about a built-in topic; empty: it is
// not one.
func reserved(topic string) string {
	switch topic {
	case consent.TopicTracking:
		return topic + " is built in: it says whose opens and clicks may be attributed to them, and nobody is written to about it"
	case consent.TopicConfirmations:
		return topic + " is built in: its letters answer what a person asked for at a public page, and nobody else writes about it"
	case consent.TopicInvitations:
		return topic + " is built in: its letters ask people of a file to confirm what waits for their word (rapport forms invite), and nobody else writes about it"
	}
	return ""
}

// topic finds a topic people may be written to about.
func (s *Service) topic(ctx context.Context, name string) (consent.Topic, error) {
	if why := reserved(name); why != "" {
		return consent.Topic{}, rapport.Invalidf("topic", "%s", why)
	}
	return s.consent.Topic(ctx, name)
}

// freezeTracking notes what holds for a run that begins: what it asked for,
// but never more than the installation permits.
func (s *Service) freezeTracking(t *outbox.Terms, asked string) {
	t.Tracking = s.tracking.For(asked)
	if t.Tracking == outbox.TrackPerson {
		t.Basis, t.Reason = s.tracking.Basis, s.tracking.Reason
	}
}

// TrackingStore counts what letters told.
type TrackingStore interface {
	// Tracked counts the letters of a run that led to their person, and hits.
	Tracked(ctx context.Context, run int64) (Tracked, error)
}

// Tracked says of whom a run's letters told what. Rates are of the people who
// are tracked by person, and of nobody else.
type Tracked struct {
	Mode   string `json:"mode"`             // person, aggregate or off
	Basis  string `json:"basis,omitempty"`  // of person, as it was when the run began
	Reason string `json:"reason,omitempty"` // why a basis other than consent held

	Sent     int64 `json:"sent"`      // letters that were sent or may have arrived
	ByPerson int64 `json:"by_person"` // of them those whose links lead to their person

	// People tracked by person who opened and clicked, machines left out.
	Opened     int64    `json:"opened"`
	Clicked    int64    `json:"clicked"`
	OpenRate   *float64 `json:"open_rate"`  // of ByPerson; null: nobody is
	ClickRate  *float64 `json:"click_rate"` // of ByPerson; null: nobody is
	AnonOpens  int64    `json:"opens_unnamed"`
	AnonClicks int64    `json:"clicks_unnamed"` // hits that name nobody, each counted
}

// rate is the part of people tracked by person.
func (t Tracked) rate(n int64) *float64 {
	if t.ByPerson == 0 {
		return nil
	}
	r := float64(n) / float64(t.ByPerson)
	return &r
}

// Tracked counts of whom a run's letters told what.
func (s *Service) Tracked(ctx context.Context, r Run) (Tracked, error) {
	t, err := s.tracked.Tracked(ctx, r.ID)
	if err != nil {
		return t, fmt.Errorf("count who of %s is tracked: %w", r.Name, err)
	}
	t.Mode, t.Basis, t.Reason = s.tracking.For(r.Terms.Tracking), r.Terms.Basis, r.Terms.Reason
	if r.Terms.Tracking != "" {
		t.Mode = r.Terms.Tracking
	}
	t.OpenRate, t.ClickRate = t.rate(t.Opened), t.rate(t.Clicked)
	return t, nil
}
