// Keeps the sum in a map.
//
//kata:caught-by forbid
package counter

import "sync"

// Counter counts.
type Counter struct {
	mu sync.Mutex
	m  map[string]int
}

// Add adds n.
func (c *Counter) Add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string]int{}
	}
	c.m["n"] += n
}

// Value returns the sum.
func (c *Counter) Value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m["n"]
}
