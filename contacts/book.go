package contacts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// Book is what a chunk of rows needs to know of the world: the people its rows
// may mean, and the ones it has made so far. It decides what each row does and
// touches no database.
type Book struct {
	external map[string]*Entry
	address  map[place]*Entry
	number   map[int64]*Entry
}

type place struct{ kind, value string }

// Entry is a person in a Book: one that stands in the database, or one that a
// row has just made.
type Entry struct {
	Contact
	Touched bool // a row of this file has meant this person already
	Line    int  // the row that made or changed it; 0: none of this chunk
}

// NewBook opens a book over the people that the rows may mean.
func NewBook(people []*Entry) *Book {
	b := &Book{external: make(map[string]*Entry), address: make(map[place]*Entry), number: make(map[int64]*Entry)}
	for _, p := range people {
		b.enter(p)
	}
	return b
}

func (b *Book) enter(e *Entry) {
	if e.ID != 0 {
		b.number[e.ID] = e
	}
	if e.ExternalID != "" {
		b.external[e.ExternalID] = e
	}
	for _, a := range e.Addresses {
		b.address[place{a.Kind, a.Value}] = e
	}
}

// Decision is what one row does.
type Decision struct {
	Status Status
	Reason string // when Refused
	Who    *Entry // the person meant, made or changed; nil when Refused
	Before *Contact
	// Fresh are the addresses to add and Gone those to take away, when the
	// person is Changed.
	Fresh, Gone []Address
}

func refused(format string, args ...any) Decision {
	return Decision{Status: Refused, Reason: fmt.Sprintf(format, args...)}
}

// Decide says what a row does and enters it into the book. A row means the
// person with its external ID, else the one with one of its addresses. An
// address that belongs to somebody else is refused with that person's name.
func (b *Book) Decide(r Row) Decision {
	who, reason := b.who(r)
	switch {
	case reason != "":
		return refused("%s", reason)
	case who == nil:
		return b.create(r)
	case r.Again:
		return Decision{Status: Unchanged, Who: who}
	case who.Touched:
		return Decision{Status: Duplicate, Who: who}
	}
	return b.change(who, r)
}

// Who returns the person a row means, if there is one and only one.
func (b *Book) Who(r Row) *Entry {
	who, reason := b.who(r)
	if reason != "" {
		return nil
	}
	return who
}

func (b *Book) who(r Row) (*Entry, string) {
	if r.Contact != 0 {
		return b.named(r)
	}
	if r.ExternalID == "" && len(r.Addresses) == 0 {
		return nil, "the row names nobody: it needs an external_id or an address"
	}
	who := b.external[r.ExternalID]
	if r.ExternalID == "" {
		who = nil
	}
	for _, a := range r.Addresses {
		owner := b.address[place{a.Kind, a.Value}]
		switch {
		case owner == nil || owner == who:
		case who == nil && (r.ExternalID == "" || owner.ExternalID == ""):
			who = owner
		default:
			return nil, fmt.Sprintf("the %s %s belongs to contact %s already", a.Kind, a.Value, owner.name())
		}
	}
	return who, ""
}

// named is the person a row names by number; what the row says must be nobody
// else's.
func (b *Book) named(r Row) (*Entry, string) {
	who := b.number[r.Contact]
	if who == nil {
		return nil, "the person is not there any more"
	}
	if owner := b.external[r.ExternalID]; r.ExternalID != "" && owner != nil && owner != who {
		return nil, fmt.Sprintf("the external ID %s belongs to another contact", r.ExternalID)
	}
	for _, a := range r.Addresses {
		if owner := b.address[place{a.Kind, a.Value}]; owner != nil && owner != who {
			return nil, fmt.Sprintf("the %s %s belongs to contact %s already", a.Kind, a.Value, owner.name())
		}
	}
	return who, ""
}

// name is how people know a contact.
func (e *Entry) name() string {
	switch {
	case e.ExternalID != "":
		return e.ExternalID
	case e.ID == 0:
		return fmt.Sprintf("of line %d", e.Line)
	}
	return e.UID
}

func (b *Book) create(r Row) Decision {
	attributes, err := object(r.Attributes)
	if err != nil {
		return refused("%v", err)
	}
	e := &Entry{Contact: Contact{UID: r.UID, ExternalID: r.ExternalID, Locale: r.Locale, Zone: r.Zone, Attributes: attributes}, Touched: true, Line: r.Line}
	e.Addresses = slices.Clone(r.Addresses)
	for _, a := range r.Implied {
		if _, given := e.Primary(a.Kind); given {
			continue
		}
		if b.address[place{a.Kind, a.Value}] != nil {
			continue // somebody was given it by hand: the next candidate
		}
		e.Addresses = append(e.Addresses, a)
	}
	b.enter(e)
	return Decision{Status: Created, Who: e}
}

