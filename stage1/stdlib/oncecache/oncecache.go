// Package oncecache keeps what is expensive to load, and loads it once whatever the crowd.
package oncecache

import (
	"context"
	"time"
)

// A Cache keeps values for a while and loads those that it lacks: one load per
// key at a time, however many ask. It may be used from many goroutines at once.
type Cache[K comparable, V any] struct {
	// TODO: what is known, and what is being loaded
}

// New returns an empty cache that gets its values from load and keeps each for
// ttl, counted from the moment when load has returned it. With a ttl of 0 or less
// nothing is kept; those that ask at the same time share one load all the same.
//
// The context of a load has the values of the context of the Get that started it,
// but neither its cancellation nor its deadline. It is cancelled when the last Get
// that waits has gone away, and when the load has ended.
func New[K comparable, V any](ttl time.Duration, load func(ctx context.Context, key K) (V, error)) *Cache[K, V] {
	panic("TODO: make a cache")
}

// Get returns the value of key: the one that is kept, or else the outcome of the
// load that runs or that it starts. Errors and panics of load are outcomes too,
// for all that wait, but they are not kept.
//
// If ctx is done first, or was done beforehand, Get returns context.Cause(ctx) at
// once; the load goes on as long as others wait for it.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	panic("TODO: look it up, join a load, or start one")
}
