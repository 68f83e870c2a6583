package contacts

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"strconv"
)

// Report says what an import did, or would do.
type Report struct {
	File       string           `json:"file"`
	Form       Form             `json:"form"`
	DryRun     bool             `json:"dry_run"`
	Resumed    int64            `json:"resumed"` // rows that an earlier, broken run had done; they are in the counts
	Rows       int64            `json:"rows"`    // without the header and empty ones
	Created    int64            `json:"created"`
	Changed    int64            `json:"changed"`
	Unchanged  int64            `json:"unchanged"`
	Duplicates int64            `json:"duplicates"` // rows about somebody an earlier row was about
	Errors     int64            `json:"errors"`
	Consents   map[string]int64 `json:"consents"` // granted, pending, withdrawn, unchanged, skipped
	// People counts the people of rows by what may be written to them:
	// "permitted" (the file brought a "yes" that stands), "not_permitted" (a new
	// person without one), "refused" (they withdrew, and the file does not
	// change that), "suppressed", and "as_before" (known, and the file says
	// nothing that changes anything).
	People map[string]int64 `json:"people"`
	// History counts what became of events from before: "recorded", "known",
	// "older", "suppressed", "refused".
	History    map[string]int64 `json:"history,omitempty"`
	Attributes map[string]Type  `json:"attributes"`
	Ignored    []string         `json:"ignored,omitempty"`
	Notes      []string         `json:"notes,omitempty"`
	// The first of each, of this run. The rest goes to ImportOptions.Errors.
	Listed  []RowNote `json:"listed,omitempty"`  // bad rows
	Skipped []RowNote `json:"skipped,omitempty"` // consents that were not taken, duplicates
}

// RowNote is something to say about a row.
type RowNote struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// maxListed bounds the lists of a report.
const maxListed = 100

// clone makes a copy whose counts can be changed.
func (r Report) clone() Report {
	for _, m := range []*map[string]int64{&r.Consents, &r.People, &r.History} {
		if *m = maps.Clone(*m); *m == nil {
			*m = map[string]int64{}
		}
	}
	return r
}

// Stored is the report without what may hold personal data.
func (r Report) Stored() Report {
	r.Listed, r.Skipped = nil, nil
	return r
}

// count adds one outcome.
func (r *Report) count(s Status) {
	r.Rows++
	switch s {
	case Created:
		r.Created++
	case Changed:
		r.Changed++
	case Unchanged:
		r.Unchanged++
	case Duplicate:
		r.Duplicates++
	case Refused:
		r.Errors++
	}
}

// notes lists rows in the report and writes all of them out.
type notes struct {
	out *csv.Writer
	err error
}

func newNotes(w io.Writer) *notes {
	n := &notes{}
	if w != nil {
		n.out = csv.NewWriter(w)
		n.write("line", "kind", "reason")
	}
	return n
}

func (n *notes) write(cells ...string) {
	if n.out != nil && n.err == nil {
		n.err = n.out.Write(cells)
	}
}

func (n *notes) add(list *[]RowNote, kind string, line int, reason string) {
	if len(*list) < maxListed {
		*list = append(*list, RowNote{line, reason})
	}
	n.write(strconv.Itoa(line), kind, protect(reason))
}

func (n *notes) close() error {
	if n.out == nil {
		return nil
	}
	n.out.Flush()
	if n.err == nil {
		n.err = n.out.Error()
	}
	if n.err != nil {
		return fmt.Errorf("write the list of bad rows: %w", n.err)
	}
	return nil
}
