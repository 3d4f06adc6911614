// The intents of add.
//
//kata:level 1
//kata:minutes 5
//kata:engine real Go runtime
//kata:timeout 2s
package add_test

import (
	"testing"

	"example.com/course/base/basics/add"
)

// Two numbers are added.
//
//kata:zh 两数相加。
func TestAdds(t *testing.T) {
	if got := add.Add(1, 2); got != 3 {
		t.Errorf("Add(1, 2) = %d, want 3", got)
	}
}

// Negative numbers are added, too.
//
//kata:zh 负数也能相加。
func TestNegative(t *testing.T) {
	if got := add.Add(-1, -2); got != -3 {
		t.Errorf("Add(-1, -2) = %d, want -3", got)
	}
}
