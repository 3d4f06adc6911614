// Package counter counts.
package counter

import "sync/atomic"

// Counter may be used by several goroutines.
type Counter struct{ n atomic.Int64 }

// Add adds one and returns the sum.
func (c *Counter) Add() int64 {
	return c.n.Add(1)
}
