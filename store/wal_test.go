package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/outbox"
)

// exchanged is Exchange for tests that go on when it lasts.
func (s *Store) exchanged(ctx context.Context, worker int64, settled []outbox.Settlement, wanted []outbox.Ticket, now time.Time) ([]outbox.Admission, error) {
	admitted, lasting, err := s.Exchange(ctx, worker, settled, wanted, now)
	if err == nil {
		err = lasting()
	}
	return admitted, err
}

// TestDurable: a durable commit waits for the disk and says so when that
// fails, also when the transaction before it was given up or could not begin;
// the others wait for nothing.
func TestDurable(t *testing.T) {
	folder := t.TempDir()
	s := opened(t, Options{Data: folder})
	var saved atomic.Int64
	var broken error
	real := s.pools.writer.wal.save
	s.pools.writer.wal.save = func() error {
		saved.Add(1)
		return errors.Join(real(), broken)
	}
	nothing := func(x tx) error {
		_, err := x.exec(t.Context(), `INSERT INTO meta (key, value) VALUES ('wal-test', '') ON CONFLICT (key) DO UPDATE SET value = meta.value || '.'`)
		return err
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	failure := errors.New("no")
	ends := map[string]func(){
		"nothing":          func() {},
		"an ended context": func() { _ = s.update(over, quick, func(tx) error { return nil }) },
		"a failure":        func() { _ = s.update(t.Context(), durable, func(tx) error { return failure }) },
		"a new connection": func() { s.pools.writer.drop() },
	}
	for name, before := range ends {
		for l, want := range map[lane]int64{durable: 1, quick: 0, bulk: 0} {
			before()
			saved.Store(0)
			if err := s.update(t.Context(), l, nothing); err != nil {
				t.Fatalf("after %s: %v", name, err)
			}
			if n := saved.Load(); n != want {
				t.Errorf("after %s a transaction of lane %d went to the disk %d times, want %d", name, l, n, want)
			}
		}
	}
	// What a system could not write it may forget, and say that all is well the
	// next time: then the log must have gone into the database before.
	log := filepath.Join(folder, fileName+"-wal")
	broken = errors.New("the disk is broken")
	if err := s.update(t.Context(), durable, nothing); !errors.Is(err, broken) {
		t.Errorf("a durable commit whose log does not reach the disk says %v", err)
	}
	broken = nil
	before := saved.Load()
	if err := s.update(t.Context(), durable, nothing); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(log); err != nil || info.Size() != 0 || saved.Load() != before {
		t.Errorf("after a failure the log is trusted: %v, %v", info, err)
	}
	if err := s.update(t.Context(), durable, nothing); err != nil || saved.Load() != before+1 {
		t.Errorf("an emptied log is not trusted again: %v", err)
	}
	if info, err := os.Stat(log); err != nil || info.Size() == 0 {
		t.Fatalf("the log is not where it is looked for: %v, %v", info, err)
	}
}

// TestFlushServesWhoCameBefore: a journey to the disk that is under way serves
// nobody who comes now; the next serves all who wait for it.
func TestFlushServesWhoCameBefore(t *testing.T) {
	var began atomic.Int64
	under, release := make(chan struct{}), make(chan struct{})
	w := wal{save: func() error {
		if began.Add(1) == 1 {
			close(under)
			<-release
		}
		return nil
	}}
	var all sync.WaitGroup
	all.Go(func() { _ = w.flush() })
	<-under
	var late atomic.Int64
	for range 50 {
		all.Go(func() {
			_ = w.flush()
			if began.Load() < 2 {
				late.Add(1)
			}
		})
	}
	close(release)
	all.Wait()
	if late.Load() > 0 {
		t.Errorf("%d were served by a journey that began before they came", late.Load())
	}
	if n := began.Load(); n > 51 {
		t.Errorf("%d journeys for 51", n)
	}
}

// TestSaveLogOfNothing: a database that was closed by everybody has no log.
func TestSaveLogOfNothing(t *testing.T) {
	if err := saveLog(filepath.Join(t.TempDir(), "x-wal")); err != nil {
		t.Fatal(err)
	}
	if err := saveLog(t.TempDir()); !errors.Is(err, errLog) {
		t.Fatalf("a folder was written to the disk as a log: %v", err)
	}
}
