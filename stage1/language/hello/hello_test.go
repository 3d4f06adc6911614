package hello_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/language/hello"
)

func ExampleFrequencies() {
	for _, c := range hello.Frequencies([]string{"to be, or", "not to be"}) {
		fmt.Println(c.N, c.Word)
	}
	// Output:
	// 2 be
	// 2 to
	// 1 not
	// 1 or
}

func TestExampleOtherScripts(t *testing.T) {
	got := hello.Frequencies([]string{"你好，世界！", "你好，Go。"})
	want := []hello.Count{{Word: "你好", N: 2}, {Word: "go", N: 1}, {Word: "世界", N: 1}}
	if !slices.Equal(got, want) {
		t.Errorf("Frequencies = %v, want %v", got, want)
	}
}
