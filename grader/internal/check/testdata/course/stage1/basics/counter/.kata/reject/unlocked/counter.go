// Believes that an addition is one step.
//
//kata:caught-by TestConcurrent
package counter

// Counter counts.
type Counter struct{ n int }

// Add adds n.
func (c *Counter) Add(n int) { c.n += n }

// Value returns the sum.
func (c *Counter) Value() int { return c.n }
