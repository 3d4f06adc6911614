// Package greet greets.
package greet

import "fmt"

// Greet returns "Hello, name!".
func Greet(name string) string {
	return fmt.Sprintf("Hello, %s!", name)
}
