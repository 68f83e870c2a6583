package consent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
)

// Service is what the doors call about consent. It is safe for concurrent use.
type Service struct {
	store        Store
	seals        SealStore
	topics       TopicStore
	wordings     WordingStore
	expiry       ExpiryStore
	suppressions SuppressionStore
	domains      DomainStore
	preferences  PreferenceStore
	drivers      *channels.Registry
	fingerprint  func(kind, value string) string
	now          func() time.Time
	random       io.Reader
}

// Options is what a Service is made of.
type Options struct {
	Store interface {
		LedgerStore
		TopicStore
		SuppressionStore
		DomainStore
		PreferenceStore
	}
	Drivers *channels.Registry
	// Fingerprint is the keyed hash of a canonical address, the same for as
	// long as the database lives.
	Fingerprint func(kind, value string) string
	Now         func() time.Time
	Random      io.Reader // source of salts; safe for concurrent use
}

// New makes the service.
func New(o Options) *Service {
	return &Service{
		store: o.Store, seals: o.Store, topics: o.Store, wordings: o.Store, expiry: o.Store, suppressions: o.Store, domains: o.Store, preferences: o.Store,
		drivers: o.Drivers, fingerprint: o.Fingerprint, now: o.Now, random: o.Random,
	}
}

// Record writes entries and says what became of each; see Store.Record. It
// fills in kind, basis, time, actor and salt where they are missing.
func (s *Service) Record(ctx context.Context, entries ...Entry) ([]Outcome, error) {
	list := slices.Clone(entries)
	for i := range list {
		if err := s.complete(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	out, err := s.store.Record(ctx, list)
	if err != nil {
		return nil, fmt.Errorf("record consent: %w", err)
	}
	return out, nil
}

func (s *Service) complete(ctx context.Context, e *Entry) error {
	d, err := s.drivers.Driver(e.Driver)
	if err != nil {
		return err
	}
	e.Kind = d.Address.Kind
	if e.Address != "" {
		if e.Given == "" {
			e.Given = e.Address
		}
		if e.Address, err = d.Address.Normalize(e.Address); err != nil {
			return rapport.Invalidf("address", "%v", err)
		}
	}
	if !e.State.Valid() {
		return rapport.Invalidf("state", "%q is not a state of consent", e.State)
	}
	if e.Basis == "" {
		e.Basis = ByConsent
	}
	if !e.Basis.Valid() {
		return rapport.Invalidf("basis", "%q is not a basis; known: %v", e.Basis, Bases())
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	if e.At.IsZero() {
		e.At = now
		if e.Clock == "" {
			e.Clock = OurClock
		}
	}
	if e.At.After(now.Add(time.Minute)) {
		return rapport.Invalidf("at", "%s lies in the future; consent is recorded when it was given", e.At.Format(time.RFC3339))
	}
	if e.Actor == "" {
		e.Actor = rapport.ActorOf(ctx).Name
	}
	if e.Given == e.Address {
		e.Given = ""
	}
	if e.Method != "" && !e.Method.Valid() {
		return rapport.Invalidf("method", "%q is not a method; known: %s", e.Method, strings.Join(Methods(), ", "))
	}
	if !e.Expires.IsZero() && !e.Expires.After(e.At) {
		return rapport.Invalidf("expires", "%s lies before the declaration itself", e.Expires.Format(time.RFC3339))
	}
	e.Salt = make([]byte, saltBytes)
	if _, err := io.ReadFull(s.random, e.Salt); err != nil {
		return fmt.Errorf("make a salt: %w", err)
	}
	return nil
}

const saltBytes = 16

// Grant records a "yes" of one person. Unlike Record it makes an entry that
// was not taken an error: Invalid without a source or address, Denied when the
// person has said "no" since.
func (s *Service) Grant(ctx context.Context, e Entry) (Outcome, error) {
	if e.State == "" {
		e.State = Granted
	}
	out, err := s.Record(ctx, e)
	if err != nil {
		return Outcome{}, err
	}
	switch {
	case out[0].Err == nil:
		return out[0], nil
	case errors.Is(out[0].Err, ErrWithdrawn):
		return out[0], &rapport.Error{Kind: rapport.Denied, Msg: ErrWithdrawn.Error(), Err: ErrWithdrawn}
	default:
		return out[0], &rapport.Error{Kind: rapport.Invalid, Msg: out[0].Err.Error(), Err: out[0].Err}
	}
}

// Withdraw records a "no": it covers every address of that driver and topic
// and holds when this returns. Saying it twice is no error.
func (s *Service) Withdraw(ctx context.Context, e Entry) (Outcome, error) {
	if e.State == "" {
		e.State = Withdrawn
	}
	out, err := s.Record(ctx, e)
	if err != nil {
		return Outcome{}, err
	}
	return out[0], out[0].Err
}

// Sheet is all that is known about the consent of one contact.
type Sheet struct {
	Standing []Current `json:"standing"`
	History  []Proof   `json:"history"`
}

// Proof is one entry as people read it.
type Proof struct {
	Entry      int64     `json:"entry"`
	Contact    int64     `json:"contact"`
	Driver     string    `json:"driver"`
	Topic      string    `json:"topic"`
	State      State     `json:"state"`
	Basis      Basis     `json:"basis"`
	At         time.Time `json:"at"`
	RecordedAt time.Time `json:"recorded_at"`
	Schema     int       `json:"schema"`
	Expires    time.Time `json:"expires,omitzero"`
	Commitment string    `json:"commitment"`
	Evidence   *Evidence `json:"evidence"` // null: erased
}

func (r Record) proof() Proof {
	p := Proof{
		Entry: r.ID, Contact: r.Contact, Driver: r.Driver, Topic: r.Topic, State: r.State, Basis: r.Basis,
		At: r.At, RecordedAt: r.RecordedAt, Schema: r.Schema, Expires: r.Expires, Commitment: r.Commitment,
	}
	if ev, ok := r.Proof(); ok {
		p.Evidence = &ev
	}
	return p
}

// Show returns the sheet of a contact.
func (s *Service) Show(ctx context.Context, contact int64) (Sheet, error) {
	standing, err := s.store.Consents(ctx, contact)
	if err != nil {
		return Sheet{}, fmt.Errorf("read consents: %w", err)
	}
	records, err := s.store.History(ctx, contact)
	if err != nil {
		return Sheet{}, fmt.Errorf("read the ledger: %w", err)
	}
	now := s.now()
	sheet := Sheet{Standing: slices.DeleteFunc(standing, func(c Current) bool { return c.Ended(now) })}
	for _, r := range records {
		sheet.History = append(sheet.History, r.proof())
	}
	return sheet, nil
}
