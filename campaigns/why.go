package campaigns

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/conditions"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
)

// WhyStore reads what decides about one person. What it answers comes from the
// statements by which planning and the gate decide.
type WhyStore interface {
	// Weigh says whether planning would take a person, and why not.
	Weigh(ctx context.Context, run Run, aim Aim, contact int64) (Weighed, error)
	// PartsHold says of parts of a condition whether they hold for a person; nil:
	// that is not known.
	PartsHold(ctx context.Context, aim Aim, contact int64, parts []conditions.Node) ([]*bool, error)
	// Standings reads what planning and the gate go by.
	Standings(ctx context.Context, run Run, contact int64) (Standings, error)
	// Placed says what became of a person in a run.
	Placed(ctx context.Context, run, contact int64) (Placed, error)
	// Heeded says what caps and the person's own wishes do to a message.
	Heeded(ctx context.Context, run Run, priority string, contact, delivery int64, now, expires time.Time) (outbox.Verdict, error)
	// Slows lists the receiving domains that were asked to be gone easy on.
	Slows(ctx context.Context) ([]outbox.Slow, error)
}

// Weighed is what planning would do about one person.
type Weighed struct {
	Member bool          // of the audience
	Reason outbox.Reason // why not; empty: they would be planned
	Due    time.Time
}

// Standings is what planning and the gate go by, of one person.
type Standings struct {
	Exists         bool
	Address        string // primary one of the channel's kind
	AddressRow     int64
	Restricted     bool
	RestrictionRow Row
	Suppression    string // of the address, as far as it counts
	Suppressed     string // of the address, whether it counts or not
	SuppressionRow Row
	Domain         string // reason of a suppressed domain
	DomainRow      Row    // its entry: of the domain itself, or of the nearest one above it
	Consent        string
	ConsentAddress string
	ConsentEnds    time.Time
	Entry          int64
}

// Placed is what became of a person in a run: a delivery, a reason why there is
// none (Skipped), or neither.
type Placed struct {
	Delivery  int64
	Batch     int64
	State     outbox.State
	Reason    outbox.Reason
	Address   string
	NotBefore time.Time
	ExpiresAt time.Time
	Entry     int64 // line of the ledger it relied on
	Tracked   int64 // -1: its links name nobody; 0: a stated ground; else a line of the ledger
	At        time.Time
	Skipped   bool
	Passed    bool // planning has been past the person's number
}

// Question asks why somebody gets a message, or not.
type Question struct {
	Contact  string // ID, external ID or address; or
	Delivery string // ID of a delivery
	Campaign string // name or ID
	Run      string // ID of a run; empty: the newest, or what would come
	Next     bool   // what would come, whatever has been
}

// Outcome is what a gate says.
type Outcome string

// The outcomes. Aside means that there is nothing to decide here.
const (
	Passes Outcome = "passes"
	Stops  Outcome = "stops"
	Waits  Outcome = "waits"
	Aside  Outcome = "aside"
)

// Row is what an answer rests on.
type Row struct {
	Table  string     `json:"table"`
	Key    string     `json:"key"`
	At     *time.Time `json:"at,omitempty"`
	Actor  string     `json:"actor,omitempty"`
	Detail string     `json:"detail,omitempty"`
}

// Part is a part of a condition with the values of the person it speaks of.
type Part struct {
	Condition string            `json:"condition"`
	Holds     *bool             `json:"holds"` // null: not known, which counts as no
	Values    map[string]string `json:"values,omitempty"`
}

// Gate is one thing that decides whether and when a message leaves.
type Gate struct {
	Name    string        `json:"gate"`
	Outcome Outcome       `json:"outcome"`
	Reason  outbox.Reason `json:"reason,omitempty"`
	Says    string        `json:"says"` // a sentence
	Until   *time.Time    `json:"until,omitempty"`
	Row     *Row          `json:"row,omitempty"`
	Parts   []Part        `json:"parts,omitempty"`
}

