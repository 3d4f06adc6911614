// Package greet greets.
package greet

// Greet returns "Hello, name!".
func Greet(name string) string {
	panic("TODO: greet")
}
