package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rapport"
	"rapport/access"
	"rapport/campaigns"
	"rapport/channels"
	"rapport/config"
	"rapport/consent"
	"rapport/contacts"
	"rapport/events"
	"rapport/outbox"
	"rapport/requests"
	"rapport/responses"
	"rapport/rights"
	"rapport/store"
	"rapport/templates"
	"rapport/worker"
)

// Options is what a house is built from.
type Options struct {
	Config  config.Config
	Drivers *channels.Registry
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now
	Random  io.Reader        // nil: crypto/rand
	Version string
}

// House is all rooms with their services. What runs on its own (web, worker)
// starts with Serve or Work; everything else is ready at once.
type House struct {
	Config    config.Config
	Drivers   *channels.Registry
	Log       *slog.Logger
	Keys      Keys
	Store     *store.Store
	Access    *access.Log
	Rights    *rights.Service
	Contacts  *contacts.Service
	Events    *events.Service
	Consent   *consent.Service
	Templates *templates.Service
	Campaigns *campaigns.Service
	Requests  *requests.Service
	Version   string

	now     func() time.Time
	random  io.Reader
	tokens  *responses.Tokens
	links   *responses.Linker
	types   *typeTable
	home    *time.Location // of people and schedules that name none
	zones   sync.Map       // name → *time.Location, of people
	tracked sync.Map       // endedRun → *report.Tracked
	halted  halts
	daily   []DailyChore
	calm    *outbox.Calm
	limits  *outbox.Limits                // nil: none
	named   sync.Map                      // name → *time.Location or nil, of people
	shelf   shelf                         // of calendars
	post    readers                       // of mailboxes, while this process reads them
	worker  atomic.Pointer[worker.Worker] // while this process sends
	room    atomic.Pointer[worker.Worker] // the last one, for what is still on the wire
}

// Open makes the data folder if need be, opens the store and builds the
// services. Topics of the configuration are created or updated.
func Open(ctx context.Context, o Options) (*House, error) {
	h := &House{Config: o.Config, Drivers: o.Drivers, Log: o.Log, Version: o.Version, now: o.Now, random: o.Random}
	if h.now == nil {
		h.now = time.Now
	}
	if h.random == nil {
		h.random = rand.Reader
	}
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Config.Data, 0o700); err != nil {
		return nil, unavailable(err, "the data folder")
	}
	var err error
	if h.Store, err = store.Open(ctx, StoreOptions(o.Config, h.now, h.Log)); err != nil {
		return nil, err
	}
	if err := h.unlock(ctx); err != nil {
		return nil, errors.Join(err, h.Store.Close())
	}
	return h, nil
}

// StoreOptions says where the configuration keeps the truth.
func StoreOptions(c config.Config, now func() time.Time, log *slog.Logger) store.Options {
	return store.Options{Database: c.Database.Reveal(), Data: c.Data, Now: now, Log: log, Tracking: store.TrackingOf(TrackingOf(c)), Terms: ConsentTerms(c)}
}

// unlock reads the keys, made at the first start, compares them with what the
// database knows, and builds the services. It comes after the store is open, so
// that a database that is away or another's leaves no key behind.
func (h *House) unlock(ctx context.Context) error {
	keys, made, err := OpenKeys(h.Config, h.random)
	if err != nil {
		return err
	}
	h.Keys = keys
	if err := h.furnish(); err != nil {
		return err
	}
	err = h.Contacts.CheckPepper(ctx, contacts.PepperID(keys.Pepper))
	switch {
	case rapport.KindOf(err) == rapport.Conflict:
		return wrongKey(h.Config, made, err)
	case err != nil:
		return err
	}
	return h.putTopics(ctx)
}

// furnish builds the services over the store.
func (h *House) furnish() error {
	fingerprint := contacts.NewFingerprint(h.Keys.Pepper)
	h.Access = access.New(h.Store, h.now)
	h.Contacts = contacts.New(contacts.Options{Store: h.Store, Drivers: h.Drivers, Fingerprint: fingerprint, Now: h.now, Random: h.random})
	h.Events = events.New(events.Options{Store: h.Store, Drivers: h.Drivers, Now: h.now})
	h.Consent = consent.New(consent.Options{Store: h.Store, Drivers: h.Drivers, Fingerprint: fingerprint, Now: h.now, Random: h.random})
	h.Daily(h.expireConsent())
	h.Daily(h.endDomains())
	h.Daily(h.forgetMails())
	h.Templates = templates.NewService(h.Store, h.Drivers, h.templateSchema, h.now, h.random)
	var err error
	if h.home, err = time.LoadLocation(h.Config.Zone); err != nil {
		return rapport.Invalidf("zone", "%q is not a time zone; write one like Europe/Berlin", h.Config.Zone)
	}
	if err := errors.Join(h.readCalendars(), h.quieten()); err != nil {
		return err
	}
	h.types = &typeTable{contacts: h.Contacts, now: h.now}
	if h.tokens, err = responses.NewTokens(h.Keys.Sign); err != nil {
		return err
	}
	h.links = responses.NewLinker(h.tokens, h.PublicURL())
	h.Campaigns = campaigns.New(campaigns.Options{
		Store: h.Store, Contacts: h.Contacts, Consent: h.Consent, Templates: h.Templates, Drivers: h.Drivers,
		Channels: h.campaignChannels(), PublicURL: h.PublicURL(), Zone: h.home, Poke: h.poke, Halted: h.halted.add,
		Tracking: h.Tracking(), Calm: h.calm,
		Now: h.now, Random: h.random, Log: h.Log,
	})
	h.furnishRequests()
	h.furnishRights()
	return nil
}

func (h *House) putTopics(ctx context.Context) error {
	if err := h.Consent.PutTopics(ctx, h.topics()); err != nil {
		return fmt.Errorf("topics of the configuration: %w", err)
	}
	return nil
}

// templateSchema is what templates may know of contacts.
func (h *House) templateSchema(ctx context.Context) (templates.Schema, error) {
	types, err := h.Contacts.Attributes(ctx)
	if err != nil {
		return templates.Schema{}, err
	}
	s := templates.Schema{Attributes: []string{}}
	for name := range types {
		s.Attributes = append(s.Attributes, name)
	}
	for _, a := range h.Drivers.AddressKinds() {
		s.Addresses = append(s.Addresses, a.Kind)
	}
	return s, nil
}

// PublicURL is where recipients reach the public pages: the configured
// address, else the listen address when it is on this machine.
func (h *House) PublicURL() string {
	if h.Config.PublicURL != "" {
		return h.Config.PublicURL
	}
	return "http://" + h.Config.Listen
}

// campaignChannels is what campaigns need to know of the channels.
func (h *House) campaignChannels() []campaigns.Channel {
	list := make([]campaigns.Channel, 0, len(h.Config.Channels))
	for _, c := range h.Config.Channels {
		list = append(list, campaigns.Channel{
			Name: c.Name, Driver: c.Driver, Rate: c.Rate.PerSecond(), Apart: slices.Sorted(maps.Keys(c.Domains)),
		})
	}
	return list
}

// poke wakes the pump if it lives in this process; otherwise it looks within
// a second.
func (h *House) poke() {
	if w := h.worker.Load(); w != nil {
		w.Poke()
	}
}

// Close lets everything go.
func (h *House) Close() error { return h.Store.Close() }
