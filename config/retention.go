package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Retention is how long what is kept. Nothing of a person who is restricted
// goes by age.
type Retention struct {
	Attempts   Age `json:"attempts" default:"13 months" help:"Tries of deliveries that were not sent at once, with what servers said"`
	Agents     Age `json:"agents" default:"30 days" help:"Class of program (browser, crawler …) of opens and clicks"`
	Responses  Age `json:"responses" default:"13 months" help:"Opens, clicks and their like, from the end of their run on; then they are counts"`
	NotPlanned Age `json:"not_planned" default:"13 months" help:"Who was not planned and why, from the end of the run on; the counts stay"`
	Deliveries Age `json:"deliveries" default:"3 years" help:"Deliveries, from the end of their run on; the accounts stay exact"`
	Events     Age `json:"events" default:"13 months" help:"Events that happened before; conditions count them no more"`
	Imports    Age `json:"import_reports" default:"30 days" help:"Rows that reports of imports list; the counts stay"`
	Audit      Age `json:"audit" default:"3 years" help:"Lines of the audit log"`
	Idle       Age `json:"idle_contacts" default:"off" help:"People who were not changed, not written to and not heard of for so long are erased; off: nobody is"`
	Archives   Age `json:"archives" default:"3 days" help:"How long a person can fetch the copy of their data after they have confirmed that they want it"`
}

// Age is a length of time by the calendar: months and days. The zero Age is off:
// kept for ever.
type Age struct{ Months, Days int }

// What a person may ask for at most: one message in so many days.
const rarest = 31

// within says that an age is over at the latest when another one is, whichever
// months they are counted in.
func (a Age) within(b Age) bool {
	if a.Days == b.Days {
		return a.Months <= b.Months
	}
	return 31*a.Months+a.Days <= 28*b.Months+b.Days
}

// longest is the longest time that a cap looks back.
func (c Caps) longest() Age {
	days := 0
	for _, one := range c.List {
		in, period, err := one.Span()
		if err != nil {
			continue // complained of by its own check
		}
		days = max(days, int((in+24*time.Hour-1)/(24*time.Hour)))
		if period == "month" {
			days = max(days, 31)
		}
	}
	return Age{Days: days}
}

// checkRetention refuses ages at which something else would be decided by what
// is gone: how often a person was written to, and whether there was a sign of
// them.
func (l *loader) checkRetention(c Config) {
	r := c.Retention
	if need := (Age{Days: max(rarest, c.Caps.longest().Days)}); !r.Deliveries.IsZero() && !need.within(r.Deliveries) {
		l.complain("retention.deliveries", "%s is too short: caps, and people who ask for fewer messages, need %s", r.Deliveries, need)
	}
	if r.Idle.IsZero() {
		return
	}
	for _, other := range []struct {
		key string
		age Age
	}{{"retention.responses", r.Responses}, {"retention.deliveries", r.Deliveries}, {"retention.events", r.Events}} {
		if !other.age.IsZero() && !r.Idle.within(other.age) {
			l.complain("retention.idle_contacts", "%s is longer than %s (%s): by then nobody knows who was heard of; make it shorter, or the other longer",
				r.Idle, other.key, other.age)
		}
	}
}

// maxAge bounds what is taken: a thousand years.
const maxAge = 1000 * 12 * 31

// ParseAge reads "13 months", "30 days", "2 weeks", "1 year", "30d" or "off".
func ParseAge(text string) (Age, error) {
	wrong := fmt.Errorf("%q is not an age; write it like 30 days, 13 months, 3 years or off", text)
	word := strings.ToLower(strings.TrimSpace(text))
	if word == "" || word == "off" {
		return Age{}, nil
	}
	i := strings.IndexFunc(word, func(r rune) bool { return r < '0' || r > '9' })
	if i < 1 {
		return Age{}, wrong
	}
	n, err := strconv.Atoi(word[:i])
	if err != nil || n < 1 || n > maxAge {
		return Age{}, wrong
	}
	switch strings.TrimSpace(word[i:]) {
	case "d", "day", "days":
		return Age{Days: n}, nil
	case "w", "week", "weeks":
		return Age{Days: 7 * n}, nil
	case "month", "months":
		return Age{Months: n}, nil
	case "y", "year", "years":
		return Age{Months: 12 * n}, nil
	}
	return Age{}, wrong
}

// IsZero says whether it is kept for ever.
func (a Age) IsZero() bool { return a == Age{} }

// String writes the age as ParseAge reads it.
func (a Age) String() string {
	unit := func(n int, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return strconv.Itoa(n) + " " + word + "s"
	}
	switch {
	case a.IsZero():
		return "off"
	case a.Months == 0:
		return unit(a.Days, "day")
	case a.Months%12 == 0:
		return unit(a.Months/12, "year")
	}
	return unit(a.Months, "month")
}

// UnmarshalJSON reads "13 months"; an empty text is off.
func (a *Age) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return fmt.Errorf("%s is not an age; write it like 30 days, 13 months, 3 years or off", b)
	}
	got, err := ParseAge(text)
	if err == nil {
		*a = got
	}
	return err
}

// MarshalJSON writes what UnmarshalJSON reads.
func (a Age) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }
