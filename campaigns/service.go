package campaigns

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/templates"
)

// Service is what the doors call about campaigns. It is safe for concurrent
// use.
type Service struct {
	store     Store
	runs      RunStore
	plan      PlanStore
	reports   ReportStore
	notes     NoteStore
	tracked   TrackingStore
	why       WhyStore
	contacts  *contacts.Service
	consent   *consent.Service
	templates *templates.Service
	drivers   *channels.Registry
	channels  []Channel
	publicURL string
	zone      *time.Location
	tracking  outbox.Tracking
	calm      *outbox.Calm
	poke      func()
	halted    func(Halt)
	now       func() time.Time
	random    io.Reader
	log       *slog.Logger

	planning sync.Mutex // one page at a time in this process
	aimed    aimed
}

// Channel is a configured channel, as far as campaigns care.
type Channel struct {
	Name   string
	Driver string
	Rate   float64  // messages a second over all processes; 0: no limit
	Apart  []string // receiving domains with a limit of their own
}

// Halt is a pause that no person asked for.
type Halt struct {
	Run      int64  // that cannot go on; 0: the campaign could not begin
	Campaign string // its name; empty when Run says it
	Note     string // why
}

// Options is what a Service is made of.
type Options struct {
	Store interface {
		Store
		RunStore
		PlanStore
		ReportStore
		NoteStore
		TrackingStore
		WhyStore
	}
	Contacts  *contacts.Service
	Consent   *consent.Service
	Templates *templates.Service
	Drivers   *channels.Registry
	Channels  []Channel
	PublicURL string          // where recipients reach the public pages
	Zone      *time.Location  // of schedules and people that name none; nil: UTC
	Tracking  outbox.Tracking // what letters may tell about people
	// Calm is when people are left alone, as the workers keep to it; nil: only
	// the windows of runs count.
	Calm *outbox.Calm
	Poke func() // wakes the pump if it lives in this process; may be nil
	// Halted hears once of each run or campaign that was paused because it cannot
	// go on. It must not wait for anything; may be nil.
	Halted func(Halt)
	Now    func() time.Time
	Random io.Reader // source of IDs; safe for concurrent use
	Log    *slog.Logger
}

// New makes the service.
func New(o Options) *Service {
	s := &Service{
		store: o.Store, runs: o.Store, plan: o.Store, reports: o.Store, notes: o.Store, tracked: o.Store, why: o.Store,
		contacts: o.Contacts, consent: o.Consent, templates: o.Templates, drivers: o.Drivers, channels: o.Channels,
		publicURL: o.PublicURL, zone: o.Zone, tracking: o.Tracking, calm: o.Calm, poke: o.Poke, halted: o.Halted, now: o.Now, random: o.Random, log: o.Log,
	}
	if s.zone == nil {
		s.zone = time.UTC
	}
	if s.poke == nil {
		s.poke = func() {}
	}
	if s.halted == nil {
		s.halted = func(Halt) {}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// moment is now as it can be stored.
func (s *Service) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// channel finds a configured channel and its driver.
func (s *Service) channel(name string) (Channel, channels.Driver, error) {
	for _, c := range s.channels {
		if c.Name == name {
			d, err := s.drivers.Driver(c.Driver)
			return c, d, err
		}
	}
	return Channel{}, channels.Driver{}, rapport.Unknown("channel", name, channelNames(s.channels))
}

func channelNames(list []Channel) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.Name)
	}
	return out
}

// Create makes a campaign from a file, YAML or JSON by its name, or a new
// revision of a draft. Mistakes come all at once, with file, line and key. A
// campaign that was started is a Conflict.
func (s *Service) Create(ctx context.Context, file string, data []byte) (Campaign, error) {
	known, err := s.known(ctx)
	if err != nil {
		return Campaign{}, fmt.Errorf("read what a campaign may speak of: %w", err)
	}
	def, err := parse(file, data, known)
	if err != nil {
		return Campaign{}, err
	}
	uid, err := rapport.NewUID(s.random)
	if err != nil {
		return Campaign{}, err
	}
	now := s.moment()
	c, err := s.store.PutCampaign(ctx, Campaign{
		UID: uid, Name: def.Name, Title: def.Title, State: Draft, Definition: def,
		Actor: rapport.ActorOf(ctx).Name, CreatedAt: now, UpdatedAt: now,
	})
	if err != nil {
		return c, fmt.Errorf("put campaign %s: %w", def.Name, err)
	}
	return c, nil
}

// Put is Create for a definition that is no file.
func (s *Service) Put(ctx context.Context, def Definition) (Campaign, error) {
	data, err := json.Marshal(def)
	if err != nil {
		return Campaign{}, fmt.Errorf("write campaign %s: %w", def.Name, err)
	}
	return s.Create(ctx, "campaign.json", data)
}

// Show finds a campaign by its name or ID.
func (s *Service) Show(ctx context.Context, ref string) (Campaign, error) {
	return s.store.Campaign(ctx, ref)
}

// maxPage is how much one answer holds at most.
const maxPage = 1000

func page(limit int) int {
	if limit <= 0 || limit > maxPage {
		return maxPage
	}
	return limit
}

// List returns the next campaigns by name.
func (s *Service) List(ctx context.Context, after string, limit int) ([]Campaign, error) {
	list, err := s.store.Campaigns(ctx, after, page(limit))
	if err != nil {
		return nil, fmt.Errorf("list campaigns: %w", err)
	}
	return list, nil
}

// Copy makes a draft of another name with the same definition. A name that
// exists is a Conflict.
func (s *Service) Copy(ctx context.Context, ref, name string) (Campaign, error) {
	c, err := s.store.Campaign(ctx, ref)
	if err != nil {
		return c, err
	}
	if err := rapport.CheckName("name", name); err != nil {
		return c, err
	}
	if old, err := s.store.Campaign(ctx, name); err == nil {
		return c, rapport.Conflictf("a campaign %s exists already (%s): choose another name", name, old.State)
	} else if rapport.KindOf(err) != rapport.NotFound {
		return c, err
	}
	def := c.Definition
	def.Name = name
	return s.Put(ctx, def)
}
