// Returns context.Canceled to whoever leaves and hides why.
//
//kata:caught-by TestOneLeaves
package oncecache

import (
	"context"
	"sync"
	"time"
)

// A Cache keeps values for a while and loads those that it lacks: one load per
// key at a time, however many ask.
type Cache[K comparable, V any] struct {
	ttl  time.Duration
	load func(context.Context, K) (V, error)

	mu    sync.Mutex // never held while load runs
	kept  map[K]kept[V]
	loads map[K]*loading[V] // without those that were abandoned
}

type kept[V any] struct {
	value V
	until time.Time
}

// loading is a load that some wait for.
type loading[V any] struct {
	cancel  context.CancelFunc
	waiting int // guarded by Cache.mu

	done     chan struct{} // closed when what follows is there
	value    V
	err      error
	panicked *any
}

// New returns an empty cache that gets its values from load and keeps each for ttl.
func New[K comparable, V any](ttl time.Duration, load func(ctx context.Context, key K) (V, error)) *Cache[K, V] {
	return &Cache[K, V]{ttl: ttl, load: load, kept: map[K]kept[V]{}, loads: map[K]*loading[V]{}}
}

// Get returns the value of key, and loads it if need be.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	var zero V
	if ctx.Err() != nil {
		return zero, context.Cause(ctx)
	}

	value, l := c.look(ctx, key)
	if l == nil {
		return value, nil
	}

	select {
	case <-l.done:
	case <-ctx.Done():
		c.leave(key, l)
		return zero, ctx.Err()
	}
	if l.panicked != nil {
		panic(*l.panicked)
	}
	return l.value, l.err
}

// look returns the value that is kept, or else the load to wait for.
func (c *Cache[K, V]) look(ctx context.Context, key K) (v V, l *loading[V]) {
	c.mu.Lock()
	defer c.mu.Unlock() // also when key cannot be hashed: K may be an interface
	if k, ok := c.kept[key]; ok {
		if time.Now().Before(k.until) {
			return k.value, nil
		}
		delete(c.kept, key)
	}
	l = c.loads[key]
	if l == nil {
		l = c.start(ctx, key)
	}
	l.waiting++
	return v, l
}

// start begins a load. It runs in a goroutine of its own, for the caller that
// starts it may leave before the others do.
func (c *Cache[K, V]) start(ctx context.Context, key K) *loading[V] {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &loading[V]{cancel: cancel, done: make(chan struct{})}
	c.loads[key] = l
	go func() {
		l.run(func() (V, error) { return c.load(ctx, key) })
		cancel() // before anybody learns the outcome
		c.finish(key, l)
	}()
	return l
}

// run calls f and keeps how it ended. Nobody could recover a panic in this goroutine.
func (l *loading[V]) run(f func() (V, error)) {
	defer func() {
		if v := recover(); v != nil {
			l.panicked = &v
		}
	}()
	l.value, l.err = f()
}

// finish makes the outcome of a load known, unless it was abandoned: then the key
// may be in the hands of a later load by now.
func (c *Cache[K, V]) finish(key K, l *loading[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loads[key] == l {
		delete(c.loads, key)
		if l.err == nil && l.panicked == nil && c.ttl > 0 {
			c.kept[key] = kept[V]{l.value, time.Now().Add(c.ttl)}
		}
	}
	close(l.done)
}

// leave takes one waiter off a load; the last one abandons it.
func (c *Cache[K, V]) leave(key K, l *loading[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.waiting--
	if l.waiting == 0 {
		l.cancel()
		if c.loads[key] == l {
			delete(c.loads, key)
		}
	}
}
