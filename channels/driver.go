package channels

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// Driver is the code of a kind of channel, described as data: every other
// room reads this and none knows a driver by name.
type Driver struct {
	Name    string  // stable, lower-case: config key, CSV column, metric label
	Help    string  // one sentence for people
	Address Address // how a contact is reached
	Parts   []Part  // what a message must and may carry
	Files   bool    // whether messages may carry files
	Calls   bool    // its channels are Listeners
	Traits  Traits  // how the driver likes to be driven
	Fields  []Field // its settings, filled by Define from the settings struct
	// Returned judges a report of non-delivery that comes back later: its status
	// (RFC 3463, "5.1.1") and the text of the server that refused. Nil: the
	// driver has no such reports.
	Returned func(status, diagnostic string) Failure

	open  func(ctx context.Context, env Env, raw json.RawMessage) (Channel, error)
	check func(raw json.RawMessage) error
}

// Env is what the house lends a channel: everything else a driver needs is in
// its settings.
type Env struct {
	Name    string           // the channel's configured name
	ReplyTo string           // the channel's reply address, when configured
	Private []string         // internal hosts or networks the configuration allows to reach
	Now     func() time.Time // the clock; nil: time.Now
	// Pace returns when a message may leave under a limit of the driver's own,
	// like the rate of one of its servers: key names what is limited within the
	// channel. All processes share the limit. It returns the context's error
	// when that ends first. Nil: the driver is on its own, as in a test message.
	Pace func(ctx context.Context, key string, perSecond float64) error
}

// Traits is how a driver likes to be driven.
type Traits struct {
	Concurrency int // how many Sends at once are welcome; a channel's setting may change it
}

// Part is one box of a message: what it is called, how values in it are
// escaped, and what it may hold.
type Part struct {
	Name     string
	Syntax   Syntax
	Required bool
	MaxBytes int    // 0: the general limit of a message
	Help     string // one sentence for people
}

// Syntax is the language a part is written in; it decides how values are
// escaped without the author asking.
type Syntax uint8

// The syntaxes a part may have.
const (
	Plain  Syntax = iota // text: nothing is escaped
	HTML                 // values become text or attribute values
	Header               // one line: line breaks and control characters go
	Mrkdwn               // Slack's mark-up: & < > are escaped
	JSON                 // values become JSON string contents
)

// Field is one setting of a driver.
type Field struct {
	Name     string // key in the configuration
	Type     string // "text", "number", "bool", "duration", "list", "object" …
	Help     string
	Required bool
	Secret   bool
}

// Define ties a settings struct to a driver, so that schema and code cannot
// drift: fields are read from its tags (json:"name" need:"yes" help:"…"; a
// secret.String is a secret), settings are decoded strictly, and a struct with
// a Validate() error method is asked to complain before open is called.
func Define[S any](d Driver, open func(ctx context.Context, env Env, settings S) (Channel, error)) Driver {
	d.Fields = fieldsOf(reflect.TypeFor[S]())
	d.open = func(ctx context.Context, env Env, raw json.RawMessage) (Channel, error) {
		s, err := decode[S](d.Fields, raw)
		if err != nil {
			return nil, err
		}
		return open(ctx, env, s)
	}
	d.check = func(raw json.RawMessage) error {
		_, err := decode[S](d.Fields, raw)
		return err
	}
	return d
}

// Open starts a channel of this driver from its raw settings. The error, if
// it is about the settings, is a sentence for people.
func (d Driver) Open(ctx context.Context, env Env, raw json.RawMessage) (Channel, error) {
	if env.Now == nil {
		env.Now = time.Now
	}
	ch, err := d.open(ctx, env, raw)
	if err != nil {
		return nil, fmt.Errorf("open channel %s: %w", env.Name, err)
	}
	return ch, nil
}

// CheckSettings says what is wrong with raw settings without opening anything.
func (d Driver) CheckSettings(raw json.RawMessage) error { return d.check(raw) }

func decode[S any](fields []Field, raw json.RawMessage) (S, error) {
	var s S
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	given := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &given); err != nil {
		return s, fmt.Errorf("read settings: %w", err)
	}
	if err := missing(fields, given); err != nil {
		return s, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("read settings: %w", err)
	}
	if v, ok := any(s).(interface{ Validate() error }); ok {
		return s, v.Validate()
	}
	return s, nil
}
