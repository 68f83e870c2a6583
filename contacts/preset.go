package contacts

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"rapport"
)

// presetTable says what the columns of other tools' exports are, each row with
// the public page it was read from. What no such page shows is not verified:
// such a column is left out, and named in the report.
//
//go:embed presets/presets.csv
var presetTable string

// presetColumn is one row of the table.
type presetColumn struct {
	tool, header, is string
	words            map[string]string // what the words of a status mean, by lower case
	lenient          bool              // a cell that cannot be read is left out
	verified         bool
	source           string
}

func presetColumns() ([]presetColumn, error) {
	all, err := csv.NewReader(strings.NewReader(presetTable)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the table of presets: %w", err)
	}
	var out []presetColumn
	for _, cells := range all[1:] {
		p := presetColumn{tool: cells[0], header: cells[1], is: cells[2], words: map[string]string{}, verified: cells[4] == "yes", source: cells[5]}
		for pair := range strings.SplitSeq(cells[3], ";") {
			from, to, ok := strings.Cut(strings.TrimSpace(pair), "=")
			switch {
			case !ok:
			case from == "else":
				p.lenient = true
			default:
				p.words[strings.ToLower(from)] = to
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// Presets lists the tools whose exports can be read by their own names of
// columns.
func Presets() []string {
	rows, err := presetColumns()
	if err != nil {
		return nil // a test reads the table
	}
	var out []string
	for _, r := range rows {
		if !slices.Contains(out, r.tool) {
			out = append(out, r.tool)
		}
	}
	slices.Sort(out)
	return out
}

// preset returns the columns of a tool by their folded headers.
func preset(tool string) (map[string]presetColumn, error) {
	rows, err := presetColumns()
	if err != nil {
		return nil, err
	}
	out := map[string]presetColumn{}
	for _, r := range rows {
		if r.tool == tool {
			out[fold(r.header)] = r
		}
	}
	if len(out) == 0 {
		return nil, rapport.Unknown("preset", tool, Presets())
	}
	return out, nil
}

// presetStatus is what a column is whose words say how somebody stands.
const presetStatus = "status"

// column reads what a preset says about a header. ok is false when it says
// nothing, or nothing that is verified; why is a sentence for the report then.
func (r headerRules) presetColumn(p presetColumn) (c column, why string, err error) {
	if !p.verified {
		return column{}, fmt.Sprintf("%s: %s", p.header, p.source), nil
	}
	word, rest, _ := strings.Cut(p.is, " ")
	switch {
	case word == "ignore":
		return column{}, "", nil
	case word == "attribute":
		c, err = r.column(rest)
	case word == "object":
		c = column{role: roleObject, name: p.header}
	case word == presetStatus:
		c = column{role: roleStatus, name: p.header, words: p.words}
	case strings.Contains(word, "."):
		event, field, _ := strings.Cut(word, ".")
		c = column{role: roleEvent, name: p.header, event: Event(event), field: field}
	default:
		c, err = r.column(word)
	}
	c.lenient = p.lenient
	return c, "", err
}
