// Leaves the name out.
//
//kata:caught-by TestGreets
package greet

// Greet returns "Hello, name!".
func Greet(name string) string {
	return "Hello!"
}
