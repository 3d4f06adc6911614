// Package oncecache keeps what is expensive to load, and loads it once whatever the crowd.
package oncecache

import (
	"context"
	"sync"
	"time"
)

// A Cache has a cell for each key, with a lock of its own.
type Cache[K comparable, V any] struct {
	ttl   time.Duration
	load  func(context.Context, K) (V, error)
	cells sync.Map // from K to *cell[V]
}

type cell[V any] struct {
	mu    sync.Mutex
	value V
	until time.Time
	now   *attempt[V] // the load that may be joined
}

type attempt[V any] struct {
	waiting int
	stop    context.CancelFunc
	ended   chan struct{}
	outcome func() (V, error) // returns or panics, as the load did
}

// New returns an empty cache.
func New[K comparable, V any](ttl time.Duration, load func(ctx context.Context, key K) (V, error)) *Cache[K, V] {
	return &Cache[K, V]{ttl: ttl, load: load}
}

// Get returns the value of key, and loads it if need be.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	var none V
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	found, ok := c.cells.Load(key)
	if !ok {
		found, _ = c.cells.LoadOrStore(key, new(cell[V]))
	}
	cell := found.(*cell[V])

	value, a := cell.lookUp(func() *attempt[V] { return c.begin(context.WithoutCancel(ctx), key, cell) })
	if a == nil {
		return value, nil
	}
	select {
	case <-a.ended:
		return a.outcome()
	case <-ctx.Done():
		cell.leave(a)
		return none, context.Cause(ctx)
	}
}

// lookUp returns the value if it is fresh, or else the attempt to wait for.
func (c *cell[V]) lookUp(begin func() *attempt[V]) (V, *attempt[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.until) {
		return c.value, nil
	}
	var none V
	c.value = none
	if c.now == nil {
		c.now = begin()
	}
	c.now.waiting++
	return none, c.now
}

func (c *cell[V]) leave(a *attempt[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.waiting--
	if a.waiting > 0 {
		return
	}
	a.stop()
	if c.now == a {
		c.now = nil
	}
}

func (c *Cache[K, V]) begin(ctx context.Context, key K, cell *cell[V]) *attempt[V] {
	ctx, stop := context.WithCancel(ctx)
	a := &attempt[V]{stop: stop, ended: make(chan struct{})}
	go func() {
		value, good := a.run(func() (V, error) { return c.load(ctx, key) })
		stop()
		cell.mu.Lock()
		defer cell.mu.Unlock()
		if cell.now == a {
			cell.now = nil
			if good {
				cell.value, cell.until = value, time.Now().Add(c.ttl)
			}
		}
		close(a.ended)
	}()
	return a
}

// run says whether f has returned a value that may be kept.
func (a *attempt[V]) run(f func() (V, error)) (value V, good bool) {
	defer func() {
		if v := recover(); v != nil {
			a.outcome = func() (V, error) { panic(v) }
		}
	}()
	value, err := f()
	a.outcome = func() (V, error) { return value, err }
	return value, err == nil
}
