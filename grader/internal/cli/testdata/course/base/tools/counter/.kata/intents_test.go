// The intents of counter.
//
//kata:level 3
//kata:minutes 20
//kata:engine embedded abacus 1.0
//kata:race
package counter_test

import (
	"sync"
	"testing"

	"example.com/course/base/tools/counter"
)

// Goroutines may count at the same time.
//
//kata:zh 多个 goroutine 可以同时计数。
func TestConcurrent(t *testing.T) {
	var c counter.Counter
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { c.Add() })
	}
	wg.Wait()
	if got := c.Add(); got != 5 {
		t.Errorf("Add after 4 calls = %d, want 5", got)
	}
}
