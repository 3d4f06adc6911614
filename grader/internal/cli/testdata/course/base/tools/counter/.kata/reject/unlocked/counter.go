// Adds without a lock.
//
//kata:caught-by TestConcurrent
package counter

// Counter may be used by several goroutines.
type Counter struct{ n int64 }

// Add adds one and returns the sum.
func (c *Counter) Add() int64 {
	c.n++
	return c.n
}
