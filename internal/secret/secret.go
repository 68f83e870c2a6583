// Package secret holds credentials that cannot be printed by accident. It
// stores nothing and knows no format but text.
package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// hidden is what every way of printing shows instead of the secret.
const hidden = "[secret]"

// String is a text that will not talk: fmt, slog, JSON and YAML all show
// "[secret]". Only Reveal gives it out, so the few places that use it can be
// found by that word.
type String struct{ text string }

// New wraps a text.
func New(text string) String { return String{text} }

// Reveal returns the text itself, for handing it to whom it is meant for.
func (s String) Reveal() string { return s.text }

// Empty says whether there is no secret.
func (s String) Empty() bool { return s.text == "" }

// String hides the text.
func (s String) String() string { return hidden }

// Format hides the text for every verb, also %#v and %x.
func (s String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue hides the text in logs.
func (s String) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON hides the text.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// MarshalText hides the text from encoders that ask for it.
func (s String) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalJSON takes the text in.
func (s *String) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &s.text) }
