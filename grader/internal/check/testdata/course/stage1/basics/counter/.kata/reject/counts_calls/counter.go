// Counts calls instead of adding up.
//
//kata:caught-by TestAdds
package counter

import "sync/atomic"

// Counter counts.
type Counter struct{ n atomic.Int64 }

// Add counts a call.
func (c *Counter) Add(n int) { c.n.Add(1) }

// Value returns the sum.
func (c *Counter) Value() int { return int(c.n.Load()) }
