package consent

import (
	"context"
	"fmt"
	"slices"

	"rapport"
)

// The kinds and priorities of topics.
const (
	Marketing     = "marketing"
	Transactional = "transactional"
	High          = "high"
	Normal        = "normal"
	Low           = "low"
)

// TopicConfirmations is the built-in transactional topic of letters that a
// person asked for at a public page. They reach an address that its owner may
// release (see Entry.Releases), so nothing else is sent about it.
const TopicConfirmations = "confirmations"

// TopicInvitations is the built-in transactional topic of letters that ask
// people of a file to confirm what waits there for their word. Nobody asked for
// such a letter, so nothing that holds others back lets it pass.
const TopicInvitations = "invitations"

// Asking says whether a topic is one of the letters that ask for a
// confirmation: nobody but the house writes about it, and no page offers it.
func Asking(topic string) bool {
	return topic == TopicConfirmations || topic == TopicInvitations
}

// Unasked says whether letters about the topic come without a case of the
// person that they belong to: who objects to all marketing hears neither that
// nor invitations.
func (t Topic) Unasked() bool { return t.Kind == Marketing || t.Name == TopicInvitations }

// PutTopics creates or updates topics, as the configuration asks at every
// start. A topic whose kind would change though it has entries is a Conflict.
func (s *Service) PutTopics(ctx context.Context, topics []Topic) error {
	list := slices.Clone(topics)
	for i := range list {
		t := &list[i]
		if err := rapport.CheckName("topics.name", t.Name); err != nil {
			return err
		}
		if t.Kind != Marketing && t.Kind != Transactional {
			return rapport.Invalidf("topics."+t.Name+".kind", "%q is not a kind of topic; it is marketing or transactional", t.Kind)
		}
		switch t.Priority {
		case "":
			t.Priority = Normal
		case High, Normal, Low:
		default:
			return rapport.Invalidf("topics."+t.Name+".priority", "%q is not a priority; it is high, normal or low", t.Priority)
		}
	}
	if err := s.topics.PutTopics(ctx, list); err != nil {
		return fmt.Errorf("put topics: %w", err)
	}
	return nil
}

// Topics lists all topics by name.
func (s *Service) Topics(ctx context.Context) ([]Topic, error) {
	list, err := s.topics.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return list, nil
}

// Topic finds a topic; an unknown one is an error that lists the known.
func (s *Service) Topic(ctx context.Context, name string) (Topic, error) {
	list, err := s.Topics(ctx)
	if err != nil {
		return Topic{}, err
	}
	return Find(list, name)
}

// Find finds a topic in a list; an unknown one is an error that lists the
// known.
func Find(list []Topic, name string) (Topic, error) {
	var names []string
	for _, t := range list {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return Topic{}, rapport.Unknown("topic", name, names)
}
