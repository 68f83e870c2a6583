package calendars

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"rapport/internal/strictyaml"
)

// Source is a calendar as a file writes it.
type Source struct {
	Name       string            `json:"name"`                 // lower case; a country's is its ISO 3166 code, like de or de-by
	Title      map[string]string `json:"title,omitempty"`      // by language
	Include    []string          `json:"include,omitempty"`    // calendars whose days off are these, too
	Rest       []string          `json:"rest,omitempty"`       // weekdays that are off, like [sat, sun]
	Days       []DayRule         `json:"days,omitempty"`       // holidays
	Law        string            `json:"source,omitempty"`     // the public source of the days that name none
	Seen       string            `json:"seen,omitempty"`       // where that source was read, for the days that name no place
	Unverified bool              `json:"unverified,omitempty"` // nobody has checked it: off
}

// DayRule is one holiday.
type DayRule struct {
	Date       string         `json:"date"` // 12-25, 2027-06-15, easter+39, 3rd mon of jan, last mon of may, wed before 11-23
	Name       string         `json:"name"`
	From       int            `json:"from,omitempty"`       // first year
	To         int            `json:"to,omitempty"`         // last year
	Except     []int          `json:"except,omitempty"`     // years without it
	Moves      map[string]int `json:"moves,omitempty"`      // by weekday: it is so many days later (earlier: negative) instead
	Observed   map[string]int `json:"observed,omitempty"`   // by weekday: that day is off, too
	Substitute bool           `json:"substitute,omitempty"` // on a Saturday or Sunday: the next free weekday is off, too
	Law        string         `json:"source,omitempty"`
	Seen       string         `json:"seen,omitempty"`
}

// Holiday is a day off of a year.
type Holiday struct {
	Date   time.Time `json:"date"` // midnight in UTC
	Name   string    `json:"name"`
	Source string    `json:"source,omitempty"`
	Seen   string    `json:"seen,omitempty"` // where the source was read
}

// Calendar is a calendar ready to be asked. It is safe for concurrent use.
type Calendar struct {
	Source
	rest  [7]bool
	days  []day
	parts []*Calendar // those it includes

	mu    sync.Mutex
	years map[int]map[time.Time]Holiday
}

type day struct {
	DayRule
	at rule
}

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Recipient is the word for the calendar of each person's own country.
const Recipient = "recipient"

// The years that calendars are asked about.
const (
	firstYear = 1970
	lastYear  = 2399
)

// Parse reads a file of one calendar, or of several under "calendars".
func Parse(file string, data []byte) ([]*Calendar, error) {
	var all struct {
		Source
		Calendars []Source `json:"calendars"`
	}
	if err := strictyaml.Decode(file, data, &all); err != nil {
		return nil, err
	}
	list := all.Calendars
	if all.Name != "" || len(list) == 0 {
		list = append([]Source{all.Source}, list...)
	}
	var out []*Calendar
	var wrong strictyaml.Complaints
	for _, s := range list {
		c, err := compile(s)
		if err != nil {
			wrong = append(wrong, strictyaml.Complaint{File: file, Key: cmp.Or(s.Name, "name"), Msg: err.Error()})
			continue
		}
		out = append(out, c)
	}
	return out, wrong.Err()
}

func compile(s Source) (*Calendar, error) {
	if !nameRule.MatchString(s.Name) || s.Name == Recipient {
		return nil, fmt.Errorf("%q cannot be the name of a calendar; use a letter, then letters, digits and -, all lower case", s.Name)
	}
	c := &Calendar{Source: s, years: map[int]map[time.Time]Holiday{}}
	for _, w := range s.Rest {
		d, ok := weekdays[w]
		if !ok {
			return nil, fmt.Errorf("rest: %q is not a day; write mon, tue, wed, thu, fri, sat or sun", w)
		}
		c.rest[d] = true
	}
	if !slices.Contains(c.rest[:], false) {
		return nil, errors.New("rest: every day of the week is off, so nothing would ever leave")
	}
	if len(s.Days)+len(s.Rest)+len(s.Include) == 0 {
		return nil, errors.New("it has no days, no rest and no include, so it says nothing")
	}
	for i, r := range s.Days {
		at, err := parseRule(strings.ToLower(strings.TrimSpace(r.Date)))
		if err == nil {
			err = r.check()
		}
		if err != nil {
			return nil, fmt.Errorf("days[%d]: %w", i, err)
		}
		c.days = append(c.days, day{r, at})
	}
	return c, nil
}

