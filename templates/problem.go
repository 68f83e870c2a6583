package templates

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rapport"
)

// Problem is one finding in a template: a sentence that says what is wrong,
// where, and what to do.
type Problem struct {
	Warning bool   // the template can be used all the same
	Locale  string // which variant; empty: the whole template
	Part    string // which part; empty: the whole variant
	Line    int    // in the part's source; 0: no line
	Msg     string
}

// Error returns the sentence with its place before it: "en/html line 12: …".
func (p *Problem) Error() string {
	where := strings.Trim(p.Locale+"/"+p.Part, "/")
	if p.Line > 0 {
		where += fmt.Sprintf(" line %d", p.Line)
	}
	if where == "" {
		return p.Msg
	}
	return where + ": " + p.Msg
}

func problemf(part string, line int, format string, args ...any) *Problem {
	return &Problem{Part: part, Line: line, Msg: fmt.Sprintf(format, args...)}
}

// Problems is what was found in a template, errors before warnings.
type Problems []*Problem

// Errors returns the problems that stop the template from being used.
func (ps Problems) Errors() Problems { return ps.which(false) }

// Warnings returns the problems a person may live with.
func (ps Problems) Warnings() Problems { return ps.which(true) }

func (ps Problems) which(warning bool) Problems {
	var out Problems
	for _, p := range ps {
		if p.Warning == warning {
			out = append(out, p)
		}
	}
	return out
}

// mostErrors is how many errors one complaint lists.
const mostErrors = 50

// Err returns an Invalid *rapport.Error that lists the errors, one a line;
// nil when there is none.
func (ps Problems) Err(template string) error {
	var lines []string
	errs := ps.Errors()
	for _, p := range errs[:min(len(errs), mostErrors)] {
		lines = append(lines, p.Error())
	}
	if more := len(errs) - mostErrors; more > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", more))
	}
	if len(lines) == 0 {
		return nil
	}
	return &rapport.Error{Kind: rapport.Invalid, Field: template, Msg: strings.Join(lines, "\n")}
}

// sorted puts errors first, then by place.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		if a.Warning != b.Warning {
			if a.Warning {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.Locale, b.Locale), cmp.Compare(a.Part, b.Part), cmp.Compare(a.Line, b.Line))
	})
	return slices.CompactFunc(ps, func(a, b *Problem) bool { return *a == *b })
}

// asProblem reads the problem out of an error of this package.
func asProblem(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return &Problem{Msg: err.Error()}
}
