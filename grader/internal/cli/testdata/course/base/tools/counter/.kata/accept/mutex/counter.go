// Package counter counts.
package counter

import "sync"

// Counter may be used by several goroutines.
type Counter struct {
	mu sync.Mutex
	n  int64
}

// Add adds one and returns the sum.
func (c *Counter) Add() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}
