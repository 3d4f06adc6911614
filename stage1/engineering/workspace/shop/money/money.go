// Package money counts in cents. Version 1 counted in float64, and lost some.
package money

import "fmt"

// Amount is an amount of money in cents.
type Amount int64

// String returns, for example, 12.50.
func (a Amount) String() string {
	return fmt.Sprintf("%d.%02d", a/100, a%100)
}
