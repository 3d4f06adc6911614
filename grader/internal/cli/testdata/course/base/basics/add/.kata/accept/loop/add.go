// Package add adds.
package add

// Add returns a+b.
func Add(a, b int) int {
	for ; b > 0; b-- {
		a++
	}
	for ; b < 0; b++ {
		a--
	}
	return a
}
