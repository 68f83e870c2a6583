package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"rapport/channels"
)

// Hours is when people are left alone, as people write it; outbox.QuietSpec
// says what each setting means. Off stands for hours that are taken away.
type Hours struct {
	Off      bool     `json:"-"`
	From     string   `json:"from,omitempty"`
	To       string   `json:"to,omitempty"`
	Days     []string `json:"days,omitempty"`
	AllDay   []string `json:"all_day,omitempty"`
	Zone     string   `json:"zone,omitempty"`
	Calendar string   `json:"calendar,omitempty"`
}

// UnmarshalJSON reads an object, or the word off.
func (h *Hours) UnmarshalJSON(b []byte) error {
	if string(b) == `"off"` || string(b) == "false" {
		*h = Hours{Off: true}
		return nil
	}
	type plain Hours
	var p plain
	if err := strict(b, &p); err != nil {
		return errors.New(`are not quiet hours; write them like {from: "21:00", to: "08:00"}, or off`)
	}
	*h = Hours(p)
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (h Hours) MarshalJSON() ([]byte, error) {
	if h.Off {
		return []byte(`"off"`), nil
	}
	type plain Hours
	return json.Marshal(plain(h))
}

// Quiet is the quiet hours of an installation.
type Quiet struct {
	Hours         Hours             // for every topic of marketing; the zero value: none
	Shadow        bool              // only told, not kept to
	Spread        channels.Duration // within which what waited begins; 0: ten minutes
	Marketing     *Hours            // instead of Hours, by class
	Transactional *Hours            // for topics that say quiet: on
	Channels      map[string]Hours  // instead of all of them, by channel
}

// quietText is Quiet as people write it.
type quietText struct {
	From          string            `json:"from,omitempty"`
	To            string            `json:"to,omitempty"`
	Days          []string          `json:"days,omitempty"`
	AllDay        []string          `json:"all_day,omitempty"`
	Zone          string            `json:"zone,omitempty"`
	Calendar      string            `json:"calendar,omitempty"`
	Mode          string            `json:"mode,omitempty"`
	Spread        channels.Duration `json:"spread,omitempty"`
	Marketing     *Hours            `json:"marketing,omitempty"`
	Transactional *Hours            `json:"transactional,omitempty"`
	Channels      map[string]Hours  `json:"channels,omitempty"`
}

// UnmarshalJSON reads quiet hours; unknown keys are errors.
func (q *Quiet) UnmarshalJSON(b []byte) error {
	if string(b) == `"off"` || string(b) == "null" {
		*q = Quiet{}
		return nil
	}
	var t quietText
	if err := strict(b, &t); err != nil {
		return fmt.Errorf(`are not quiet hours; write them like {from: "21:00", to: "08:00", zone: recipient}: %w`, err)
	}
	if t.Mode != "" && t.Mode != "keep" && t.Mode != "shadow" {
		return fmt.Errorf("mode: %q is not one of keep, shadow", t.Mode)
	}
	if t.Spread < 0 || time.Duration(t.Spread) > 6*time.Hour {
		return fmt.Errorf("spread: %s is not between 0 and 6h", time.Duration(t.Spread))
	}
	*q = Quiet{
		Hours:  Hours{From: t.From, To: t.To, Days: t.Days, AllDay: t.AllDay, Zone: t.Zone, Calendar: t.Calendar},
		Shadow: t.Mode == "shadow", Spread: t.Spread, Marketing: t.Marketing, Transactional: t.Transactional, Channels: t.Channels,
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads; null for none.
func (q Quiet) MarshalJSON() ([]byte, error) {
	if q.IsZero() {
		return []byte("null"), nil
	}
	h := q.Hours
	t := quietText{
		From: h.From, To: h.To, Days: h.Days, AllDay: h.AllDay, Zone: h.Zone, Calendar: h.Calendar,
		Spread: q.Spread, Marketing: q.Marketing, Transactional: q.Transactional, Channels: q.Channels,
	}
	if q.Shadow {
		t.Mode = "shadow"
	}
	return json.Marshal(t)
}

// IsZero says whether there are no quiet hours.
func (q Quiet) IsZero() bool {
	return q.Hours.IsZero() && q.Marketing == nil && q.Transactional == nil && len(q.Channels) == 0
}

// IsZero says whether no hours are written.
func (h Hours) IsZero() bool {
	return !h.Off && h.From == "" && h.To == "" && len(h.Days) == 0 && len(h.AllDay) == 0 && h.Zone == "" && h.Calendar == ""
}

// Cap is how many messages may reach one person in a time.
type Cap struct {
	Topics   Words  `json:"topics,omitempty"`   // marketing (default), all, or names
	Channels Words  `json:"channels,omitempty"` // all (default), or names
	Most     int    `json:"most"`
	In       string `json:"in"`             // 7d, 24h, or day, week, month
	Zone     string `json:"zone,omitempty"` // of day, week and month; "recipient" or empty: each one's own
	Over     string `json:"over,omitempty"` // hold (default) or drop
}

// Words is one word or a list of them.
type Words []string

// UnmarshalJSON reads "all" and [a, b].
func (w *Words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = Words{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// Caps is all caps, and whether they are kept to.
type Caps struct {
	Shadow bool
	List   []Cap
}

// UnmarshalJSON reads a list, or {mode: shadow, rules: [...]}.
func (c *Caps) UnmarshalJSON(b []byte) error {
	var t struct {
		Mode  string `json:"mode"`
		Rules []Cap  `json:"rules"`
	}
	const like = "are not caps; write them like [{topics: marketing, most: 3, in: 7d}], or {mode: shadow, rules: [...]}"
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		err = strict(b, &t.Rules)
	} else {
		err = strict(b, &t)
	}
	if err != nil {
		return fmt.Errorf(like+": %w", err)
	}
	if t.Mode != "" && t.Mode != "keep" && t.Mode != "shadow" {
		return fmt.Errorf("mode: %q is not one of keep, shadow", t.Mode)
	}
	for i, r := range t.Rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("[%d].%w", i, err)
		}
	}
	*c = Caps{Shadow: t.Mode == "shadow", List: t.Rules}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (c Caps) MarshalJSON() ([]byte, error) {
	if !c.Shadow {
		return json.Marshal(append([]Cap{}, c.List...))
	}
	return json.Marshal(struct {
		Mode  string `json:"mode"`
		Rules []Cap  `json:"rules"`
	}{"shadow", c.List})
}

// mostCap is the largest number a cap can have.
const mostCap = 10_000

func (c Cap) check() error {
	if c.Most < 1 || c.Most > mostCap {
		return fmt.Errorf("most: %d is not between 1 and %d", c.Most, mostCap)
	}
	if _, _, err := c.Span(); err != nil {
		return fmt.Errorf("in: %w", err)
	}
	if !slices.Contains([]string{"", "hold", "drop"}, c.Over) {
		return fmt.Errorf("over: %q is not one of hold, drop", c.Over)
	}
	if c.Zone != "" && c.Zone != "recipient" {
		if _, err := time.LoadLocation(c.Zone); err != nil {
			return fmt.Errorf("zone: %q is not a time zone; write one like Europe/Berlin, or recipient", c.Zone)
		}
	}
	for _, w := range [][]string{c.Topics, c.Channels} {
		for _, name := range w {
			if name == "" || len(w) > 1 && (name == "all" || name == "marketing") {
				return errors.New("topics: all and marketing stand alone, or write names")
			}
		}
	}
	return nil
}

var daysPattern = regexp.MustCompile(`^([1-9][0-9]{0,2})d$`)

// Span is the time of a cap: a length that moves along, or the name of a
// stretch of the calendar.
func (c Cap) Span() (in time.Duration, period string, err error) {
	switch c.In {
	case "day", "week", "month":
		return 0, c.In, nil
	}
	if m := daysPattern.FindStringSubmatch(c.In); m != nil {
		n, _ := strconv.Atoi(m[1]) // three digits
		in = time.Duration(n) * 24 * time.Hour
	} else if in, err = time.ParseDuration(c.In); err != nil {
		return 0, "", fmt.Errorf("%q is not a time; write it like 7d or 24h, or day, week, month", c.In)
	}
	if in < time.Minute || in > 400*24*time.Hour {
		return 0, "", fmt.Errorf("%q is not between 1m and 400d", c.In)
	}
	return in, "", nil
}

// strict decodes JSON in which every key is known.
func strict(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}
