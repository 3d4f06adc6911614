// Package add adds.
package add

// Add returns a+b.
func Add(a, b int) int {
	panic("TODO: add")
}
