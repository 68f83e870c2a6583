package requests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/responses"
)

// letterEvery is how often one mailbox gets a letter that somebody asked for.
const letterEvery = 24 * time.Hour

// MovesADay is how many new addresses one person can have letters sent to in a
// day: room for typing errors, and not for writing to strangers.
const MovesADay = 3

// Service is what the doors call about requests. It is safe for concurrent use.
type Service struct {
	o        Options
	flight   singleflight.Group
	mu       sync.RWMutex
	handlers map[Kind]Handler
}

// Options is what a Service is made of.
type Options struct {
	Store   Store
	Sender  Sender
	Drivers *channels.Registry
	Tokens  *responses.Tokens
	// Link makes the address of the page of a token.
	Link func(token string) string
	// Fingerprint is the keyed hash of an address, the one of suppressions.
	Fingerprint contacts.Fingerprint
	// Fresh makes the row of somebody new; *contacts.Service does.
	Fresh func(ctx context.Context, in contacts.Input) (contacts.Row, error)
	// Keep is how much of a network address is kept.
	Keep    func(ip string) string
	Expires time.Duration // how long a request waits for its confirmation
	Now     func() time.Time
	Random  io.Reader // source of IDs and salts; safe for concurrent use
	Log     *slog.Logger
}

// New makes the service.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o, handlers: map[Kind]Handler{}}
}

// Handle says who does what confirmed requests of a kind ask for.
func (s *Service) Handle(k Kind, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[k] = h
}

func (s *Service) handler(k Kind) (Handler, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h, ok := s.handlers[k]
	if !ok {
		return nil, rapport.Invalidf("kind", "nobody here does what a request of the kind %q asks for", k)
	}
	return h, nil
}

func (s *Service) moment() time.Time { return s.o.Now().UTC().Truncate(time.Microsecond) }

// Ask takes a request and sends the letter that asks for its confirmation. Nil
// says that it was understood and no more: whether the address is known,
// suppressed, subscribed already or had its letter today looks the same. An
// Invalid error is about what was typed; others mean that nothing was taken.
func (s *Service) Ask(ctx context.Context, a Ask) error {
	o, err := s.opening(ctx, a)
	if err != nil {
		return err
	}
	r, became, err := s.o.Store.OpenRequest(ctx, o)
	if err != nil {
		return fmt.Errorf("take a request: %w", err)
	}
	switch {
	case became == Started:
	case became == Subscribed && a.Repeated:
	default:
		s.o.Log.DebugContext(ctx, "a request led to no letter", slog.String("kind", string(a.Kind)), slog.Int("became", int(became)))
		return nil
	}
	// The row stands: a letter that cannot be handed over now is by Resume.
	if err := s.mail(ctx, r, o.Mailbox); err != nil {
		s.o.Log.WarnContext(ctx, "the letter of a request waits", slog.Int64("request", r.ID), slog.Any("error", err))
	}
	return nil
}

