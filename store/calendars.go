package store

import (
	"context"
	"fmt"
	"time"
)

const qCalendars query = `SELECT name, source, updated_at FROM calendars ORDER BY name`

const qPutCalendar query = `
INSERT INTO calendars (name, source, updated_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET source = excluded.source, updated_at = excluded.updated_at`

const qDropCalendar query = `DELETE FROM calendars WHERE name = $1`

// KeptCalendar is a calendar that somebody put in, as its file says it.
type KeptCalendar struct {
	Name, Source string
	UpdatedAt    time.Time
}

// Calendars lists the calendars that were put in, by name.
func (s *Store) Calendars(ctx context.Context) ([]KeptCalendar, error) {
	list, err := collect(ctx, s.reader(), qCalendars, func(scan func(...any) error) (c KeptCalendar, err error) {
		var at int64
		err = scan(&c.Name, &c.Source, &at)
		c.UpdatedAt = when(at)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("list calendars: %w", s.classify(err))
	}
	return list, nil
}

// PutCalendars keeps calendars, instead of those of the same names.
func (s *Store) PutCalendars(ctx context.Context, list []KeptCalendar) error {
	err := s.update(ctx, durable, func(t tx) error {
		for _, c := range list {
			if _, err := t.exec(ctx, qPutCalendar, c.Name, c.Source, micros(s.now())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put %d calendars: %w", len(list), err)
	}
	return nil
}

// DropCalendar forgets a calendar that was put in; false when there is none.
func (s *Store) DropCalendar(ctx context.Context, name string) (bool, error) {
	var n int64
	err := s.update(ctx, durable, func(t tx) (err error) {
		n, err = t.exec(ctx, qDropCalendar, name)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("drop calendar %s: %w", name, err)
	}
	return n > 0, nil
}
