package public

import (
	"container/list"
	"context"
	"strconv"
	"sync"

	"golang.org/x/sync/singleflight"
)

// What targets keeps in memory.
const (
	maxRuns  = 1000
	maxLinks = 100_000
)

// targets remembers the link tables of runs, the least used leaving first. A
// revision never changes, so neither does what was read once; clicks go on
// while the database is away.
type targets struct {
	load   func(ctx context.Context, run int64) ([]string, error)
	flight singleflight.Group

	mu    sync.Mutex
	byRun map[int64]*list.Element
	order list.List // of table, the last used first
	links int
}

type table struct {
	run   int64
	links []string
}

func newTargets(load func(context.Context, int64) ([]string, error)) *targets {
	return &targets{load: load, byRun: map[int64]*list.Element{}}
}

// of returns the link table of a run.
func (t *targets) of(ctx context.Context, run int64) ([]string, error) {
	if links, ok := t.known(run); ok {
		return links, nil
	}
	// Many people click at once; one of them asks, and goes on asking for the
	// others when it is the one to leave.
	answer := t.flight.DoChan(strconv.FormatInt(run, 10), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readPatience)
		defer cancel()
		if links, ok := t.known(run); ok { // the one before answered between the two questions
			return links, nil
		}
		links, err := t.load(ctx, run)
		if err == nil {
			t.keep(run, links)
		}
		return links, err
	})
	select {
	case a := <-answer:
		links, _ := a.Val.([]string)
		return links, a.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *targets) known(run int64) ([]string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byRun[run]
	if !ok {
		return nil, false
	}
	t.order.MoveToFront(e)
	return e.Value.(table).links, true
}

func (t *targets) keep(run int64, links []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.byRun[run]; ok {
		return
	}
	t.byRun[run] = t.order.PushFront(table{run, links})
	t.links += len(links)
	for t.order.Len() > 1 && (t.order.Len() > maxRuns || t.links > maxLinks) {
		last := t.order.Remove(t.order.Back()).(table)
		delete(t.byRun, last.run)
		t.links -= len(last.links)
	}
}
