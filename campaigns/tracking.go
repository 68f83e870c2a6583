package campaigns

import (
	"context"

	"rapport"
	"rapport/consent"
	"rapport/outbox"
)

// reservedTopic says why nobody is written to about the built-in topic.
const reservedTopic = consent.TopicTracking + " is built in: it says whose opens and clicks may be attributed to them, and nobody is written to about it"

// topic finds a topic people may be written to about.
func (s *Service) topic(ctx context.Context, name string) (consent.Topic, error) {
	if name == consent.TopicTracking {
		return consent.Topic{}, rapport.Invalidf("topic", "%s", reservedTopic)
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
