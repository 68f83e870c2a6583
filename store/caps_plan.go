package store

import (
	"context"
	"fmt"
	"strings"

	"rapport/campaigns"
	"rapport/channels"
	"rapport/outbox"
)

// Who asked for a pause that is longer than a message keeps is not planned.
// While nobody asked for anything the statement ends before it begins.
const qPausedFor = `
FROM (SELECT 1 FROM preferences LIMIT 1) x CROSS JOIN {{each $2}} CROSS JOIN preferences p CROSS JOIN deliveries d
WHERE p.contact_id = CAST(e.value AS BIGINT) AND p.paused_until > 0
  AND (p.driver = '' OR p.driver = $3) AND (p.topic_id = 0 OR p.topic_id = $4)
  AND d.run_id = $1 AND d.contact_id = p.contact_id AND d.state = 'queued' AND d.expires_at > 0 AND d.expires_at <= p.paused_until`

const qPaused query = `SELECT DISTINCT d.id, d.contact_id, d.batch_id ` + qPausedFor

const qUnplan query = `DELETE FROM deliveries WHERE id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $1}})`

const qNoteNotPlanned query = `
INSERT INTO not_planned (run_id, contact_id, reason)
SELECT CAST($1 AS BIGINT), CAST(e.value AS BIGINT), CAST($3 AS TEXT) FROM {{each $2}} WHERE TRUE
ON CONFLICT DO NOTHING`

// unplanPaused takes back the deliveries of a page that would end before the
// pause their person asked for, and notes why. planned is by batch.
func (t tx) unplanPaused(ctx context.Context, p planning, people string, planned map[int64]int64) error {
	if p.Class == channels.Transactional {
		return nil
	}
	type row struct{ id, contact, batch int64 }
	list, err := collect(ctx, t, qPaused, func(scan func(...any) error) (r row, err error) {
		err = scan(&r.id, &r.contact, &r.batch)
		return r, err
	}, p.ID, people, p.Driver, p.topic)
	if err != nil || len(list) == 0 {
		return err
	}
	var ids, who rowsJSON
	for _, r := range list {
		ids.number(r.id)
		who.number(r.contact)
		planned[r.batch]--
	}
	if _, err := t.exec(ctx, qUnplan, ids.text()); err != nil {
		return err
	}
	_, err = t.exec(ctx, qNoteNotPlanned, p.ID, who.text(), string(outbox.AskedPause))
	return err
}

// What CountLimited asks about the people of an audience who
// would be planned: q.id is one of them.
const (
	countPaused = `EXISTS (SELECT 1 FROM preferences p WHERE p.contact_id = q.id AND p.paused_until > %s
  AND (p.driver = '' OR p.driver = $1) AND (p.topic_id = 0 OR p.topic_id = $2))`
	countReached = `(SELECT COUNT(*) FROM deliveries d CROSS JOIN runs r CROSS JOIN topics t
  WHERE d.contact_id = q.id AND d.state IN ('sent', 'sending', 'uncertain') AND d.updated_at > %s AND r.id = d.run_id AND t.id = r.topic_id%s) >= %s`
)

// CountLimited implements campaigns.PlanStore. Who is paused is not counted
// with the caps.
func (s *Store) CountLimited(ctx context.Context, aim campaigns.Aim, channel string) (out campaigns.Limited, err error) {
	topics, err := topicNumbers(ctx, s.reader())
	if err != nil {
		return out, s.classify(err)
	}
	l := s.limits.Load()
	args := &binds{args: []any{aim.Driver, topics.number[aim.Topic], aim.Kind}} // as verdictJoins numbers them
	now := args.whole(micros(aim.Now))
	full := []string{"FALSE"}
	if l != nil {
		for _, c := range l.Caps {
			if !c.Covers(outbox.Letter{Topic: aim.Topic, Channel: channel, Class: channels.Marketing}) {
				continue
			}
			only := ""
			switch {
			case len(c.Topics) > 0:
				only = " AND t.name IN (" + words(args, c.Topics) + ")"
			case !c.All:
				only = " AND r.class = 'marketing'"
			}
			if len(c.Channels) > 0 {
				only += " AND r.channel IN (" + words(args, c.Channels) + ")"
			}
			since, most := args.whole(micros(c.Begins(aim.Now, l.Home))), args.whole(int64(c.Most))
			full = append(full, fmt.Sprintf(countReached, since, only, most))
		}
	}
	text := "SELECT COALESCE(SUM(CASE WHEN q.paused THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN q.taken AND NOT q.paused THEN 1 ELSE 0 END), 0) FROM (" +
		"SELECT " + fmt.Sprintf(countPaused, now) + " AS paused, (" + strings.Join(full, " OR ") + ") AS taken FROM (SELECT c.id AS id, " + verdictBefore + now + verdictAfter + " AS reason" +
		" FROM contacts c" + verdictJoins + " WHERE " + audienceSQL(s.d, aim, args) + ") q WHERE q.reason = '') q"
	list, err := built(ctx, s.pools.read, text, args, func(scan func(...any) error) (n campaigns.Limited, err error) {
		err = scan(&n.Paused, &n.Capped)
		return n, err
	})
	if err != nil || len(list) == 0 {
		return out, s.classify(err)
	}
	out = list[0]
	out.Shadow = l != nil && l.Shadow
	return out, nil
}

// words writes texts for a list.
func words(args *binds, list []string) string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = args.text(w)
	}
	return strings.Join(out, ", ")
}
