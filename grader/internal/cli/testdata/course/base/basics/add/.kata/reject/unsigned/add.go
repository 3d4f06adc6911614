// Forgets that numbers can be negative.
//
//kata:caught-by TestNegative
package add

// Add returns a+b.
func Add(a, b int) int {
	return max(a, 0) + max(b, 0)
}
