package consent

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport"
	"rapport/internal/csvtext"
)

// suppressionPage is how many suppressions travel together.
const suppressionPage = 500

// The levels of a suppression in a file; empty is levelAddress.
const (
	levelAddress = "address"
	levelDomain  = "domain"
	levelBelow   = "domain_and_subdomains"
)

// suppressionColumns are the columns of our own file; value is required on
// import, and kind unless the options name it.
func suppressionColumns() []string {
	return []string{"kind", "value", "reason", "detail", "at", "level", "expires"}
}

// ExportSuppressions writes all suppressed domains and all suppressed
// addresses whose plain value is known as CSV. It returns how many rows it
// wrote and how many it left out because only their fingerprint is kept.
func (s *Service) ExportSuppressions(ctx context.Context, w io.Writer) (rows, hidden int, err error) {
	out := csv.NewWriter(w)
	if err := out.Write(suppressionColumns()); err != nil {
		return 0, 0, fmt.Errorf("write suppressions: %w", err)
	}
	if rows, err = s.exportDomains(ctx, out); err != nil {
		return rows, 0, err
	}
	var after Suppression
	for {
		page, err := s.Suppressions(ctx, after, suppressionPage)
		if err != nil {
			return rows, hidden, err
		}
		for _, x := range page {
			if x.Value == "" {
				hidden++
				continue
			}
			rows++
			if err := out.Write([]string{x.Kind, csvtext.Protect(x.Value), x.Reason, csvtext.Protect(x.Detail), moment(x.At), levelAddress, ""}); err != nil {
				return rows, hidden, fmt.Errorf("write suppressions: %w", err)
			}
		}
		if len(page) < suppressionPage {
			out.Flush()
			return rows, hidden, out.Error()
		}
		after = page[len(page)-1]
	}
}

func (s *Service) exportDomains(ctx context.Context, out *csv.Writer) (rows int, err error) {
	var after SuppressedDomain
	for {
		page, err := s.SuppressedDomains(ctx, after, suppressionPage)
		if err != nil {
			return rows, err
		}
		for _, x := range page {
			level := levelDomain
			if x.Subdomains {
				level = levelBelow
			}
			rows++
			if err := out.Write([]string{x.Kind, csvtext.Protect(x.Domain), x.Reason, csvtext.Protect(x.Detail), moment(x.At), level, moment(x.Expires)}); err != nil {
				return rows, fmt.Errorf("write suppressed domains: %w", err)
			}
		}
		if len(page) < suppressionPage {
			return rows, nil
		}
		after = page[len(page)-1]
	}
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// RowError is a row of a file that was not taken.
type RowError struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// SuppressionReport says what an import of suppressions did.
type SuppressionReport struct {
	Rows    int        `json:"rows"`
	Added   int        `json:"added"`   // addresses and domains
	Known   int        `json:"known"`   // were suppressed before
	Skipped int        `json:"skipped"` // say nothing that forbids an address
	Errors  int        `json:"errors"`
	Listed  []RowError `json:"listed"` // the first errors
}

// listed bounds how many errors a report names.
const listed = 100

// SuppressionFile says how to read a file of suppressions.
type SuppressionFile struct {
	// Format names the tool whose export it is; empty: our own columns.
	Format string
	// Columns says which column of the file is what ("value", "reason",
	// "detail", "at"), beside or instead of Format.
	Columns map[string]string
	Kind    string // of address, where the file does not say
	Reason  string // where the file does not say; empty: manual
	// Reference names the file; rows keep it with their line.
	Reference string
}

// ImportSuppressions reads a CSV file in our own columns; see
// ImportSuppressionFile.
func (s *Service) ImportSuppressions(ctx context.Context, r io.Reader) (SuppressionReport, error) {
	return s.ImportSuppressionFile(ctx, r, SuppressionFile{})
}

// ImportSuppressionFile reads suppressed addresses and domains from a CSV
// file. A bad row is listed and the rest goes in; the same file again changes
// nothing.
func (s *Service) ImportSuppressionFile(ctx context.Context, r io.Reader, o SuppressionFile) (SuppressionReport, error) {
	var im suppressionImport
	im.s, im.o = s, o
	in, head, err := suppressionTable(r)
	if err != nil {
		return im.rep, err
	}
	if im.at, err = im.columns(head); err != nil {
		return im.rep, err
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return im.rep, im.flush(ctx)
		}
		bad, isBad := errors.AsType[*csv.ParseError](err)
		if err != nil && !isBad {
			return im.rep, fmt.Errorf("read suppressions: %w", err)
		}
		im.rep.Rows++
		line := lineOf(in, bad)
		if err == nil {
			err = im.take(ctx, row, line)
		}
		if err != nil {
			im.rep.Errors++
			if len(im.rep.Listed) < listed {
				im.rep.Listed = append(im.rep.Listed, RowError{Line: line, Reason: err.Error()})
			}
			continue
		}
		if len(im.page)+len(im.domains) >= suppressionPage {
			if err := im.flush(ctx); err != nil {
				return im.rep, err
			}
		}
	}
}

const peeked = 64 << 10

// suppressionTable opens a table and reads its header.
func suppressionTable(r io.Reader) (*csv.Reader, []string, error) {
	b := bufio.NewReaderSize(r, peeked)
	text, err := b.Peek(peeked)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("read suppressions: %w", err)
	}
	from := io.Reader(b)
	if csvtext.OldLines(string(text)) {
		from = csvtext.NewLines(b)
	}
	in := csv.NewReader(from)
	in.FieldsPerRecord = -1
	first, _, _ := strings.Cut(strings.ReplaceAll(string(text), "\r", "\n"), "\n")
	for _, sign := range ";\t" {
		if strings.Count(first, string(sign)) > strings.Count(first, string(in.Comma)) {
			in.Comma = sign
		}
	}
	head, err := in.Read()
	if err != nil {
		return nil, nil, rapport.Invalidf("", "the file has no header row; our own begins with: %s", strings.Join(suppressionColumns(), ","))
	}
	return in, head, nil
}

