package demo

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"rapport/channels"
)

// WriteContacts writes n people as the CSV file an import reads.
func (c *Crowd) WriteContacts(w io.Writer, n int) error {
	out := csv.NewWriter(w)
	if err := out.Write(strings.Split(columns, ",")); err != nil {
		return fmt.Errorf("write the header of the sample file: %w", err)
	}
	for i := range n {
		p := c.Person(i)
		cells, err := p.cells()
		if err != nil {
			return err
		}
		if err := out.Write(cells); err != nil {
			return fmt.Errorf("write row %d of the sample file: %w", i+1, err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write the sample file: %w", err)
	}
	return nil
}

// WriteSuppressions writes those of n people nobody may write to, as the CSV
// file the consent room reads.
func (c *Crowd) WriteSuppressions(w io.Writer, n int) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"kind", "value", "reason", "detail"}}
	for i := range n {
		if p := c.Person(i); p.Suppression != "" {
			rows = append(rows, []string{channels.Email.Kind, p.Email, p.Suppression, "sample data of the demo"})
		}
		if len(rows) == thousand || i == n-1 {
			if err := out.WriteAll(rows); err != nil {
				return fmt.Errorf("write the sample suppressions: %w", err)
			}
			rows = rows[:0]
		}
	}
	return nil
}
