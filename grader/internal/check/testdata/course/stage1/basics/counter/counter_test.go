package counter_test

import (
	"fmt"
	"testing"

	"example.com/course/stage1/basics/counter"
)

func TestExample(t *testing.T) {
	var c counter.Counter
	c.Add(1)
	if got := c.Value(); got != 1 {
		t.Errorf("Add(1): Value() = %d, want 1", got)
	}
}

func ExampleCounter() {
	var c counter.Counter
	c.Add(2)
	fmt.Println(c.Value())
	// Output: 2
}
