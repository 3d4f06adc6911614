// Package oncecache keeps what is expensive to load, and loads it once whatever the crowd.
package oncecache

import (
	"context"
	"sync"
	"time"
)

// A Cache has one entry a key, which is first being loaded and then kept, until a
// timer takes it out.
type Cache[K comparable, V any] struct {
	ttl  time.Duration
	load func(context.Context, K) (V, error)

	mu      sync.Mutex
	entries map[K]*entry[V]
}

type entry[V any] struct {
	users  map[chan outcome[V]]bool // nil once loaded
	forget context.CancelFunc
	value  V
}

// outcome hands back what a load came to, in the goroutine of whoever calls it.
type outcome[V any] func() (V, error)

// New returns an empty cache.
func New[K comparable, V any](ttl time.Duration, load func(ctx context.Context, key K) (V, error)) *Cache[K, V] {
	return &Cache[K, V]{ttl: ttl, load: load, entries: make(map[K]*entry[V])}
}

// Get returns the value of key, and loads it if need be.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	if err := context.Cause(ctx); err != nil {
		var none V
		return none, err
	}
	e, mine := c.join(ctx, key)
	if mine == nil {
		return e.value, nil
	}
	select {
	case result := <-mine:
		return result()
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(e.users, mine)
	if len(e.users) == 0 {
		e.forget()
		if e.users != nil {
			c.drop(key, e)
		}
	}
	var none V
	return none, context.Cause(ctx)
}

// join returns the entry of key and, unless its value is there, a channel for the outcome.
func (c *Cache[K, V]) join(ctx context.Context, key K) (*entry[V], chan outcome[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if ok && e.users == nil {
		return e, nil
	}
	if !ok {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		e = &entry[V]{users: map[chan outcome[V]]bool{}, forget: cancel}
		c.entries[key] = e
		go c.fill(ctx, key, e)
	}
	mine := make(chan outcome[V], 1)
	e.users[mine] = true
	return e, mine
}

// fill loads the value of an entry and tells those who wait.
func (c *Cache[K, V]) fill(ctx context.Context, key K, e *entry[V]) {
	var v V
	var err error
	result := func() (V, error) { return v, err }
	failed := true
	func() {
		defer func() {
			if p := recover(); p != nil {
				result = func() (V, error) { panic(p) }
			}
		}()
		v, err = c.load(ctx, key)
		failed = err != nil
	}()
	e.forget()

	c.mu.Lock()
	defer c.mu.Unlock()
	for user := range e.users {
		user <- result
	}
	e.users, e.value = nil, v
	if failed || c.ttl <= 0 {
		c.drop(key, e)
		return
	}
	time.AfterFunc(c.ttl, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(key, e)
	})
}

// drop takes e out, unless key has another entry by now.
func (c *Cache[K, V]) drop(key K, e *entry[V]) {
	if c.entries[key] == e {
		delete(c.entries, key)
	}
}
