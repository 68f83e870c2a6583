package store

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/conditions"
	"rapport/contacts"
)

const qSegments query = `SELECT id, name, title, condition, created_at, updated_at FROM segments ORDER BY name`

const qSegment query = `SELECT id, name, title, condition, created_at, updated_at FROM segments WHERE name = $1`

const qPutSegment query = `
INSERT INTO segments (name, title, condition, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET title = excluded.title, condition = excluded.condition, updated_at = excluded.updated_at
WHERE segments.title <> excluded.title OR segments.condition <> excluded.condition`

const qDeleteSegment query = `DELETE FROM segments WHERE name = $1`

const qCampaignNames query = `SELECT name FROM campaigns ORDER BY name`

func scanSegment(scan func(...any) error) (x contacts.Segment, err error) {
	var created, updated int64
	err = scan(&x.ID, &x.Name, &x.Title, &x.Condition, &created, &updated)
	x.CreatedAt, x.UpdatedAt = when(created), when(updated)
	return x, err
}

// PutSegment implements contacts.SegmentStore.
func (s *Store) PutSegment(ctx context.Context, seg contacts.Segment) (out contacts.Segment, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		if _, err := t.exec(ctx, qPutSegment, seg.Name, seg.Title, seg.Condition, micros(seg.CreatedAt), micros(seg.UpdatedAt)); err != nil {
			return err
		}
		out, _, err = one(ctx, t, qSegment, scanSegment, seg.Name)
		return err
	})
	return out, err
}

// Segment implements contacts.SegmentStore.
func (s *Store) Segment(ctx context.Context, name string) (contacts.Segment, error) {
	x, ok, err := one(ctx, s.reader(), qSegment, scanSegment, name)
	if err != nil {
		return x, s.classify(fmt.Errorf("find segment %s: %w", name, err))
	}
	if !ok {
		return x, s.unknownSegment(ctx, name)
	}
	return x, nil
}

func (s *Store) unknownSegment(ctx context.Context, name string) error {
	list, err := s.Segments(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, x := range list {
		names = append(names, x.Name)
	}
	return rapport.Unknown("segment", name, names)
}

// Segments implements contacts.SegmentStore.
func (s *Store) Segments(ctx context.Context) ([]contacts.Segment, error) {
	list, err := collect(ctx, s.reader(), qSegments, scanSegment)
	return list, s.classify(err)
}

// DeleteSegment implements contacts.SegmentStore.
func (s *Store) DeleteSegment(ctx context.Context, name string) error {
	var n int64
	err := s.update(ctx, durable, func(t tx) (err error) {
		n, err = t.exec(ctx, qDeleteSegment, name)
		return err
	})
	if err == nil && n == 0 {
		return s.unknownSegment(ctx, name)
	}
	return err
}

// Names implements contacts.SegmentStore.
func (s *Store) Names(ctx context.Context) (n contacts.Names, err error) {
	x, err := topicNumbers(ctx, s.reader())
	if err != nil {
		return n, s.classify(err)
	}
	n.Topics = x.names
	if n.Campaigns, err = collect(ctx, s.reader(), qCampaignNames, scalar[string]); err != nil {
		return n, s.classify(err)
	}
	n.Events, err = collect(ctx, s.reader(), qEventNames, scalar[string])
	return n, s.classify(err)
}

// CountMembers implements contacts.SegmentStore. Whoever has no time zone of
// their own has that of now.
func (s *Store) CountMembers(ctx context.Context, where *conditions.Condition, now time.Time) (int, error) {
	n, err := whoMatches(ctx, s, where, now, func(sql string, _ *binds) string {
		return "SELECT COUNT(*) FROM contacts c WHERE " + unrestricted + sql
	}, scalar[int64])
	if err != nil {
		return 0, s.classify(err)
	}
	return int(n[0]), nil
}

// Members implements contacts.SegmentStore.
func (s *Store) Members(ctx context.Context, where *conditions.Condition, now time.Time, after int64, limit int) ([]contacts.Contact, error) {
	list, err := whoMatches(ctx, s, where, now, func(sql string, args *binds) string {
		return s.d.spell(qContactColumns) + " WHERE c.id > " + args.whole(after) + " AND " + unrestricted + sql + " ORDER BY c.id LIMIT " + args.whole(int64(limit))
	}, scanContact)
	if err == nil {
		err = withAddresses(ctx, s.reader(), list)
	}
	return list, s.classify(err)
}

// whoMatches runs a statement that is built around a condition. It is not kept
// prepared: there is one for each condition and moment.
func whoMatches[T any](ctx context.Context, s *Store, where *conditions.Condition, now time.Time, around func(sql string, args *binds) string, scan func(func(...any) error) (T, error)) (out []T, err error) {
	at := clock{now: now, zone: now.Location()}
	if where.Uses().Today {
		if at.zones, err = zonesInUse(ctx, s.reader()); err != nil {
			return nil, err
		}
	}
	args := &binds{}
	text := around(compileCondition(s.d, where.Tree(), at, args), args)
	rows, err := s.pools.read.QueryContext(ctx, text, args.args...)
	if err != nil {
		return nil, fmt.Errorf("ask who matches the condition: %w", err)
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read who matches: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
