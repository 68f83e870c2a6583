package consent

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"rapport"
)

// suppressionFormats is a table of what other tools call the columns of their
// files, each row with the public page it was read from. Rows that no such
// page shows are not verified, and their tool is off.
//
//go:embed suppress_formats.csv
var suppressionFormats string

// formatRow is a column of another tool's file.
type formatRow struct {
	tool, column, is string
	words            map[string]string // by lower case; nil: they mean themselves
	verified         bool
}

// SuppressionFormats lists the tools whose files can be read.
func SuppressionFormats() []string {
	var out []string
	rows, err := formatRows()
	if err != nil {
		return nil // a test reads the table
	}
	for _, r := range rows {
		if r.verified && !slices.Contains(out, r.tool) {
			out = append(out, r.tool)
		}
	}
	return out
}

func suppressionFormat(tool string) ([]formatRow, error) {
	rows, err := formatRows()
	if err != nil {
		return nil, err
	}
	var out []formatRow
	for _, r := range rows {
		if r.tool == tool && r.verified {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil, rapport.Unknown("format", tool, SuppressionFormats())
	}
	return out, nil
}

func formatRows() ([]formatRow, error) {
	all, err := csv.NewReader(strings.NewReader(suppressionFormats)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the table of formats: %w", err)
	}
	var out []formatRow
	for _, cells := range all[1:] {
		r := formatRow{tool: cells[0], column: cells[1], is: cells[2], verified: cells[4] == "yes"}
		if cells[3] != "" {
			r.words = map[string]string{}
		}
		for pair := range strings.SplitSeq(cells[3], ";") {
			if from, to, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
				r.words[strings.ToLower(from)] = to
			}
		}
		out = append(out, r)
	}
	return out, nil
}
