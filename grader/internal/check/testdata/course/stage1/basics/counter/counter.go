// Package counter counts from many goroutines.
package counter

// Counter counts. Its zero value is ready.
type Counter struct{}

// Add adds n; it is safe for concurrent use.
func (c *Counter) Add(n int) { panic("TODO: add") }

// Value returns the sum.
func (c *Counter) Value() int { panic("TODO: value") }
