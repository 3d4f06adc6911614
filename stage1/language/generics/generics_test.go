package generics_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/stage1/language/generics"
)

func ExampleMap() {
	words := slices.Values([]string{"go", "gopher", "goroutine"})
	long := generics.Filter(words, func(s string) bool { return len(s) > 2 })
	for s := range generics.Map(long, strings.ToUpper) {
		fmt.Println(s)
	}
	// Output:
	// GOPHER
	// GOROUTINE
}

func ExampleZip() {
	names := slices.Values([]string{"Ada", "Bob", "Cid"})
	for name, chunk := range generics.Zip(names, generics.Chunk(slices.Values([]int{1, 2, 3}), 2)) {
		fmt.Println(name, chunk)
	}
	// Output:
	// Ada [1 2]
	// Bob [3]
}

func TestExampleGroupBy(t *testing.T) {
	got := generics.GroupBy([]string{"ant", "bee", "ape"}, func(s string) byte { return s[0] })
	want := map[byte][]string{'a': {"ant", "ape"}, 'b': {"bee"}}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("GroupBy([ant bee ape], first letter) = %q, want %q", got, want)
	}
}