// suppressionImport is one import on its way.
type suppressionImport struct {
	s       *Service
	o       SuppressionFile
	rep     SuppressionReport
	at      map[string]column
	page    []Suppression
	domains []SuppressedDomain
}

// column is where something stands in a row, and what its words mean; without
// words they mean themselves.
type column struct {
	in    []int
	words map[string]string
}

func (im *suppressionImport) columns(head []string) (map[string]column, error) {
	place := map[string]int{}
	for i, h := range head {
		place[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(csvtext.Unprotect(h), "\ufeff")))] = i
	}
	at := map[string]column{}
	switch {
	case im.o.Format != "":
		rows, err := suppressionFormat(im.o.Format)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if i, ok := place[strings.ToLower(r.column)]; ok {
				c := at[r.is]
				c.in, c.words = append(c.in, i), r.words
				at[r.is] = c
			}
		}
	case len(im.o.Columns) == 0:
		for _, name := range suppressionColumns() {
			if i, ok := place[name]; ok {
				at[name] = column{in: []int{i}}
			}
		}
	}
	for is, header := range im.o.Columns {
		if !slices.Contains([]string{"value", "reason", "detail", "at"}, is) {
			return nil, rapport.Invalidf("column", "%q is nothing a suppression has; known: value, reason, detail, at", is)
		}
		i, ok := place[strings.ToLower(strings.TrimSpace(header))]
		if !ok {
			return nil, rapport.Invalidf("column", "there is no column %q; the header is: %s", header, strings.Join(head, ", "))
		}
		at[is] = column{in: []int{i}}
	}
	if _, ok := at["value"]; !ok {
		return nil, rapport.Invalidf("", "no column holds the addresses: our own files have kind and value; for others say --format TOOL (%s) or --column value=HEADER; the header is: %s",
			strings.Join(SuppressionFormats(), ", "), strings.Join(head, ", "))
	}
	if _, ok := at["kind"]; !ok && im.o.Kind == "" {
		return nil, rapport.Invalidf("kind", "the file does not say what kind of addresses it holds: name it with --kind")
	}
	return at, nil
}

// cell is what a row says about something.
func (im *suppressionImport) cell(row []string, is string) string {
	c := im.at[is]
	var parts []string
	for _, i := range c.in {
		if i < len(row) {
			if text := strings.TrimSpace(csvtext.Unprotect(row[i])); text != "" {
				parts = append(parts, text)
			}
		}
	}
	text := strings.Join(parts, " ")
	if c.words == nil {
		return text
	}
	if word, ok := c.words[strings.ToLower(text)]; ok {
		return word
	}
	return text
}

// nothing is the word for a row that forbids no address.
const nothing = "-"

func (im *suppressionImport) take(ctx context.Context, row []string, line int) error {
	x := Suppression{Kind: im.cell(row, "kind"), Value: im.cell(row, "value"), Reason: im.cell(row, "reason"), Detail: im.cell(row, "detail")}
	if x.Kind == "" {
		x.Kind = im.o.Kind
	}
	switch x.Reason {
	case nothing:
		im.rep.Skipped++
		return nil
	case "":
		x.Reason = im.o.Reason
	}
	var err error
	if x.At, err = timeOf("at", im.cell(row, "at")); err != nil {
		return err
	}
	x.Reference = reference(im.o.Reference, line)
	level := im.cell(row, "level")
	if level == "" || level == levelAddress {
		if x, err = im.s.suppression(ctx, x); err == nil {
			im.page = append(im.page, x)
		}
		return err
	}
	if level != levelDomain && level != levelBelow {
		return rapport.Invalidf("level", "%q is not a level; known: %s, %s, %s", level, levelAddress, levelDomain, levelBelow)
	}
	d := SuppressedDomain{Kind: x.Kind, Domain: x.Value, Subdomains: level == levelBelow, Reason: x.Reason, Detail: x.Detail, At: x.At}
	if d.Expires, err = timeOf("expires", im.cell(row, "expires")); err != nil {
		return err
	}
	if d, err = im.s.suppressedDomain(ctx, d); err == nil {
		im.domains = append(im.domains, d)
	}
	return err
}

// reference names a line of a file. Without a name it says that it was a file.
func reference(file string, line int) string {
	if file == "" {
		file = "file"
	}
	return file + ":" + strconv.Itoa(line)
}

func timeOf(field, cell string) (time.Time, error) {
	if cell == "" {
		return time.Time{}, nil
	}
	t, ok := csvtext.Time(cell)
	if !ok {
		return t, rapport.Invalidf(field, "%q is not a time; write it like 2026-01-31T09:00:00Z", cell)
	}
	return t, nil
}

func (im *suppressionImport) flush(ctx context.Context) error {
	n, err := im.s.suppressions.Suppress(ctx, im.page)
	if err != nil {
		return fmt.Errorf("suppress addresses: %w", err)
	}
	m, err := im.s.domains.SuppressDomains(ctx, im.domains)
	if err != nil {
		return fmt.Errorf("suppress domains: %w", err)
	}
	im.rep.Added += n + m
	im.rep.Known += len(im.page) - n + len(im.domains) - m
	im.page, im.domains = im.page[:0], im.domains[:0]
	return nil
}

// lineOf is where the row read last begins.
func lineOf(in *csv.Reader, bad *csv.ParseError) int {
	if bad != nil {
		return bad.StartLine
	}
	line, _ := in.FieldPos(0)
	return line
}
