package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/contacts"
	"rapport/requests"
)

const (
	qRequest query = `
SELECT id, kind, contact_id, person_id, made, driver, asked, asked_at, expires_at, delivery, mailed_at, message_id,
  confirmed_at, confirm_ip, confirm_agent, handled_at
FROM requests WHERE id = $1`

	qAddRequest query = `
INSERT INTO requests (kind, contact_id, person_id, made, driver, asked, asked_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`

	qLetterOf query = `SELECT at FROM request_letters WHERE mailbox = $1`

	// One row says that the mailbox may have its letter; of many at once the
	// first gets it.
	qTakeLetter query = `
INSERT INTO request_letters (mailbox, at) VALUES ($1, $2)
ON CONFLICT (mailbox) DO UPDATE SET at = excluded.at WHERE request_letters.at <= $3
RETURNING at`

	qOwner query = `
SELECT a.contact_id, a.value, a.display, a.hash, a.position FROM addresses a WHERE a.kind = $1 AND a.value = $2`

	qOwn query = `
SELECT a.contact_id, a.value, a.display, a.hash, a.position FROM addresses a WHERE a.kind = $1 AND a.contact_id = $2 AND a.position = 0`

	// What the owner of an address may take back by confirming (see ADR 0027)
	// does not keep them from being asked; the gate reads it the same way.
	qForbidden query = `
SELECT CASE WHEN reason IN ('legal', 'role_account') THEN 1 ELSE 0 END FROM suppressions WHERE kind = $1 AND hash = $2`

	qNoteLetter query = `UPDATE requests SET delivery = $2, mailed_at = $3, message_id = $4 WHERE id = $1 AND confirmed_at = 0`

	qConfirmRequest query = `
UPDATE requests SET confirmed_at = $2, confirm_ip = $3, confirm_agent = $4,
  expires_at = CASE WHEN kind IN ('move', 'see_data') THEN $2 + expires_at - asked_at ELSE expires_at END
WHERE id = $1 AND confirmed_at = 0 AND expires_at > $2`

	qNoteHandled query = `UPDATE requests SET handled_at = $2 WHERE id = $1 AND handled_at = 0`

	qUnfinished query = `
SELECT id, kind, contact_id, person_id, made, driver, asked, asked_at, expires_at, delivery, mailed_at, message_id,
  confirmed_at, confirm_ip, confirm_agent, handled_at
FROM requests
WHERE (delivery = '' OR (confirmed_at > 0 AND handled_at = 0)) AND asked_at < $1
  AND ((confirmed_at = 0 AND asked_at >= $2) OR (confirmed_at > 0 AND handled_at = 0 AND confirmed_at < $1))
ORDER BY id LIMIT $3`
)

// asked is what a request was asked with, as one text.
type asked struct {
	Channel string            `json:"channel,omitempty"`
	Address string            `json:"address"`
	Given   string            `json:"given,omitempty"`
	Topics  []string          `json:"topics,omitempty"`
	Form    string            `json:"form,omitempty"`
	Method  consent.Method    `json:"method,omitempty"`
	Notice  consent.NoticeRef `json:"notice"`
	Locale  string            `json:"locale,omitempty"`
	URL     string            `json:"url,omitempty"`
	IP      string            `json:"ip,omitempty"`
	Agent   string            `json:"agent,omitempty"`
	Payload json.RawMessage   `json:"payload,omitempty"`
	Was     string            `json:"was,omitempty"` // of a Move that was done: fingerprint of the address before
}

func askedText(r requests.Request, was string) (string, error) {
	text, err := json.Marshal(asked{
		r.Channel, r.Address, r.Given, r.Topics, r.Form, r.Method, r.Notice, r.Locale, r.URL, r.IP, r.Agent, r.Payload, was,
	})
	if err != nil {
		return "", fmt.Errorf("write what was asked: %w", err)
	}
	return string(text), nil
}

func scanRequest(scan func(...any) error) (r requests.Request, err error) {
	var text string
	var made, askedAt, expires, mailed, confirmed, handled int64
	if err = scan(&r.ID, &r.Kind, &r.Contact, &r.Person, &made, &r.Driver, &text, &askedAt, &expires, &r.Delivery, &mailed, &r.MessageID,
		&confirmed, &r.ConfirmIP, &r.ConfirmUser, &handled); err != nil {
		return r, err
	}
	var a asked
	if err = json.Unmarshal([]byte(text), &a); err != nil {
		return r, fmt.Errorf("read what request %d asked: %w", r.ID, err)
	}
	r.Made = made != 0
	r.Channel, r.Address, r.Given, r.Topics, r.Form, r.Method = a.Channel, a.Address, a.Given, a.Topics, a.Form, a.Method
	r.Notice, r.Locale, r.URL, r.IP, r.Agent, r.Payload = a.Notice, a.Locale, a.URL, a.IP, a.Agent, a.Payload
	r.AskedAt, r.ExpiresAt, r.MailedAt, r.ConfirmedAt, r.HandledAt = when(askedAt), when(expires), when(mailed), when(confirmed), when(handled)
	return r, nil
}

