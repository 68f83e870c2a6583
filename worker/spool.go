package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"rapport/outbox"
)

// maxSpools is how many processes may share a data folder.
const maxSpools = 64

// spool is the local record of every outcome since the message left until it
// stands in the database. So a process that is killed, or a database that is
// away, leaves in doubt only what was offered and not answered yet. It is a
// pair of files that take turns, of fixed size, and belongs to one process.
type spool struct {
	mu       sync.Mutex
	pair     [2]*segment
	active   int
	reserved int // messages that are on their way out
	broken   error
}

// openSpools takes the first free spool of the folder for this process and
// returns it, with the outcomes that are still in it and in the spools of
// processes that died. database is the fingerprint of the database they have to
// belong to; outcomes of another one are errForeign. taken.settled must be called for each.
func openSpools(folder string, database uint64) (*spool, []spooled, error) {
	dir := filepath.Join(folder, "spool")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the folder of the spool: %w", err)
	}
	for n := range maxSpools {
		s, found, err := openSpool(dir, n, database)
		if errors.Is(err, errLocked) {
			continue
		}
		return s, found, err
	}
	return nil, nil, fmt.Errorf("more than %d processes share the data folder %s; give some a folder of their own", maxSpools, folder)
}

// spooled is an outcome and the file it lies in.
type spooled struct {
	outbox.Settlement
	from *segment
}

func openSpool(dir string, n int, database uint64) (*spool, []spooled, error) {
	s := &spool{}
	var all []spooled
	for i, half := range []string{"a", "b"} {
		seg, found, err := openSegment(filepath.Join(dir, fmt.Sprintf("%02d%s", n, half)), database)
		if err != nil {
			s.close()
			return nil, nil, err
		}
		s.pair[i] = seg
		for _, one := range found {
			all = append(all, spooled{one, seg})
		}
	}
	if s.pair[0].at > s.pair[1].at {
		s.active = 1
	}
	return s, all, nil
}

// orphans takes the outcomes of spools whose process died. The spools come
// back locked; close each when its outcomes are in the database.
func orphans(folder string, database uint64) ([]*spool, []spooled, error) {
	dir := filepath.Join(folder, "spool")
	var taken []*spool
	var all []spooled
	var failed error // of one spool: the others are looked at all the same
	for n := range maxSpools {
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%02da", n))); err != nil {
			continue
		}
		s, found, err := openSpool(dir, n, database)
		switch {
		case errors.Is(err, errLocked):
		case err != nil:
			failed = errors.Join(failed, err)
		case len(found) == 0:
			s.close()
		default:
			taken, all = append(taken, s), append(all, found...)
		}
	}
	return taken, all, failed
}

// reserve keeps room for the outcome of a message that is about to leave. An
// error means that it must not leave now.
func (s *spool) reserve() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	room := s.pair[s.active].room()
	if other := s.pair[1-s.active]; other.open == 0 {
		room += other.room() - 1
	}
	if room <= s.reserved+1 {
		return errors.New("the spool is full of outcomes that wait for the database")
	}
	s.reserved++
	return nil
}

// cancel gives back the room of a message that did not leave.
func (s *spool) cancel() {
	s.mu.Lock()
	s.reserved--
	s.mu.Unlock()
}

// add records an outcome and returns what to call when it is in the database.
// A failure stops sending (reserve says so) until check finds the disk well.
func (s *spool) add(one outbox.Settlement) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved--
	if s.pair[s.active].room() == 0 {
		if other := s.pair[1-s.active]; other.open == 0 {
			if err := s.reset(other); err != nil {
				return nil, err
			}
			s.active = 1 - s.active
		}
	}
	seg := s.pair[s.active]
	if err := seg.add(one); err != nil {
		s.broken = err
		return nil, err
	}
	return func() { s.settled(seg) }, nil
}

func (s *spool) reset(seg *segment) error {
	if err := seg.clear(); err != nil {
		s.broken = err
		return err
	}
	return nil
}

// settled says that an outcome of the file stands in the database. A file
// whose last one does is emptied.
func (s *spool) settled(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.open--
	if seg.gone {
		return // whoever opens the file next settles it again, to no effect
	}
	// A busy spool is emptied when it has grown, an idle one by check.
	if seg.open == 0 && (seg != s.pair[s.active] || seg.at > segmentSize/16) {
		_ = s.reset(seg) // remembered in broken
	}
}

// check tries a spool that failed again, and empties one whose outcomes are all
// in the database: what a provider said about somebody who is erased lives no
// longer than that. It returns what is wrong with the spool.
func (s *spool) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		for _, seg := range s.pair {
			if seg.open == 0 && seg.at > segmentHeader {
				if err := s.reset(seg); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, seg := range s.pair {
		if _, err := seg.file.WriteAt(make([]byte, frameHeader), seg.at); err != nil {
			s.broken = fmt.Errorf("write to the spool: %w", err)
			return s.broken
		}
	}
	s.broken = nil
	return nil
}

// waiting is how many octets of outcomes are not in the database yet.
func (s *spool) waiting() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, seg := range s.pair {
		if seg.open > 0 {
			n += seg.at - segmentHeader
		}
	}
	return n
}

// close lets the files go. What is settled is forgotten, the rest stays for
// the next start.
func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.pair {
		if seg == nil {
			continue
		}
		if seg.open == 0 && seg.at > segmentHeader {
			_ = seg.clear() // else the next start settles it again, to no effect
		}
		seg.gone = true
		_ = seg.file.Close()
	}
}
