package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Consent is what stands in every entry of the ledger beside what the person
// said, and how long a yes holds.
type Consent struct {
	Controller   string          `json:"controller" default:"" help:"Who is responsible for the data, with the legal name and address; stands in evidence and proofs; empty: name"`
	Jurisdiction string          `json:"jurisdiction" default:"" help:"Whose law applies, as a country code like DE or US-CA; stands in evidence and proofs"`
	Categories   []string        `json:"categories" default:"" help:"Kinds of data worked with on the ground of consent, like [address, name, purchases]; stand in evidence and proofs"`
	Expires      map[string]Span `json:"expires" default:"" help:"How long a yes to a topic holds after the act that gave it or renewed it, like {newsletter: 24mo}; holds for what is declared from then on; empty: until a no"`
}

// Span is a length of time by the calendar: months and days.
type Span struct{ Months, Days int }

// ParseSpan reads "24mo", "2y", "90d".
func ParseSpan(text string) (Span, error) {
	wrong := fmt.Errorf("%q is not a length of time by the calendar; write it like 24mo, 2y or 90d", text)
	text = strings.TrimSpace(text)
	for unit, one := range map[string]Span{"mo": {Months: 1}, "y": {Months: 12}, "d": {Days: 1}} {
		count, ok := strings.CutSuffix(text, unit)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil || n < 1 || n > math.MaxInt16 {
			return Span{}, wrong
		}
		return Span{one.Months * n, one.Days * n}, nil
	}
	return Span{}, wrong
}

// String writes the span as ParseSpan reads it.
func (s Span) String() string {
	if s.Months > 0 {
		return strconv.Itoa(s.Months) + "mo"
	}
	return strconv.Itoa(s.Days) + "d"
}

// UnmarshalJSON reads "24mo".
func (s *Span) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return fmt.Errorf("%s is not a length of time by the calendar; write it like 24mo, 2y or 90d", b)
	}
	got, err := ParseSpan(text)
	if err == nil {
		*s = got
	}
	return err
}

// MarshalJSON writes what UnmarshalJSON reads.
func (s Span) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// jurisdictionPattern is a country or a part of one (ISO 3166-1 and -2).
var jurisdictionPattern = regexp.MustCompile(`^[A-Z]{2}(-[A-Z0-9]{1,3})?$`)

func (l *loader) checkConsent(c Config) {
	if j := c.Consent.Jurisdiction; j != "" && !jurisdictionPattern.MatchString(j) {
		l.complain("consent.jurisdiction", "%q is not a country code; write one like DE or US-CA", j)
	}
	for _, topic := range slices.Sorted(maps.Keys(c.Consent.Expires)) {
		known := slices.ContainsFunc(c.Topics, func(t Topic) bool { return t.Name == topic })
		if !known && topic != reservedTopic {
			l.complain("consent.expires", "%q is none of the topics", topic)
		}
	}
}