// owner is who has an address.
type owner struct {
	contact int64
	contacts.Address
}

func scanOwner(scan func(...any) error) (o owner, err error) {
	err = scan(&o.contact, &o.Value, &o.Display, &o.Hash, &o.Position)
	return o, err
}

// notOpened ends the transaction of a request that leads to nothing.
type notOpened struct{ became requests.Opened }

func (notOpened) Error() string { return "the request leads to nothing" }

// OpenRequest implements requests.Store.
func (s *Store) OpenRequest(ctx context.Context, o requests.Opening) (requests.Request, requests.Opened, error) {
	// Who floods a mailbox is not let near the writer.
	at, had, err := one(ctx, s.reader(), qLetterOf, scalar[int64], o.Mailbox)
	if err != nil {
		return o.Request, 0, fmt.Errorf("look for the letter of the day: %w", s.classify(err))
	}
	if had && at > micros(o.Since) {
		return o.Request, requests.Limited, nil
	}
	var r requests.Request
	var became requests.Opened
	err = s.insist(ctx, durable, func(t tx) (err error) {
		r, became, err = t.openRequest(ctx, o)
		return err
	})
	if not, ok := errors.AsType[notOpened](err); ok {
		return o.Request, not.became, nil
	}
	return r, became, err
}

func (t tx) openRequest(ctx context.Context, o requests.Opening) (r requests.Request, became requests.Opened, err error) {
	r = o.Request
	_, mine, err := one(ctx, t, qTakeLetter, scalar[int64], o.Mailbox, micros(r.AskedAt), micros(o.Since))
	switch {
	case err != nil:
		return r, 0, fmt.Errorf("take the letter of the day: %w", err)
	case !mine:
		return r, 0, notOpened{requests.Limited}
	}
	if err := t.takeTurn(ctx, o); err != nil {
		return r, 0, err
	}
	who, known, err := t.ownerOf(ctx, o)
	if err != nil {
		return r, 0, err
	}
	// Domains that are suppressed are the gate's matter.
	forbidden, suppressed, err := one(ctx, t, qForbidden, scalar[int64], o.AddressKind, who.Hash)
	switch {
	case err != nil:
		return r, 0, fmt.Errorf("look for a suppression: %w", err)
	case forbidden > 0, suppressed && r.Invitation():
		return r, 0, notOpened{requests.Suppressed}
	}
	r.Contact, r.Address = who.contact, who.Value
	if r.Given == "" {
		r.Given = who.Display
	}
	if !known {
		if r.Contact, err = t.makeOwner(ctx, o.Fresh); err != nil {
			return r, 0, err
		}
		r.Made = true
	}
	if r.Person == 0 {
		r.Person = r.Contact
	}
	became, entries, err := t.wanted(ctx, o, &r, suppressed)
	if err != nil {
		return r, 0, err
	}
	for i := range entries {
		entries[i].Contact, entries[i].Address = r.Contact, r.Address
	}
	if _, err := t.record(ctx, entries); err != nil {
		return r, 0, fmt.Errorf("record what was asked for: %w", err)
	}
	if became == requests.Subscribed {
		return r, became, nil
	}
	text, err := askedText(r, "")
	if err != nil {
		return r, 0, err
	}
	r.ID, err = t.insert(ctx, qAddRequest, string(r.Kind), r.Contact, r.Person, bit(r.Made), r.Driver, text, micros(r.AskedAt), micros(r.ExpiresAt))
	if err != nil {
		return r, 0, fmt.Errorf("add a request: %w", err)
	}
	return r, requests.Started, nil
}

// ownerOf finds whose the address is that a letter should go to; known is false
// when it is nobody's.
func (t tx) ownerOf(ctx context.Context, o requests.Opening) (who owner, known bool, err error) {
	elsewhere := notOpened{requests.Elsewhere}
	if o.Request.Address == "" {
		who, known, err = one(ctx, t, qOwn, scanOwner, o.AddressKind, o.Person)
		if err == nil && !known {
			err = elsewhere
		}
		if err != nil {
			return who, known, err
		}
		who, err = t.beforeMoves(ctx, o, who)
		return who, true, err
	}
	who, known, err = one(ctx, t, qOwner, scanOwner, o.AddressKind, o.Address)
	if err != nil {
		return who, known, fmt.Errorf("find whose the address is: %w", err)
	}
	switch {
	case !known:
		if len(o.Fresh.Addresses) == 0 {
			return who, false, elsewhere
		}
		return owner{0, o.Fresh.Addresses[0]}, false, nil
	case who.Position != 0:
		return who, true, elsewhere // the letter would go to their primary one
	case o.Request.Kind != requests.Move:
		if o.Person != 0 && who.contact != o.Person {
			return who, true, elsewhere
		}
		return who, true, nil
	}
	// A new address may be one that somebody, most likely the same person, has
	// just typed somewhere else; one of a person we know is theirs.
	if who.contact == o.Person {
		return who, true, elsewhere
	}
	bare, err := t.bare(ctx, who.contact)
	if err == nil && !bare {
		err = elsewhere
	}
	return who, true, err
}

