package store

import (
	"context"
	"errors"
	"testing"
)

// TestATransactionIsWholeOrNothing: whatever ends it early, nothing of it
// stays, and the next one finds the writer free.
func TestATransactionIsWholeOrNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", 1)
		ctx, cancel := context.WithCancel(t.Context())
		failure := errors.New("no")
		const change query = `UPDATE deliveries SET turn = 7 WHERE id = 1`
		ends := map[string]func(x tx) error{
			"an error":              func(tx) error { return failure },
			"an end of the context": func(tx) error { cancel(); return nil },
			"a panic":               func(tx) error { panic("no") },
			"a statement that fails": func(x tx) error {
				_, err := x.exec(ctx, `UPDATE deliveries SET state = 'lost' WHERE id = 1`)
				return err
			},
		}
		for _, name := range []string{"an error", "a panic", "a statement that fails", "an end of the context"} {
			err := func() (err error) {
				defer func() {
					if recover() != nil {
						err = failure
					}
				}()
				return s.update(ctx, durable, func(x tx) error {
					if n, err := x.exec(ctx, change); err != nil || n != 1 {
						t.Errorf("%s: changed %d rows: %v", name, n, err)
					}
					return ends[name](x)
				})
			}()
			if err == nil {
				t.Errorf("%s: the transaction was committed", name)
			}
			turn, _, err := one(t.Context(), s.reader(), `SELECT turn FROM deliveries WHERE id = 1`, scalar[int64])
			if err != nil || turn != 0 {
				t.Errorf("%s: turn %d is left, %v", name, turn, err)
			}
		}
		s.do(t, string(change))
		if turn, _, err := one(t.Context(), s.reader(), `SELECT turn FROM deliveries WHERE id = 1`, scalar[int64]); err != nil || turn != 7 {
			t.Errorf("after all of them: turn %d, %v", turn, err)
		}
	})
}

// TestAssignTakesWhatTheStoreReads: what a driver answers goes where it
// belongs, or nowhere.
func TestAssignTakesWhatTheStoreReads(t *testing.T) {
	type word string
	type number int
	var (
		n    int64
		i    int
		k    number
		s    string
		w    word
		b    bool
		raw  []byte
		real float64
	)
	for _, c := range []struct {
		into, value any
		ok          func() bool
	}{
		{&n, int64(7), func() bool { return n == 7 }},
		{&i, int64(8), func() bool { return i == 8 }},
		{&k, int64(9), func() bool { return k == 9 }},
		{&s, "text", func() bool { return s == "text" }},
		{&s, []byte("blob"), func() bool { return s == "blob" }},
		{&s, int64(5), func() bool { return s == "5" }},
		{&w, "sent", func() bool { return w == "sent" }},
		{&b, int64(1), func() bool { return b }},
		{&raw, []byte("x"), func() bool { return string(raw) == "x" }},
		{&raw, nil, func() bool { return raw == nil }},
		{&real, 1.5, func() bool { return real == 1.5 }},
		{&real, int64(2), func() bool { return real == 2 }},
	} {
		if err := assign(c.into, c.value); err != nil || !c.ok() {
			t.Errorf("%T into %T: %v", c.value, c.into, err)
		}
	}
	for _, c := range []struct{ into, value any }{{&n, "7"}, {&n, nil}, {&s, nil}, {&b, "true"}, {n, int64(1)}, {&w, int64(1)}} {
		if err := assign(c.into, c.value); err == nil {
			t.Errorf("%T went into %T", c.value, c.into)
		}
	}
}
