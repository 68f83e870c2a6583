package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rapport/consent"
	"rapport/contacts"
	"rapport/requests"
	"rapport/rights"
)

const (
	// Whoever was made for a request stays as long as another one of theirs; the
	// row that says so goes last.
	qExpiredRequests query = `
SELECT id, kind, contact_id, person_id, made, driver, asked, asked_at, expires_at, delivery, mailed_at, message_id,
  confirmed_at, confirm_ip, confirm_agent, handled_at
FROM requests WHERE expires_at <= $1 AND (confirmed_at = 0 OR handled_at > 0)
  AND NOT (made = 1 AND EXISTS (SELECT 1 FROM requests o WHERE o.contact_id = requests.contact_id AND o.expires_at > $1))
ORDER BY made, expires_at, id LIMIT $2`

	qDropRequest query = `DELETE FROM requests WHERE id = $1`

	qDropLetters query = `DELETE FROM request_letters WHERE at <= $1`

	// Other requests of the same owner that may still be confirmed.
	qOtherRequests query = `
SELECT COUNT(*) FROM requests WHERE contact_id = $1 AND id <> $2 AND confirmed_at = 0 AND expires_at > $3`

	// Somebody is bare who was made for a request and has become nothing more:
	// nobody imported them, nothing stands but what waits and the permission
	// for the letter itself.
	qBare query = `
SELECT c.id FROM contacts c
WHERE c.id = $1 AND c.external_id IS NULL AND c.updated_at = c.created_at
  AND EXISTS (SELECT 1 FROM requests q WHERE q.contact_id = c.id AND q.made = 1)
  AND NOT EXISTS (SELECT 1 FROM requests q WHERE q.contact_id = c.id AND q.confirmed_at > 0 AND q.handled_at = 0)
  AND NOT EXISTS (
    SELECT 1 FROM consents k JOIN topics t ON t.id = k.topic_id
    WHERE k.contact_id = c.id AND k.state <> 'pending' AND t.name <> $2)`

	qDropBoth query = `DELETE FROM addresses WHERE kind = $1 AND position = 0 AND contact_id IN ($2, $3)`

	qTouch query = `UPDATE contacts SET updated_at = CASE WHEN updated_at < $2 THEN $2 ELSE updated_at + 1 END WHERE id = $1`
)

// bare says whether a contact is there for requests only.
func (t tx) bare(ctx context.Context, contact int64) (bool, error) {
	_, ok, err := one(ctx, t, qBare, scalar[int64], contact, requests.Topic)
	if err != nil {
		return false, fmt.Errorf("see whether contact %d is there for a request only: %w", contact, err)
	}
	return ok, nil
}

// PruneRequests implements requests.Store.
func (s *Store) PruneRequests(ctx context.Context, now time.Time, salt func() ([]byte, error), limit int) (requests.Pruned, error) {
	var sum requests.Pruned
	err := s.insist(ctx, durable, func(t tx) error {
		sum = requests.Pruned{}
		list, err := collect(ctx, t, qExpiredRequests, scanRequest, micros(now), limit)
		if err != nil {
			return fmt.Errorf("list expired requests: %w", err)
		}
		for _, r := range list {
			if err := t.endRequest(ctx, r, now, salt, &sum); err != nil {
				return fmt.Errorf("end request %d: %w", r.ID, err)
			}
		}
		n, err := t.exec(ctx, qDropLetters, micros(now.Add(-lettersFor)))
		sum.Letters = int(n)
		return err
	})
	if err != nil || sum.Contacts == 0 {
		return sum, err
	}
	return sum, s.forgetLog(ctx)
}

func (t tx) endRequest(ctx context.Context, r requests.Request, now time.Time, salt func() ([]byte, error), sum *requests.Pruned) error {
	others, _, err := one(ctx, t, qOtherRequests, scalar[int64], r.Contact, r.ID, micros(now))
	if err != nil {
		return err
	}
	alone := others == 0
	if r.ConfirmedAt.IsZero() {
		sum.Expired++
		if alone {
			if err := t.expire(ctx, r, salt, func(c consent.Current) bool { return c.Answer == consent.Wait && slices.Contains(r.Topics, c.Topic) }); err != nil {
				return err
			}
		}
	}
	// Of a Move that was confirmed the contact keeps the old address.
	if r.Made && alone && (r.ConfirmedAt.IsZero() || r.Kind == requests.Move) {
		bare, err := t.bare(ctx, r.Contact)
		if err != nil {
			return err
		}
		if bare {
			sum.Contacts++
			if err := t.forget(ctx, r, salt); err != nil {
				return err
			}
		}
	}
	sum.Requests++
	_, err = t.exec(ctx, qDropRequest, r.ID)
	return err
}

