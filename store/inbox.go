package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/inbox"
	"rapport/outbox"
	"rapport/responses"
)

const (
	qMailLetter query = `
SELECT d.run_id, d.contact_id, r.driver, t.name, r.kind, COALESCE(d.address, ''), r.class, d.state
FROM deliveries d JOIN runs r ON r.id = d.run_id JOIN topics t ON t.id = r.topic_id
WHERE d.run_id = $1 AND d.contact_id = $2`

	qMailOwner query = `SELECT contact_id FROM addresses WHERE kind = $1 AND value = $2`

	qMailTaken query = `SELECT at FROM inbox_mails WHERE digest = $1`

	qTakeMail query = `INSERT INTO inbox_mails (digest, at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`

	qForgetMails query = `DELETE FROM inbox_mails WHERE at < $1`

	qStruckBefore query = `SELECT s.at FROM strikes s WHERE s.kind = $1 AND s.hash = $2 AND s.at >= $3`

	qStrikeAddress query = `
INSERT INTO strikes (kind, hash, at) VALUES ($1, $2, $3)
ON CONFLICT (kind, hash) DO UPDATE SET at = excluded.at`

	qMailCursor query = `SELECT validity, uid FROM inbox_cursors WHERE mailbox = $1`

	qPutMailCursor query = `
INSERT INTO inbox_cursors (mailbox, validity, uid) VALUES ($1, $2, $3)
ON CONFLICT (mailbox) DO UPDATE SET validity = excluded.validity, uid = excluded.uid`
)

// MailLetter implements inbox.Store.
func (s *Store) MailLetter(ctx context.Context, run, contact int64) (inbox.Letter, error) {
	l, ok, err := one(ctx, s.reader(), qMailLetter, func(scan func(...any) error) (l inbox.Letter, err error) {
		var class string
		err = scan(&l.Run, &l.Contact, &l.Driver, &l.Topic, &l.Kind, &l.Address, &class, &l.State)
		l.Marketing = class == channels.Marketing.String()
		return l, err
	}, run, contact)
	if err != nil {
		return l, fmt.Errorf("find the letter of a mail: %w", s.classify(err))
	}
	if !ok {
		return l, rapport.NotFoundf("there is no delivery %s", rapport.DeliveryID(run, contact))
	}
	return l, nil
}

// MailOwner implements inbox.Store.
func (s *Store) MailOwner(ctx context.Context, kind, address string) (int64, error) {
	id, ok, err := one(ctx, s.reader(), qMailOwner, scalar[int64], kind, address)
	if err != nil {
		return 0, fmt.Errorf("find the owner of an address: %w", s.classify(err))
	}
	if !ok {
		return 0, rapport.NotFoundf("nobody has this address")
	}
	return id, nil
}

// MailTaken implements inbox.Store.
func (s *Store) MailTaken(ctx context.Context, digest string) (bool, error) {
	_, ok, err := one(ctx, s.reader(), qMailTaken, scalar[int64], digest)
	if err != nil {
		return false, fmt.Errorf("look for a mail: %w", s.classify(err))
	}
	return ok, nil
}

// errStruck takes a transaction back that would have been a second strike.
var errStruck = errors.New("the address was refused before")

// TakeMail implements inbox.Store.
func (s *Store) TakeMail(ctx context.Context, f inbox.Fact) (inbox.Taken, error) {
	var out inbox.Taken
	err := s.update(ctx, durable, func(t tx) error {
		out = inbox.Taken{}
		n, err := t.exec(ctx, qTakeMail, f.Digest, micros(f.At))
		if err != nil || n == 0 {
			return err
		}
		out.First = true
		if f.Event == nil {
			return nil
		}
		if n, err = t.exec(ctx, qAddResponses, responseRows([]responses.Event{*f.Event})); err != nil || n == 0 {
			return err
		}
		out.New = true
		if !f.Strike {
			return nil
		}
		_, struck, err := one(ctx, t, qStruckBefore, scalar[int64], f.Kind, f.Hash, micros(f.At.Add(-strikeWindow)))
		if err == nil && struck {
			return errStruck
		}
		if err == nil {
			_, err = t.exec(ctx, qStrikeAddress, f.Kind, f.Hash, micros(f.At))
		}
		return err
	})
	if errors.Is(err, errStruck) {
		return inbox.Taken{Struck: true}, nil
	}
	if err != nil {
		return inbox.Taken{}, fmt.Errorf("take a mail: %w", err)
	}
	return out, nil
}

// MailCursor implements inbox.Store.
func (s *Store) MailCursor(ctx context.Context, mailbox string) (inbox.Cursor, error) {
	c, _, err := one(ctx, s.reader(), qMailCursor, func(scan func(...any) error) (c inbox.Cursor, err error) {
		err = scan(&c.Validity, &c.UID)
		return c, err
	}, mailbox)
	c.Mailbox = mailbox
	if err != nil {
		return c, fmt.Errorf("read how far a mailbox was read: %w", s.classify(err))
	}
	return c, nil
}

// PutMailCursor implements inbox.Store.
func (s *Store) PutMailCursor(ctx context.Context, c inbox.Cursor) error {
	err := s.update(ctx, quick, func(t tx) error {
		_, err := t.exec(ctx, qPutMailCursor, c.Mailbox, int64(c.Validity), int64(c.UID))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep how far a mailbox was read: %w", err)
	}
	return nil
}

// ForgetMails implements inbox.Store.
func (s *Store) ForgetMails(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.update(ctx, quick, func(t tx) error {
		n, err = t.exec(ctx, qForgetMails, micros(before))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget mails: %w", err)
	}
	return n, nil
}

// AccountOf is Account for a run's number.
func (s *Store) AccountOf(ctx context.Context, run int64) (outbox.Account, error) {
	return s.account(ctx, run, s.now())
}
