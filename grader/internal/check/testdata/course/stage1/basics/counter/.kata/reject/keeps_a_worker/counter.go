// Starts a worker and never ends it.
//
//kata:caught-by TestNoLeak
package counter

import "sync/atomic"

// Counter counts.
type Counter struct{ n atomic.Int64 }

// Add adds n.
func (c *Counter) Add(n int) {
	c.n.Add(int64(n))
	go func() { select {} }()
}

// Value returns the sum.
func (c *Counter) Value() int { return int(c.n.Load()) }
