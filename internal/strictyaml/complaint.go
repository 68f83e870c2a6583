package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rapport"
)

// maxComplaints is how many mistakes are listed; a file with more of them is
// probably not what the person meant to give.
const maxComplaints = 50

// Complaint is one mistake in a file. Line and Column count from 1; they are
// 0 when the mistake has no place in it (an environment variable, say).
type Complaint struct {
	File   string
	Line   int
	Column int
	Key    string // path of the key, like channels[0].rate; empty: the file as a whole
	Msg    string // one sentence
}

// Error returns file:line:column: key: sentence.
func (c Complaint) Error() string {
	var b strings.Builder
	b.WriteString(c.File)
	if c.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", c.Line, c.Column)
	}
	if c.Key != "" {
		b.WriteString(": " + c.Key)
	}
	b.WriteString(": " + c.Msg)
	return b.String()
}

// Unwrap makes a complaint an Invalid error of the house.
func (c Complaint) Unwrap() error {
	return &rapport.Error{Kind: rapport.Invalid, Field: c.Key, Msg: c.Msg}
}

// Complaints is every mistake found, in the order of the file. As an error it
// is of kind rapport.Invalid.
type Complaints []Complaint

// Error returns one line for each complaint.
func (cs Complaints) Error() string {
	lines := make([]string, 0, len(cs))
	for _, c := range cs {
		lines = append(lines, c.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes the list an Invalid error of the house.
func (cs Complaints) Unwrap() error {
	return &rapport.Error{Kind: rapport.Invalid, Msg: cs.Error()}
}

// Err returns the list as an error, sorted by place and without repeats; nil
// when it is empty.
func (cs Complaints) Err() error {
	if len(cs) == 0 {
		return nil
	}
	out := slices.Clone(cs)
	slices.SortStableFunc(out, func(a, b Complaint) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	out = slices.Compact(out)
	if more := len(out) - maxComplaints; more > 0 {
		out = append(out[:maxComplaints], Complaint{File: out[0].File, Msg: fmt.Sprintf("and %d more", more)})
	}
	return out
}

// unknownKey is the sentence for a key that nobody asked for.
func unknownKey(key string, known []string) string {
	if near := Nearest(key, known); near != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", near)
	}
	if len(known) == 0 {
		return "unknown key; none is expected here"
	}
	return "unknown key; known: " + strings.Join(known, ", ")
}

// Nearest returns the known word that differs from word by one or two slips
// of the pen, or "".
func Nearest(word string, known []string) string {
	best, at := "", 3
	for _, k := range known {
		if d := distance(word, k); d < at && d < len(k) {
			best, at = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions and replacements between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
