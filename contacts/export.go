package contacts

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"rapport"
	"rapport/conditions"
)

// ExportOptions says how to write a file.
type ExportOptions struct {
	Raw      bool           // leave cells that look like formulas as they are
	Segment  string         // only its members; empty: everybody
	Progress func(rows int) // may be nil
}

// exportPage is how many contacts are read together.
const exportPage = 500

// Export writes contacts as CSV in the columns that Import reads, with their
// primary addresses, and returns how many rows it wrote. Consent is not part
// of it: the ledger is exported by itself, with its evidence.
func (s *Service) Export(ctx context.Context, w io.Writer, o ExportOptions) (int, error) {
	types, err := s.store.AttributeTypes(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the types of attributes: %w", err)
	}
	next, err := s.pages(ctx, o.Segment)
	if err != nil {
		return 0, err
	}
	out := csv.NewWriter(w)
	names := slices.Sorted(maps.Keys(types))
	head := []string{columnExternal}
	for _, k := range s.kinds() {
		head = append(head, k.Kind)
	}
	head = append(append(head, columnLocale, columnZone), names...)
	if !o.Raw {
		for i := range head {
			head[i] = protect(head[i])
		}
	}
	if err := out.Write(head); err != nil {
		return 0, fmt.Errorf("write contacts: %w", err)
	}
	rows, after := 0, int64(0)
	for {
		page, err := next(after)
		if err != nil {
			return rows, fmt.Errorf("read contacts: %w", err)
		}
		for _, c := range page {
			cells, err := s.cells(c, names, types)
			if err != nil {
				return rows, err
			}
			if !o.Raw {
				for i := range cells {
					cells[i] = protect(cells[i])
				}
			}
			if err := out.Write(cells); err != nil {
				return rows, fmt.Errorf("write contacts: %w", err)
			}
			rows++
		}
		if o.Progress != nil {
			o.Progress(rows)
		}
		if len(page) < exportPage {
			out.Flush()
			if err := out.Error(); err != nil {
				return rows, fmt.Errorf("write contacts: %w", err)
			}
			return rows, nil
		}
		after = page[len(page)-1].ID
	}
}

// pages returns how to read the next contacts after a number.
func (s *Service) pages(ctx context.Context, segment string) (func(after int64) ([]Contact, error), error) {
	if segment == "" {
		return func(after int64) ([]Contact, error) {
			return s.store.Contacts(ctx, Page{After: after, Limit: exportPage})
		}, nil
	}
	where, err := s.condition(ctx, segment)
	if err != nil {
		return nil, err
	}
	now := s.now()
	return func(after int64) ([]Contact, error) {
		return s.segments.Members(ctx, where, now, after, exportPage)
	}, nil
}

func (s *Service) cells(c Contact, names []string, types map[string]Type) ([]string, error) {
	have := map[string]json.RawMessage{}
	if err := json.Unmarshal(c.Attributes, &have); err != nil {
		return nil, fmt.Errorf("read the attributes of contact %d: %w", c.ID, err)
	}
	cells := []string{c.ExternalID}
	for _, k := range s.kinds() {
		a, ok := c.Primary(k.Kind)
		// What everybody has by itself comes back by itself.
		if !ok || k.Implied && (a.Value == c.UID || a.Value == c.ExternalID) {
			cells = append(cells, "")
			continue
		}
		cells = append(cells, a.Display)
	}
	cells = append(cells, c.Locale, c.Zone)
	for _, n := range names {
		cell := ""
		if raw, ok := have[n]; ok {
			cell = show(raw, types[n])
		}
		cells = append(cells, cell)
	}
	return cells, nil
}

// condition is the checked condition of a saved segment.
func (s *Service) condition(ctx context.Context, segment string) (*conditions.Condition, error) {
	seg, err := s.Segment(ctx, segment)
	if err != nil {
		return nil, err
	}
	c, err := s.Check(ctx, seg.Condition)
	if err != nil {
		return nil, &rapport.Error{Kind: rapport.Conflict, Field: "segment " + segment, Msg: "its condition does not hold any more: " + err.Error(), Err: err}
	}
	return c, nil
}