func (r DayRule) check() error {
	if r.Name == "" {
		return fmt.Errorf("%s has no name", r.Date)
	}
	for _, shifts := range []map[string]int{r.Moves, r.Observed} {
		for w, n := range shifts {
			if _, ok := weekdays[w]; !ok || n == 0 || n < -7 || n > 7 {
				return fmt.Errorf("%s: %s: %d is not a shift; write a day and how many days later or earlier, like {sat: -1, sun: 1}", r.Name, w, n)
			}
		}
	}
	if r.To != 0 && r.To < r.From {
		return fmt.Errorf("%s: to %d lies before from %d", r.Name, r.To, r.From)
	}
	return nil
}

// Off says whether a date (a midnight in UTC) is a day off: a weekday of rest
// or a holiday.
func (c *Calendar) Off(date time.Time) bool {
	if c.Rests(date.Weekday()) {
		return true
	}
	_, off := c.year(date.Year())[date]
	return off
}

// Rests says whether a weekday is off.
func (c *Calendar) Rests(d time.Weekday) bool {
	return c.rest[d] || slices.ContainsFunc(c.parts, func(p *Calendar) bool { return p.Rests(d) })
}

// Holidays lists the holidays of a year in order, those of included calendars
// among them; weekdays of rest are not listed.
func (c *Calendar) Holidays(year int) []Holiday {
	var list []Holiday
	for _, h := range c.year(year) {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b Holiday) int { return a.Date.Compare(b.Date) })
	return list
}

func (c *Calendar) year(year int) map[time.Time]Holiday {
	if year < firstYear || year > lastYear {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.years[year]; ok {
		return found
	}
	found := c.compute(year)
	c.years[year] = found
	return found
}

// compute finds the days of a year: a holiday at the turn of the year may be
// observed in the year before or after its own.
func (c *Calendar) compute(year int) map[time.Time]Holiday {
	found := map[time.Time]Holiday{}
	add := func(h Holiday) {
		if !taken(found, h.Date) {
			found[h.Date] = h
		}
	}
	for _, p := range c.parts {
		for _, h := range p.year(year) {
			add(h)
		}
	}
	var late []day
	var from []time.Time
	for y := year - 1; y <= year+1; y++ {
		for _, r := range c.days {
			d, ok := r.in(y)
			if !ok {
				continue
			}
			add(c.holiday(r, d, ""))
			if n := r.Observed[short(d)]; n != 0 {
				add(c.holiday(r, d.AddDate(0, 0, n), " (observed)"))
			}
			if r.Substitute && (d.Weekday() == time.Saturday || d.Weekday() == time.Sunday) {
				late, from = append(late, r), append(from, d)
			}
		}
	}
	// Substitutes look for a weekday that nothing else has taken.
	for i, r := range late {
		d := from[i]
		for weekend(d) || taken(found, d) {
			d = d.AddDate(0, 0, 1)
		}
		add(c.holiday(r, d, " (substitute)"))
	}
	for d := range found {
		if d.Year() != year {
			delete(found, d)
		}
	}
	return found
}

// holiday is a day off of this calendar with its source.
func (c *Calendar) holiday(r day, date time.Time, addition string) Holiday {
	return Holiday{Date: date, Name: r.Name + addition, Source: cmp.Or(r.Law, c.Law), Seen: cmp.Or(r.Seen, c.Seen)}
}

func weekend(d time.Time) bool {
	return d.Weekday() == time.Saturday || d.Weekday() == time.Sunday
}

func taken(found map[time.Time]Holiday, d time.Time) bool {
	_, ok := found[d]
	return ok
}

func short(d time.Time) string { return strings.ToLower(d.Weekday().String()[:3]) }

// in is the date of a day in a year.
func (r day) in(year int) (time.Time, bool) {
	d, ok := r.at(year)
	if !ok || year < r.From || r.To != 0 && year > r.To || slices.Contains(r.Except, year) {
		return d, false
	}
	return d.AddDate(0, 0, r.Moves[short(d)]), true
}
