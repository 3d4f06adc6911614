package godoc_test

import (
	"fmt"

	"github.com/roadkata/roadkata/stage1/engineering/godoc"
)

// This is the form of an example: go test runs it and compares what it prints with the
// comment at its end, and go doc's relatives show it below MustParse.
func ExampleMustParse() {
	fmt.Println(godoc.MustParse("0.10") + godoc.MustParse("0.20"))
	// Output: 0.30
}
