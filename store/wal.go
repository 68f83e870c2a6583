package store

import (
	"context"
	"database/sql"
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
	save  func() error // writes the log to the disk
	empty func() error // takes all of it into the database, and begins it again

	mu   sync.Mutex
	next *flush     // for whoever comes now; nil: nobody has come since the last began
	turn sync.Mutex // one at a time
	torn bool       // a journey failed: what is behind it in the log may not be found again
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
	f.err = w.reach()
	close(f.done)
	return f.err
}

// reach goes to the disk. A system that could not write tells it once and may
// forget what it should have written; so after a failure the log is not trusted
// until all of it has gone into the database.
func (w *wal) reach() error {
	if !w.torn {
		if err := w.save(); err != nil {
			w.torn = true
			return err
		}
		return nil
	}
	if err := w.empty(); err != nil {
		return err
	}
	w.torn = false
	return nil
}

// errLog is behind every error of the log.
var errLog = errors.New("the log of the database")

// saveLog opens the log each time: it is another file when the database was
// closed by everybody meanwhile, and none when all of it is in the database.
func saveLog(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w cannot be opened: %w", errLog, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := toDisk(f); err != nil {
		return fmt.Errorf("%w does not reach the disk: %w", errLog, err)
	}
	return nil
}

const qEmptyLog = "PRAGMA wal_checkpoint(TRUNCATE)"

// emptyLog takes all of the log into the database, which is on the disk then.
func emptyLog(db *sql.DB) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var busy, pages, taken int64
	if err := db.QueryRowContext(ctx, qEmptyLog).Scan(&busy, &pages, &taken); err != nil {
		return fmt.Errorf("%w cannot be emptied: %w", errLog, err)
	}
	if busy != 0 {
		return fmt.Errorf("%w cannot be emptied while it is read", errLog)
	}
	return nil
}
