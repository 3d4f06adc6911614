// Package godoc handles amounts of money in euros, to the cent.
package godoc

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrSyntax is what the errors of [Parse] wrap.
var ErrSyntax = errors.New("invalid amount")

// An Amount is an amount of money in cents. It may be negative. The zero value is
// nothing, and ready to use.
type Amount int64

// Units of an [Amount].
const (
	Cent Amount = 1
	Euro        = 100 * Cent
)

// Parse returns the amount that s stands for, such as "-12.50". It wants an optional
// minus sign, at least one digit, a point, and exactly two digits. The error for
// anything else, also for what is too large for an [Amount], wraps [ErrSyntax].
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

// MustParse is like [Parse] and panics if s is no amount. It is meant for constants
// in tests and variables of packages.
func MustParse(s string) Amount {
	a, err := Parse(s)
	if err != nil {
		panic("godoc: " + err.Error())
	}
	return a
}

// FromFloat returns the amount that is nearest to a number of euros.
//
// Deprecated: A float64 has lost cents before it gets here. Use [Parse].
func FromFloat(euros float64) Amount {
	return Amount(math.Round(euros * 100))
}

// String returns the amount in the form that [Parse] reads, such as "-12.50".
func (a Amount) String() string {
	sign := ""
	if a < 0 {
		sign, a = "-", -a
	}
	return fmt.Sprintf("%s%d.%02d", sign, a/Euro, a%Euro)
}

// Split divides the amount into n parts that add up to it. They differ by a cent at
// most, and those with more come first. It panics if n is less than 1.
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
