package store

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"
)

// lateConn runs a switch of synchronous and then says that the context has
// ended, as the driver does when both come at the same moment.
type lateConn struct {
	driver.Conn

	late bool
}

func (c *lateConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
}

func (c *lateConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	r, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
	if err == nil && c.late && strings.Contains(text, "synchronous") {
		return nil, context.Canceled
	}
	return r, err
}

// TestDurableAfterInterrupt: a durable commit waits for the disk, also when
// the transaction before it was given up while it said that it need not.
func TestDurableAfterInterrupt(t *testing.T) {
	s := opened(t, Options{Data: t.TempDir()})
	w := s.pools.writer
	c := &lateConn{}
	open := w.open
	w.open = func() (_ driver.Conn, err error) {
		c.Conn, err = open()
		return c, err
	}
	w.drop()
	synchronous := func(l lane) (n int64) {
		t.Helper()
		err := s.update(t.Context(), l, func(x tx) (err error) {
			n, _, err = one(t.Context(), x, "PRAGMA synchronous", scalar[int64])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := synchronous(durable); n != 2 {
		t.Fatalf("synchronous is %d in a durable transaction, want 2 (FULL)", n)
	}
	c.late = true
	if err := s.update(t.Context(), quick, func(tx) error { return nil }); err == nil {
		t.Fatal("the transaction that was given up began all the same")
	}
	c.late = false
	if n := synchronous(durable); n != 2 {
		t.Errorf("synchronous is %d in a durable transaction after one that was given up, want 2 (FULL)", n)
	}
}
