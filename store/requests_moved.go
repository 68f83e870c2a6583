package store

import (
	"context"
	"encoding/json"
	"fmt"

	"rapport/requests"
)

const (
	// Moves of a person that were done and are kept, the oldest first.
	qMoves query = `
SELECT q.asked FROM requests q
WHERE q.person_id = $1 AND q.kind = 'move' AND q.driver = $2 AND q.confirmed_at > 0 AND q.expires_at > $3
ORDER BY q.confirmed_at, q.id`

	// Who keeps an address that somebody had before a Move.
	qKept query = `
SELECT a.contact_id, a.value, a.display, a.hash, a.position
FROM requests q JOIN addresses a ON a.contact_id = q.contact_id AND a.kind = $2 AND a.position = 0
WHERE q.person_id = $1 AND q.kind = 'move' AND q.confirmed_at > 0 AND a.hash = $3 LIMIT 1`

	qNoteBefore query = `UPDATE requests SET asked = $2 WHERE id = $1`
)

// takeTurn takes the first turn that is free, if the opening needs one.
func (t tx) takeTurn(ctx context.Context, o requests.Opening) error {
	for _, turn := range o.Turns {
		_, mine, err := one(ctx, t, qTakeLetter, scalar[int64], turn, micros(o.AskedAt), micros(o.Since))
		if err != nil {
			return fmt.Errorf("take a turn of the day: %w", err)
		}
		if mine {
			return nil
		}
	}
	if len(o.Turns) > 0 {
		return notOpened{requests.Limited}
	}
	return nil
}

// noteBefore notes in a Move which address it took from its person.
func (t tx) noteBefore(ctx context.Context, r requests.Request, old owner) error {
	text, err := askedText(r, old.Hash)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, qNoteBefore, r.ID, text); err != nil {
		return fmt.Errorf("note the address before a move: %w", err)
	}
	return nil
}

// beforeMoves is who keeps the address that a person had before the first Move
// that is kept: whoever holds one of their letters can have the address changed,
// and must not get their data by it. Without one it is the person themselves, who
// was read before: so a Move that is done meanwhile is seen here.
func (t tx) beforeMoves(ctx context.Context, o requests.Opening, now owner) (owner, error) {
	texts, err := collect(ctx, t, qMoves, scalar[string], o.Person, o.Driver, micros(o.AskedAt))
	if err != nil {
		return now, fmt.Errorf("list the moves of %d: %w", o.Person, err)
	}
	for _, text := range texts {
		var a asked
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			return now, fmt.Errorf("read a move of %d: %w", o.Person, err)
		}
		if a.Was == "" {
			continue // nothing was changed by it
		}
		if a.Was == now.Hash {
			return now, nil
		}
		kept, found, err := one(ctx, t, qKept, scanOwner, o.Person, o.AddressKind, a.Was)
		switch {
		case err != nil:
			return now, fmt.Errorf("find the address before a move: %w", err)
		case found:
			return kept, nil
		}
	}
	return now, nil
}
