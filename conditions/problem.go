package conditions

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"rapport"
)

// problem is a sentence about a place: line from 1, column from 0 in code
// points.
type problem struct {
	line, column int
	sentence     string
}

func (p *problem) Error() string { return p.sentence }

// show turns the problem into what a person sees: the sentence, the place, the
// line and a caret under it.
func (p *problem) show(source string) *rapport.Error {
	lines := strings.Split(source, "\n")
	line := []rune(lines[min(max(p.line, 1), len(lines))-1])
	column := min(max(p.column, 0), len(line))
	text, caret := excerpt(line, column)
	return rapport.Invalidf("", "%s (line %d, column %d)\n    %s\n    %s^",
		p.sentence, max(p.line, 1), column+1, text, strings.Repeat(" ", caret))
}

// excerpt is the part of a line around a column, at most a screen wide, and
// where the column is in it. Whatever a terminal could act on becomes a blank.
func excerpt(line []rune, column int) (text string, caret int) {
	const before, after = 60, 40
	from, to := max(0, column-before), min(len(line), column+after)
	part := slices.Clone(line[from:to])
	for i, r := range part {
		if !unicode.IsPrint(r) {
			part[i] = ' '
		}
	}
	head, tail := "", ""
	if from > 0 {
		head = "… "
	}
	if to < len(line) {
		tail = " …"
	}
	return head + string(part) + tail, len([]rune(head)) + column - from
}

// unknown is the sentence for a name that does not exist.
func unknown(what, name string, known []string) string {
	if len(known) == 0 {
		return fmt.Sprintf("there is no %s %q, and none exists yet", what, name)
	}
	const most = 20
	guess := ""
	if near := nearest(name, known); near != "" {
		guess = fmt.Sprintf("did you mean %q? ", near)
	}
	list := slices.Sorted(slices.Values(known))
	more := ""
	if len(list) > most {
		list, more = list[:most], ", …"
	}
	return fmt.Sprintf("there is no %s %q; %sknown: %s%s", what, name, guess, strings.Join(list, ", "), more)
}

// nearest is the known name that a slip of the pen could have meant, or "".
func nearest(name string, known []string) string {
	best, bestAt := "", 1+min(2, len([]rune(name))/2)
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < bestAt {
			best, bestAt = k, d
		}
	}
	return best
}

// distance counts the letters to insert, remove or replace to make b of a.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range to {
			cost := diagonal
			if r != s {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
