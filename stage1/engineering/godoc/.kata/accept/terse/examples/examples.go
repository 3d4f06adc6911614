// Package examples holds the examples of package godoc.
package examples

import (
	"errors"
	"fmt"

	"github.com/roadkata/roadkata/stage1/engineering/godoc"
)

func Example() {
	total := godoc.MustParse("19.99") + 5*godoc.Euro
	fmt.Println(total)
	// Output: 24.99
}

func ExampleParse() {
	a, err := godoc.Parse("12.50")
	fmt.Println(a, err)
	_, err = godoc.Parse("12,50")
	fmt.Println(errors.Is(err, godoc.ErrSyntax))
	// Output:
	// 12.50 <nil>
	// true
}

func ExampleAmount() {
	fmt.Println(godoc.Euro > godoc.Cent)
	// Output: true
}

func ExampleCent() {
	fmt.Println(godoc.Cent)
	// Output: 0.01
}

func ExampleParse_negative() {
	fmt.Println(godoc.Parse("-0.05"))
	// Output: -0.05 <nil>
}

func ExampleAmount_Split() {
	fmt.Println(godoc.MustParse("10.00").Split(3))
	for _, part := range (-godoc.Cent).Split(2) {
		fmt.Println(part)
	}

	// Unordered output:
	// 0.00
	// [3.34 3.33 3.33]
	// -0.01
}
