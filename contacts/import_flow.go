package contacts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// flow reads and converts in one goroutine and writes in another.
func (im *importer) flow(ctx context.Context, in *records) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan []item, 2)
	var readErr error
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(batches)
		readErr = im.read(ctx, in, batches)
	})
	var writeErr error
	skip := im.point.DoneRows
	for b := range batches {
		if writeErr != nil {
			continue // let the reader see the end of ctx
		}
		if writeErr = im.write(ctx, b, &skip); writeErr != nil {
			cancel()
		}
	}
	reading.Wait()
	im.progress()
	if writeErr != nil {
		return writeErr
	}
	return readErr
}

// read reads batches, learns the types of columns and makes rows.
func (im *importer) read(ctx context.Context, in *records, batches chan<- []item) error {
	for {
		list, end, err := take(in, batchRows)
		if err != nil && len(list) == 0 {
			return err
		}
		items, convertErr := im.convert(ctx, list)
		if convertErr != nil {
			return convertErr
		}
		select {
		case batches <- items:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil || end {
			return err
		}
	}
}

// take reads the next records that are not empty.
func take(in *records, want int) (list []record, end bool, err error) {
	from := in.csv.InputOffset()
	for len(list) < want && in.csv.InputOffset()-from < batchBytes {
		rec, err := in.next()
		if errors.Is(err, io.EOF) {
			return list, true, nil
		}
		if err != nil {
			return list, false, err
		}
		if rec.bad == "" && !slices.ContainsFunc(rec.cells, func(c string) bool { return strings.TrimSpace(c) != "" }) {
			continue
		}
		list = append(list, rec)
	}
	return list, false, nil
}

func (im *importer) convert(ctx context.Context, list []record) ([]item, error) {
	if err := im.learn(ctx, list); err != nil {
		return nil, err
	}
	items := make([]item, len(list))
	for i, rec := range list {
		items[i].row.Line = rec.line
		if rec.bad != "" {
			items[i].bad = rec.bad
			continue
		}
		row, bad, err := im.maker.row(rec)
		if err != nil {
			return nil, err
		}
		items[i].row = row
		if bad != nil {
			items[i].bad = bad.Error()
		}
	}
	return items, nil
}

// learn finds the types of columns that have none yet from the rows read.
func (im *importer) learn(ctx context.Context, list []record) error {
	news := map[string]Type{}
	for i := range im.maker.layout.columns {
		c := &im.maker.layout.columns[i]
		if c.role == roleObject {
			im.maker.learnObject(i, list, news)
			continue
		}
		if c.role != roleAttribute || c.typ != "" {
			continue
		}
		for _, rec := range list {
			if rec.bad == "" {
				c.learner.see(strings.TrimSpace(unprotect(rec.cells[i])))
			}
		}
		if t, ok := c.learner.learned(); ok {
			c.typ = t
			news[c.name] = t
		}
	}
	if len(news) == 0 {
		return nil
	}
	if !im.options.DryRun {
		if err := im.service.store.DeclareAttributes(ctx, news); err != nil {
			return fmt.Errorf("declare attributes: %w", err)
		}
	}
	im.maker.learned(news)
	return nil
}

// identities is who a dry run would have made. It is bounded.
type identities map[string]struct{}

const maxIdentities = 1_000_000

// write applies items in transactions as large as the store likes them now.
func (im *importer) write(ctx context.Context, items []item, skip *int64) error {
	for len(items) > 0 {
		n := min(len(items), max(1, im.service.imports.Pace()))
		replay := *skip > 0
		if replay {
			n = int(min(int64(n), *skip))
			*skip -= int64(n)
		}
		if err := im.apply(ctx, items[:n], replay); err != nil {
			return err
		}
		items = items[n:]
		im.progress()
	}
	return nil
}

func (im *importer) apply(ctx context.Context, items []item, replay bool) error {
	c := Chunk{Seen: im.seen, Resubscribe: im.options.Resubscribe, Actor: im.actor, DryRun: im.options.DryRun, Replay: replay}
	for _, it := range items {
		if it.bad == "" {
			c.Rows = append(c.Rows, it.row)
		}
	}
	if replay {
		if _, err := im.service.store.Apply(ctx, c); err != nil {
			return fmt.Errorf("look up rows that are done: %w", err)
		}
		return nil
	}
	if !c.DryRun {
		c.Import = im.point.ID
		c.From = im.point.DoneRows
		c.Advance = func(a Applied) Checkpoint {
			return Checkpoint{ID: im.point.ID, DoneRows: im.point.DoneRows + int64(len(items)), Report: im.counted(items, a).Stored()}
		}
	}
	applied, err := im.service.store.Apply(ctx, c)
	if err != nil {
		return fmt.Errorf("write rows near line %d: %w", items[0].row.Line, err)
	}
	if c.DryRun {
		im.remember(c.Rows, applied.Outcomes)
	}
	im.report = im.counted(items, applied)
	im.point.DoneRows += int64(len(items))
	im.list(items, applied)
	return nil
}

// counted is the report after some items; it changes nothing.
func (im *importer) counted(items []item, a Applied) Report {
	r := im.report.clone()
	next := 0
	for _, it := range items {
		if it.bad != "" {
			r.count(Refused)
			continue
		}
		r.count(a.Outcomes[next].Status)
		next++
	}
	for what, n := range a.Consents {
		r.Consents[what] += int64(n)
	}
	for what, n := range a.History {
		r.History[what] += int64(n)
	}
	for what, n := range a.People {
		r.People[what] += int64(n)
	}
	r.Attributes = im.maker.types()
	return r
}

// list names the rows that somebody should look at.
func (im *importer) list(items []item, a Applied) {
	next := 0
	for _, it := range items {
		if it.bad != "" {
			im.notes.add(&im.report.Listed, "error", it.row.Line, it.bad)
			continue
		}
		out := a.Outcomes[next]
		next++
		switch out.Status {
		case Refused:
			im.notes.add(&im.report.Listed, "error", it.row.Line, out.Reason)
		case Duplicate:
			im.notes.add(&im.report.Skipped, "duplicate", it.row.Line, "an earlier row is about the same contact; of this one nothing but a withdrawal counts")
		case Created, Changed, Unchanged:
		}
		for _, why := range out.Skipped {
			im.notes.add(&im.report.Skipped, "consent", it.row.Line, why)
		}
	}
}

// remember finds duplicates among people a dry run would have made.
func (im *importer) remember(rows []Row, outcomes []Outcome) {
	if im.made == nil {
		im.made = identities{}
	}
	for i, r := range rows {
		if outcomes[i].Status != Created || r.Again {
			continue
		}
		names := make([]string, 0, 2)
		if r.ExternalID != "" {
			names = append(names, "="+r.ExternalID)
		}
		for _, a := range r.Addresses {
			names = append(names, a.Hash)
		}
		for j, n := range names {
			if _, known := im.made[n]; !known {
				continue
			}
			outcomes[i] = Outcome{Status: Duplicate}
			if j > 0 && r.ExternalID != "" {
				outcomes[i] = Outcome{Status: Refused, Reason: "an address of this row belongs to another row of the file already"}
			}
			break
		}
		if len(im.made) >= maxIdentities {
			im.note("duplicates among new rows were looked for in the first million only")
			continue
		}
		for _, n := range names {
			im.made[n] = struct{}{}
		}
	}
}

func (im *importer) note(text string) {
	if !slices.Contains(im.report.Notes, text) {
		im.report.Notes = append(im.report.Notes, text)
	}
}

func (im *importer) progress() {
	if im.options.Progress != nil {
		im.options.Progress(Progress{Bytes: im.bytes.Load(), Size: im.size, Rows: im.point.DoneRows})
	}
}