func (s *Service) opening(ctx context.Context, a Ask) (Opening, error) {
	var o Opening
	if !a.Kind.Valid() {
		return o, rapport.Invalidf("kind", "%q is not a kind of request", a.Kind)
	}
	if _, err := s.handler(a.Kind); err != nil {
		return o, err
	}
	if a.Contact == 0 && a.Kind != Subscribe {
		return o, rapport.Invalidf("contact", "a request of the kind %q is by somebody who is known", a.Kind)
	}
	d, err := s.o.Drivers.Driver(a.Driver)
	if err != nil {
		return o, err
	}
	address, given := "", strings.TrimSpace(a.Address)
	if given != "" {
		if address, err = d.Address.Normalize(given); err != nil {
			return o, rapport.Invalidf(d.Address.Kind, "%v", err)
		}
	} else if a.Kind.open() {
		return o, rapport.Invalidf(d.Address.Kind, "is missing")
	}
	now := s.moment()
	o.Request = Request{
		Kind: a.Kind, Contact: a.Contact, Person: a.Contact, Driver: a.Driver, Channel: a.Channel, Address: address, Given: given,
		Topics: a.Topics, Form: a.Form, Method: a.Method, Notice: a.Notice, Locale: a.Locale, URL: a.URL, IP: s.o.Keep(a.IP), Agent: a.Agent,
		Payload: a.Payload, AskedAt: now, ExpiresAt: now.Add(s.o.Expires),
	}
	o.AddressKind = d.Address.Kind
	o.Repeated, o.Since = a.Repeated, now.Add(-letterEvery)
	o.Mailbox = s.mailbox(a, d.Address.Kind, address)
	if a.Kind == Move {
		for i := range MovesADay {
			o.Turns = append(o.Turns, s.o.Fingerprint("moves of", strconv.FormatInt(a.Contact, 10)+" "+strconv.Itoa(i)))
		}
	}
	ground, err := s.letter(o.Request, d.Address.Kind, now)
	if err != nil {
		return o, err
	}
	o.Entries = []consent.Entry{ground}
	if !a.Kind.open() {
		return o, nil
	}
	o.Fresh, err = s.o.Fresh(ctx, contacts.Input{Locale: a.Locale, Addresses: map[string]string{d.Address.Kind: given}})
	if err != nil {
		return o, err
	}
	if a.Kind != Subscribe {
		return o, nil
	}
	for _, topic := range a.Topics {
		e := Entry(o.Request, topic)
		e.State, e.Kind, e.At, e.Actor = consent.Requested, d.Address.Kind, now, actorOf(a.Form)
		if e.Salt, err = s.salt(); err != nil {
			return o, err
		}
		o.Entries = append(o.Entries, e)
	}
	return o, nil
}

// letter is the ground on which somebody gets the one letter they asked for.
func (s *Service) letter(r Request, kind string, now time.Time) (consent.Entry, error) {
	salt, err := s.salt()
	topic, basis, source := r.ground()
	return consent.Entry{
		Driver: r.Driver, Kind: kind, Topic: topic, State: consent.Granted, Basis: basis, At: now, Resubscribe: !r.Invitation(),
		Source: source, Method: r.Method, Form: r.Form, URL: r.URL, Actor: actorOf(r.Form), Salt: salt, Clock: consent.OurClock,
	}, err
}

// ground is what the letter of a request is about, and why it may be sent.
func (r Request) ground() (topic string, basis consent.Basis, source string) {
	if r.Invitation() {
		return consent.TopicInvitations, consent.ByLegitimateInterest, "invited to confirm at " + actorOf(r.Form)
	}
	return Topic, consent.ByContract, "asked for by " + actorOf(r.Form)
}

// actorOf is who wrote a request down.
func actorOf(form string) string {
	if form != "" {
		return "form:" + form
	}
	return "preferences"
}

// Entry is what the ledger should know of a request for one topic, less the
// state and what is known at its confirmation.
func Entry(r Request, topic string) consent.Entry {
	source := "form " + r.Form
	if r.Form == "" {
		source = string(r.Kind)
	}
	return consent.Entry{
		Contact: r.Contact, Driver: r.Driver, Topic: topic, Basis: consent.ByConsent, Address: r.Address, Given: r.Given,
		Channel: "", Source: source, Notice: r.Notice, Method: r.Method, Form: r.Form, URL: r.URL, IP: r.IP, Agent: r.Agent,
		Clock: consent.OurClock, // what is asked for and confirmed here is recorded when it happens
	}
}

const saltBytes = 16

func (s *Service) salt() ([]byte, error) {
	b := make([]byte, saltBytes)
	if _, err := io.ReadFull(s.o.Random, b); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	return b, nil
}

// mailbox is the fingerprint of the mailbox behind an address, whichever case
// and extension it is written with, and of who shares a letter a day: what
// anybody may ask for is one, what a person asks for about themselves is apart.
func (s *Service) mailbox(a Ask, kind, address string) string {
	if a.Kind.open() {
		return s.o.Fingerprint("mailbox "+kind, Mailbox(address))
	}
	return s.o.Fingerprint("requests of "+string(a.Kind), strconv.FormatInt(a.Contact, 10))
}

