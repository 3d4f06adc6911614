// Package counter counts from many goroutines.
package counter

import "sync/atomic"

// Counter counts. Its zero value is ready.
type Counter struct{ n atomic.Int64 }

// Add adds n; it is safe for concurrent use.
func (c *Counter) Add(n int) { c.n.Add(int64(n)) }

// Value returns the sum.
func (c *Counter) Value() int { return int(c.n.Load()) }