// Why is the answer to a Question: what decided, in one sentence, and every
// gate in the order in which they are asked.
type Why struct {
	Campaign string        `json:"campaign"`
	Run      string        `json:"run,omitempty"` // empty: it has not begun
	Contact  string        `json:"contact"`       // ID; empty: erased
	Channel  string        `json:"channel"`
	Topic    string        `json:"topic"`
	Now      time.Time     `json:"now"`
	State    outbox.State  `json:"state,omitempty"` // of the delivery; empty: there is none
	Reason   outbox.Reason `json:"reason,omitempty"`
	Sentence string        `json:"sentence"`
	Decided  *Gate         `json:"decided"` // null: nothing stands in the way
	// Gates is every gate as things stand now. What has been decided rests on
	// what stood then.
	Gates []Gate `json:"gates"`
	Story []Gate `json:"story,omitempty"` // what has happened, oldest first

	Due       *time.Time `json:"due,omitempty"`
	Address   string     `json:"address,omitempty"`
	Locale    string     `json:"locale,omitempty"`   // of the letter
	Template  string     `json:"template,omitempty"` // its name
	Revision  int64      `json:"revision,omitempty"` // of the template
	ReliesOn  int64      `json:"entry,omitempty"`    // line of the ledger a delivery relied on
	Responses []Reaction `json:"responses,omitempty"`
}

// card is all that is known when gates are asked.
type card struct {
	s         *Service
	now       time.Time // of the answer
	at        time.Time // the moment that is asked about
	campaign  Campaign
	run       Run
	begun     bool // the run is real
	aim       Aim
	person    contacts.Contact
	weighed   Weighed
	standings Standings
	sheet     consent.Sheet
	wishes    []consent.Preference
	heeded    outbox.Verdict
	hold      *outbox.Hold
	slow      []outbox.Slow
	parts     []Part // of where, segments and exclusions, by the aim's order
	segments  []bool
	excluded  []bool
	letter    rendering
	placed    Placed
	detail    Detail
}

// rendering is what came of writing the letter.
type rendering struct {
	locale   string
	revision int64
	err      error
}

// Why replays every gate for one person, before or after sending, and names the
// first that decided. It changes nothing.
func (s *Service) Why(ctx context.Context, q Question) (Why, error) {
	c := &card{s: s, now: s.moment()}
	c.at = c.now
	if err := c.find(ctx, q); err != nil {
		return Why{}, err
	}
	if err := c.read(ctx); err != nil {
		return Why{}, fmt.Errorf("ask why %s: %w", c.run.Name, err)
	}
	return c.answer(), nil
}

// find finds the person and the run that are meant.
func (c *card) find(ctx context.Context, q Question) error {
	var err error
	if q.Delivery != "" {
		return c.findDelivery(ctx, q.Delivery)
	}
	if q.Contact == "" {
		return rapport.Invalidf("contact", "is missing: whom is it about? Name a person, or a delivery")
	}
	if c.person, err = c.s.contacts.Get(ctx, q.Contact); err != nil {
		return err
	}
	if q.Run != "" {
		if c.run, err = c.s.runs.FindRun(ctx, q.Run); err != nil {
			return err
		}
		c.begun = true
		return c.definition(ctx)
	}
	if q.Campaign == "" {
		return rapport.Invalidf("campaign", "is missing: which message? Name a campaign, a run or a delivery")
	}
	if c.campaign, err = c.s.store.Campaign(ctx, q.Campaign); err != nil {
		return err
	}
	if !q.Next {
		list, err := c.s.runs.Runs(ctx, c.campaign.ID, 0, 1)
		if err != nil {
			return fmt.Errorf("find the newest run of %s: %w", c.campaign.Name, err)
		}
		if len(list) > 0 {
			c.run, c.begun = list[0], true
			return nil
		}
	}
	return c.coming(ctx)
}

func (c *card) findDelivery(ctx context.Context, id string) error {
	run, contact, err := rapport.ParseDeliveryID(id)
	if err != nil {
		return err
	}
	d, err := c.s.reports.DeliveryOf(ctx, run, contact)
	if err != nil {
		return err
	}
	if c.run, err = c.s.runs.FindRun(ctx, d.Run); err != nil {
		return err
	}
	c.begun = true
	c.person, err = c.s.plan.Contact(ctx, contacts.Key{ID: contact})
	if rapport.KindOf(err) == rapport.NotFound {
		c.person, err = contacts.Contact{ID: contact}, nil // erased: the gates say so
	}
	if err != nil {
		return err
	}
	return c.definition(ctx)
}

