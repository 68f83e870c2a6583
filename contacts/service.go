package contacts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
)

// Service is what the doors call about people. It is safe for concurrent use.
type Service struct {
	store       Store
	imports     ImportStore
	segments    SegmentStore
	drivers     *channels.Registry
	fingerprint Fingerprint
	now         func() time.Time
	random      io.Reader
}

// Options is what a Service is made of.
type Options struct {
	Store interface {
		Store
		ImportStore
		SegmentStore
	}
	Drivers     *channels.Registry
	Fingerprint Fingerprint
	Now         func() time.Time
	Random      io.Reader // source of IDs and salts; safe for concurrent use
}

// New makes the service.
func New(o Options) *Service {
	return &Service{
		store: o.Store, imports: o.Store, segments: o.Store,
		drivers: o.Drivers, fingerprint: o.Fingerprint, now: o.Now, random: o.Random,
	}
}

func (s *Service) kinds() []channels.Address { return s.drivers.AddressKinds() }

// Input is what somebody says about a person. It means the contact with that
// external ID, else the one with one of the addresses, else a new one.
type Input struct {
	ExternalID string
	Locale     string
	Zone       string
	Attributes map[string]any    // nil values clear
	Addresses  map[string]string // kind → address, which becomes the primary one
}

// Put creates a contact or changes one, and says whether it is new. An address
// that belongs to somebody else is a Conflict.
func (s *Service) Put(ctx context.Context, in Input) (Contact, bool, error) {
	row, err := s.inputRow(ctx, in)
	if err != nil {
		return Contact{}, false, err
	}
	applied, err := s.store.Apply(ctx, Chunk{Rows: []Row{row}, Actor: rapport.ActorOf(ctx).Name, Durable: true})
	if err != nil {
		return Contact{}, false, fmt.Errorf("put a contact: %w", err)
	}
	out := applied.Outcomes[0]
	if out.Status == Refused {
		return Contact{}, false, rapport.Conflictf("%s", out.Reason)
	}
	c, err := s.store.Contact(ctx, Key{ID: out.ID})
	return c, out.Status == Created, err
}

// Correct changes a contact, whatever it is called by now, and returns it with
// the names of the fields that changed. An address or external ID that is
// somebody else's is a Conflict.
func (s *Service) Correct(ctx context.Context, contact int64, in Input) (Contact, []string, error) {
	before, err := s.store.Contact(ctx, Key{ID: contact})
	if err != nil {
		return before, nil, err
	}
	given := in
	if in.ExternalID == "" && len(in.Addresses) == 0 {
		in.ExternalID = before.ExternalID // a row has to name somebody
		if in.ExternalID == "" && len(before.Addresses) > 0 {
			a := before.Addresses[0]
			if a, ok := before.Primary(a.Kind); ok {
				in.Addresses = map[string]string{a.Kind: a.Display}
			}
		}
	}
	row, err := s.inputRow(ctx, in)
	if err != nil {
		return before, nil, err
	}
	row.Contact = contact
	applied, err := s.store.Apply(ctx, Chunk{Rows: []Row{row}, Actor: rapport.ActorOf(ctx).Name, Durable: true})
	if err != nil {
		return before, nil, fmt.Errorf("correct a contact: %w", err)
	}
	if out := applied.Outcomes[0]; out.Status == Refused {
		return before, nil, rapport.Conflictf("%s", out.Reason)
	} else if out.Status == Unchanged {
		return before, []string{}, nil
	}
	after, err := s.store.Contact(ctx, Key{ID: contact})
	return after, changedFields(before, after, given), err
}

// changedFields names what is another than it was, of what was given.
func changedFields(before, after Contact, in Input) []string {
	out := []string{}
	for name, differs := range map[string]bool{
		"external_id": before.ExternalID != after.ExternalID, columnLocale: before.Locale != after.Locale, columnZone: before.Zone != after.Zone,
	} {
		if differs {
			out = append(out, name)
		}
	}
	for kind := range in.Addresses {
		was, _ := before.Primary(kind)
		is, _ := after.Primary(kind)
		if was.Value != is.Value || was.Display != is.Display {
			out = append(out, kind)
		}
	}
	var was, is map[string]json.RawMessage
	if json.Unmarshal(before.Attributes, &was) != nil || json.Unmarshal(after.Attributes, &is) != nil {
		return out
	}
	for name := range in.Attributes {
		if !equal(was[name], is[name]) {
			out = append(out, "contact."+name)
		}
	}
	slices.Sort(out)
	return out
}

func (s *Service) inputRow(ctx context.Context, in Input) (Row, error) {
	m := s.maker()
	r := Row{ExternalID: strings.TrimSpace(in.ExternalID)}
	if r.ExternalID == "" && len(in.Addresses) == 0 {
		return r, rapport.Invalidf("external_id", "a contact needs an external_id or an address")
	}
	var err error
	if r.UID, err = m.uid(); err != nil {
		return r, err
	}
	if err := m.known(in.Locale, columnLocale, m.locales, canonicalLocale, &r.Locale, &r.Clear); err != nil {
		return r, rapport.Invalidf(columnLocale, "%v", err)
	}
	if err := m.known(in.Zone, columnZone, m.zones, canonicalZone, &r.Zone, &r.Clear); err != nil {
		return r, rapport.Invalidf(columnZone, "%v", err)
	}
	for _, kind := range slices.Sorted(maps.Keys(in.Addresses)) {
		a, err := s.kind(kind)
		if err != nil {
			return r, err
		}
		if err := m.address(&r, &column{address: a}, in.Addresses[kind]); err != nil {
			return r, rapport.Invalidf(kind, "%v", err)
		}
	}
	m.imply(&r)
	r.Attributes, err = s.inputAttributes(ctx, in.Attributes)
	return r, err
}

