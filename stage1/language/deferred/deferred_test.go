package deferred_test

import (
	"fmt"
	"io"

	"github.com/roadkata/roadkata/stage1/language/deferred"
)

func ExampleWithResources() {
	err := deferred.WithResources(
		func(resources []io.Closer) error {
			fmt.Println("use", resources)
			return fmt.Errorf("disk full")
		},
		func() (io.Closer, error) { return file("in"), nil },
		func() (io.Closer, error) { return file("out"), nil },
	)
	fmt.Println(err)
	// Output:
	// use [in out]
	// close out
	// close in
	// disk full
}

// A file closes itself with a word.
type file string

func (f file) Close() error {
	fmt.Println("close", f)
	return nil
}
