// Takes the zero value for one count.
//
//kata:caught-by TestZero
package counter

import "sync/atomic"

// Counter counts.
type Counter struct{ n atomic.Int64 }

// Add adds n.
func (c *Counter) Add(n int) { c.n.Add(int64(n)) }

// Value returns the sum.
func (c *Counter) Value() int { return max(1, int(c.n.Load())) }
