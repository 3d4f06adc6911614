package aliasing_test

import (
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/collections/aliasing"
)

func TestExampleInsert(t *testing.T) {
	array := []string{"a", "b", "c", "d"}
	s := array[:2] // has room: append would write over "c"

	got := aliasing.Insert(s, 1, "x")

	if want := []string{"a", "x", "b"}; !slices.Equal(got, want) {
		t.Errorf(`Insert([a b], 1, "x") = %q, want %q`, got, want)
	}
	if want := []string{"a", "b", "c", "d"}; !slices.Equal(array, want) {
		t.Errorf(`Insert([a b], 1, "x"): the caller's array became %q, want %q`, array, want)
	}
}

func TestExampleDelete(t *testing.T) {
	array := []string{"a", "b", "c", "d"}

	got := aliasing.Delete(array[:3], 0, 1)

	if want := []string{"b", "c"}; !slices.Equal(got, want) {
		t.Errorf("Delete([a b c], 0, 1) = %q, want %q", got, want)
	}
	if want := []string{"b", "c", "", "d"}; !slices.Equal(array, want) {
		t.Errorf("Delete([a b c], 0, 1): the array became %q, want %q", array, want)
	}
}

func TestExampleChunk(t *testing.T) {
	s := []int{1, 2, 3, 4, 5}

	got := aliasing.Chunk(s, 2)

	if want := [][]int{{1, 2}, {3, 4}, {5}}; !slices.EqualFunc(got, want, slices.Equal) {
		t.Fatalf("Chunk(%v, 2) = %v, want %v", s, got, want)
	}
	if got[0] = append(got[0], 99); s[2] != 3 {
		t.Errorf("appending to the first piece of Chunk(s, 2) made s %v", s)
	}
}
