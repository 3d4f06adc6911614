// TODO: document the package and every exported name.

package godoc

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

var ErrSyntax = errors.New("invalid amount")

type Amount int64

const (
	Cent Amount = 1
	Euro        = 100 * Cent
)

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

func MustParse(s string) Amount {
	a, err := Parse(s)
	if err != nil {
		panic("godoc: " + err.Error())
	}
	return a
}

func FromFloat(euros float64) Amount {
	return Amount(math.Round(euros * 100))
}

func (a Amount) String() string {
	sign := ""
	if a < 0 {
		sign, a = "-", -a
	}
	return fmt.Sprintf("%s%d.%02d", sign, a/Euro, a%Euro)
}

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
