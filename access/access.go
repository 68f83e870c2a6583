package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"rapport"
)

// Act is what somebody did.
type Act struct {
	// Action is two words, the room and the verb: "contacts.show",
	// "suppressions.export".
	Action string
	// Object names what it was done to, by public ID or by a name people gave
	// it: a campaign, a delivery, a template. Empty: nothing but the contact.
	Object string
	// Contact is the number of the person it is about; 0 for nobody or many.
	Contact int64
	// Detail holds numbers, counts and names of fields, never values of a
	// person. What looks like an address is withheld.
	Detail map[string]any
}

// Line is an act as the log keeps it.
type Line struct {
	ID      int64
	At      time.Time
	Actor   string // who it was, by rapport.Actor
	Action  string
	Object  string
	Contact int64
	Detail  json.RawMessage // an object
}

// Filter chooses lines, newest first.
type Filter struct {
	Contact int64
	Action  string // the whole, or the room alone
	Since   time.Time
	Before  int64 // lines with a smaller number; 0: from the newest on
	Limit   int
}

// Store is what the log asks of a database.
type Store interface {
	// AppendAct adds a line. The database refuses to change or remove it.
	AppendAct(ctx context.Context, l Line) error
	// Acts lists lines, newest first.
	Acts(ctx context.Context, f Filter) ([]Line, error)
}

// Log notes acts. It is safe for concurrent use.
type Log struct {
	store Store
	now   func() time.Time
}

// New makes the log.
func New(store Store, now func() time.Time) *Log { return &Log{store: store, now: now} }

var (
	action = regexp.MustCompile(`^[a-z_]+\.[a-z_]+$`)
	// anAddress finds what could lead to a person: mail addresses, telephone
	// numbers, links.
	anAddress = regexp.MustCompile(`@|\+?\d[\d ()/-]{6,}\d|://`)
)

const (
	maxObject = 200  // octets
	maxDetail = 4000 // octets of all details together
	withheld  = "(withheld)"
)

// Note adds an act, by whoever acts in ctx, at the log's own time. Who reads
// personal data notes it before, so that nothing is seen without a line.
func (l *Log) Note(ctx context.Context, a Act) error {
	line, err := Draft(ctx, a, l.now())
	if err != nil {
		return err
	}
	if err := l.store.AppendAct(ctx, line); err != nil {
		return fmt.Errorf("note %s in the audit log: %w", a.Action, err)
	}
	return nil
}

// Draft makes the line of an act, for a store that writes it together with
// what the act changes.
func Draft(ctx context.Context, a Act, at time.Time) (Line, error) {
	if !action.MatchString(a.Action) {
		return Line{}, fmt.Errorf("%q is no action for the audit log; it is written room.verb", a.Action)
	}
	object := a.Object
	if anAddress.MatchString(object) && !isID(object) || len(object) > maxObject {
		object = withheld
	}
	detail, err := clean(a.Detail)
	if err != nil {
		return Line{}, fmt.Errorf("note %s: %w", a.Action, err)
	}
	return Line{
		At: at.UTC().Truncate(time.Microsecond), Actor: rapport.ActorOf(ctx).Name, Action: a.Action,
		Object: object, Contact: a.Contact, Detail: detail,
	}, nil
}

// isID says whether a text is an ID of ours, in which digits and dashes may
// stand in a row as in a telephone number.
func isID(text string) bool {
	_, _, err := rapport.ParseDeliveryID(text)
	return err == nil || uuid.MatchString(text)
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// clean writes details as JSON without what could be a value of a person.
func clean(detail map[string]any) (json.RawMessage, error) {
	out := make(map[string]any, len(detail))
	for name, v := range detail {
		if at, ok := v.(time.Time); ok {
			v = at.UTC().Format(time.RFC3339)
		}
		out[name] = v
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("details that cannot be written: %w", err)
	}
	// What will be read is looked at, whatever it was made of.
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var written any
	if err := dec.Decode(&written); err != nil {
		return nil, fmt.Errorf("read details: %w", err)
	}
	if raw, err = json.Marshal(harmless(written)); err != nil {
		return nil, fmt.Errorf("write details: %w", err)
	}
	if len(raw) > maxDetail {
		return nil, errors.New("the details are too long; note counts")
	}
	return raw, nil
}

// harmless withholds what could lead to a person in something JSON.
func harmless(v any) any {
	switch v := v.(type) {
	case string:
		if anAddress.MatchString(v) && !isID(v) && !isMoment(v) || len(v) > maxObject {
			return withheld
		}
	case []any:
		for i := range v {
			v[i] = harmless(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, one := range v {
			if anAddress.MatchString(name) {
				name = withheld
			}
			out[name] = harmless(one)
		}
		return out
	}
	return v
}

func isMoment(text string) bool {
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return true
	}
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

// List returns lines, newest first.
func (l *Log) List(ctx context.Context, f Filter) ([]Line, error) {
	list, err := l.store.Acts(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return list, nil
}
