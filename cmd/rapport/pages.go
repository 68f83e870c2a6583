package main

import (
	"context"
	"time"

	"rapport/internal/app"
)

// upTo reads page after page, up to a limit. read gets how many it may return
// and the last one that was read, nil at first.
func upTo[T any](limit int, read func(most int, last *T) ([]T, error)) ([]T, error) {
	list := []T{}
	var last *T
	for len(list) < limit {
		most := min(page, limit-len(list))
		more, err := read(most, last)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
		if len(more) < most {
			break
		}
		last = &list[len(list)-1]
	}
	return list, nil
}

// about reads the flags of a list that may be of one contact and from a time
// on: the contact's number, which stays as it is where none is named, and the
// time.
func (c *cli) about(ctx context.Context, h *app.House, contact, since string, number *int64) (from time.Time, err error) {
	if contact != "" {
		x, err := h.Contacts.Get(ctx, contact)
		if err != nil {
			return from, err
		}
		*number = x.ID
	}
	return c.moment(since)
}
