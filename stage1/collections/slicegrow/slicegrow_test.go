package slicegrow_test

import (
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/collections/slicegrow"
)

func TestExampleAppend(t *testing.T) {
	var s []int
	s = slicegrow.Append(s, 1)
	s = slicegrow.Append(s, 2, 3)

	if want := []int{1, 2, 3}; !slices.Equal(s, want) {
		t.Errorf("Append(Append(nil, 1), 2, 3) = %v, want %v", s, want)
	}
}

func TestExampleSharedArray(t *testing.T) {
	array := [4]int{1, 2, 3, 4}

	got := slicegrow.Append(array[:2], 30)
	if want := [4]int{1, 2, 30, 4}; array != want || &got[0] != &array[0] {
		t.Errorf("Append(array[:2], 30) = %v, array is %v, want %v: there is room, so it is written in place", got, array, want)
	}

	got = slicegrow.Append(array[:2:2], 99)
	if want := [4]int{1, 2, 30, 4}; array != want || got[2] != 99 {
		t.Errorf("Append(array[:2:2], 99) = %v, array is %v, want %v: the slice is full, so it is copied", got, array, want)
	}
}
