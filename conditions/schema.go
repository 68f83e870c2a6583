package conditions

import (
	"maps"
	"slices"
)

// Type is the type of a value in a condition. The first six are the types of
// attributes, spelt as in the store.
type Type string

// The types. A duration is only ever a result: no attribute has that type.
const (
	TypeText     Type = "text"
	TypeNumber   Type = "number"
	TypeBool     Type = "bool"
	TypeDate     Type = "date"
	TypeTime     Type = "time"
	TypeJSON     Type = "json"
	TypeDuration Type = "duration"
)

// phrase is the type as it stands in a sentence.
func (t Type) phrase() string {
	switch t {
	case TypeText:
		return "text"
	case TypeNumber:
		return "a number"
	case TypeBool:
		return "a yes or no"
	case TypeDate:
		return "a date"
	case TypeTime:
		return "a moment"
	case TypeJSON:
		return "a JSON structure"
	case TypeDuration:
		return "a duration"
	}
	return "a value"
}

// Schema is what a condition may speak of: the names known at the moment of
// the check.
type Schema struct {
	// Attributes are the declared or learned attributes and their types. A
	// name that is also reserved or an address kind cannot be reached.
	Attributes map[string]Type
	// Addresses are the kinds of address, from the registry of drivers.
	Addresses []string
	// Drivers, Topics and Campaigns are the names that consent, opened,
	// clicked and received accept.
	Drivers, Topics, Campaigns []string
	// Events are the names of events that event accepts.
	Events []string
}

// The reserved fields of a contact.
const (
	FieldID         = "id"
	FieldExternalID = "external_id"
	FieldLocale     = "locale"
	FieldTimeZone   = "time_zone"
	FieldCreatedAt  = "created_at"
)

// field finds contact.<name>: a reserved field, else an address, else an
// attribute.
func (s Schema) field(name string) (Field, bool) {
	switch name {
	case FieldID, FieldExternalID, FieldLocale, FieldTimeZone:
		return Field{Source: Reserved, Name: name, Type: TypeText}, true
	case FieldCreatedAt:
		return Field{Source: Reserved, Name: name, Type: TypeTime}, true
	}
	if slices.Contains(s.Addresses, name) {
		return Field{Source: Address, Name: name, Type: TypeText}, true
	}
	if t, ok := s.Attributes[name]; ok {
		return Field{Source: Attribute, Name: name, Type: t}, true
	}
	return Field{}, false
}

// fieldNames are all names field knows, sorted.
func (s Schema) fieldNames() []string {
	names := slices.Collect(maps.Keys(s.Attributes))
	names = append(names, s.Addresses...)
	names = append(names, FieldID, FieldExternalID, FieldLocale, FieldTimeZone, FieldCreatedAt)
	slices.Sort(names)
	return slices.Compact(names)
}