// makeOwner adds the person an address is kept with until it is confirmed.
func (t tx) makeOwner(ctx context.Context, row contacts.Row) (int64, error) {
	a, err := judgeRows(ctx, t, contacts.Chunk{Rows: []contacts.Row{row}})
	if err != nil {
		return 0, err
	}
	if out := a.out.Outcomes[0]; out.Status == contacts.Refused {
		return 0, rapport.Conflictf("%s", out.Reason)
	}
	if err := t.writePeople(ctx, &a); err != nil {
		return 0, err
	}
	return a.out.Outcomes[0].ID, nil
}

// wanted chooses which entries are written. A stranger who types an address
// must change no answer that stands: only what was never answered becomes
// "requested", and a "no" stays one until its owner confirms. Of a suppressed
// address even a "yes" has to be confirmed anew: nothing else takes it back.
func (t tx) wanted(ctx context.Context, o requests.Opening, r *requests.Request, suppressed bool) (requests.Opened, []consent.Entry, error) {
	standing, err := collect(ctx, t, qStanding, scanCurrent, asJSON([]int64{r.Contact}))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answers that stand: %w", err)
	}
	find := func(topic string) (consent.Current, bool) {
		i := slices.IndexFunc(standing, func(c consent.Current) bool { return c.Driver == r.Driver && c.Topic == topic })
		if i < 0 {
			return consent.Current{}, false
		}
		return standing[i], true
	}
	if c, ok := find(requests.Topic); ok && c.State == consent.Objected {
		return 0, nil, notOpened{requests.Suppressed}
	}
	if c, ok := find(consent.TopicInvitations); ok && r.Invitation() && c.Answer == consent.No {
		return 0, nil, notOpened{requests.Suppressed}
	}
	became := requests.Started
	if r.Kind == requests.Subscribe {
		has := func(topic string) bool {
			c, ok := find(topic)
			return ok && c.Answer == consent.Yes && c.Address == r.Address && !suppressed
		}
		if became = requests.Started; !slices.ContainsFunc(r.Topics, func(topic string) bool { return !has(topic) }) {
			if became = requests.Subscribed; !o.Repeated {
				return 0, nil, notOpened{requests.Subscribed}
			}
		}
	}
	var list []consent.Entry
	for _, e := range o.Entries {
		if _, ok := find(e.Topic); !ok || consent.Asking(e.Topic) {
			list = append(list, e)
		}
	}
	return became, list, nil
}

// Request implements requests.Store.
func (s *Store) Request(ctx context.Context, id int64) (requests.Request, error) {
	return findRequest(ctx, s, s.reader(), id)
}

func findRequest(ctx context.Context, s *Store, from runner, id int64) (requests.Request, error) {
	r, ok, err := one(ctx, from, qRequest, scanRequest, id)
	if err != nil {
		return r, fmt.Errorf("find request %d: %w", id, s.classify(err))
	}
	if !ok {
		return r, rapport.NotFoundf("there is no such request")
	}
	return r, nil
}

// NoteLetter implements requests.Store.
func (s *Store) NoteLetter(ctx context.Context, r requests.Request) error {
	err := s.update(ctx, durable, func(t tx) error {
		_, err := t.exec(ctx, qNoteLetter, r.ID, r.Delivery, micros(r.MailedAt), r.MessageID)
		return err
	})
	if err != nil {
		return fmt.Errorf("note the letter of request %d: %w", r.ID, err)
	}
	return nil
}

// ConfirmRequest implements requests.Store.
func (s *Store) ConfirmRequest(ctx context.Context, id int64, c requests.Confirmation) (r requests.Request, first bool, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		n, err := t.exec(ctx, qConfirmRequest, id, micros(c.At), c.IP, c.Agent)
		if err != nil {
			return err
		}
		first = n == 1
		r, err = findRequest(ctx, s, t, id)
		return err
	})
	return r, first, err
}

// NoteHandled implements requests.Store.
func (s *Store) NoteHandled(ctx context.Context, id int64, at time.Time) error {
	return s.update(ctx, durable, func(t tx) error {
		_, err := t.exec(ctx, qNoteHandled, id, micros(at))
		return err
	})
}

// lettersFor is how long a letter that could not be handed over is tried again.
const lettersFor = 24 * time.Hour

// Unfinished implements requests.Store.
func (s *Store) Unfinished(ctx context.Context, before time.Time, limit int) ([]requests.Request, error) {
	list, err := collect(ctx, s.reader(), qUnfinished, scanRequest, micros(before), micros(before.Add(-lettersFor)), limit)
	return list, s.classify(err)
}
