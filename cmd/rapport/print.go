package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// table is aligned columns for people.
type table struct{ rows [][]string }

func newTable(head ...string) *table { return &table{rows: [][]string{head}} }

func (t *table) row(cells ...string) {
	for i := range cells {
		cells[i] = clean(cells[i], false)
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range t.rows {
		line := strings.Join(r, "\t")
		_, _ = fmt.Fprintln(tw, strings.TrimRight(line, "\t"))
	}
	_ = tw.Flush() // w remembers what went wrong
}

// clean keeps what came from elsewhere from steering the terminal.
func clean(text string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\n' || r == '\t'):
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return '·'
		}
		return r
	}, text)
}

// at shows a moment in the reader's zone with the offset; the zero time is a dash.
func (c *cli) at(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(c.zone).Format("2006-01-02 15:04:05 -07:00")
}

// dash stands for nothing.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// count writes a number with its noun.
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

func number[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }
