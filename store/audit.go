package store

import (
	"context"
	"encoding/json"
	"fmt"

	"rapport/access"
)

const qAddAct query = `
INSERT INTO audit (at, actor, action, object, contact_id, detail) VALUES ($1, $2, $3, $4, $5, $6)`

// AppendAct implements access.Store.
func (s *Store) AppendAct(ctx context.Context, l access.Line) error {
	return s.update(ctx, durable, func(t tx) error { return t.note(ctx, l) })
}

// note adds a line in the transaction of what it is about.
func (t tx) note(ctx context.Context, l access.Line) error {
	if len(l.Detail) == 0 {
		l.Detail = json.RawMessage("{}")
	}
	if _, err := t.exec(ctx, qAddAct, micros(l.At), l.Actor, l.Action, l.Object, l.Contact, string(l.Detail)); err != nil {
		return fmt.Errorf("add to the audit log: %w", err)
	}
	return nil
}

// Acts implements access.Store.
func (s *Store) Acts(ctx context.Context, f access.Filter) ([]access.Line, error) {
	args := &binds{}
	text := "SELECT id, at, actor, action, object, contact_id, detail FROM audit WHERE at >= " + args.whole(micros(f.Since))
	if f.Before > 0 {
		text += " AND id < " + args.whole(f.Before)
	}
	if f.Contact > 0 {
		text += " AND contact_id = " + args.whole(f.Contact) + " AND contact_id > 0"
	}
	if f.Action != "" {
		// A room alone stands for all its verbs:
		exact, room := args.text(f.Action), args.text(f.Action+".")
		text += " AND (action = " + exact + " OR substr(action, 1, length(" + room + ")) = " + room + ")"
	}
	text += " ORDER BY id DESC LIMIT " + args.whole(int64(f.Limit))
	list, err := built(ctx, s.pools.read, text, args, func(scan func(...any) error) (l access.Line, err error) {
		var at int64
		var detail string
		err = scan(&l.ID, &at, &l.Actor, &l.Action, &l.Object, &l.Contact, &detail)
		l.At, l.Detail = when(at), json.RawMessage(detail)
		return l, err
	})
	return list, s.classify(err)
}
