// Package examples holds the examples of package godoc. In a project of yours
// they would stand in example_test.go, package godoc_test.
package examples

// Example shows what the package is for.
func Example() {
	panic("TODO: show it, and say what comes out")
}

// ExampleParse shows a text that is an amount, and one that is not.
func ExampleParse() {
	panic("TODO: show it, and say what comes out")
}

// ExampleAmount_Split shows an amount that cannot be divided evenly.
func ExampleAmount_Split() {
	panic("TODO: show it, and say what comes out")
}
