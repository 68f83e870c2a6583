package consent

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
)

// Suppress forbids an address to every channel. It is no error when it is
// forbidden already; the first reason stays.
func (s *Service) Suppress(ctx context.Context, kind, value, reason, detail string) (bool, error) {
	sup, err := s.suppression(ctx, kind, value, reason, detail)
	if err != nil {
		return false, err
	}
	n, err := s.suppressions.Suppress(ctx, []Suppression{sup})
	if err != nil {
		return false, fmt.Errorf("suppress an address: %w", err)
	}
	return n > 0, nil
}

func (s *Service) suppression(ctx context.Context, kind, value, reason, detail string) (Suppression, error) {
	value, err := s.canonical(kind, value)
	if err != nil {
		return Suppression{}, err
	}
	if reason == "" {
		reason = Manual
	}
	if !slices.Contains(Reasons(), reason) {
		return Suppression{}, rapport.Invalidf("reason", "%q is not a reason; known: %s", reason, strings.Join(Reasons(), ", "))
	}
	return Suppression{
		Kind: kind, Hash: s.fingerprint(kind, value), Value: value, Reason: reason, Detail: detail,
		Actor: rapport.ActorOf(ctx).Name, At: s.now().UTC().Truncate(time.Microsecond),
	}, nil
}

func (s *Service) canonical(kind, value string) (string, error) {
	kinds := s.drivers.AddressKinds()
	i := slices.IndexFunc(kinds, func(a channels.Address) bool { return a.Kind == kind })
	if i < 0 {
		var names []string
		for _, a := range kinds {
			names = append(names, a.Kind)
		}
		return "", rapport.Unknown("kind of address", kind, names)
	}
	canonical, err := kinds[i].Normalize(value)
	if err != nil {
		return "", rapport.Invalidf(kind, "%v", err)
	}
	return canonical, nil
}

// Unsuppress lets an address be written to again, if consent allows it.
func (s *Service) Unsuppress(ctx context.Context, kind, value string) error {
	value, err := s.canonical(kind, value)
	if err != nil {
		return err
	}
	found, err := s.suppressions.Unsuppress(ctx, kind, s.fingerprint(kind, value))
	if err != nil {
		return fmt.Errorf("remove a suppression: %w", err)
	}
	if !found {
		return rapport.NotFoundf("this address is not suppressed")
	}
	return nil
}

// Suppressed says whether an address is suppressed, and why.
func (s *Service) Suppressed(ctx context.Context, kind, value string) (Suppression, bool, error) {
	value, err := s.canonical(kind, value)
	if err != nil {
		return Suppression{}, false, err
	}
	sup, ok, err := s.suppressions.Suppressed(ctx, kind, s.fingerprint(kind, value))
	if err != nil {
		return Suppression{}, false, fmt.Errorf("look for a suppression: %w", err)
	}
	return sup, ok, nil
}

// Suppressions lists at most limit suppressions after the given one (the zero
// Suppression for the first page).
func (s *Service) Suppressions(ctx context.Context, after Suppression, limit int) ([]Suppression, error) {
	list, err := s.suppressions.Suppressions(ctx, after.Kind, after.Hash, limit)
	if err != nil {
		return nil, fmt.Errorf("list suppressions: %w", err)
	}
	return list, nil
}

// suppressionPage is how many suppressions travel together.
const suppressionPage = 500

// columns of the suppressions file; kind and value are required on import.
func suppressionColumns() []string { return []string{"kind", "value", "reason", "detail", "at"} }

// ExportSuppressions writes all suppressions whose plain value is known as CSV
// and returns how many rows it wrote and how many it left out because only
// their fingerprint is kept.
func (s *Service) ExportSuppressions(ctx context.Context, w io.Writer) (rows, hidden int, err error) {
	out := csv.NewWriter(w)
	if err := out.Write(suppressionColumns()); err != nil {
		return 0, 0, fmt.Errorf("write suppressions: %w", err)
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
			if err := out.Write([]string{x.Kind, safe(x.Value), x.Reason, safe(x.Detail), x.At.Format(time.RFC3339Nano)}); err != nil {
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

// RowError is a row of a file that was not taken.
type RowError struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// SuppressionReport says what an import of suppressions did.
type SuppressionReport struct {
	Rows   int        `json:"rows"`
	Added  int        `json:"added"`
	Known  int        `json:"known"`
	Errors int        `json:"errors"`
	Listed []RowError `json:"listed"` // the first errors
}

// listed bounds how many errors a report names.
const listed = 100

// ImportSuppressions reads a CSV file with the columns kind, value and
// optionally reason and detail. A bad row is listed and the rest goes in.
func (s *Service) ImportSuppressions(ctx context.Context, r io.Reader) (SuppressionReport, error) {
	var rep SuppressionReport
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	head, err := in.Read()
	if err != nil {
		return rep, rapport.Invalidf("", "the file has no header row; its first line is: %s", strings.Join(suppressionColumns(), ","))
	}
	at := map[string]int{}
	for i, h := range head {
		at[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))] = i
	}
	_, hasKind := at["kind"]
	_, hasValue := at["value"]
	if !hasKind || !hasValue {
		return rep, rapport.Invalidf("", "the header must name the columns kind and value")
	}
	var page []Suppression
	flush := func() error {
		n, err := s.suppressions.Suppress(ctx, page)
		if err != nil {
			return fmt.Errorf("suppress addresses: %w", err)
		}
		rep.Added += n
		rep.Known += len(page) - n
		page = page[:0]
		return nil
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rep, flush()
		}
		bad, isBad := errors.AsType[*csv.ParseError](err)
		if err != nil && !isBad {
			return rep, fmt.Errorf("read suppressions: %w", err)
		}
		rep.Rows++
		cell := func(name string) string {
			if i, ok := at[name]; ok && i < len(row) {
				return strings.TrimSpace(unsafe(row[i]))
			}
			return ""
		}
		var sup Suppression
		if err == nil {
			sup, err = s.suppression(ctx, cell("kind"), cell("value"), cell("reason"), cell("detail"))
		}
		if err != nil {
			rep.Errors++
			if len(rep.Listed) < listed {
				rep.Listed = append(rep.Listed, RowError{Line: lineOf(in, bad), Reason: err.Error()})
			}
			continue
		}
		if page = append(page, sup); len(page) == suppressionPage {
			if err := flush(); err != nil {
				return rep, err
			}
		}
	}
}

// lineOf is where the row read last begins.
func lineOf(in *csv.Reader, bad *csv.ParseError) int {
	if bad != nil {
		return bad.StartLine
	}
	line, _ := in.FieldPos(0)
	return line
}