func (b *Book) change(e *Entry, r Row) Decision {
	before := e.Contact
	after := before
	after.Addresses = slices.Clone(before.Addresses)
	if r.ExternalID != "" {
		after.ExternalID = r.ExternalID
	}
	set(&after.Locale, r.Locale, slices.Contains(r.Clear, columnLocale))
	set(&after.Zone, r.Zone, slices.Contains(r.Clear, columnZone))
	merged, same, err := merge(before.Attributes, r.Attributes)
	if err != nil {
		return refused("%v", err)
	}
	after.Attributes = merged
	d := Decision{Who: e, Before: &before}
	for _, a := range r.Addresses {
		d.move(&after, a)
	}
	e.Touched = true
	if same && len(d.Fresh)+len(d.Gone) == 0 && after.ExternalID == before.ExternalID && after.Locale == before.Locale && after.Zone == before.Zone {
		d.Status = Unchanged
		return d
	}
	d.Status = Changed
	e.Contact, e.Line = after, r.Line
	for _, a := range d.Gone {
		delete(b.address, place{a.Kind, a.Value})
	}
	b.enter(e)
	return d
}

func set(to *string, value string, clear bool) {
	if value != "" || clear {
		*to = value
	}
}

// move makes an address the primary one of its kind: it takes the place of the
// one before, or changes places with it when the person has both.
func (d *Decision) move(c *Contact, a Address) {
	old := slices.IndexFunc(c.Addresses, func(x Address) bool { return x.Kind == a.Kind && x.Position == 0 })
	has := slices.IndexFunc(c.Addresses, func(x Address) bool { return x.Kind == a.Kind && x.Value == a.Value })
	a.Position = 0
	switch {
	case has >= 0 && has == old:
		if c.Addresses[old].Display == a.Display {
			return
		}
		d.Gone, d.Fresh = append(d.Gone, c.Addresses[old]), append(d.Fresh, a)
		c.Addresses[old] = a
	case has >= 0 && old >= 0:
		other := c.Addresses[old]
		d.Gone = append(d.Gone, c.Addresses[has], other)
		other.Position = c.Addresses[has].Position
		c.Addresses[has], c.Addresses[old] = other, a
		d.Fresh = append(d.Fresh, a, other)
	case old >= 0:
		d.Gone, d.Fresh = append(d.Gone, c.Addresses[old]), append(d.Fresh, a)
		c.Addresses[old] = a
	default:
		d.Fresh = append(d.Fresh, a)
		c.Addresses = append(c.Addresses, a)
	}
}

// object writes attributes as a JSON object.
func object(list []Attribute) (json.RawMessage, error) {
	b := []byte{'{'}
	for _, a := range list {
		if a.Value == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendString(b, a.Name)
		b = append(b, ':')
		b = append(b, a.Value...)
	}
	b = append(b, '}')
	if len(b) > MaxContact {
		return nil, fmt.Errorf("the attributes together are larger than %d KB", MaxContact>>10)
	}
	return b, nil
}

// merge lays what a row says over the attributes that are there.
func merge(old json.RawMessage, list []Attribute) (merged json.RawMessage, same bool, err error) {
	if len(list) == 0 {
		return old, true, nil
	}
	have := map[string]json.RawMessage{}
	if len(old) > 0 {
		if err := json.Unmarshal(old, &have); err != nil {
			return nil, false, fmt.Errorf("its stored attributes cannot be read: %w", err)
		}
	}
	same = true
	for _, a := range list {
		was, had := have[a.Name]
		switch {
		case a.Value == nil && had:
			delete(have, a.Name)
			same = false
		case a.Value != nil && (!had || !equal(was, a.Value)):
			have[a.Name] = a.Value
			same = false
		}
	}
	if same {
		return old, true, nil
	}
	all := make([]Attribute, 0, len(have))
	for _, name := range slices.Sorted(maps.Keys(have)) {
		all = append(all, Attribute{name, have[name]})
	}
	merged, err = object(all)
	return merged, false, err
}

// equal compares two JSON values by meaning: engines respell what they store.
func equal(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	if decode(a, &x) != nil || decode(b, &y) != nil {
		return false
	}
	return alike(x, y)
}

// alike is equality of decoded JSON where 1e3 and 1000 are one number.
func alike(x, y any) bool {
	switch x := x.(type) {
	case json.Number:
		n, ok := y.(json.Number)
		return ok && (x == n || sameNumber(string(x), string(n)))
	case map[string]any:
		m, ok := y.(map[string]any)
		return ok && maps.EqualFunc(x, m, alike)
	case []any:
		l, ok := y.([]any)
		return ok && slices.EqualFunc(x, l, alike)
	}
	return x == y
}

func sameNumber(a, b string) bool {
	x, okX := new(big.Rat).SetString(bounded(a))
	y, okY := new(big.Rat).SetString(bounded(b))
	return okX && okY && x.Cmp(y) == 0
}

// bounded refuses exponents that would fill the memory.
func bounded(n string) string {
	if i := strings.IndexAny(n, "eE"); i >= 0 && len(n)-i > 5 {
		return ""
	}
	return n
}

func decode(raw json.RawMessage, to *any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(to)
}
