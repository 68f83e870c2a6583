package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options says how much a journal keeps. The zero value keeps every entry in
// memory and writes no file.
type Options struct {
	// Keep is how many of the latest entries stay in memory; 0 means all of them.
	// Counts are exact either way.
	Keep int
	// CountOnly keeps no entries and no keys, only how often each recipient took
	// a message. It is meant for benchmarks; Duplicates then knows nothing.
	CountOnly bool
	// File is appended to, one JSON line for each entry, written before Add
	// returns. Empty means no file.
	File string
	// Now is the receiver's clock; nil means time.Now.
	Now func() time.Time
}

// Journal is an append-only record, safe for use by several goroutines. Its
// memory grows with the number of different recipients and keys, and with
// entries up to Options.Keep.
type Journal struct {
	opts Options

	mu      sync.Mutex
	file    *os.File
	fileErr error
	ring    []Entry // oldest at head when full
	head    int
	seq     uint64
	totals  map[Outcome]int
	byTo    map[string]*tally
	changed chan struct{} // closed by the next Add; nil while nobody waits
}

// tally counts the messages one recipient took. Nearly every recipient has one
// key only, so the map is made for the second.
type tally struct {
	taken int
	key   string
	times int
	more  map[string]int
}

// New makes a journal and opens its file, if one is named. Call Close at the end.
func New(opts Options) (*Journal, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	j := &Journal{opts: opts, totals: map[Outcome]int{}, byTo: map[string]*tally{}}
	if opts.File != "" {
		f, err := os.OpenFile(opts.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open journal file: %w", err)
		}
		j.file = f
	}
	return j, nil
}

// Memory makes a journal that keeps every entry in memory and has no file.
func Memory() *Journal {
	return &Journal{opts: Options{Now: time.Now}, totals: map[Outcome]int{}, byTo: map[string]*tally{}}
}

// Add records e and returns it with its number and time. A server calls Add
// before it answers, so that a sender who was told "taken" is always found
// here. A failure to write the file does not stop the record in memory; Close
// and Err report it.
func (j *Journal) Add(e Entry) Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e.Seq = j.seq
	if e.Time.IsZero() {
		e.Time = j.opts.Now()
	}
	j.totals[e.Outcome]++
	if e.Outcome.Taken() {
		j.count(e)
	}
	if !j.opts.CountOnly {
		j.keep(e)
	}
	if j.file != nil {
		j.write(e)
	}
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	return e
}

func (j *Journal) count(e Entry) {
	t := j.byTo[e.To]
	if t == nil {
		t = &tally{}
		j.byTo[strings.Clone(e.To)] = t
	}
	t.taken++
	switch {
	case j.opts.CountOnly || e.Key == "":
	case t.times == 0:
		t.key, t.times = strings.Clone(e.Key), 1
	case t.key == e.Key:
		t.times++
	default:
		if t.more == nil {
			t.more = map[string]int{}
		}
		t.more[e.Key]++
	}
}

func (j *Journal) keep(e Entry) {
	if j.opts.Keep <= 0 || len(j.ring) < j.opts.Keep {
		j.ring = append(j.ring, e)
		return
	}
	j.ring[j.head] = e
	j.head = (j.head + 1) % len(j.ring)
}

func (j *Journal) write(e Entry) {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err != nil && j.fileErr == nil {
		j.fileErr = fmt.Errorf("write journal entry %d: %w", e.Seq, err)
	}
}

// Err reports the first failure to write the file, nil when all is well.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fileErr
}

// Close closes the file and reports the first failure to write it. The counts
// and entries in memory stay readable. Closing twice is harmless.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return j.fileErr
	}
	err := j.file.Close()
	j.file = nil
	return errors.Join(j.fileErr, err)
}

// Len is the number of entries ever added, of every outcome.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return int(j.seq) //nolint:gosec // A count of entries in memory fits.
}

// Count is the number of entries ever added with one of the given outcomes.
func (j *Journal) Count(outcomes ...Outcome) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, o := range outcomes {
		n += j.totals[o]
	}
	return n
}

// Taken is the number of messages the receiver has, told or not told.
func (j *Journal) Taken() int { return j.Count(Accepted, ReplyLost) }

// Accepted is how many messages the recipient took, told or not told.
func (j *Journal) Accepted(to string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t := j.byTo[to]; t != nil {
		return t.taken
	}
	return 0
}

// Recipients is a copy of how many messages each recipient took; who took none
// is not in it.
func (j *Journal) Recipients() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make(map[string]int, len(j.byTo))
	for to, t := range j.byTo {
		out[to] = t.taken
	}
	return out
}

// Duplicate is a message that one recipient took more than once.
type Duplicate struct {
	To, Key string
	// Times is how often it was taken, at least 2.
	Times int
}

// Duplicates lists the pairs of recipient and key that were taken more than
// once, by recipient and key in order. Entries without a key are not compared.
func (j *Journal) Duplicates() []Duplicate {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Duplicate
	add := func(to, key string, times int) {
		if times > 1 {
			out = append(out, Duplicate{To: to, Key: key, Times: times})
		}
	}
	for to, t := range j.byTo {
		add(to, t.key, t.times)
		for key, times := range t.more {
			add(to, key, times)
		}
	}
	slices.SortFunc(out, func(a, b Duplicate) int {
		if c := strings.Compare(a.To, b.To); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return out
}

// Entries is a copy of the entries in memory, oldest first.
func (j *Journal) Entries() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Concat(j.ring[j.head:], j.ring[:j.head])
}

// For is a copy of the entries in memory for one recipient, oldest first.
func (j *Journal) For(to string) []Entry {
	return slices.DeleteFunc(j.Entries(), func(e Entry) bool { return e.To != to })
}

// Peak is the largest number of messages taken inside any span of the given
// length, over the entries in memory: the receiver's side of a rate limit. The
// span is half open, so two messages exactly one span apart do not share it.
func (j *Journal) Peak(span time.Duration) int {
	var times []time.Time
	for _, e := range j.Entries() {
		if e.Outcome.Taken() {
			times = append(times, e.Time)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	peak, first := 0, 0
	for i, t := range times {
		for t.Sub(times[first]) >= span {
			first++
		}
		peak = max(peak, i-first+1)
	}
	return peak
}

// Wait returns nil as soon as at least n messages were taken, or the context's
// error.
func (j *Journal) Wait(ctx context.Context, n int) error {
	err := j.WaitFor(ctx, func(j *Journal) bool { return j.Taken() >= n })
	if err != nil {
		return fmt.Errorf("wait for %d messages, %d taken: %w", n, j.Taken(), err)
	}
	return nil
}

// WaitFor returns nil as soon as done holds, or the context's error. It asks
// done at once and after each new entry; done may call any method of the journal.
func (j *Journal) WaitFor(ctx context.Context, done func(*Journal) bool) error {
	for {
		j.mu.Lock()
		if j.changed == nil {
			j.changed = make(chan struct{})
		}
		changed := j.changed
		j.mu.Unlock()
		if done(j) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
