package rights

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"rapport"
	"rapport/access"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
)

// Marks is what stands over a person beside the answers of the ledger.
type Marks struct {
	RestrictedAt time.Time // zero: not restricted
	Reason       string    // of the restriction
	Actor        string    // who restricted
	ObjectedAt   time.Time // zero: no objection to all marketing
}

// MarkStore keeps marks. Every method writes its line of the audit log in the
// same durable transaction.
type MarkStore interface {
	// Marks reads what stands over a contact; one that is not there is a
	// NotFound error.
	Marks(ctx context.Context, contact int64) (Marks, error)
	// Restrict marks a contact; one that is restricted is a Conflict. When it
	// returns nothing is let through any more.
	Restrict(ctx context.Context, contact int64, m Marks, note access.Line) error
	// Release takes the restriction away; one that is not restricted is a
	// Conflict.
	Release(ctx context.Context, contact int64, note access.Line) error
	// Object marks that a contact objects to all marketing, or with a zero time
	// that this is over. Doing it twice changes nothing.
	Object(ctx context.Context, contact int64, at time.Time, note access.Line) error
}

// Service is what the doors call about rights. It is safe for concurrent use.
type Service struct{ o Options }

// Options is what a Service is made of.
type Options struct {
	Store interface {
		MarkStore
		EraseStore
		CopyStore
		RetentionStore
	}
	Contacts    *contacts.Service
	Consent     *consent.Service
	Access      *access.Log
	Drivers     *channels.Registry
	Fingerprint contacts.Fingerprint
	// Letter writes a message of the past once more, with what is known of the
	// person now.
	Letter func(ctx context.Context, run, contact int64) (map[string]string, error)
	// Recipients names who else gets to see data of a person: the channels and
	// who is behind them.
	Recipients func() []Recipient
	Tracking   Tracking // whose opens and clicks are theirs by name
	Keep       Keep     // how long what is kept
	Controller string   // who is responsible, as people know them
	Locale     string   // of those who have none
	Engine     string   // of the database, for certificates
	Now        func() time.Time
	Random     io.Reader // source of salts; safe for concurrent use
	Log        *slog.Logger
}

// New makes the service.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o}
}

func (s *Service) moment() time.Time { return s.o.Now().UTC().Truncate(time.Microsecond) }

// line is the audit line of something that is done to a contact.
func (s *Service) line(ctx context.Context, action string, contact int64) (access.Line, error) {
	return access.Draft(ctx, access.Act{Action: action, Contact: contact}, s.moment())
}

// Marks reads what stands over a contact.
func (s *Service) Marks(ctx context.Context, contact int64) (Marks, error) {
	return s.o.Store.Marks(ctx, contact)
}

// Restrict stops everything but keeping (GDPR article 18): nothing is planned
// or leaves for the person but what rests on a legal duty and the confirmation
// of a request of theirs, no segment shows them, and retention spares them. It
// ends by Release only. A reason is asked for.
func (s *Service) Restrict(ctx context.Context, contact int64, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return rapport.Invalidf("reason", "is missing: say why the person is restricted")
	}
	note, err := s.line(ctx, "rights.restrict", contact)
	if err != nil {
		return err
	}
	return s.o.Store.Restrict(ctx, contact, Marks{RestrictedAt: s.moment(), Reason: reason, Actor: rapport.ActorOf(ctx).Name}, note)
}

// Release ends a restriction. The person has to be told before it does (GDPR
// article 18(3)), which is for whoever releases; a reason is asked for.
func (s *Service) Release(ctx context.Context, contact int64, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return rapport.Invalidf("reason", "is missing: say why the restriction ends; the person has to be told before")
	}
	note, err := s.line(ctx, "rights.release", contact)
	if err != nil {
		return err
	}
	return s.o.Store.Release(ctx, contact, note)
}

// Objection is what an objection did.
type Objection struct {
	Topics  []string `json:"topics"`  // marketing topics it covers
	Entries int      `json:"entries"` // lines it added to the ledger
}

// Object ends all direct marketing to a person, on every channel and topic, and
// profiles for it (GDPR article 21): an objection is written for each, topics
// that come later and invitations take no yes but a newer act of the person,
// and opened() and clicked() are false for them. What is transactional stays on its own ground.
func (s *Service) Object(ctx context.Context, contact int64, source string) (Objection, error) {
	var out Objection
	if strings.TrimSpace(source) == "" {
		return out, rapport.Invalidf("source", "is missing: say where the person objected, like \"letter of 3 May\"")
	}
	topics, err := s.o.Consent.Topics(ctx)
	if err != nil {
		return out, err
	}
	note, err := s.line(ctx, "rights.object", contact)
	if err != nil {
		return out, err
	}
	// The mark first: from now on nothing marketing is permitted anew.
	if err := s.o.Store.Object(ctx, contact, s.moment(), note); err != nil {
		return out, err
	}
	sheet, err := s.o.Consent.Show(ctx, contact)
	if err != nil {
		return out, err
	}
	var entries []consent.Entry
	object := func(driver, topic string) {
		entries = append(entries, consent.Entry{Contact: contact, Driver: driver, Topic: topic, State: consent.Objected, Source: source})
	}
	for _, t := range topics {
		if t.Kind != consent.Marketing {
			continue
		}
		out.Topics = append(out.Topics, t.Name)
		for _, d := range s.o.Drivers.Drivers() {
			object(d.Name, t.Name)
		}
	}
	for _, c := range sheet.Standing { // an invitation may be on its way
		if c.Topic == consent.TopicInvitations {
			object(c.Driver, c.Topic)
		}
	}
	if len(entries) == 0 {
		return out, nil
	}
	done, err := s.o.Consent.Record(ctx, entries...)
	if err != nil {
		return out, err
	}
	for _, o := range done {
		if o.Err != nil {
			return out, fmt.Errorf("record an objection: %w", o.Err)
		}
		if o.Written {
			out.Entries++
		}
	}
	return out, nil
}

// EndObjection says that the general objection is over, by an act of the
// person; permissions come back only one by one, each by an act of its own.
func (s *Service) EndObjection(ctx context.Context, contact int64, source string) error {
	if strings.TrimSpace(source) == "" {
		return rapport.Invalidf("source", "is missing: say where the person took the objection back")
	}
	note, err := s.line(ctx, "rights.end_objection", contact)
	if err != nil {
		return err
	}
	return s.o.Store.Object(ctx, contact, time.Time{}, note)
}
