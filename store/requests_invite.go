package store

import (
	"context"
	"fmt"
	"strings"
)

// qUninvited are people for whom something waits for their confirmation and
// who were never asked, by a request or, longer ago, by an invitation. Whoever
// must not be written to is not asked; who may not be any more when the letter
// leaves meets the gate like with every other letter.
const qUninvited query = `
SELECT c.id, c.locale, a.value, t.name FROM consents k
CROSS JOIN topics t CROSS JOIN contacts c CROSS JOIN addresses a
WHERE k.contact_id > $1 AND k.driver = $2 AND k.state = 'pending' AND t.id = k.topic_id AND c.id = k.contact_id
  AND t.name IN (SELECT e.value ->> 0 FROM {{each $3}})
  AND a.contact_id = c.id AND a.kind = $4 AND a.position = 0
  AND NOT EXISTS (SELECT 1 FROM requests q WHERE q.contact_id = c.id)
  AND NOT EXISTS (SELECT 1 FROM consents i JOIN topics it ON it.id = i.topic_id
    WHERE i.contact_id = c.id AND i.driver = k.driver AND it.name = 'invitations')
  AND c.restricted_at IS NULL AND c.objected_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM suppressions s WHERE s.kind = a.kind AND s.hash = a.hash)
ORDER BY c.id, t.name LIMIT $5`

// Uninvited is somebody for whom something waits for their confirmation.
type Uninvited struct {
	Contact int64
	Locale  string
	Address string
	Topics  []string
}

// Uninvited lists the next people, in the order of their numbers, whose answer
// to one of the topics waits for their confirmation and who were never asked
// for it; at most limit answers are read, and more than one.
func (s *Store) Uninvited(ctx context.Context, driver, kind string, topics []string, after int64, limit int) ([]Uninvited, error) {
	rows := make([][]string, len(topics))
	for i, t := range topics {
		rows[i] = []string{t}
	}
	limit = max(limit, len(topics)+1) // all answers of one person at least
	list, err := collect(ctx, s.reader(), qUninvited, func(scan func(...any) error) (u Uninvited, err error) {
		var topic string
		err = scan(&u.Contact, &u.Locale, &u.Address, &topic)
		u.Topics = []string{strings.Clone(topic)}
		return u, err
	}, after, driver, asJSON(rows), kind, limit)
	if err != nil {
		return nil, fmt.Errorf("list people who were not asked yet: %w", s.classify(err))
	}
	var out []Uninvited
	for _, u := range list {
		if n := len(out); n > 0 && out[n-1].Contact == u.Contact {
			out[n-1].Topics = append(out[n-1].Topics, u.Topics...)
			continue
		}
		out = append(out, u)
	}
	if len(list) == limit && len(out) > 1 {
		out = out[:len(out)-1] // who may be cut off comes with the next page
	}
	return out, nil
}
