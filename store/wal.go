package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// wal puts SQLite's log on the disk. A commit only writes to the log; who must
// be sure that it outlives the machine waits here, when the writer is the next
// one's already. One journey to the disk serves all who came before it began.
//
// SQLite itself waits for the disk before it takes anything out of the log
// again, so what was committed is in the log or in the file.
type wal struct {
	save func() error // writes the log to the disk

	mu   sync.Mutex
	next *flush     // for whoever comes now; nil: nobody has come since the last began
	turn sync.Mutex // one at a time
}

// flush is one journey to the disk.
type flush struct {
	done chan struct{}
	err  error // once done
}

// flush returns when everything that was committed before is on the disk.
func (w *wal) flush() error {
	w.mu.Lock()
	f, mine := w.next, w.next == nil
	if mine {
		f = &flush{done: make(chan struct{})}
		w.next = f
	}
	w.mu.Unlock()
	if !mine {
		<-f.done
		return f.err
	}
	w.turn.Lock()
	defer w.turn.Unlock()
	w.mu.Lock()
	w.next = nil
	w.mu.Unlock()
	f.err = w.save()
	close(f.done)
	return f.err
}

// saveLog opens the log each time: it is another file when the database was
// closed by everybody meanwhile, and none when all of it is in the database.
func saveLog(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the log of the database: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := toDisk(f); err != nil {
		return fmt.Errorf("write the log of the database to the disk: %w", err)
	}
	return nil
}
