// Package web lays text out.
package web

import "fmt"

// Line is a line of a receipt.
func Line(left, right string) string {
	return fmt.Sprintf("%-16s %8s", left, right)
}
