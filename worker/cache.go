package worker

import (
	"context"
	"sync"
)

// Cache keeps the values that were asked for last, at most limit of them. A
// value is loaded once however many ask for it at the same time; a load that
// fails is not kept.
type Cache[K comparable, V any] struct {
	limit int
	load  func(context.Context, K) (V, error)

	mu    sync.Mutex
	known map[K]*entry[V]
	clock uint64
}

type entry[V any] struct {
	used  uint64
	ready chan struct{}
	value V
	err   error
}

// NewCache makes a cache of at most limit values.
func NewCache[K comparable, V any](limit int, load func(context.Context, K) (V, error)) *Cache[K, V] {
	return &Cache[K, V]{limit: limit, load: load, known: map[K]*entry[V]{}}
}

// Get returns the value, loading it if it is not there.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	c.mu.Lock()
	c.clock++
	e, ok := c.known[key]
	if !ok {
		e = &entry[V]{ready: make(chan struct{})}
		c.makeRoom()
		c.known[key] = e
	}
	e.used = c.clock
	c.mu.Unlock()
	if !ok {
		c.fill(ctx, key, e)
	}
	select {
	case <-e.ready:
		return e.value, e.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

func (c *Cache[K, V]) fill(ctx context.Context, key K, e *entry[V]) {
	defer close(e.ready)
	// Others wait for this value too: the first asker's patience is not theirs.
	if e.value, e.err = c.load(context.WithoutCancel(ctx), key); e.err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[key] == e {
		delete(c.known, key)
	}
}

// makeRoom drops the value that was not asked for the longest.
func (c *Cache[K, V]) makeRoom() {
	if len(c.known) < c.limit {
		return
	}
	var oldest K
	least := c.clock + 1
	for k, e := range c.known {
		if e.used < least {
			oldest, least = k, e.used
		}
	}
	delete(c.known, oldest)
}
