package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"
)

// datePattern is a day as people write it (ISO 8601).
var datePattern = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// Warmup is a plan for a sender that receivers do not know yet: how many
// messages may leave on each day, as a list or grown from a first number.
type Warmup struct {
	Start  string  `json:"start"`            // first day, 2026-12-01, in the configured zone
	Days   []int64 `json:"days,omitempty"`   // by day; after the last there is no limit
	First  int64   `json:"first,omitempty"`  // instead of days: on the first day
	Factor float64 `json:"factor,omitempty"` // and so many times more on each day after it
	Last   int64   `json:"last,omitempty"`   // until a day would have more than this
}

// The longest plan, and the largest day of one.
const (
	warmupDays = 366
	warmupMost = 1_000_000_000
)

// UnmarshalJSON reads a plan; unknown keys are errors.
func (w *Warmup) UnmarshalJSON(b []byte) error {
	type plain Warmup
	var p plain
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return errors.New("is not a plan; write it like {start: 2026-12-01, days: [50, 100, 500]} or {start: 2026-12-01, first: 50, factor: 1.5, last: 50000}")
	}
	*w = Warmup(p)
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads; null for no plan.
func (w Warmup) MarshalJSON() ([]byte, error) {
	if w.IsZero() {
		return []byte("null"), nil
	}
	type plain Warmup
	return json.Marshal(plain(w))
}

// IsZero says whether there is no plan.
func (w Warmup) IsZero() bool {
	return w.Start == "" && len(w.Days) == 0 && w.First == 0 && w.Factor == 0 && w.Last == 0
}

// Plan is noon of the first day in a zone and how many may leave on each day;
// no days for no plan.
func (w Warmup) Plan(zone *time.Location) (start time.Time, days []int64, err error) {
	if w.IsZero() {
		return start, nil, nil
	}
	if start, err = time.ParseInLocation(time.DateOnly, w.Start, zone); err != nil || !datePattern.MatchString(w.Start) {
		return start, nil, fmt.Errorf("start: %q is not a day; write it like 2026-12-01", w.Start)
	}
	days, err = w.days()
	return start.Add(12 * time.Hour), days, err
}

func (w Warmup) days() ([]int64, error) {
	grown := w.First != 0 || w.Factor != 0 || w.Last != 0
	switch {
	case grown && len(w.Days) > 0:
		return nil, errors.New("days: write either days, or first, factor and last")
	case !grown && len(w.Days) == 0:
		return nil, errors.New("days: say how many may leave on each day, like [50, 100, 500]")
	case len(w.Days) > warmupDays:
		return nil, fmt.Errorf("days: at most %d", warmupDays)
	}
	for i, n := range w.Days {
		if n < 1 || n > warmupMost {
			return nil, fmt.Errorf("days[%d]: %d is not between 1 and %d", i, n, warmupMost)
		}
	}
	if !grown {
		return w.Days, nil
	}
	if w.First < 1 || w.Factor <= 1 || math.IsNaN(w.Factor) || w.Last < w.First || w.Last > warmupMost {
		return nil, errors.New("first: a plan that grows needs first (at least 1), factor (more than 1) and last (at least first), like first: 50, factor: 1.5, last: 50000")
	}
	var out []int64
	for n := float64(w.First); n <= float64(w.Last); n *= w.Factor {
		if len(out) == warmupDays {
			return nil, fmt.Errorf("factor: grows so slowly that the plan is longer than %d days", warmupDays)
		}
		out = append(out, int64(n))
	}
	return out, nil
}