// The templates of letters. One that is stored under the name goes before the
// one of the house.
const (
	LetterSubscribe  = "confirm-subscription"
	LetterMove       = "confirm-address"
	LetterAboutMe    = "confirm-request"
	LetterMoved      = "address-changed"
	LetterSubscribed = "already-subscribed"
)

// Letters lists the templates.
func Letters() []string {
	return []string{LetterSubscribe, LetterMove, LetterAboutMe, LetterMoved, LetterSubscribed}
}

// mail hands the letter over and notes it.
func (s *Service) mail(ctx context.Context, r Request, mailbox string) error {
	l := Letter{Driver: r.Driver, Channel: r.Channel, Contact: r.Contact}
	l.Topic, l.Basis, l.Source = r.ground()
	if r.ID == 0 { // there is nothing to confirm
		l.Template, l.Reference = LetterSubscribed, "subscribed-"+mailbox+"-"+r.AskedAt.Format("20060102150405")
		l.Data = map[string]any{"form": r.Form}
		_, err := s.o.Sender.Send(ctx, l)
		return refused(&r, err)
	}
	l.Template, l.Reference = templateOf(r.Kind), "request-"+strconv.FormatInt(r.ID, 10)
	l.Data = map[string]any{
		"link": s.o.Link(s.Token(r)), "kind": string(r.Kind), "topics": r.Topics, "form": r.Form,
		"days": int(r.ExpiresAt.Sub(r.AskedAt) / (24 * time.Hour)),
	}
	var err error
	r.Delivery, err = s.o.Sender.Send(ctx, l)
	if err := refused(&r, err); err != nil {
		return err
	}
	return s.o.Store.NoteLetter(ctx, r)
}

// Refused stands in place of a delivery where the letter may not be sent.
const Refused = "refused"

// refused makes a letter that the gate does not let through (a suppressed
// domain, a restricted person) one that is done with.
func refused(r *Request, err error) error {
	if rapport.KindOf(err) != rapport.Denied {
		return err
	}
	r.Delivery = Refused
	return nil
}

func templateOf(k Kind) string {
	switch k {
	case Subscribe, Renew:
		return LetterSubscribe
	case Move:
		return LetterMove
	case SeeData, Erase:
	}
	return LetterAboutMe
}

// Token is what stands in the link of a request.
func (s *Service) Token(r Request) string {
	return s.o.Tokens.Sign(responses.ForRequest, responses.Subject{Run: r.ID, Contact: r.Contact})
}

// ErrExpired says that a request was not confirmed in time.
var ErrExpired = errors.New("the request has expired")

// Peek finds the request of a token and changes nothing. A token that is not
// ours and a request that is gone are a NotFound error, one that waited too
// long ErrExpired.
func (s *Service) Peek(ctx context.Context, token string) (Request, error) {
	subject, err := s.o.Tokens.Read(responses.ForRequest, token)
	if err != nil {
		return Request{}, rapport.NotFoundf("there is no such request")
	}
	r, err := s.o.Store.Request(ctx, subject.Run)
	if err != nil {
		return Request{}, err
	}
	if r.Contact != subject.Contact {
		return Request{}, rapport.NotFoundf("there is no such request")
	}
	if r.ConfirmedAt.IsZero() && !s.moment().Before(r.ExpiresAt) {
		return r, ErrExpired
	}
	return r, nil
}

// Confirm makes the request of a token true: the first press of the button
// counts, however many come at once, and when nil is returned what was asked
// for is done. It may be repeated. Errors are those of Peek and the handler's.
func (s *Service) Confirm(ctx context.Context, token string, c Confirmation) (Request, error) {
	r, err := s.Peek(ctx, token)
	if err != nil {
		return r, err
	}
	// One at a time in this process; between processes doing it twice is like
	// doing it once. Who leaves does not take the others' work along.
	done, err, _ := s.flight.Do(strconv.FormatInt(r.ID, 10), func() (any, error) {
		return s.confirm(context.WithoutCancel(ctx), r, c)
	})
	r, _ = done.(Request)
	return r, err
}

