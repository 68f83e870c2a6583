package events

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// LoadOptions says how to read a stream.
type LoadOptions struct {
	Name     string // of the stream, for the report
	DryRun   bool   // only say what would happen
	Progress func(Progress)
	// Refused is told every line that was not taken, in their order; nil: nobody.
	// Its error ends the loading.
	Refused func(Line) error
}

// Progress is how far a loading is.
type Progress struct{ Bytes, Lines int64 }

// Line is a line that was not taken.
type Line struct {
	Line   int64  `json:"line"`
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason"`
}

// Report says what became of a stream.
type Report struct {
	File   string           `json:"file"`
	DryRun bool             `json:"dry_run,omitempty"`
	Lines  int64            `json:"lines"` // that are not empty
	Added  int64            `json:"added"`
	Known  int64            `json:"known"` // were there already, the same
	Errors int64            `json:"errors"`
	Names  map[string]int64 `json:"names"`            // of what was added
	Listed []Line           `json:"listed,omitempty"` // of Errors the first maxListed
	Notes  []string         `json:"notes,omitempty"`
}

const (
	maxListed  = 1000
	batchBytes = 4 << 20 // of lines that are stored together
	maxSeen    = 1_000_000
)

// Load reads events, one JSON object a line, and stores them batch by batch, each
// in one transaction that lets what is being sent go first. It may be stopped at
// any moment and given the same stream again: what is stored is known by its ID.
// The report is true also beside an error.
func (s *Service) Load(ctx context.Context, r io.Reader, o LoadOptions) (Report, error) {
	l := &loader{service: s, options: o, in: bufio.NewReaderSize(r, MaxLine+2), report: Report{File: o.Name, DryRun: o.DryRun, Names: map[string]int64{}}}
	for {
		end, err := l.batch()
		if err == nil {
			err = l.write(ctx)
		}
		if err != nil || end {
			return l.report, err
		}
	}
}

type loader struct {
	service *Service
	options LoadOptions
	in      *bufio.Reader
	report  Report
	line    int64 // of the stream
	bytes   int64
	items   []item
	seen    map[uint64]uint64 // of a dry run: what it would have stored
}

// item is a line on its way: an event, or what is wrong with it.
type item struct {
	line  int64
	draft Draft
	bad   string
}

// batch reads the next lines.
func (l *loader) batch() (end bool, err error) {
	l.items = l.items[:0]
	most, from := min(MaxBatch, max(1, l.service.store.Pace())), l.bytes
	for len(l.items) < most && l.bytes-from < batchBytes {
		line, long, err := l.next()
		if len(line) > 0 || long {
			l.items = append(l.items, l.item(line, long))
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read line %d: %w", l.line, err)
		}
	}
	return false, nil
}

// bom is how some programs begin a file.
var bom = []byte("\xef\xbb\xbf")

// next reads a line without the space around it; of one that is too long only
// that it is there.
func (l *loader) next() (line []byte, long bool, err error) {
	line, err = l.in.ReadSlice('\n')
	l.bytes += int64(len(line))
	if len(line) > 0 {
		l.line++
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		long = true
		line, err = l.in.ReadSlice('\n')
		l.bytes += int64(len(line))
	}
	if l.line == 1 && !long {
		line = bytes.TrimPrefix(line, bom)
	}
	line = bytes.TrimSpace(line)
	return line, long || len(line) > MaxLine, err
}

func (l *loader) item(line []byte, long bool) item {
	it := item{line: l.line}
	if long {
		it.bad = fmt.Sprintf("the line is longer than %d KiB", MaxLine>>10)
		return it
	}
	e, err := Parse(line)
	if err == nil {
		it.draft, err = l.service.check(e)
	}
	if err != nil {
		it.draft.ID, it.bad = clip(e.ID), err.Error()
	}
	return it
}

// write stores what was read and reports about it.
func (l *loader) write(ctx context.Context) error {
	b := Batch{DryRun: l.options.DryRun}
	for _, it := range l.items {
		if it.bad == "" {
			b.Events = append(b.Events, it.draft)
		}
	}
	var done []Outcome
	if len(b.Events) > 0 {
		var err error
		if done, err = l.service.store.AddEvents(ctx, b); err != nil {
			return fmt.Errorf("store events near line %d: %w", l.items[0].line, err)
		}
	}
	for _, it := range l.items {
		o := Outcome{Refused, it.bad}
		if it.bad == "" {
			o, done = done[0], done[1:]
		}
		if err := l.count(it, l.rehearsed(it, o)); err != nil {
			return err
		}
	}
	if l.options.Progress != nil {
		l.options.Progress(Progress{l.bytes, l.report.Lines})
	}
	return ctx.Err()
}

func (l *loader) count(it item, o Outcome) error {
	l.report.Lines++
	switch o.Status {
	case Added:
		l.report.Added++
		l.report.Names[it.draft.Name]++
	case Known:
		l.report.Known++
	case Refused:
		l.report.Errors++
		bad := Line{it.line, it.draft.ID, o.Reason}
		if len(l.report.Listed) < maxListed {
			l.report.Listed = append(l.report.Listed, bad)
		}
		if l.options.Refused != nil {
			return l.options.Refused(bad)
		}
	}
	return nil
}

// rehearsed finds, in a dry run, events that an earlier line would have stored.
func (l *loader) rehearsed(it item, o Outcome) Outcome {
	if !l.options.DryRun || o.Status != Added {
		return o
	}
	if l.seen == nil {
		l.seen = map[uint64]uint64{}
	}
	id := hash(it.draft.ID)
	content := uint64(it.draft.Digest) ^ hash(fmt.Sprint(it.draft.Contact)) //nolint:gosec // the bits are what counts
	before, known := l.seen[id]
	switch {
	case known && before == content:
		return Outcome{Status: Known}
	case known:
		return Outcome{Refused, OtherContent(it.draft.ID)}
	case len(l.seen) < maxSeen:
		l.seen[id] = content
	case len(l.report.Notes) == 0:
		l.report.Notes = append(l.report.Notes, "events that come twice were looked for among the first million only")
	}
	return o
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, text) // never fails
	return h.Sum64()
}
