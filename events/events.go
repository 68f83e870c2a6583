package events

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"rapport"
	"rapport/channels"
)

// Bounds of what is taken.
const (
	MaxBatch = 1000     // events in one transaction
	MaxNames = 1000     // different names in a store
	MaxLine  = 64 << 10 // octets of one event as JSON
	MaxID    = 200      // octets of an event's ID
)

// Ahead is how far an event may lie ahead of our clock, whose own may be set
// otherwise. It counts when its time has come.
const Ahead = 24 * time.Hour

// Ref says whom an event is about: exactly one of ID, ExternalID, or Kind with
// Value, an address.
type Ref struct {
	ID         string
	ExternalID string
	Kind       string
	Value      string
}

// Entry is an event as somebody sends it. A zero At is the moment it is stored.
// Data is a JSON object, or empty.
type Entry struct {
	ID      string
	Name    string
	Contact Ref
	At      time.Time
	Data    json.RawMessage
}

// Draft is a checked event on its way into the store: At is set, the address of
// Contact is canonical, Data is written in one way, and Digest tells it from
// another event with the same ID, together with whom it is about.
type Draft struct {
	Entry
	Digest int64
}

// Batch is some events that are stored together, in their order.
type Batch struct {
	Events  []Draft
	DryRun  bool // judge, write nothing
	Durable bool // on the disk when it returns, and first in the queue
}

// Status is what became of an event.
type Status uint8

// The statuses of an event.
const (
	Added   Status = iota
	Known          // it is there already, the same
	Refused        // see Outcome.Reason
)

// Outcome says what became of an event. Reason is a sentence when it was Refused.
type Outcome struct {
	Status Status
	Reason string
}

// Event is a stored event.
type Event struct {
	Number     int64           `json:"-"`
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Contact    string          `json:"contact"` // ID of the person
	ExternalID string          `json:"external_id,omitempty"`
	At         time.Time       `json:"at"`
	RecordedAt time.Time       `json:"recorded_at"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// Name is a name of events and how many there are of it.
type Name struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	Events    int64     `json:"events"`
}

// Filter chooses events. Before is the last one of the page before; zero: the
// first page.
type Filter struct {
	Contact int64     // number; 0: everybody
	Name    string    // empty: all
	Since   time.Time // that happened at that moment or later
	Before  Place
	Limit   int
}

// Place is where an event stands in the order of time.
type Place struct {
	At     time.Time
	Number int64
}

// Store is all that events asks of a database. Every method is one fact.
type Store interface {
	// AddEvents finds the people, learns names that are new and stores what is
	// not there yet, in one transaction; of the bulk lane unless the batch is
	// Durable. Outcomes come in the order of the events.
	AddEvents(ctx context.Context, b Batch) ([]Outcome, error)
	// Events lists events, newest first.
	Events(ctx context.Context, f Filter) ([]Event, error)
	// EventNames lists the names.
	EventNames(ctx context.Context) ([]string, error)
	// EventCounts lists the names with how many events there are of each; it
	// looks at all events.
	EventCounts(ctx context.Context) ([]Name, error)
	// DeclareEvents adds names that are not there yet; more than MaxNames are a
	// Conflict.
	DeclareEvents(ctx context.Context, names []string) error
	// Pace is how many rows a transaction should have just now.
	Pace() int
}

// Options is what the service is made of.
type Options struct {
	Store   Store
	Drivers *channels.Registry // whose kinds of address name people
	Now     func() time.Time
}

// Service is what all doors call. It is safe for concurrent use.
type Service struct {
	store Store
	kinds map[string]channels.Address
	now   func() time.Time
}

// New makes the service.
func New(o Options) *Service {
	s := &Service{store: o.Store, now: o.Now, kinds: map[string]channels.Address{}}
	for _, k := range o.Drivers.AddressKinds() {
		s.kinds[k.Kind] = k
	}
	return s
}

// Add stores up to MaxBatch events in one transaction, which is on the disk when
// it returns. What is wrong with an event is its Outcome; the error says that
// nothing was stored.
func (s *Service) Add(ctx context.Context, list []Entry) ([]Outcome, error) {
	if len(list) > MaxBatch {
		return nil, rapport.Invalidf("", "these are %d events; send at most %d at once", len(list), MaxBatch)
	}
	out := make([]Outcome, len(list))
	var at []int
	batch := Batch{Durable: true}
	for i, e := range list {
		d, err := s.check(e)
		if err != nil {
			out[i] = Outcome{Refused, err.Error()}
			continue
		}
		batch.Events, at = append(batch.Events, d), append(at, i)
	}
	if len(batch.Events) == 0 {
		return out, nil
	}
	done, err := s.store.AddEvents(ctx, batch)
	if err != nil {
		return nil, fmt.Errorf("add events: %w", err)
	}
	for i, o := range done {
		out[at[i]] = o
	}
	return out, nil
}

// List returns events, newest first. An unknown name is an error that lists the
// known.
func (s *Service) List(ctx context.Context, f Filter) ([]Event, error) {
	if f.Name != "" {
		names, err := s.store.EventNames(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the names of events: %w", err)
		}
		if !slices.Contains(names, f.Name) {
			return nil, rapport.Unknown("event", f.Name, names)
		}
	}
	list, err := s.store.Events(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return list, nil
}

// Names lists the names of events, with how many there are of each.
func (s *Service) Names(ctx context.Context) ([]Name, error) {
	names, err := s.store.EventCounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count events: %w", err)
	}
	return names, nil
}

// Declare makes names known before their first event, so that conditions may
// speak of them. Known ones stay as they are.
func (s *Service) Declare(ctx context.Context, names []string) error {
	for _, n := range names {
		if err := CheckName(n); err != nil {
			return err
		}
	}
	if err := s.store.DeclareEvents(ctx, names); err != nil {
		return fmt.Errorf("declare events: %w", err)
	}
	return nil
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)

// CheckName refuses what cannot be a name of events.
func CheckName(name string) error {
	if namePattern.MatchString(name) {
		return nil
	}
	return rapport.Invalidf("name", "%q is not a name of an event: use 1 to 64 lower-case letters, digits, ., - or _, beginning with a letter or digit, like order.placed", clip(name))
}

// OtherContent is the sentence about an ID that is known with something else.
func OtherContent(id string) string {
	return fmt.Sprintf("id: the event %q is known with another name, contact, time or data, and an event never changes; give a new one an ID of its own", id)
}

// TooManyNames is the sentence about a name that is one too many.
func TooManyNames(name string) string {
	return fmt.Sprintf("name: %q would be one name of events more than the %d that are possible; put what differs from event to event into its data", name, MaxNames)
}
