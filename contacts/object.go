package contacts

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// members reads a cell that holds a JSON object.
func members(cell string) (map[string]any, error) {
	if cell == "" {
		return nil, nil
	}
	if err := portable(cell); err != nil {
		return nil, err
	}
	d := json.NewDecoder(strings.NewReader(cell))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		return nil, errors.New("it is no JSON object")
	}
	return out, nil
}

// learnObject finds types for the members of objects that have none yet, from
// the rows read: the first value decides.
func (m *rowMaker) learnObject(column int, list []record, news map[string]Type) {
	for _, rec := range list {
		if rec.bad != "" {
			continue
		}
		all, err := members(strings.TrimSpace(unprotect(rec.cells[column])))
		if err != nil {
			continue // the row says so itself
		}
		for name, v := range all {
			if _, known := m.objects[name]; known || v == nil || CheckAttributeName(name) != nil {
				continue
			}
			m.objects[name] = natural(v)
			news[name] = natural(v)
		}
	}
}

// object makes attributes of the members of an object. Members whose names no
// attribute may have are left out.
func (m *rowMaker) object(r *Row, cell string) error {
	all, err := members(cell)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t, known := m.objects[name]
		if !known || all[name] == nil {
			continue
		}
		value, err := typed(all[name], t)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.Attributes = append(r.Attributes, Attribute{name, value})
	}
	return nil
}
