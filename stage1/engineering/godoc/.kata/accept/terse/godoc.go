// Package godoc
// does arithmetic with amounts of money.
//
// # Reading
//
// Use [Parse], or [MustParse] where the text is known. Both want two decimals:
//
//   - 1.50
//   - -0.05
package godoc

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrSyntax: the text is no amount.
var ErrSyntax = errors.New("invalid amount")

// Amount is a number of cents.
//
// Amounts can be added and compared like numbers.
type Amount int64

// The units from which amounts are made.
const (
	Cent Amount = 1
	Euro        = 100 * Cent
)

// Parse reads an amount like "12.50" or "-12.50". Errors match [ErrSyntax] with [errors.Is].
func Parse(s string) (Amount, error) {
	digits := strings.TrimPrefix(s, "-")
	euros, cents, ok := strings.Cut(digits, ".")
	n, err := strconv.ParseUint(euros+cents, 10, 63)
	if err != nil || !ok || euros == "" || len(cents) != 2 {
		return 0, fmt.Errorf("%w: %q", ErrSyntax, s)
	}
	if digits != s {
		return -Amount(n), nil
	}
	return Amount(n), nil
}

// MustParse is [Parse] for a text that is known to be right. Panics
// otherwise.
func MustParse(s string) Amount {
	a, err := Parse(s)
	if err != nil {
		panic("godoc: " + err.Error())
	}
	return a
}

// FromFloat rounds a number of euros, such as 0.1 + 0.2 (which isn't 0.3), to cents – with what 15 digits of it are worth.
//
// Deprecated: use [Parse] instead, which is exact.
func FromFloat(euros float64) Amount {
	return Amount(math.Round(euros * 100))
}

// String implements [fmt.Stringer] in the form of 12.50, -0.05 etc.
func (a Amount) String() string {
	sign := ""
	if a < 0 {
		sign, a = "-", -a
	}
	return fmt.Sprintf("%s%d.%02d", sign, a/Euro, a%Euro)
}

// Split returns a []Amount of n parts, in descending order of  size. Panics unless n is positive.
func (a Amount) Split(n int) []Amount {
	if n < 1 {
		panic("godoc: Split into less than one part")
	}
	parts := make([]Amount, n)
	rest := a % Amount(n)
	for i := range parts {
		parts[i] = a / Amount(n)
		if rest > 0 {
			parts[i]++
			rest--
		} else if rest < 0 {
			parts[i]--
			rest++
		}
	}
	return parts
}
