package add_test

import (
	"testing"

	"example.com/course/base/basics/add"
)

func TestExample(t *testing.T) {
	if got := add.Add(2, 2); got != 4 {
		t.Errorf("Add(2, 2) = %d, want 4", got)
	}
}
