package requests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
)

// Topic is the transactional topic of the letters that ask for a confirmation.
const Topic = consent.TopicConfirmations

// Handlers does what requests about permission and addresses ask for:
// Subscribe, Renew and Move.
type Handlers struct {
	Consent  *consent.Service
	Contacts *contacts.Service
	Store    MoveStore
	Sender   Sender
	Drivers  *channels.Registry
	Random   io.Reader
	Log      *slog.Logger
}

// Register makes them the handlers of a service.
func (h *Handlers) Register(s *Service) {
	s.Handle(Subscribe, HandlerFunc(h.subscribed))
	s.Handle(Renew, HandlerFunc(h.renewed))
	s.Handle(Move, HandlerFunc(h.moved))
}

// subscribed writes "confirmed" for each topic: the newer act of the person
// that overturns an older "no" too. Attributes of the form fill in what is not
// known yet; whoever types somebody's address renames nobody.
func (h *Handlers) subscribed(ctx context.Context, r Request, c Confirmation) error {
	if err := h.confirm(ctx, r, c); err != nil {
		return err
	}
	var wish Wish
	if len(r.Payload) > 0 {
		if err := json.Unmarshal(r.Payload, &wish); err != nil {
			return fmt.Errorf("read the fields of a form: %w", err)
		}
	}
	return h.fill(ctx, r, wish.Attributes)
}

// renewed writes "confirmed" anew, from which it expires anew.
func (h *Handlers) renewed(ctx context.Context, r Request, c Confirmation) error {
	return h.confirm(ctx, r, c)
}

func (h *Handlers) confirm(ctx context.Context, r Request, c Confirmation) error {
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: "link:" + string(r.Kind)})
	var list []consent.Entry
	for _, topic := range r.Topics {
		e := Entry(r, topic)
		e.State, e.At, e.Resubscribe = consent.Confirmed, c.At, true
		e.IP, e.Agent, e.MessageID, e.MailedAt = c.IP, c.Agent, r.MessageID, r.MailedAt
		list = append(list, e)
	}
	out, err := h.Consent.Record(ctx, list...)
	if err != nil {
		return err
	}
	for i, o := range out {
		// A "no" that is newer than the press of the button stands.
		if o.Err != nil && !errors.Is(o.Err, consent.ErrWithdrawn) {
			return fmt.Errorf("confirm %s: %w", list[i].Topic, o.Err)
		}
	}
	return nil
}

// fill sets attributes that are not known yet, each by itself, so that one that
// does not fit takes no other along.
func (h *Handlers) fill(ctx context.Context, r Request, attributes map[string]any) error {
	if len(attributes) == 0 {
		return nil
	}
	d, err := h.Drivers.Driver(r.Driver)
	if err != nil {
		return err
	}
	c, err := h.Contacts.Get(ctx, d.Address.Kind+":"+r.Address)
	if err != nil {
		return err
	}
	known := map[string]any{}
	if len(c.Attributes) > 0 {
		if err := json.Unmarshal(c.Attributes, &known); err != nil {
			return fmt.Errorf("read attributes: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if _, has := known[name]; has {
			continue
		}
		_, _, err = h.Contacts.Put(ctx, contacts.Input{
			Attributes: map[string]any{name: attributes[name]}, Addresses: map[string]string{d.Address.Kind: r.Address},
		})
		switch {
		case err == nil:
		case rapport.KindOf(err) == rapport.Invalid:
			// The form takes what this installation knows as another type. The error
			// names the value, which is nothing for a log.
			h.Log.WarnContext(ctx, "what a form took does not fit its attribute and is left out", slog.String("form", r.Form), slog.String("attribute", name))
		default:
			return err
		}
	}
	return nil
}

const noticeSource = "notice that an address was changed"

// moved gives the confirmed address to the person, lets what they agreed to
// stand for it, and tells the old one.
func (h *Handlers) moved(ctx context.Context, r Request, c Confirmation) error {
	d, err := h.Drivers.Driver(r.Driver)
	if err != nil {
		return err
	}
	sheet, err := h.Consent.Show(ctx, r.Person)
	if err != nil {
		return err
	}
	var list []consent.Entry
	for _, cur := range sheet.Standing {
		if cur.Driver != r.Driver || cur.Answer != consent.Yes || cur.Address == r.Address {
			continue
		}
		e, err := h.entry(r, c, cur)
		if err != nil {
			return err
		}
		e.Kind = d.Address.Kind
		list = append(list, e)
	}
	// The contact made for the request keeps the old address for a while: what
	// is written there is about this change and nothing else.
	notice, err := h.entry(r, c, consent.Current{Driver: r.Driver, Topic: Topic, State: consent.Granted, Basis: consent.ByContract})
	if err != nil {
		return err
	}
	notice.Contact, notice.Given, notice.Kind, notice.Source, notice.Resubscribe = r.Contact, "", d.Address.Kind, noticeSource, true
	if _, err := h.Store.MoveAddress(ctx, r, d.Address.Kind, list, notice); err != nil {
		return err
	}
	_, err = h.Sender.Send(ctx, Letter{
		Template: LetterMoved, Topic: Topic, Basis: consent.ByContract, Driver: r.Driver, Channel: r.Channel, Contact: r.Contact,
		Reference: "moved-" + strconv.FormatInt(r.ID, 10), Source: noticeSource, Data: map[string]any{},
	})
	if rapport.KindOf(err) == rapport.Denied || rapport.KindOf(err) == rapport.NotFound {
		return nil // there was no old address, or nobody may write to it
	}
	return err
}

// entry says anew for the address of a Move what stood for another one.
func (h *Handlers) entry(r Request, c Confirmation, cur consent.Current) (consent.Entry, error) {
	e := Entry(r, cur.Topic)
	e.Contact, e.State, e.Basis, e.Driver, e.At, e.Expires = r.Person, cur.State, cur.Basis, cur.Driver, c.At, cur.Expires
	e.Source, e.IP, e.Agent, e.MessageID, e.MailedAt, e.Actor = "address change confirmed", c.IP, c.Agent, r.MessageID, r.MailedAt, "link:move"
	e.Salt = make([]byte, saltBytes)
	if _, err := io.ReadFull(h.Random, e.Salt); err != nil {
		return e, fmt.Errorf("make a salt: %w", err)
	}
	if e.At.Before(cur.At) {
		e.At = cur.At.Add(time.Microsecond)
	}
	return e, nil
}
