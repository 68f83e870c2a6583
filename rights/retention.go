package rights

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rapport"
	"rapport/access"
	"rapport/internal/failpoint"
)

// Rule is a kind of data that goes by age.
type Rule string

// The rules, in the order in which they are kept.
const (
	Attempts   Rule = "attempts"       // tries of deliveries, with what servers said
	Agents     Rule = "agents"         // class of program of opens and clicks
	Responses  Rule = "responses"      // opens, clicks and their like, of runs that ended before; they become counts
	NotPlanned Rule = "not_planned"    // who was not planned in runs that ended before; the counts stay
	Deliveries Rule = "deliveries"     // deliveries of runs that ended before; the accounts stay exact
	Events     Rule = "events"         // what happened to people, as other systems told it
	Imports    Rule = "import_reports" // rows that reports of imports list
	Audit      Rule = "audit"          // lines of the audit log
	Idle       Rule = "idle_contacts"  // people of whom there was no sign; they are erased
)

// Rules lists the rules in the order in which they are kept.
func Rules() []Rule {
	return []Rule{Attempts, Agents, Responses, NotPlanned, Deliveries, Events, Imports, Audit, Idle}
}

// Age is how long something is kept, by the calendar. The zero Age is for ever.
type Age struct{ Months, Days int }

// IsZero says whether it is kept for ever.
func (a Age) IsZero() bool { return a == Age{} }

// Before is the moment before which things are older than that.
func (a Age) Before(now time.Time) time.Time { return now.AddDate(0, -a.Months, -a.Days) }

// String writes the age as people say it.
func (a Age) String() string {
	switch {
	case a.IsZero():
		return "off"
	case a.Days == 0 && a.Months%12 == 0:
		return plural(a.Months/12, "year")
	case a.Days == 0:
		return plural(a.Months, "month")
	case a.Months == 0:
		return plural(a.Days, "day")
	}
	return plural(a.Months, "month") + " and " + plural(a.Days, "day")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// Keep is how long what is kept.
type Keep map[Rule]Age

// RetentionStore removes by age. Nothing of a person who is restricted goes.
type RetentionStore interface {
	// Old counts what would go. It may take as long as looking through a table.
	Old(ctx context.Context, r Rule, before time.Time) (int64, error)
	// Prune removes some of it in one small transaction of the bulk lane, from
	// a place on, and says how much went and where to go on; Done when there is
	// no more. If anything went, the note stands in the audit log with it; one
	// without an action is none.
	Prune(ctx context.Context, r Rule, before time.Time, from Place, note access.Line) (Pruned, error)
	// IdleContacts lists at most limit contacts with a greater number of whom
	// there was no sign since then: not changed, not written to, nothing came
	// back, no event, no line in the ledger, no wish and no objection, nothing
	// waits for them, and they are not restricted.
	IdleContacts(ctx context.Context, before time.Time, after int64, limit int) ([]int64, error)
}

// Place is how far a pruning has come; the zero Place is the beginning.
type Place struct{ Run, ID int64 }

// Pruned is what one transaction removed.
type Pruned struct {
	N    int64
	Next Place
	Done bool
}

// Kept is one rule in a report.
type Kept struct {
	Rule   Rule       `json:"rule"`
	Keep   string     `json:"keep"`             // "13 months", "off"
	Before *time.Time `json:"before,omitempty"` // what is older goes
	Due    int64      `json:"due"`              // what would go now
	Went   int64      `json:"went"`             // what went in this run
}

// Due reports what would go now, by rule.
func (s *Service) Due(ctx context.Context) ([]Kept, error) {
	var out []Kept
	for _, r := range Rules() {
		k, before := s.kept(r)
		if k.Before != nil {
			var err error
			if r == Idle {
				k.Due, err = s.idle(ctx, before, func(context.Context, int64) (bool, error) { return true, nil })
			} else {
				k.Due, err = s.o.Store.Old(ctx, r, before)
			}
			if err != nil {
				return out, fmt.Errorf("count what is old of %s: %w", r, err)
			}
		}
		out = append(out, k)
	}
	return out, nil
}

func (s *Service) kept(r Rule) (Kept, time.Time) {
	age := s.o.Keep[r]
	k := Kept{Rule: r, Keep: age.String()}
	if age.IsZero() {
		return k, time.Time{}
	}
	before := age.Before(s.moment())
	k.Before = &before
	return k, before
}

// retainer is who acts when the rules are kept.
const retainer = "retention"

// Retain keeps the rules: it removes what is older, in small transactions. With
// the first row of a rule the audit log says that it goes, and at the end how
// much of what went. It may be stopped and begun again at any time.
func (s *Service) Retain(ctx context.Context) ([]Kept, error) {
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: retainer})
	var out []Kept
	var broken error
	detail := map[string]any{}
	for _, r := range Rules() {
		k, before := s.kept(r)
		if k.Before != nil {
			if k.Went, broken = s.retain(ctx, r, before); broken != nil {
				broken = fmt.Errorf("remove what is old of %s: %w", r, broken)
			}
		}
		if k.Went > 0 {
			detail[string(r)] = k.Went
		}
		if broken != nil {
			break
		}
		out = append(out, k)
	}
	if len(detail) == 0 {
		return out, broken
	}
	// What went is gone, also when the rest was not to be had.
	noted := s.o.Access.Note(context.WithoutCancel(ctx), access.Act{Action: "retention.run", Detail: detail})
	return out, cmp.Or(broken, noted)
}

func (s *Service) retain(ctx context.Context, r Rule, before time.Time) (int64, error) {
	if r == Idle {
		return s.idle(ctx, before, func(ctx context.Context, contact int64) (bool, error) {
			_, err := s.erase(ctx, contact, before)
			if k := rapport.KindOf(err); k == rapport.NotFound || k == rapport.Conflict {
				return false, nil // gone, or heard of, since they were listed
			}
			return err == nil, err
		})
	}
	note, err := access.Draft(ctx, access.Act{Action: "retention.begin", Object: string(r), Detail: map[string]any{"before": before}}, s.moment())
	if err != nil {
		return 0, err
	}
	var sum int64
	var at Place
	for {
		p, err := s.o.Store.Prune(ctx, r, before, at, note)
		if err != nil {
			return sum, err
		}
		failpoint.At("after_prune")
		if sum += p.N; p.N > 0 {
			note = access.Line{}
		}
		if at = p.Next; p.Done {
			return sum, nil
		}
	}
}

const idlePage = 200

func (s *Service) idle(ctx context.Context, before time.Time, do func(ctx context.Context, contact int64) (bool, error)) (int64, error) {
	var n, after int64
	for {
		list, err := s.o.Store.IdleContacts(ctx, before, after, idlePage)
		if err != nil {
			return n, err
		}
		for _, id := range list {
			done, err := do(ctx, id)
			if err != nil {
				return n, err
			}
			if done {
				n++
			}
			after = id
		}
		if len(list) < idlePage {
			return n, nil
		}
	}
}

// Went adds up what a retention removed, for those who log it.
func Went(list []Kept) map[string]int {
	out := map[string]int{}
	for _, k := range list {
		if k.Went > 0 {
			out[string(k.Rule)] = int(k.Went)
		}
	}
	return out
}

// ages lists how long what is kept, in the order of the rules.
func (k Keep) ages() []Kept {
	out := make([]Kept, 0, len(k))
	for _, r := range Rules() {
		if slices.Contains(slices.Collect(maps.Keys(k)), r) {
			out = append(out, Kept{Rule: r, Keep: k[r].String()})
		}
	}
	return out
}