// definition finds the campaign of a run; a single message has none.
func (c *card) definition(ctx context.Context) (err error) {
	if c.run.Campaign != 0 {
		c.campaign, err = c.s.store.Campaign(ctx, c.run.Name)
	}
	return err
}

// coming makes the run that would begin next, as its start would.
func (c *card) coming(ctx context.Context) error {
	next := c.campaign.Next
	if next.IsZero() {
		cal, err := c.s.calendar(ctx, c.campaign)
		if err != nil {
			return err
		}
		if next = cal.First(c.now); next.IsZero() {
			next = Occurrence{For: c.now, Begin: c.now}
		}
	}
	if next.Begin.After(c.at) {
		c.at = next.Begin
	}
	run, err := c.s.newRun(ctx, c.campaign, next, c.at)
	if err != nil {
		return err
	}
	c.run = *run
	return nil
}

// read asks the store everything the gates go by.
func (c *card) read(ctx context.Context) (err error) {
	s := c.s
	if c.aim, err = s.aim(ctx, c.run); err != nil {
		return err
	}
	if c.begun {
		if c.placed, err = s.why.Placed(ctx, c.run.ID, c.person.ID); err != nil {
			return err
		}
		if c.placed.Delivery != 0 {
			if c.detail, err = s.reports.DeliveryOf(ctx, c.run.ID, c.person.ID); err != nil {
				return err
			}
		}
	}
	if c.standings, err = s.why.Standings(ctx, c.run, c.person.ID); err != nil {
		return err
	}
	if c.sheet, err = s.consent.Show(ctx, c.person.ID); err != nil {
		return err
	}
	if !c.standings.Exists {
		return nil // erased: there is nothing else to read
	}
	if c.weighed, err = s.why.Weigh(ctx, c.run, c.aim, c.person.ID); err != nil {
		return err
	}
	if err := c.readParts(ctx); err != nil {
		return err
	}
	if c.wishes, err = s.consent.Preferences(ctx, c.person.ID); err != nil {
		return err
	}
	topic, err := s.consent.Topic(ctx, c.run.Topic)
	if err != nil {
		return err
	}
	if c.heeded, err = s.why.Heeded(ctx, c.run, topic.Priority, c.person.ID, c.placed.Delivery, c.at, c.expires()); err != nil {
		return err
	}
	if c.slow, err = s.why.Slows(ctx); err != nil {
		return err
	}
	holds, err := s.notes.Holds(ctx, c.now)
	if err != nil {
		return fmt.Errorf("read the holds of channels: %w", err)
	}
	for i := range holds {
		if holds[i].Channel == c.run.Channel {
			c.hold = &holds[i]
		}
	}
	return c.write(ctx)
}

// due is when the message is due.
func (c *card) due() time.Time {
	if c.placed.Delivery != 0 {
		return c.placed.NotBefore
	}
	return c.weighed.Due
}

// expires is when it makes no sense any more; zero: never.
func (c *card) expires() time.Time {
	switch {
	case c.placed.Delivery != 0:
		return c.placed.ExpiresAt
	case c.run.Expires > 0 && !c.weighed.Due.IsZero():
		return c.weighed.Due.Add(c.run.Expires)
	}
	return time.Time{}
}

// write tries to write the letter, as far as it has not been written.
func (c *card) write(ctx context.Context) error {
	rev, err := c.s.reports.Revision(ctx, c.run.Revision)
	if err != nil {
		return err
	}
	c.letter.revision = int64(rev.Number)
	if c.campaign.ID == 0 {
		return nil // a single message brought data of its own
	}
	c.letter.locale, c.letter.err = c.localeOf(ctx)
	return ctx.Err()
}

// localeOf writes the letter and says in which language it is.
func (c *card) localeOf(ctx context.Context) (string, error) {
	letter, err := c.s.templates.LetterOf(ctx, c.run.Driver, c.run.Revision)
	if err != nil {
		return "", err
	}
	out, err := c.s.render(ctx, letter, c.person, c.campaign.Definition)
	return out.Locale, err
}

// hours is when people are left alone.
func (s *Service) hours() *outbox.Calm {
	if s.calm != nil {
		return s.calm
	}
	return &outbox.Calm{Home: s.zone, Zone: func(name string) *time.Location {
		if z, err := time.LoadLocation(name); err == nil {
			return z
		}
		return nil
	}}
}
