package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rapport"
)

// check makes a Draft of an entry. The error is an Invalid one about a field.
func (s *Service) check(e Entry) (Draft, error) {
	d := Draft{Entry: e}
	if err := printable("id", e.ID, MaxID); err != nil {
		return d, err
	}
	if err := CheckName(e.Name); err != nil {
		return d, err
	}
	var err error
	if d.Contact, err = s.ref(e.Contact); err != nil {
		return d, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	said := int64(0) // when, as the sender says it
	switch {
	case e.At.IsZero():
		d.At = now
	case e.At.After(now.Add(Ahead)):
		return d, rapport.Invalidf("at", "%s lies in the future; an event is told when it has happened", e.At.Format(time.RFC3339))
	case e.At.UnixMicro() <= 0:
		return d, rapport.Invalidf("at", "%s lies before 1970", e.At.Format(time.RFC3339))
	default:
		d.At = e.At.UTC().Truncate(time.Microsecond)
		said = d.At.UnixMicro()
	}
	if d.Data, err = canonical(e.Data); err != nil {
		return d, err
	}
	d.Digest = digest(d.Name, said, !e.At.IsZero(), d.Data)
	return d, nil
}

// ref checks whom an event is about, and makes an address canonical.
func (s *Service) ref(r Ref) (Ref, error) {
	switch {
	case r.ID != "" && r.ExternalID == "" && r.Kind == "":
		return r, printable("contact.id", r.ID, MaxID)
	case r.ExternalID != "" && r.ID == "" && r.Kind == "":
		return r, printable("contact.external_id", r.ExternalID, maxExternal)
	case r.Kind == "" || r.ID != "" || r.ExternalID != "":
		return r, rapport.Invalidf("contact", "say whom it is about by exactly one of %s", strings.Join(s.refFields(), ", "))
	}
	kind, known := s.kinds[r.Kind]
	if !known {
		return r, rapport.Invalidf("contact", "there is no field %q; known: %s", clip(r.Kind), strings.Join(s.refFields(), ", "))
	}
	if err := printable("contact."+r.Kind, r.Value, maxExternal); err != nil {
		return r, err
	}
	value, err := kind.Normalize(r.Value)
	if err != nil {
		return r, rapport.Invalidf("contact."+r.Kind, "%v", err)
	}
	return Ref{Kind: r.Kind, Value: value}, nil
}

// maxExternal bounds an external ID and an address, in octets.
const maxExternal = 1 << 10

func (s *Service) refFields() []string {
	return append([]string{"id", "external_id"}, slices.Sorted(maps.Keys(s.kinds))...)
}

// printable refuses what no database could keep as a name.
func printable(field, text string, most int) error {
	switch {
	case text == "":
		return rapport.Invalidf(field, "is missing")
	case len(text) > most:
		return rapport.Invalidf(field, "is longer than %d octets", most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return rapport.Invalidf(field, "holds a character that cannot be printed")
	}
	return nil
}

// clip shortens what somebody wrote for a sentence.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

var errNoObject = rapport.Invalidf("data", `is not a JSON object; write it like {"total": 5900}`)

// canonical writes a JSON object in one way: keys sorted, no space, numbers as
// they came. Nothing and {} are nothing.
func canonical(data json.RawMessage) (json.RawMessage, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	if len(data) > MaxLine {
		return nil, rapport.Invalidf("data", "is longer than %d KiB", MaxLine>>10)
	}
	if data[0] != '{' || !utf8.Valid(data) {
		return nil, errNoObject
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var all map[string]any
	if err := dec.Decode(&all); err != nil || dec.More() {
		return nil, errNoObject
	}
	if len(all) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(all); err != nil {
		return nil, fmt.Errorf("write the data of an event: %w", err)
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// digest tells events with one ID apart.
func digest(name string, micros int64, timed bool, data []byte) int64 {
	b := make([]byte, 0, 128+len(data))
	b = append(b, name...)
	b = append(b, 0)
	if timed {
		b = binary.BigEndian.AppendUint64(append(b, 1), uint64(micros)) //nolint:gosec // the bits are what counts
	}
	b = append(append(b, 0), data...)
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // as above
}

// fields of an event as JSON.
var fields = []string{"id", "name", "contact", "at", "data"}

// Parse reads one event as JSON. Every field is known by its exact name, and one
// that is not known is refused. The error is an Invalid one about a field.
func Parse(line []byte) (Entry, error) {
	var e Entry
	if !utf8.Valid(line) {
		return e, rapport.Invalidf("", "the line is not UTF-8 text")
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(line, &all); err != nil || all == nil {
		return e, noObject("the line", err)
	}
	id, err := text("id", all["id"])
	if err != nil {
		return e, err
	}
	e.ID = id
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(fields, name) {
			return e, rapport.Invalidf("", "there is no field %q; known: %s", clip(name), strings.Join(fields, ", "))
		}
	}
	if e.Name, err = text("name", all["name"]); err != nil {
		return e, err
	}
	if e.Contact, err = parseRef(all["contact"]); err != nil {
		return e, err
	}
	e.Data = all["data"]
	at, err := text("at", all["at"])
	if err != nil || at == "" {
		return e, err
	}
	if e.At, err = time.Parse(time.RFC3339, at); err != nil {
		return e, rapport.Invalidf("at", "%q is not a time; write it like 2026-01-31T09:00:00Z", clip(at))
	}
	return e, nil
}

// noObject says why something is no JSON object.
func noObject(what string, err error) error {
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		return rapport.Invalidf("", "%s is not JSON: %v at octet %d", what, wrong, wrong.Offset)
	}
	return rapport.Invalidf("", "%s is not a JSON object", what)
}

// text reads a text; what is absent or null is empty.
func text(field string, raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var out string
	if err := json.Unmarshal(raw, &out); err != nil {
		return "", rapport.Invalidf(field, "is not a text in quotes")
	}
	return out, nil
}

func parseRef(raw json.RawMessage) (Ref, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return Ref{}, rapport.Invalidf("contact", `is missing; write it like {"external_id": "c1"}`)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return Ref{}, rapport.Invalidf("contact", `is not a JSON object; write it like {"external_id": "c1"}`)
	}
	if len(all) != 1 {
		return Ref{}, rapport.Invalidf("contact", `has %d fields; say whom it is about by exactly one, like {"external_id": "c1"}`, len(all))
	}
	for field, raw := range all {
		value, err := text("contact."+clip(field), raw)
		if err != nil {
			return Ref{}, err
		}
		switch field {
		case "id":
			return Ref{ID: value}, printable("contact.id", value, MaxID)
		case "external_id":
			return Ref{ExternalID: value}, printable("contact.external_id", value, maxExternal)
		default:
			return Ref{Kind: field, Value: value}, nil
		}
	}
	return Ref{}, nil
}