// keeper is who writes down what ends by itself.
const keeper = "rapport"

// expire ends the answers of the owner of a request that which chooses.
func (t tx) expire(ctx context.Context, r requests.Request, salt func() ([]byte, error), which func(consent.Current) bool) error {
	standing, err := collect(ctx, t, qStanding, scanCurrent, asJSON([]int64{r.Contact}))
	if err != nil {
		return fmt.Errorf("read the answers that stand: %w", err)
	}
	var list []consent.Entry
	for _, c := range standing {
		if !which(c) {
			continue
		}
		e := consent.Entry{Contact: r.Contact, Driver: c.Driver, Topic: c.Topic, State: consent.Expired, Basis: c.Basis, At: t.s.now(), Source: "not confirmed in time", Actor: keeper}
		if e.Salt, err = salt(); err != nil {
			return err
		}
		list = append(list, e)
	}
	_, err = t.record(ctx, list)
	return err
}

// forget takes away somebody who was made for a request and became nothing
// more. The ledger keeps numbers; the address is nobody's and may come again.
func (t tx) forget(ctx context.Context, r requests.Request, salt func() ([]byte, error)) error {
	if err := t.expire(ctx, r, salt, func(c consent.Current) bool { return c.Answer == consent.Wait }); err != nil {
		return err
	}
	if _, err := t.noteErased(ctx, r.Contact, rights.Erasure{Actor: keeper, Salt: salt}); err != nil {
		return err
	}
	if _, err := t.dropPerson(ctx, r.Contact); err != nil {
		return fmt.Errorf("forget contact %d: %w", r.Contact, err)
	}
	return nil
}

// MoveAddress implements requests.MoveStore.
func (s *Store) MoveAddress(ctx context.Context, r requests.Request, kind string, entries []consent.Entry, notice consent.Entry) (moved bool, err error) {
	err = s.insist(ctx, durable, func(t tx) error {
		moved = false
		if err := t.waitForGate(ctx, idsJSON([]int64{r.Person, r.Contact})); err != nil {
			return err
		}
		old, has, err := one(ctx, t, qOwn, scanOwner, kind, r.Person)
		if err != nil {
			return err
		}
		fresh, there, err := one(ctx, t, qOwn, scanOwner, kind, r.Contact)
		if err != nil {
			return err
		}
		if has && old.Value == r.Address || !there || fresh.Value != r.Address {
			return nil // it was done before, or the address is somebody's since
		}
		if _, err := t.exec(ctx, qDropBoth, kind, r.Person, r.Contact); err != nil {
			return fmt.Errorf("take addresses away: %w", err)
		}
		give := func(to int64, o owner) contacts.Decision {
			o.Address.Kind, o.Address.Position = kind, 0
			return contacts.Decision{Status: contacts.Changed, Who: &contacts.Entry{Contact: contacts.Contact{ID: to}}, Fresh: []contacts.Address{o.Address}}
		}
		list := []contacts.Decision{give(r.Person, fresh)}
		if has {
			list = append(list, give(r.Contact, old))
			notice.Address = old.Value
			entries = append(slices.Clip(entries), notice)
			if err := t.noteBefore(ctx, r, old); err != nil {
				return err
			}
		}
		if err := t.addAddresses(ctx, list); err != nil {
			return err
		}
		if _, err := t.exec(ctx, qTouch, r.Person, micros(t.s.now())); err != nil {
			return err
		}
		if _, err := t.record(ctx, entries); err != nil {
			return fmt.Errorf("record what stands for the new address: %w", err)
		}
		// What forbade to write to the person goes with them, after the record:
		// to have another address is not to agree anew.
		if has {
			list[0].Gone = []contacts.Address{old.Address}
			list[0].Gone[0].Kind = kind
			if err := t.carrySuppressions(ctx, list[:1]); err != nil {
				return err
			}
		}
		moved = true
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("move an address: %w", err)
	}
	return moved, nil
}
