package templates

import (
	"encoding/json"
	"fmt"
	"time"
)

// Person is a contact as it is stored. A letter reads of it what it shows and
// nothing else.
type Person struct {
	UID, ExternalID, Locale, Zone string
	Attributes                    json.RawMessage   // an object
	Addresses                     map[string]string // the primary one, by kind
	Times                         map[string]bool   // attributes that are times, kept as microseconds since 1970
}

// own is what a contact has beside attributes and addresses. A name that is
// empty is missing, whatever the attributes say.
func (p *Person) own() [4][2]string {
	return [4][2]string{{"id", p.UID}, {"external_id", p.ExternalID}, {"locale", p.Locale}, {"time_zone", p.Zone}}
}

// All returns all that a template may read, as View.Contact holds it.
// Attributes come first, addresses of the same name over them, and the fields
// of the contact over both.
func (p *Person) All() (map[string]any, error) {
	out, err := Object(p.Attributes)
	if err != nil {
		return nil, attributesError(err)
	}
	if out == nil {
		out = map[string]any{}
	}
	for name, v := range out {
		if v == nil {
			delete(out, name)
			continue
		}
		if us, whole := v.(int64); whole && p.Times[name] {
			out[name] = time.UnixMicro(us).UTC()
		}
	}
	for kind, shown := range p.Addresses {
		out[kind] = shown
	}
	for _, f := range p.own() {
		if f[1] != "" {
			out[f[0]] = f[1]
		} else {
			delete(out, f[0])
		}
	}
	return out, nil
}

func attributesError(err error) error { return fmt.Errorf("read the attributes of a contact: %w", err) }

// fieldTable numbers the fields of contacts that a variant reads.
type fieldTable struct {
	names []string
	index map[string]int
}

func (t *fieldTable) slot(name string) int {
	i, ok := t.index[name]
	if !ok {
		if t.index == nil {
			t.index = map[string]int{}
		}
		i = len(t.names)
		t.index[name] = i
		t.names = append(t.names, name)
	}
	return i
}

// read puts the fields of the table into their slots, which are empty. It is
// All for those who want little.
func (t *fieldTable) read(p *Person, into []value) error {
	if len(p.Attributes) > 0 && !t.scan(p, into) {
		all, err := p.All()
		if err != nil {
			return err
		}
		t.pick(all, into)
		return nil
	}
	for kind, shown := range p.Addresses {
		if i, ok := t.index[kind]; ok {
			into[i] = textOf(shown)
		}
	}
	for _, f := range p.own() {
		if i, ok := t.index[f[0]]; ok {
			into[i] = value{text: f[1], isText: f[1] != ""}
		}
	}
	return nil
}

// pick fills the slots from a map.
func (t *fieldTable) pick(from map[string]any, into []value) {
	for i, name := range t.names {
		into[i] = valueOf(from[name])
	}
}

// scan reads the attributes; false when the standard library must.
func (t *fieldTable) scan(p *Person, into []value) bool {
	s := scanText{text: string(p.Attributes)}
	return s.object(func(name string) bool {
		i, wanted := t.index[name]
		if s.next() == '"' {
			text, ok := s.string()
			if wanted {
				into[i] = textOf(text)
			}
			return ok
		}
		v, ok := s.value() // what nobody wants is read, too: so one sees whether it is JSON
		if us, whole := v.(int64); whole && p.Times[name] {
			v = time.UnixMicro(us).UTC()
		}
		if wanted {
			into[i] = value{other: v}
		}
		return ok
	})
}
