package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"os"
	"syscall"

	"rapport/outbox"
)

// segmentSize is one file of the spool: some 25,000 outcomes. The space is
// taken when the file is made, so that a disk that fills up later cannot keep
// an outcome from being recorded.
const segmentSize = 2 << 20

// A segment begins with magic, epoch, the fingerprint of the database and their
// checksum (before 0007, RSP1: without the fingerprint); then come frames:
// length, checksum, record. A length of 0, a checksum that does not fit or
// another epoch's frame is the end. Emptying a segment is a new epoch.
const (
	segmentMagic  = "RSP2"
	segmentHeader = 20
	oldMagic      = "RSP1"
	oldHeader     = 12
	frameHeader   = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant of the format

var (
	errLocked  = errors.New("the spool belongs to a living process")
	errForeign = errors.New("the spool holds outcomes of another database")
)

// fingerprint is how a spool knows its database; 0 for no name.
func fingerprint(name string) uint64 {
	if name == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // it never fails
	return h.Sum64()
}

// segment is one file of the spool.
type segment struct {
	file  *os.File
	epoch uint32
	owner uint64 // the fingerprint of the database
	at    int64  // where the next frame goes
	open  int    // records that are not in the database yet
	gone  bool   // closed
	buf   []byte
}

// openSegment opens or makes the file and reads the outcomes in it.
func openSegment(path string, database uint64) (*segment, []outbox.Settlement, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the spool: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil, errLocked
		}
		return nil, nil, fmt.Errorf("lock the spool: %w", err)
	}
	s := &segment{file: f}
	found, err := s.read()
	if len(found) > 0 && s.owner != 0 && database != 0 && s.owner != database {
		err = errForeign
	}
	s.owner = database
	if err == nil {
		err = s.reserve()
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return s, found, nil
}

// read finds the frames of this epoch and the place behind them.
func (s *segment) read() ([]outbox.Settlement, error) {
	all, err := io.ReadAll(io.NewSectionReader(s.file, 0, segmentSize))
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	s.at = segmentHeader
	if len(all) < segmentHeader {
		return nil, nil // new
	}
	header := int64(segmentHeader)
	if string(all[:4]) == oldMagic {
		header = oldHeader
	}
	if magic := string(all[:4]); magic != segmentMagic && magic != oldMagic || crc32.Checksum(all[:header-4], castagnoli) != binary.LittleEndian.Uint32(all[header-4:]) {
		return nil, nil // torn while it was made
	}
	s.epoch = binary.LittleEndian.Uint32(all[4:])
	if header == segmentHeader {
		s.owner = binary.LittleEndian.Uint64(all[8:])
	}
	s.at = header
	var found []outbox.Settlement
	for rest := all[header:]; len(rest) >= frameHeader; rest = all[s.at:] {
		n := int64(binary.LittleEndian.Uint32(rest))
		if n == 0 || n > maxRecord || int64(len(rest)) < frameHeader+n {
			break
		}
		body := rest[frameHeader : frameHeader+n]
		if s.sum(body) != binary.LittleEndian.Uint32(rest[4:]) {
			break
		}
		one, err := decodeRecord(body)
		if err != nil {
			return nil, fmt.Errorf("read the spool at octet %d: %w; it was written by another version", s.at, err)
		}
		found = append(found, one)
		s.at += frameHeader + n
	}
	s.open = len(found)
	return found, nil
}

func (s *segment) sum(body []byte) uint32 {
	seed := binary.LittleEndian.AppendUint32(nil, s.epoch)
	return crc32.Update(crc32.Checksum(seed, castagnoli), castagnoli, body)
}

// reserve takes the space of the whole file and writes the header.
func (s *segment) reserve() error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("look at the spool: %w", err)
	}
	zeros := make([]byte, 64<<10)
	for at := info.Size(); at < segmentSize; at += int64(len(zeros)) {
		if _, err := s.file.WriteAt(zeros[:min(int64(len(zeros)), segmentSize-at)], at); err != nil {
			return fmt.Errorf("take the space of the spool: %w", err)
		}
	}
	if s.open == 0 {
		return s.clear()
	}
	return nil
}

// clear forgets everything by beginning a new epoch, and overwrites what was
// there: a text of a provider does not outlive the erasure of whom it is about.
func (s *segment) clear() error {
	zeros := make([]byte, 64<<10)
	for at := int64(segmentHeader); at < s.at; at += int64(len(zeros)) {
		if _, err := s.file.WriteAt(zeros[:min(int64(len(zeros)), s.at-at)], at); err != nil {
			return fmt.Errorf("overwrite the spool: %w", err)
		}
	}
	b := append(make([]byte, 0, segmentHeader), segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, s.epoch+1)
	b = binary.LittleEndian.AppendUint64(b, s.owner)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := s.file.WriteAt(b, 0); err != nil {
		return fmt.Errorf("clear the spool: %w", err)
	}
	s.epoch++
	s.at, s.open = segmentHeader, 0
	return nil
}

// add appends an outcome in one write, without waiting for the disk: it
// survives the process, and the machine only with luck.
func (s *segment) add(one outbox.Settlement) error {
	s.buf = appendRecord(append(s.buf[:0], make([]byte, frameHeader)...), one)
	body := s.buf[frameHeader:]
	binary.LittleEndian.PutUint32(s.buf, uint32(len(body))) //nolint:gosec // at most maxRecord
	binary.LittleEndian.PutUint32(s.buf[4:], s.sum(body))
	if _, err := s.file.WriteAt(s.buf, s.at); err != nil {
		return fmt.Errorf("write to the spool: %w", err)
	}
	s.at += int64(len(s.buf))
	s.open++
	return nil
}

// room is how many more records fit for certain.
func (s *segment) room() int { return int((segmentSize - s.at) / maxRecord) }
