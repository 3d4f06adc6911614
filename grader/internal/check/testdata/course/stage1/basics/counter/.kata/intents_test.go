// A suite in which every kind of failure can show.
//
//kata:level 1
//kata:minutes 5
//kata:engine real Go runtime
//kata:race
//kata:timeout 2s
//kata:forbid builtin:map "sort".Ints "os/exec"
package counter_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"example.com/course/stage1/basics/counter"
)

// Adds up what it is given.
//
//kata:zh 把给定的数加起来。
func TestAdds(t *testing.T) {
	var c counter.Counter
	c.Add(2)
	c.Add(3)
	if got := c.Value(); got != 5 {
		t.Errorf("Add(2), Add(3): Value() = %d, want 5", got)
	}
}

// Starts at zero.
//
//kata:zh 从零开始。
func TestZero(t *testing.T) {
	var c counter.Counter
	if got := c.Value(); got != 0 {
		t.Errorf("Value() = %d, want 0", got)
	}
}

// Is safe for concurrent use.
//
//kata:zh 可并发使用。
func TestConcurrent(t *testing.T) {
	var c counter.Counter
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { c.Add(1) })
	}
	wg.Wait()
	if got := c.Value(); got != 8 {
		t.Errorf("8 concurrent Add(1): Value() = %d, want 8", got)
	}
}

// Leaves no goroutine behind.
//
//kata:zh 不留下任何 goroutine。
func TestNoLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counter.Counter
		c.Add(1)
		synctest.Wait()
		buf := make([]byte, 1<<20)
		if s := string(buf[:runtime.Stack(buf, true)]); strings.Count(s, "counter.go") > 0 {
			t.Error("found unexpected goroutines after Add(1)")
		}
	})
}
