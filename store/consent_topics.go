package store

import (
	"context"
	"encoding/json"
	"fmt"

	"rapport"
	"rapport/consent"
)

const qTopics query = `SELECT id, name, kind, title, priority FROM topics ORDER BY name`

const qTopicUsed query = `SELECT 1 FROM consent_entries n JOIN topics t ON t.id = n.topic_id WHERE t.name = $1 LIMIT 1`

const qPutTopic query = `
INSERT INTO topics (name, kind, title, priority, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, title = excluded.title, priority = excluded.priority`

func scanTopic(scan func(...any) error) (t consent.Topic, err error) {
	var title string
	if err = scan(&t.ID, &t.Name, &t.Kind, &title, &t.Priority); err != nil {
		return t, err
	}
	return t, json.Unmarshal([]byte(title), &t.Title)
}

// Topics implements consent.TopicStore.
func (s *Store) Topics(ctx context.Context) ([]consent.Topic, error) {
	list, err := collect(ctx, s.reader(), qTopics, scanTopic)
	return list, s.classify(err)
}

// PutTopics implements consent.TopicStore.
func (s *Store) PutTopics(ctx context.Context, topics []consent.Topic) error {
	return s.insist(ctx, durable, func(t tx) error {
		known, err := collect(ctx, t, qTopics, scanTopic)
		if err != nil {
			return fmt.Errorf("read topics: %w", err)
		}
		kinds := map[string]string{}
		for _, k := range known {
			kinds[k.Name] = k.Kind
		}
		for _, topic := range topics {
			if old, ok := kinds[topic.Name]; ok && old != topic.Kind {
				_, used, err := one(ctx, t, qTopicUsed, scalar[int64], topic.Name)
				if err != nil {
					return fmt.Errorf("ask whether topic %s is used: %w", topic.Name, err)
				}
				if used {
					return rapport.Conflictf("topic %s is %s and has entries, so it cannot become %s: give the new topic another name", topic.Name, old, topic.Kind)
				}
			}
			title, err := json.Marshal(topic.Title)
			if err != nil {
				return fmt.Errorf("write the title of topic %s: %w", topic.Name, err)
			}
			if topic.Title == nil {
				title = []byte("{}")
			}
			if _, err := t.exec(ctx, qPutTopic, topic.Name, topic.Kind, string(title), topic.Priority, micros(s.now())); err != nil {
				return fmt.Errorf("put topic %s: %w", topic.Name, err)
			}
		}
		return nil
	})
}

// topicIndex is the numbers of topics by name.
type topicIndex struct {
	number map[string]int64
	names  []string
}

func topicNumbers(ctx context.Context, r runner) (topicIndex, error) {
	x := topicIndex{number: map[string]int64{}}
	list, err := collect(ctx, r, qTopics, scanTopic)
	if err != nil {
		return x, fmt.Errorf("read topics: %w", err)
	}
	for _, t := range list {
		x.number[t.Name] = t.ID
		x.names = append(x.names, t.Name)
	}
	return x, nil
}
