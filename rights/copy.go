package rights

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport"
	"rapport/access"
	"rapport/consent"
	"rapport/contacts"
	"rapport/events"
)

// Delivery is one message to the person, as they are told of it.
type Delivery struct {
	Number   int64           `json:"-"`
	RunNo    int64           `json:"-"`
	ID       string          `json:"id"`
	Campaign string          `json:"campaign"`
	Channel  string          `json:"channel"`
	Topic    string          `json:"topic"`
	Address  string          `json:"address,omitempty"`
	State    string          `json:"state"`
	Reason   string          `json:"reason,omitempty"`
	Code     string          `json:"code,omitempty"`
	Provider string          `json:"provider_id,omitempty"`
	Server   string          `json:"server,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Entry    int64           `json:"permission,omitempty"` // line of the ledger it relied on
	At       time.Time       `json:"at"`
	Letter   string          `json:"letter,omitempty"` // file in the archive
}

// Try is one attempt that ended otherwise than sent.
type Try struct {
	Delivery string    `json:"delivery"`
	At       time.Time `json:"at"`
	Verdict  string    `json:"verdict"`
	Reason   string    `json:"reason,omitempty"`
	Code     string    `json:"code,omitempty"`
	Detail   string    `json:"detail,omitempty"`
}

// Response is something that came back from the person.
type Response struct {
	Number   int64     `json:"-"`
	Delivery string    `json:"delivery"`
	Campaign string    `json:"campaign"`
	Kind     string    `json:"kind"`
	Link     int64     `json:"link,omitempty"`
	Machine  bool      `json:"by_machine"`
	Agent    string    `json:"class_of_program,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	At       time.Time `json:"at"`
}

// Skip is a message the person did not get, because planning left them out.
type Skip struct {
	RunNo    int64     `json:"-"`
	Campaign string    `json:"campaign"`
	Channel  string    `json:"channel"`
	Topic    string    `json:"topic"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"` // of the run
}