func (s *Service) kind(name string) (channels.Address, error) {
	kinds := s.kinds()
	i := slices.IndexFunc(kinds, func(a channels.Address) bool { return a.Kind == name })
	if i < 0 {
		var names []string
		for _, k := range kinds {
			names = append(names, k.Kind)
		}
		return channels.Address{}, rapport.Unknown("kind of address", name, names)
	}
	return kinds[i], nil
}

// inputAttributes types values: by what is declared, else by what they are,
// which is declared thereby.
func (s *Service) inputAttributes(ctx context.Context, in map[string]any) ([]Attribute, error) {
	if len(in) == 0 {
		return nil, nil
	}
	types, err := s.store.AttributeTypes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the types of attributes: %w", err)
	}
	var out []Attribute
	news := map[string]Type{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		t, known := types[name]
		if !known {
			if err := CheckAttributeName(name); err != nil {
				return nil, rapport.Invalidf("attributes."+name, "%v", err)
			}
			if slices.ContainsFunc(s.kinds(), func(a channels.Address) bool { return a.Kind == name }) {
				return nil, rapport.Invalidf("attributes."+name, "this is a kind of address, not an attribute")
			}
			if in[name] == nil {
				continue
			}
			t = natural(in[name])
			news[name] = t
		}
		value, err := typed(in[name], t)
		if err != nil {
			return nil, rapport.Invalidf("attributes."+name, "%v", err)
		}
		out = append(out, Attribute{name, value})
	}
	if len(news) > 0 {
		if err := s.store.DeclareAttributes(ctx, news); err != nil {
			return nil, fmt.Errorf("declare attributes: %w", err)
		}
	}
	return out, nil
}

// natural is the type a value has by itself.
func natural(v any) Type {
	switch v.(type) {
	case string:
		return Text
	case bool:
		return Bool
	case float64, json.Number, int, int64:
		return Number
	case time.Time:
		return Time
	}
	return JSON
}

// typed writes a value as the JSON stored for a type.
func typed(v any, t Type) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	if at, ok := v.(time.Time); ok {
		v = at.UTC().Format(time.RFC3339Nano)
	}
	if text, ok := v.(string); ok && t != JSON {
		if len(text) > MaxCell {
			return nil, fmt.Errorf("it is longer than %d KB", MaxCell>>10)
		}
		if why := unreadable(text); why != "" {
			return nil, errors.New("it " + why)
		}
		return convert(text, t)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("it is not a value: %w", err)
	}
	switch {
	case t == JSON:
		return raw, portable(string(raw))
	case t == Number && natural(v) == Number:
		// A float64 beyond 1e21 is written with an exponent: no number of ours.
		return convert(string(raw), Number)
	case t == Bool && natural(v) == Bool:
		return raw, nil
	}
	return nil, fmt.Errorf("%s is no %s", quote(string(raw)), t)
}

// Get finds a contact by its ID, its external ID, "kind:address" or an address
// as it is.
func (s *Service) Get(ctx context.Context, ref string) (Contact, error) {
	ref = strings.TrimSpace(ref)
	keys := []Key{{UID: ref}, {ExternalID: ref}}
	if kind, value, ok := strings.Cut(ref, ":"); ok {
		if a, err := s.kind(kind); err == nil {
			if canonical, err := a.Normalize(value); err == nil {
				keys = append(keys, Key{Kind: kind, Value: canonical})
			}
		}
	}
	for _, a := range s.kinds() {
		if canonical, err := a.Normalize(ref); err == nil {
			keys = append(keys, Key{Kind: a.Kind, Value: canonical})
		}
	}
	for _, k := range keys {
		c, err := s.store.Contact(ctx, k)
		if rapport.KindOf(err) != rapport.NotFound {
			return c, err
		}
	}
	return Contact{}, rapport.NotFoundf("there is no contact %q: neither an ID, an external ID nor an address", ref)
}

// List returns the next contacts.
func (s *Service) List(ctx context.Context, p Page) ([]Contact, error) {
	list, err := s.store.Contacts(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("list contacts: %w", err)
	}
	return list, nil
}

// Erase forgets a contact for good; see Store.Erase.
func (s *Service) Erase(ctx context.Context, contact int64) error {
	if err := s.store.Erase(ctx, contact, rapport.ActorOf(ctx).Name, salts(s.random)); err != nil {
		return fmt.Errorf("erase a contact: %w", err)
	}
	return nil
}

// Attributes returns the declared and learned attributes with their types.
func (s *Service) Attributes(ctx context.Context) (map[string]Type, error) {
	types, err := s.store.AttributeTypes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the types of attributes: %w", err)
	}
	return types, nil
}

// Declare adds attributes before anybody has them.
func (s *Service) Declare(ctx context.Context, types map[string]Type) error {
	for name, t := range types {
		if err := CheckAttributeName(name); err != nil {
			return rapport.Invalidf("attributes", "%v", err)
		}
		if !slices.Contains(Types(), string(t)) {
			return rapport.Invalidf("attributes."+name, "%q is not a type; known: %s", t, strings.Join(Types(), ", "))
		}
	}
	if err := s.store.DeclareAttributes(ctx, types); err != nil {
		return fmt.Errorf("declare attributes: %w", err)
	}
	return nil
}

// CheckPepper refuses to go on with another pepper than the database knows.
func (s *Service) CheckPepper(ctx context.Context, id string) error {
	return s.store.CheckPepper(ctx, id)
}
