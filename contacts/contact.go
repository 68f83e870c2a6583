package contacts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"sync"
	"time"
)

// Contact is a person.
type Contact struct {
	ID         int64 // number inside the house
	UID        string
	ExternalID string
	Locale     string // BCP 47, empty: not known
	Zone       string // IANA name, empty: not known
	// Attributes is a JSON object: text as string, number, true or false, date
	// as "2006-01-02", time as whole microseconds UTC, json as it is.
	Attributes json.RawMessage
	Addresses  []Address // by kind, then position
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Address is a way to reach a person.
type Address struct {
	Kind     string
	Value    string // canonical: compared, written to
	Display  string // as it was given
	Hash     string // keyed fingerprint, see Fingerprint
	Position int    // 0 is the primary one of its kind
}

// Primary returns the primary address of a kind.
func (c *Contact) Primary(kind string) (Address, bool) {
	for _, a := range c.Addresses {
		if a.Kind == kind && a.Position == 0 {
			return a, true
		}
	}
	return Address{}, false
}

// Type is the type of an attribute.
type Type string

// The types of attributes.
const (
	Text   Type = "text"
	Number Type = "number"
	Bool   Type = "bool"
	Date   Type = "date"
	Time   Type = "time"
	JSON   Type = "json"
)

// Types lists the types as people write them.
func Types() []string {
	return []string{string(Text), string(Number), string(Bool), string(Date), string(Time), string(JSON)}
}

// Limits of one contact.
const (
	MaxContact = 64 << 10 // bytes of all attributes together
	MaxCell    = 64 << 10 // bytes of one value
	MaxColumns = 1000
)

// Fingerprint is the keyed hash by which suppressions are found when the
// address itself is gone. It takes a kind and a canonical value.
type Fingerprint func(kind, value string) string

// NewFingerprint makes the fingerprint of a pepper: HMAC-SHA-256 cut to 128
// bits, base64url. The pepper is one for the life of a database.
func NewFingerprint(pepper []byte) Fingerprint {
	hashes := sync.Pool{New: func() any { return hmac.New(sha256.New, pepper) }}
	return func(kind, value string) string {
		h := hashes.Get().(hash.Hash)
		defer hashes.Put(h)
		h.Reset()
		text := make([]byte, 0, 128)
		text = append(append(append(text, kind...), 0), value...)
		h.Write(text)
		return base64.RawURLEncoding.EncodeToString(h.Sum(text[:0])[:16])
	}
}

// PepperID names a pepper without telling it; see Store.CheckPepper.
func PepperID(pepper []byte) string {
	h := hmac.New(sha256.New, pepper)
	h.Write([]byte("which pepper is this"))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// document is a contact as JSON, for doors and exports.
type document struct {
	ID         string          `json:"id"`
	ExternalID string          `json:"external_id,omitempty"`
	Locale     string          `json:"locale,omitempty"`
	Zone       string          `json:"time_zone,omitempty"`
	Addresses  []documentAddr  `json:"addresses"`
	Attributes json.RawMessage `json:"attributes"`
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

type documentAddr struct {
	Kind    string `json:"kind"`
	Value   string `json:"value"`
	Display string `json:"display,omitempty"`
	Primary bool   `json:"primary"`
}

// MarshalJSON writes the contact as the doors show it: with its public ID.
func (c Contact) MarshalJSON() ([]byte, error) {
	d := document{
		ID: c.UID, ExternalID: c.ExternalID, Locale: c.Locale, Zone: c.Zone, Addresses: []documentAddr{},
		Attributes: c.Attributes, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if len(d.Attributes) == 0 {
		d.Attributes = json.RawMessage("{}")
	}
	for _, a := range c.Addresses {
		x := documentAddr{Kind: a.Kind, Value: a.Value, Primary: a.Position == 0}
		if a.Display != a.Value {
			x.Display = a.Display
		}
		d.Addresses = append(d.Addresses, x)
	}
	return json.Marshal(d)
}
