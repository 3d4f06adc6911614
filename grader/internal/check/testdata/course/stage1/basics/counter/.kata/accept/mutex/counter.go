// Package counter counts from many goroutines.
package counter

import "sync"

// Counter counts. Its zero value is ready.
type Counter struct {
	mu sync.Mutex
	n  int
}

// Add adds n; it is safe for concurrent use.
func (c *Counter) Add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
}

// Value returns the sum.
func (c *Counter) Value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
