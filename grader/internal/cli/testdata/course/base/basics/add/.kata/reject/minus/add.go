// Takes the sign of the second operand for the operator's.
//
//kata:caught-by TestAdds
package add

// Add returns a+b.
func Add(a, b int) int {
	if b > 0 {
		return a - b
	}
	return a + b
}
