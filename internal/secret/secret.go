package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

// hidden is what every way of printing shows instead of the secret.
const hidden = "[secret]"

// String is a text that will not talk: fmt, slog, JSON and YAML all show
// "[secret]". Only Reveal gives it out, so the few places that use it can be
// found by that word. The text is behind a pointer, since fmt does not ask
// unexported fields of other structs how they want to be shown.
type String struct{ text *string }

// New wraps a text.
func New(text string) String { return String{&text} }

// Reveal returns the text itself, for handing it to whom it is meant for.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty says whether there is no secret.
func (s String) Empty() bool { return s.Reveal() == "" }

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
func (s *String) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New("a secret must be text") // without showing what it was
	}
	*s = New(text)
	return nil
}