func (s *Service) confirm(ctx context.Context, r Request, c Confirmation) (Request, error) {
	if r.ConfirmedAt.IsZero() {
		if c.At.IsZero() {
			c.At = s.moment()
		}
		c.IP = s.o.Keep(c.IP)
		// The evidence names the letter, so it is looked up before.
		id, at, err := s.o.Sender.Left(ctx, r)
		if err != nil {
			return r, fmt.Errorf("find the letter of a request: %w", err)
		}
		if r.MessageID, r.MailedAt = id, at; !at.IsZero() {
			if err := s.o.Store.NoteLetter(ctx, r); err != nil {
				return r, err
			}
		}
		if r, _, err = s.o.Store.ConfirmRequest(ctx, r.ID, c); err != nil {
			return r, fmt.Errorf("confirm a request: %w", err)
		}
		if r.ConfirmedAt.IsZero() {
			return r, ErrExpired
		}
	}
	if !r.HandledAt.IsZero() {
		return r, nil
	}
	return r, s.finish(ctx, r)
}

// finish does what was confirmed and notes that.
func (s *Service) finish(ctx context.Context, r Request) error {
	h, err := s.handler(r.Kind)
	if err != nil {
		return err
	}
	if err := h.Confirmed(ctx, r, r.Confirmation()); err != nil {
		return fmt.Errorf("do what a request of the kind %s asks for: %w", r.Kind, err)
	}
	if err := s.o.Store.NoteHandled(ctx, r.ID, s.moment()); err != nil {
		return fmt.Errorf("note that a request is done: %w", err)
	}
	return nil
}

// Again lets a person say once more what a letter of ours asks them to say: the
// letter came to their own mailbox, so the button behind its link is the
// confirmation. Nothing else of the request has to be there.
func (s *Service) Again(ctx context.Context, r Request, c Confirmation) error {
	h, err := s.handler(Renew)
	if err != nil {
		return err
	}
	if c.At.IsZero() {
		c.At = s.moment()
	}
	c.IP = s.o.Keep(c.IP)
	r.Kind, r.ConfirmedAt, r.ConfirmIP, r.ConfirmUser = Renew, c.At, c.IP, c.Agent
	return h.Confirmed(ctx, r, c)
}

const (
	unfinishedAfter = time.Minute // whoever is about it has had their time
	page            = 200
)

// Resume goes on with what a crash or an absent part left unfinished: letters
// that were not handed over, confirmed requests that were not done. One that
// fails again stays for the next time.
func (s *Service) Resume(ctx context.Context) error {
	list, err := s.o.Store.Unfinished(ctx, s.moment().Add(-unfinishedAfter), page)
	if err != nil {
		return fmt.Errorf("list unfinished requests: %w", err)
	}
	var errs []error
	for _, r := range list {
		if r.ConfirmedAt.IsZero() {
			err = s.mail(ctx, r, "")
		} else {
			err = s.finish(ctx, r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("request %d: %w", r.ID, err))
		}
	}
	return errors.Join(errs...)
}

// Prune ends what has waited too long: it expires in the ledger, people who
// were made for it go with their evidence, and nothing more is sent to them.
func (s *Service) Prune(ctx context.Context) (Pruned, error) {
	var sum Pruned
	for {
		p, err := s.o.Store.PruneRequests(ctx, s.moment(), s.salt, page)
		if err != nil {
			return sum, fmt.Errorf("end expired requests: %w", err)
		}
		sum.Requests += p.Requests
		sum.Expired += p.Expired
		sum.Contacts += p.Contacts
		sum.Letters += p.Letters
		if p.Requests < page {
			return sum, nil
		}
	}
}