// Look is something that was done with the person's data, by whom: a line of
// the audit log.
type Look struct {
	Number int64           `json:"-"`
	At     time.Time       `json:"at"`
	By     string          `json:"by"`
	What   string          `json:"what"` // like "contacts.show"
	Object string          `json:"object,omitempty"`
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Request is something the person asked for.
type Request struct {
	Kind        string          `json:"kind"`
	Asked       json.RawMessage `json:"asked"`
	AskedAt     time.Time       `json:"asked_at"`
	ExpiresAt   time.Time       `json:"expires_at"`
	ConfirmedAt *time.Time      `json:"confirmed_at"`
	ConfirmIP   string          `json:"confirmed_from,omitempty"`
	ConfirmUser string          `json:"confirmed_with,omitempty"`
}

// Recipient is who else gets to see data of people.
type Recipient struct {
	Channel  string `json:"channel"`
	Driver   string `json:"how"`
	Provider string `json:"provider,omitempty"` // host that takes the messages
}

// Tracking is what letters tell about what people do with them, and on which
// ground.
type Tracking struct {
	Mode   string `json:"mode"`             // person, aggregate or off
	Basis  string `json:"basis,omitempty"`  // of person
	Reason string `json:"reason,omitempty"` // why a basis other than consent holds
}

// CopyStore reads what is kept about a person. Lists come in the order of
// numbers, at most limit after the given one.
type CopyStore interface {
	DeliveriesTo(ctx context.Context, contact, after int64, limit int) ([]Delivery, error)
	TriesTo(ctx context.Context, contact, after int64, limit int) (list []Try, last int64, err error)
	ResponsesFrom(ctx context.Context, contact, after int64, limit int) ([]Response, error)
	// SkipsOf lists by the number of the run.
	SkipsOf(ctx context.Context, contact, after int64, limit int) ([]Skip, error)
	SuppressionsFor(ctx context.Context, contact int64) ([]consent.Suppression, error)
	RequestsOf(ctx context.Context, contact int64) ([]Request, error)
	EventsOf(ctx context.Context, contact, after int64, limit int) ([]events.Event, error)
}

// Bounds of an archive.
const (
	copyPage    = 500
	maxLetters  = 500      // the newest are written again
	maxLetter   = 1 << 20  // octets of one
	maxCopyRows = 200_000  // of a list
	maxCopySize = 64 << 20 // octets of letters together
)

// suppressed is a suppression as the person is told of it.
type suppressed struct {
	Kind    string    `json:"kind"`
	Address string    `json:"address,omitempty"`
	Reason  string    `json:"reason"`
	Detail  string    `json:"detail,omitempty"`
	At      time.Time `json:"at"`
}

// profile is a person with what stands over them.
type profile struct {
	contacts.Contact
	marks Marks
}

// MarshalJSON adds the marks to the contact.
func (p profile) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(p.Contact)
	if err != nil {
		return nil, err
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("write the profile: %w", err)
	}
	all["restricted_at"], all["objected_at"] = moment(p.marks.RestrictedAt), moment(p.marks.ObjectedAt)
	if p.marks.Reason != "" {
		all["restricted_because"] = p.marks.Reason
	}
	return json.Marshal(all)
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// person is all of a copy that is small.
type person struct {
	Profile      profile
	Sheet        consent.Sheet
	Wordings     []consent.WordingText
	Suppressions []suppressed
	Preferences  []consent.Preference
	Requests     []Request
	Recipients   []Recipient
	Tracking     Tracking
	Keep         []Kept
	Controller   string
	MadeAt       time.Time
	Locale       string
}

// gather reads what is small.
func (s *Service) gather(ctx context.Context, c contacts.Contact) (person, error) {
	p := person{Controller: s.o.Controller, MadeAt: s.moment(), Keep: s.o.Keep.ages(), Tracking: s.o.Tracking, Locale: c.Locale}
	if p.Locale == "" {
		p.Locale = s.o.Locale
	}
	if s.o.Recipients != nil {
		p.Recipients = s.o.Recipients()
	}
	p.Profile.Contact = c
	var err error
	if p.Profile.marks, err = s.o.Store.Marks(ctx, c.ID); err != nil {
		return p, err
	}
	if p.Sheet, err = s.o.Consent.Show(ctx, c.ID); err != nil {
		return p, err
	}
	if p.Wordings, err = s.wordings(ctx, p.Sheet); err != nil {
		return p, err
	}
	list, err := s.o.Store.SuppressionsFor(ctx, c.ID)
	if err != nil {
		return p, fmt.Errorf("read suppressions: %w", err)
	}
	for _, x := range list {
		p.Suppressions = append(p.Suppressions, suppressed{x.Kind, x.Value, x.Reason, x.Detail, x.At})
	}
	if p.Preferences, err = s.o.Consent.Preferences(ctx, c.ID); err != nil {
		return p, err
	}
	if p.Requests, err = s.o.Store.RequestsOf(ctx, c.ID); err != nil {
		return p, fmt.Errorf("read requests: %w", err)
	}
	return p, nil
}

// wordings finds the texts that entries of the ledger name.
func (s *Service) wordings(ctx context.Context, sheet consent.Sheet) ([]consent.WordingText, error) {
	var out []consent.WordingText
	seen := map[consent.NoticeRef]bool{}
	for _, h := range sheet.History {
		if h.Evidence == nil || h.Evidence.Notice == nil || seen[*h.Evidence.Notice] {
			continue
		}
		ref := *h.Evidence.Notice
		seen[ref] = true
		w, err := s.o.Consent.Wording(ctx, ref.Name, ref.Version, ref.Locale)
		switch {
		case err == nil:
			out = append(out, w)
		case rapport.KindOf(err) != rapport.NotFound: // one that is no longer there is named in the entry all the same
			return nil, fmt.Errorf("read wordings: %w", err)
		}
	}
	return out, nil
}

// handed adds the line that says that data were handed over.
func (s *Service) handed(ctx context.Context, c contacts.Contact) error {
	return s.o.Access.Note(ctx, access.Act{Action: "rights.export", Contact: c.ID})
}
