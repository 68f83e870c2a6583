package contacts

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/conditions"
)

// Segment is a saved condition over contacts, always evaluated live.
type Segment struct {
	ID        int64     `json:"-"`
	Name      string    `json:"name"`
	Title     string    `json:"title"`
	Condition string    `json:"condition"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Schema is what conditions may speak of just now.
func (s *Service) Schema(ctx context.Context) (conditions.Schema, error) {
	types, err := s.store.AttributeTypes(ctx)
	if err != nil {
		return conditions.Schema{}, fmt.Errorf("read the types of attributes: %w", err)
	}
	names, err := s.segments.Names(ctx)
	if err != nil {
		return conditions.Schema{}, fmt.Errorf("read names: %w", err)
	}
	sc := conditions.Schema{Attributes: make(map[string]conditions.Type, len(types)), Topics: names.Topics, Campaigns: names.Campaigns, Events: names.Events}
	for name, t := range types {
		sc.Attributes[name] = conditions.Type(t)
	}
	for _, k := range s.kinds() {
		sc.Addresses = append(sc.Addresses, k.Kind)
	}
	for _, d := range s.drivers.Drivers() {
		sc.Drivers = append(sc.Drivers, d.Name)
	}
	return sc, nil
}

// Check checks a condition against what there is. The error points at the
// place.
func (s *Service) Check(ctx context.Context, condition string) (*conditions.Condition, error) {
	sc, err := s.Schema(ctx)
	if err != nil {
		return nil, err
	}
	return conditions.Check(condition, sc)
}

// PutSegment saves a condition under a name; a known name gets the new
// condition.
func (s *Service) PutSegment(ctx context.Context, name, title, condition string) (Segment, error) {
	if err := rapport.CheckName("name", name); err != nil {
		return Segment{}, err
	}
	if _, err := s.Check(ctx, condition); err != nil {
		return Segment{}, err
	}
	now := s.now()
	seg, err := s.segments.PutSegment(ctx, Segment{Name: name, Title: title, Condition: condition, CreatedAt: now, UpdatedAt: now})
	if err != nil {
		return seg, fmt.Errorf("put segment %s: %w", name, err)
	}
	return seg, nil
}

// Segment finds a segment; an unknown one is an error that lists the known.
func (s *Service) Segment(ctx context.Context, name string) (Segment, error) {
	return s.segments.Segment(ctx, name)
}

// Segments lists all segments by name.
func (s *Service) Segments(ctx context.Context) ([]Segment, error) {
	list, err := s.segments.Segments(ctx)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	return list, nil
}

// DeleteSegment removes a segment; campaigns that name it will say so.
func (s *Service) DeleteSegment(ctx context.Context, name string) error {
	return s.segments.DeleteSegment(ctx, name)
}

// Count counts who is in a segment just now.
func (s *Service) Count(ctx context.Context, segment string) (int, error) {
	c, err := s.condition(ctx, segment)
	if err != nil {
		return 0, err
	}
	return s.CountWhere(ctx, c)
}

// CountWhere counts who matches a condition just now.
func (s *Service) CountWhere(ctx context.Context, c *conditions.Condition) (int, error) {
	n, err := s.segments.CountMembers(ctx, c, s.now())
	if err != nil {
		return 0, fmt.Errorf("count members: %w", err)
	}
	return n, nil
}

// Members lists who is in a segment just now, after a contact number.
func (s *Service) Members(ctx context.Context, segment string, after int64, limit int) ([]Contact, error) {
	c, err := s.condition(ctx, segment)
	if err != nil {
		return nil, err
	}
	list, err := s.segments.Members(ctx, c, s.now(), after, limit)
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	return list, nil
}
